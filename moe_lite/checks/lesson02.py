"""Lesson 02's checks: 2.1 soft_gate, 2.2 mixture_nll, 2.3 responsibilities, 2.4 pulls."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson02_gate import SOFT_GATE
from moe_lite.checks.lesson02_nll import MIXTURE_NLL
from moe_lite.checks.lesson02_pulls import PULLS
from moe_lite.checks.lesson02_responsibilities import RESPONSIBILITIES
from moe_lite.checks.result import CheckResult

EXERCISES = (SOFT_GATE, MIXTURE_NLL, RESPONSIBILITIES, PULLS)


def soft_gate(fn: Any) -> CheckResult:
    """Check exercise 2.1: soft_gate(x (N, D), w_gate (E, D), b_gate (E,), outputs (N, E)) -> log_gates, y."""
    return run_check(SOFT_GATE, fn)


def mixture_nll(fn: Any) -> CheckResult:
    """Check exercise 2.2: mixture_nll(log_gates (N, E), outputs (N, E), targets (N,), sigma) -> loss ()."""
    return run_check(MIXTURE_NLL, fn)


def responsibilities(fn: Any) -> CheckResult:
    """Check exercise 2.3: responsibilities(log_gates (N, E), outputs (N, E), targets (N,), sigma) -> h (N, E)."""
    return run_check(RESPONSIBILITIES, fn)


def pulls(fn: Any) -> CheckResult:
    """Check exercise 2.4: pulls(log_gates, outputs, targets, sigma) -> cooperative (N, E), competitive (N, E)."""
    return run_check(PULLS, fn)
