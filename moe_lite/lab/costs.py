"""Time and FLOPs of ways to compute one sparse layer, each over a dense network that does as much work on a token."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from moe_lite.lab.timing import Timing, interleaved
from moe_lite.metrics import counted_flops
from moe_lite.model.experts import swiglu
from moe_lite.model.routing import route

Way = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]  # the signature of dispatch.sparse_forward

Ratios = dict[str, dict[int, Timing]]
Shares = dict[str, dict[int, float]]


def compare(
    ways: Mapping[str, Way], settings: Mapping[int, tuple[int, int]], *, n_tokens: int, width: int, rounds: int = 7
) -> tuple[Ratios, Shares]:
    """Forward and backward of each way, interleaved with the dense network, and its forward FLOPs; both as ratios.

    settings: {value on the axis: (n_experts, top_k)} -> {way: {value: Timing of ratios}}, {way: {value: ratio}}
    width: of the tokens, D, and of an expert, F.
    """
    ratios: Ratios = {name: {} for name in ways}
    flops: Shares = {name: {} for name in ways}
    for value, (n_experts, k) in settings.items():
        layer, dense = random_layer(n_experts, k, n_tokens, width)
        works = {name: lambda way=way, layer=layer: way(*layer) for name, way in ways.items()}
        works["dense"] = lambda dense=dense: swiglu(*dense)
        measured = interleaved(
            {name: lambda work=work: work().sum().backward() for name, work in works.items()}, rounds
        )
        counted = {name: counted_flops(work) for name, work in works.items()}
        for name in ways:
            ratios[name][value] = measured[name].over(measured["dense"])
            flops[name][value] = counted[name] / counted["dense"]
    return ratios, flops


def random_layer(n_experts: int, k: int, n_tokens: int, width: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Arguments for a way to compute the layer, and for `swiglu` of the dense network; the same at every call.

    x (N, D), weights and expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F); x, gate_up (2KF, D), down (D, KF).
    """
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, scale: float = width**-0.5) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

    x = random(n_tokens, width, scale=1.0)
    weights, expert_ids = route(torch.randn(n_tokens, n_experts, generator=generator), k).top_k  # (N, K), (N, K)
    sparse = x, weights, expert_ids, random(n_experts, 2 * width, width), random(n_experts, width, width)
    return sparse, (x, random(2 * k * width, width), random(width, k * width))
