"""What next-token bars show: a model's logits after a text, the distribution at a temperature, and draws from it."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from moe_lite import data
from moe_lite.model.transformer import MoELanguageModel, Sample
from moe_lite.widgets.kit.reading import read
from moe_lite.widgets.kit.text import face
from moe_lite.widgets.kit.widget import called, name_of

KEPT = 64  # places whose logits are kept


@dataclass(frozen=True)
class Guess:
    """The distribution over the next token, most probable first."""

    place: tuple[int, ...]  # ids of the text before it
    temperature: float
    order: Tensor  # (V,) int64
    shares: Tensor  # (V,) float64 by token id, sums to 1
    at_one: float  # what the most probable has at temperature 1

    @property
    def first(self) -> int:
        return int(self.order[0])

    @property
    def equals(self) -> float:
        """exp(entropy): among so many equally probable tokens the choice would be as open."""
        return float(torch.special.entr(self.shares).sum().exp())

    def shown(self, n: int) -> list[int]:
        return self.order[:n].tolist()

    def rank(self, token: int) -> int:
        """1 for the most probable."""
        return int((self.order == token).nonzero()[0, 0]) + 1


@dataclass(frozen=True)
class Drawn:
    """A token that was drawn, and what it had then."""

    token: int
    share: float
    rank: int
    temperature: float


class LastLogits:
    """A model's logits after a text. Those of places seen lately are kept: only a new text runs the model."""

    def __init__(self, model: MoELanguageModel):
        self.model = model
        self.kept: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()

    def __call__(self, ids: tuple[int, ...]) -> Tensor:
        """The last `context_length` of ids -> logits (V,) float32. Raises ValueError where they are not numbers."""
        ids = ids[-self.model.config.context_length :]
        if ids not in self.kept:
            logits = read(self.model, ids).logits[0, -1].float().cpu()  # (V,)
            if logits.isnan().any() or logits.max() == torch.inf:
                raise ValueError("The model’s logits are not all numbers: did its training diverge?")
            self.kept[ids] = logits
            if len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return self.kept[ids]


def guess(place: tuple[int, ...], logits: Tensor, temperature: float) -> Guess:
    """softmax(logits / temperature), logits (V,); at temperature 0 all of it on the most probable token."""
    order = logits.sort(descending=True, stable=True).indices  # (V,)
    wide = logits.double() - logits.max().double()
    at_one = wide.softmax(dim=0)  # (V,)
    if temperature == 0:
        shares = torch.zeros_like(wide)
        shares[order[0]] = 1
    else:
        shares = (wide / temperature).softmax(dim=0)
    return Guess(place, temperature, order, shares, float(at_one[order[0]]))


def draw(sample: Sample, logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """One token id from `sample`, which gets logits (1, V).

    Raises CallbackError if it fails, TypeError or ValueError if it gives something else than one id in a tensor (1,).
    """
    name, n_tokens = name_of(sample), len(logits)
    result = called(sample, logits[None].clone(), temperature, generator)
    wanted = "expected a tensor (1,) of whole numbers, one token id a row"
    if not isinstance(result, Tensor):
        raise TypeError(f"{name} returned {type(result).__name__}; {wanted}.")
    if result.shape != (1,) or result.is_floating_point() or result.is_complex() or result.dtype == torch.bool:
        raise ValueError(f"{name} returned a tensor {tuple(result.shape)} of {result.dtype}; {wanted}.")
    token = int(result)
    if not 0 <= token < n_tokens:
        raise ValueError(f"{name} returned the id {token}; the vocabulary has the ids 0 to {n_tokens - 1:,}.")
    return token


def visible(token: int) -> str:
    """A token on one line with every space as ␣: " the" -> "␣the", a line break -> "↵"."""
    looks = face(data.token_pieces([token])[0])
    text = looks.text.replace("\n", "")
    return "␣" * looks.gap + (text.replace("·", "␣") if looks.blank else text)


def running(token: int) -> str:
    """A token as it stands in a text: its space as a space, a line break as ↵ and a new line."""
    looks = face(data.token_pieces([token])[0])
    return " " * looks.gap + (looks.text.replace("·", " ") if looks.blank else looks.text)
