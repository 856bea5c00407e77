"""The balance lab: what does fairness cost?"""

from moe_lite.widgets.balance_lab.widget import BalanceLab

__all__ = ["BalanceLab"]
