"""Router logits of a sentence, token by token, with the faces of the tokens."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.parts import code
from moe_lite.widgets.kit.reading import read
from moe_lite.widgets.kit.text import Face, token_text

NEARBY = 32  # characters of the sentence that are shown on each side of the token


@dataclass(frozen=True)
class TokenRows:
    """One row of router logits a token."""

    logits: Tensor  # (N, E) float32, E: all experts there are
    faces: tuple[Face, ...]  # N or more: a text may be longer than what the model reads
    origin: str = ""  # the router they come from; "" for a tensor that was passed in

    @cached_property
    def span(self) -> tuple[float, float]:
        """One scale for the logits of all tokens and experts, so that no bar jumps when another is shown."""
        finite = self.logits[self.logits.isfinite()]
        low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 0.0)
        return float(min(-2, math.floor(low))), float(max(2, math.ceil(high)))

    @property
    def formula(self) -> str:
        return "z = x @ W_r" if self.origin else "z, as given"

    def name(self, token: int) -> str:
        """How a token looks, without the space before it."""
        return code(self.faces[token])["code"]

    def sentence(self, token: int) -> list[str]:
        """The text before the token, the token, the text after it; cut to what fits on a line."""
        pieces = [" " * face.gap + self.name(i) for i, face in enumerate(self.faces)]
        before, after = "".join(pieces[:token]), "".join(pieces[token + 1 :])
        before = before if len(before) <= NEARBY else f"…{before[-NEARBY:]}"
        after = after if len(after) <= NEARBY else f"{after[:NEARBY]}…"
        return [before + " " * self.faces[token].gap, self.name(token), after]

    def badge(self, n_experts: int, moved: bool) -> str:
        """What the figure shows, in a few words: which experts of what, and whether logits were moved by hand."""
        text = self.origin or "logits as given"
        if n_experts < self.logits.shape[1]:
            text = f"experts 0–{n_experts - 1} of " + (f"the {self.origin}" if self.origin else "the logits given")
        return f"{text} · moved by hand" if moved else text

    @property
    def cut(self) -> str:
        """A sentence if the text is longer than what was read."""
        n, total = len(self.logits), len(self.faces)
        return f"The model reads {n} tokens at once: of {total:,} tokens, the first {n} are here." if total > n else ""


def model_rows(model: MoELanguageModel, sentence: str, layer: int) -> TokenRows:
    """What the router of layer `layer`, counted from 1, gives each token of the sentence, as far as the context goes.

    Raises ValueError for a layer that the model does not have, and for a dense model.
    """
    config = model.config
    n_layers = config.n_sparse_layers
    if not 1 <= layer <= n_layers:
        raise ValueError(f"layer is {layer}; this model has {n_layers} sparse layers, counted from 1.")
    origin = f"{config.n_experts}-expert model, layer {layer}"
    text = token_text((("", sentence),))
    ids = list(text.ids[: config.context_length])
    if not ids:
        return TokenRows(torch.zeros(0, config.n_experts), (), origin)
    return TokenRows(read(model, ids).routing[layer - 1].logits.float().cpu(), text.faces, origin)  # (N, E)


def given_rows(logits: Tensor, sentence: str | None) -> TokenRows:
    """Logits (N, E) as they are; rows are called after the sentence's tokens, or "token 0", "token 1", …

    Raises ValueError unless logits are floats with E ≥ 2, and if the sentence has another number of tokens than N.
    """
    if logits.dim() != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
        raise ValueError(f"logits are {tuple(logits.shape)} {logits.dtype}; expected (N, E) floats with E ≥ 2.")
    faces = tuple(Face(f"token {i}", gap=i > 0) for i in range(len(logits)))
    if sentence is not None:
        faces = token_text((("", sentence),)).faces
    if len(faces) != len(logits):
        raise ValueError(f"logits have {len(logits)} rows, but the sentence has {len(faces)} tokens.")
    return TokenRows(logits.detach().float().cpu(), faces)
