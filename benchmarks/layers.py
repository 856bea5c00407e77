"""One layer: time over a dense network that spends the same FLOPs on a token, and growth in the number of experts."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from benchmarks.contenders import SHAPES, Contender, Shape, dense, require_equal, sparse
from benchmarks.machine import waiting
from benchmarks.report import Row, rows_of
from moe_lite.lab.timing import Timing, interleaved

FEW, MANY = 8, 64


def layers(
    rounds: int, threads: int, peak: float, device: torch.device, shapes: Mapping[str, Shape] = SHAPES
) -> list[Row]:
    """Forward, and forward with backward, of every contender in every shape."""
    rows = []
    for name, shape in shapes.items():
        x, dy = inputs(shape, device)
        smooth, routed = dense(shape, device), sparse(shape, device)
        require_equal(smooth, x, dy)
        require_equal(routed, x, dy)
        contenders = smooth | routed
        for case, factor, timings in (
            ("forward", 1, forward(contenders, x, rounds)),
            ("forward+backward", 3, forward_backward(contenders, x, dy, rounds)),
        ):
            rows += rows_of(
                timings, section="layers", case=f"{name} {case}", threads=threads, over="own dense", peak=peak,
                flops=dict.fromkeys(timings, factor * shape.flops), note=str(shape),
            )  # fmt: skip
    return rows


def growth(rounds: int, threads: int, device: torch.device, shape: Shape = SHAPES["S2"]) -> list[Row]:
    """Forward and backward with MANY experts over the same with FEW: the work on a token does not change."""
    x, dy = inputs(shape, device)
    works: dict[str, Contender] = {}
    for n_experts in (FEW, MANY):
        contenders = sparse(replace(shape, E=n_experts), device)
        require_equal(contenders, x, dy)
        works |= {f"{name}, {n_experts}": contender for name, contender in contenders.items()}
    timings = forward_backward(works, x, dy, rounds)
    rows = []
    for name in contenders:
        few, many = (timings[f"{name}, {n_experts}"] for n_experts in (FEW, MANY))
        ratio, median = many.over(few), 1e3 * many.median
        low, high = ratio.quartiles
        case, over = f"{FEW} → {MANY} experts, K = {shape.K}", f"itself with {FEW} experts"
        note = f"N {shape.N:,}, D {shape.D}, F {shape.F}"
        rows.append(Row("growth", case, name, median, "ms", threads, over, ratio.median, low, high, note=note))
    return rows


def inputs(shape: Shape, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """x (1, N, D) that wants a gradient, and a gradient for the layer's output."""
    generator = torch.Generator().manual_seed(1)
    x, dy = (torch.randn(1, shape.N, shape.D, generator=generator).to(device) for _ in range(2))
    return x.requires_grad_(), dy


def forward(contenders: Mapping[str, Contender], x: torch.Tensor, rounds: int) -> dict[str, Timing]:
    with torch.no_grad():
        return interleaved(
            {name: waiting(lambda c=c: c.forward(x), x.device) for name, c in contenders.items()}, rounds
        )


def forward_backward(
    contenders: Mapping[str, Contender], x: torch.Tensor, dy: torch.Tensor, rounds: int
) -> dict[str, Timing]:
    return interleaved({name: waiting(lambda c=c: c.both(x, dy), x.device) for name, c in contenders.items()}, rounds)
