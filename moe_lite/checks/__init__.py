"""Graded exercises: each check runs a learner's function, and says what is right, what is not, and what it could be.

from moe_lite.checks import lesson03 as check, mine, recall
check.top_k_route(top_k_route)
"""

import pkgutil

# Loaded when first asked for: pytest imports `grading` whenever it starts, and is to start without torch.
PLACES = {
    "CheckFailed": "moe_lite.checks.engine.result.CheckFailed",
    "CheckResult": "moe_lite.checks.engine.result.CheckResult",
    "mine": "moe_lite.checks.own_functions.mine",
    "progress": "moe_lite.course.progress",
    "recall": "moe_lite.checks.own_functions.recall",
    "verdict": "moe_lite.checks.check.verdict",
}
__all__ = [*PLACES]


def __getattr__(name: str):
    if name in PLACES:
        found = globals()[name] = pkgutil.resolve_name(PLACES[name])
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
