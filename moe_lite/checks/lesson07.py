"""Lesson 07's checks: 7.1 keep_within_capacity, 7.2 keep_best, 7.3 choose_and_move, 7.4 expert_choice,
7.5 looks_ahead."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson07_bias import CHOOSE_AND_MOVE
from moe_lite.checks.lesson07_capacity import KEEP_BEST, KEEP_WITHIN_CAPACITY
from moe_lite.checks.lesson07_experts import EXPERT_CHOICE, LOOKS_AHEAD
from moe_lite.checks.result import CheckResult

EXERCISES = (KEEP_WITHIN_CAPACITY, KEEP_BEST, CHOOSE_AND_MOVE, EXPERT_CHOICE, LOOKS_AHEAD)


def keep_within_capacity(fn: Any) -> CheckResult:
    """Check exercise 7.1: keep_within_capacity(expert_ids (N, K), n_experts, factor) -> capacity, kept (N, K)."""
    return run_check(KEEP_WITHIN_CAPACITY, fn)


def keep_best(fn: Any) -> CheckResult:
    """Check exercise 7.2: keep_best(weights (N, K), expert_ids (N, K), capacity) -> weights (N, K)."""
    return run_check(KEEP_BEST, fn)


def choose_and_move(fn: Any) -> CheckResult:
    """Check exercise 7.3: choose_and_move(scores (N, E), bias (E,), k, step) -> weights, expert_ids, new_bias."""
    return run_check(CHOOSE_AND_MOVE, fn)


def expert_choice(fn: Any) -> CheckResult:
    """Check exercise 7.4: expert_choice(scores (N, E), capacity) -> weights (E, C), token_ids (E, C)."""
    return run_check(EXPERT_CHOICE, fn)


def looks_ahead(fn: Any) -> CheckResult:
    """Check exercise 7.5: looks_ahead(choose, scores (N, E), n_past) -> True or False."""
    return run_check(LOOKS_AHEAD, fn)
