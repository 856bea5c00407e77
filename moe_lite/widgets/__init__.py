"""Interactive figures for the lessons. Each shows one question's answer and ends with a sentence that states it."""

from moe_lite.widgets.budget_explorer import BudgetExplorer
from moe_lite.widgets.next_tokens import NextTokens
from moe_lite.widgets.router_stepper import RouterStepper
from moe_lite.widgets.token_viewer import TokenViewer

__all__ = ["BudgetExplorer", "NextTokens", "RouterStepper", "TokenViewer"]
