"""The bias controller: can loads be evened out without a loss?"""

from moe_lite.widgets.bias_controller.widget import BiasController

__all__ = ["BiasController"]
