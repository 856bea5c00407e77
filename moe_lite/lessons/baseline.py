"""Lesson 01 takes a dense model apart: a half of a block left out, another function in its feed-forward network."""

from collections.abc import Callable, Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn

from moe_lite.model import experts
from moe_lite.model.experts import SwiGLU
from moe_lite.model.transformer import MoELanguageModel

FeedForward = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # as `swiglu`
PARTS = ("attention", "feed-forward")


def swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """`experts.swiglu` with gate and up as two matrices.

    x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F) -> (N, D).
    """
    return experts.swiglu(x, torch.cat([w_gate, w_up]), w_down)


def without(model: MoELanguageModel, part: str, layers: Iterable[int]) -> MoELanguageModel:
    """A copy of a dense model in which "attention" or "feed-forward" adds nothing in these layers.

    What a half of a block adds comes out of its last matrix; full of zeros, that matrix adds zeros.
    """
    if part not in PARTS:
        raise ValueError(f"part is {part!r}, expected one of {PARTS}: the two halves of a block.")
    copy = deepcopy(_dense(model))
    for layer in layers:
        block = copy.blocks[layer]
        last = block.attention.out.weight if part == "attention" else block.feed_forward.down
        nn.init.zeros_(last)
    return copy


def with_feed_forward(model: MoELanguageModel, function: FeedForward) -> MoELanguageModel:
    """A copy of a dense model with the same weights, whose feed-forward networks compute with `function`.

    function: like `swiglu`, from x (N, D) and three matrices to (N, D).
    """
    if model.config.expert != "swiglu":
        raise ValueError(
            f"expert is {model.config.expert!r}; a function of three matrices takes the place of 'swiglu'."
        )
    copy = deepcopy(_dense(model))
    for block in copy.blocks:
        block.feed_forward = _Computing(function, block.feed_forward)
    return copy


class _Computing(SwiGLU):
    """The weights of another feed-forward network, and a function of one's own. (B, T, D) -> (B, T, D)."""

    def __init__(self, function: FeedForward, weights: SwiGLU):
        nn.Module.__init__(self)
        self.function, self.gate_up, self.down = function, weights.gate_up, weights.down

    def forward(self, x: Tensor) -> Tensor:
        w_gate, w_up = self.gate_up.chunk(2)  # (F, D), (F, D)
        y = self.function(x.flatten(0, 1), w_gate, w_up, self.down)  # (B·T, D)
        return y.view_as(x)


def _dense(model: MoELanguageModel) -> MoELanguageModel:
    if not model.config.is_dense:
        raise ValueError(f"the model has {model.config.n_experts} experts, expected a dense one (n_experts=1).")
    return model
