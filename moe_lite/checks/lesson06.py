"""Lesson 06's checks: 6.1 load_statistics, 6.2 load_balancing_loss, 6.3 pick_coefficient, 6.4 router_z_loss,
6.5 mixtral_loss."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson06_load import LOAD_STATISTICS, PICK_COEFFICIENT
from moe_lite.checks.lesson06_losses import LOAD_BALANCING_LOSS, MIXTRAL_LOSS, ROUTER_Z_LOSS
from moe_lite.checks.result import CheckResult

EXERCISES = (LOAD_STATISTICS, LOAD_BALANCING_LOSS, PICK_COEFFICIENT, ROUTER_Z_LOSS, MIXTRAL_LOSS)


def load_statistics(fn: Any) -> CheckResult:
    """Check exercise 6.1: load_statistics(load (E,)) -> entropy, cv, max_violation, dead."""
    return run_check(LOAD_STATISTICS, fn)


def load_balancing_loss(fn: Any) -> CheckResult:
    """Check exercise 6.2: load_balancing_loss(scores (N, E), expert_ids (N, K)) -> a scalar."""
    return run_check(LOAD_BALANCING_LOSS, fn)


def router_z_loss(fn: Any) -> CheckResult:
    """Check exercise 6.4: router_z_loss(logits (N, E)) -> a scalar."""
    return run_check(ROUTER_Z_LOSS, fn)


def pick_coefficient(fn: Any) -> CheckResult:
    """Check exercise 6.3: pick_coefficient(coefficients, loads (C, S, L, E), limit) -> one of them, or inf."""
    return run_check(PICK_COEFFICIENT, fn)


def mixtral_loss(fn: Any) -> CheckResult:
    """Check exercise 6.5: mixtral_loss(L scores (N, E), L expert_ids (N, K)) -> a scalar."""
    return run_check(MIXTRAL_LOSS, fn)
