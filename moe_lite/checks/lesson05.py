"""Lesson 05's checks: 5.1 moe_layer, 5.2 expert_width, 5.3 count_moe."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson05_count import COUNT_MOE
from moe_lite.checks.lesson05_layer import MOE_LAYER
from moe_lite.checks.lesson05_width import EXPERT_WIDTH
from moe_lite.checks.result import CheckResult

EXERCISES = (MOE_LAYER, EXPERT_WIDTH, COUNT_MOE)


def moe_layer(fn: Any) -> CheckResult:
    """Check exercise 5.1: moe_layer(x (B, T, D), router, experts, shared) -> y (B, T, D), routing."""
    return run_check(MOE_LAYER, fn)


def expert_width(fn: Any) -> CheckResult:
    """Check exercise 5.2: expert_width(d_model, d_dense, n_experts, top_k, n_shared) -> d_expert, ratio."""
    return run_check(EXPERT_WIDTH, fn)


def count_moe(fn: Any) -> CheckResult:
    """Check exercise 5.3: count_moe(config, context) -> total, active, flops, three ints."""
    return run_check(COUNT_MOE, fn)
