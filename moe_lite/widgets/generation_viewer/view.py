"""Text that a model writes, token by token, each with the experts that made it.

A new token is made at the last position before it: there the model reads the token before, passes it through its
experts, and predicts the next. The experts of that position made the new token. Those that the new token passes
through itself are known one step later, when it has been fed in: they make the token after it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from moe_lite import data
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel, Sample
from moe_lite.widgets.kit.text import Face, faces_of
from moe_lite.widgets.next_tokens import draw
from moe_lite.widgets.token_viewer import (
    MOST_EXPERTS,
    TokenRouting,
    assignment_table,
    require_viewable,
    watched,
)


@dataclass(frozen=True)
class Made:
    """A new token, and the routing of the position that predicted it."""

    token: int
    experts: np.ndarray  # (L, K) int16, largest weight first
    weights: np.ndarray  # (L, K) float32
    scores: np.ndarray  # (L, E) float32
    beside: int | None = None  # the token that the dense model drew meanwhile


@dataclass
class Generation:
    """A prompt and what has been made after it so far."""

    prompt: tuple[int, ...]  # ids that the model reads; never empty
    prompt_load: np.ndarray  # (L, E) int64: assignments of the prompt's tokens
    cut: bool = False  # whether the prompt was longer
    top_k: int = 1
    n_tokens: int = 0  # how many were asked for
    temperature: float = 0.0
    seed: int = 0
    made: list[Made] = field(default_factory=list)

    @property
    def faces(self) -> list[Face]:
        """Of the new tokens. A token's face may change with the next one, when both share a character."""
        return faces_of([made.token for made in self.made])

    def input_face(self, i: int) -> Face:
        """The face of the token at the position that made token i: the last of the prompt, or new token i − 1."""
        return self.faces[i - 1] if i else faces_of(self.prompt)[-1]

    @property
    def routing(self) -> TokenRouting:
        """The routing that made the new tokens, as if it were theirs: entry i belongs to new token i."""
        n_layers, n_experts = self.prompt_load.shape
        rows = self.made or [Made(0, *_nothing(n_layers, n_experts))]
        stacked = [
            np.stack([getattr(made, name) for made in rows], axis=1) for name in ("experts", "weights", "scores")
        ]
        return TokenRouting(*(table[:, : len(self.made)] for table in stacked))

    @property
    def text(self) -> str:
        """What has been written; bytes that are not yet a whole character are left out."""
        return plain_text([made.token for made in self.made])

    @property
    def beside(self) -> str:
        """What the dense model has written meanwhile."""
        return plain_text([made.beside for made in self.made if made.beside is not None])


def plain_text(ids: Sequence[int]) -> str:
    return b"".join(data.token_bytes(ids)).decode(errors="ignore")


def _nothing(n_layers: int, n_experts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    empty = np.zeros((n_layers, 1), dtype=np.int16)  # (L, 1)
    return empty, empty.astype(np.float32), np.zeros((n_layers, n_experts), dtype=np.float32)


def cut_prompt(ids: Sequence[int], n_tokens: int, context_length: int) -> tuple[int, ...]:
    """The last of `ids` that leave room for n_tokens new ones."""
    return tuple(ids)[-(context_length - n_tokens) :]


@torch.no_grad()
def read_prompt(model: MoELanguageModel, ids: Sequence[int]) -> np.ndarray:
    """(L, E) int64: how many assignments each expert gets from the tokens `ids`. Raises as `assignment_table`."""
    device = model.embed.weight.device
    return _loads(watched(model)(torch.tensor([ids], device=device)).routing)


def make_tokens(
    model: MoELanguageModel, ids: Sequence[int], n_tokens: int, *, temperature: float, seed: int, sample: Sample,
    dense: MoELanguageModel | None = None,
) -> Iterator[Made]:  # fmt: skip
    """New tokens after the prompt `ids`, one at a time; the dense model, if given, draws its own beside them.

    Runs on views of the models that share their weights and are in evaluation mode: the models stay as they are, even
    in training. Raises CallbackError, ValueError or TypeError where `sample` or a router fails.
    """
    streams = [
        watched(m).generate(
            torch.tensor([ids], device=m.embed.weight.device), n_tokens, temperature=temperature,
            generator=torch.Generator().manual_seed(seed), sample=checked_sample(sample),
        )
        for m in (model, dense) if m is not None
    ]  # fmt: skip
    for (token, output), *others in zip(*streams, strict=True):
        tables = [assignment_table(routing) for routing in output.routing]
        yield Made(
            int(token),
            experts=np.stack([experts[-1] for experts, _ in tables]),
            weights=np.stack([weights[-1] for _, weights in tables]),
            scores=np.stack([routing.scores[-1].float().cpu().numpy() for routing in output.routing]),
            beside=int(others[0][0]) if others else None,
        )


def checked_sample(sample: Sample) -> Callable[[Tensor, float, torch.Generator], Tensor]:
    """`sample`, called with copies on the CPU; what it does wrong is told under its name."""

    def take(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:  # (1, V) -> (1,)
        row = logits[0].cpu()  # (V,)
        if row.isnan().any() or row.max() == torch.inf:
            raise ValueError("The model’s logits are not all numbers: did its training diverge?")
        return torch.tensor([draw(sample, row, temperature, generator)], device=logits.device)

    return take


def _loads(routings: Sequence[Routing]) -> np.ndarray:
    """(L, E) int64, after the same checks that the shown tokens get."""
    for routing in routings:
        assignment_table(routing)
    return np.stack([routing.load.cpu().numpy() for routing in routings])


def paced(steps: Iterator[Made], pause: float) -> Iterator[Made]:
    """The same, at least `pause` seconds apart."""
    for made in steps:
        began = time.monotonic()
        yield made
        time.sleep(max(0.0, pause - (time.monotonic() - began)))


def check_models(model: MoELanguageModel, dense: MoELanguageModel | None) -> None:
    """Raise ValueError unless `model` routes among experts, and both read the course's tokens."""
    n_known = data.tokenizer().get_vocab_size()
    for m in (model, dense):
        if m is not None:
            require_viewable(m)
    for name, m in (("model", model), ("dense", dense)):
        if m is not None and m.config.vocab_size != n_known:
            raise ValueError(
                f"{name} has vocab_size {m.config.vocab_size:,}; the course’s tokenizer knows {n_known:,}."
            )
    if not 2 <= model.config.n_experts <= MOST_EXPERTS:
        raise ValueError(
            f"A model with {model.config.n_experts} experts: the viewer needs 2 to {MOST_EXPERTS} and a router."
        )
    if dense is not None and not dense.config.is_dense:
        raise ValueError(f"dense has {dense.config.n_experts} experts, expected a model with 1.")
