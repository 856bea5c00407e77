"""Graded exercises: each check runs a learner's function, and says what is right, what is not, and what it could be.

from moe_lite.checks import lesson03 as check, mine, recall
check.top_k_route(top_k_route)
"""

from moe_lite.checks.check import verdict
from moe_lite.checks.engine.result import CheckFailed, CheckResult
from moe_lite.checks.mine import mine, recall
from moe_lite.course import progress

__all__ = ["CheckFailed", "CheckResult", "mine", "progress", "recall", "verdict"]
