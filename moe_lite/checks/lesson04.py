"""Lesson 04's checks: 4.1 moe_loop, 4.2 dispatch_order, 4.3 combine, 4.4 sparse_forward, 4.5 padded_forward."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson04_combine import COMBINE
from moe_lite.checks.lesson04_loop import MOE_LOOP
from moe_lite.checks.lesson04_order import DISPATCH_ORDER
from moe_lite.checks.lesson04_padded import PADDED_FORWARD
from moe_lite.checks.lesson04_sorted import SPARSE_FORWARD
from moe_lite.checks.result import CheckResult

EXERCISES = (MOE_LOOP, DISPATCH_ORDER, COMBINE, SPARSE_FORWARD, PADDED_FORWARD)


def moe_loop(fn: Any) -> CheckResult:
    """Check exercise 4.1: moe_loop(x (N, D), weights (N, K), expert_ids (N, K), experts) -> y (N, D)."""
    return run_check(MOE_LOOP, fn)


def dispatch_order(fn: Any) -> CheckResult:
    """Check exercise 4.2: dispatch_order(expert_ids (N, K), n_experts) -> order (N·K,), counts (E,), both int64."""
    return run_check(DISPATCH_ORDER, fn)


def combine(fn: Any) -> CheckResult:
    """Check exercise 4.3: combine(out (N·K, D), order (N·K,), weights (N, K)) -> y (N, D)."""
    return run_check(COMBINE, fn)


def sparse_forward(fn: Any) -> CheckResult:
    """Check exercise 4.4: sparse_forward(x, weights, expert_ids, gate_up (E, 2F, D), down (E, D, F)) -> y (N, D)."""
    return run_check(SPARSE_FORWARD, fn)


def padded_forward(fn: Any) -> CheckResult:
    """Check exercise 4.5: padded_forward(x, weights, expert_ids, gate_up, down) -> y (N, D), n_rows."""
    return run_check(PADDED_FORWARD, fn)
