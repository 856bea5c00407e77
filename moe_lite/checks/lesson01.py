"""Lesson 01's checks: 1.1 cross_entropy, 1.2 swiglu, 1.3 count_dense, 1.4 sample_token, 1.5 causal_attention."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson01_attention import CAUSAL_ATTENTION
from moe_lite.checks.lesson01_count import COUNT_DENSE
from moe_lite.checks.lesson01_loss import CROSS_ENTROPY
from moe_lite.checks.lesson01_sample import SAMPLE_TOKEN
from moe_lite.checks.lesson01_swiglu import SWIGLU
from moe_lite.checks.result import CheckResult

EXERCISES = (CROSS_ENTROPY, SWIGLU, COUNT_DENSE, SAMPLE_TOKEN, CAUSAL_ATTENTION)


def cross_entropy(fn: Any) -> CheckResult:
    """Check exercise 1.1: cross_entropy(logits (N, V), targets (N,) int64) -> loss ()."""
    return run_check(CROSS_ENTROPY, fn)


def swiglu(fn: Any) -> CheckResult:
    """Check exercise 1.2: swiglu(x (N, D), w_gate (F, D), w_up (F, D), w_down (D, F)) -> y (N, D)."""
    return run_check(SWIGLU, fn)


def count_dense(fn: Any) -> CheckResult:
    """Check exercise 1.3: count_dense(config, context) -> n_parameters, flops, two whole numbers."""
    return run_check(COUNT_DENSE, fn)


def sample_token(fn: Any) -> CheckResult:
    """Check exercise 1.4: sample_token(logits (B, V), temperature, generator) -> token_ids (B,) int64."""
    return run_check(SAMPLE_TOKEN, fn)


def causal_attention(fn: Any) -> CheckResult:
    """Check exercise 1.5: causal_attention(q, k, v: (B, H, T, S)) -> out (B, H, T, S)."""
    return run_check(CAUSAL_ATTENTION, fn)
