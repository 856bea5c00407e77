"""The model calculator: how much of a model works on each token, and what must be kept in memory?"""

from moe_lite.widgets.model_calculator.widget import ModelCalculator

__all__ = ["ModelCalculator"]
