"""The budget explorer: where do a model's parameters and FLOPs sit?"""

from moe_lite.widgets.budget_explorer.widget import BudgetExplorer

__all__ = ["BudgetExplorer"]
