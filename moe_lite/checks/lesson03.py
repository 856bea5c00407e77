"""Lesson 03's checks: 3.1 router_scores, 3.2 top_k_route, 3.3 two_orders, 3.4 combine_matrix, 3.5 sigmoid_route."""

from typing import Any

from moe_lite.checks.check import run_check
from moe_lite.checks.lesson03_combine import COMBINE_MATRIX
from moe_lite.checks.lesson03_orders import TWO_ORDERS
from moe_lite.checks.lesson03_scores import ROUTER_SCORES
from moe_lite.checks.lesson03_sigmoid import SIGMOID_ROUTE
from moe_lite.checks.lesson03_top_k import TOP_K_ROUTE
from moe_lite.checks.result import CheckResult

EXERCISES = (ROUTER_SCORES, TOP_K_ROUTE, TWO_ORDERS, COMBINE_MATRIX, SIGMOID_ROUTE)


def router_scores(fn: Any) -> CheckResult:
    """Check exercise 3.1: router_scores(x (N, D), w_router (E, D)) -> scores (N, E) float32."""
    return run_check(ROUTER_SCORES, fn)


def top_k_route(fn: Any) -> CheckResult:
    """Check exercise 3.2: top_k_route(scores (N, E), k) -> weights (N, k), expert_ids (N, k)."""
    return run_check(TOP_K_ROUTE, fn)


def two_orders(fn: Any) -> CheckResult:
    """Check exercise 3.3: two_orders(logits (N, E), k, renorm) -> score_first (N, k), topk_first (N, k)."""
    return run_check(TWO_ORDERS, fn)


def combine_matrix(fn: Any) -> CheckResult:
    """Check exercise 3.4: combine_matrix(weights (N, k), expert_ids (N, k), n_experts) -> combine (N, E)."""
    return run_check(COMBINE_MATRIX, fn)


def sigmoid_route(fn: Any) -> CheckResult:
    """Check exercise 3.5: sigmoid_route(logits (N, E), k, bias (E,)) -> weights (N, k), expert_ids (N, k)."""
    return run_check(SIGMOID_ROUTE, fn)
