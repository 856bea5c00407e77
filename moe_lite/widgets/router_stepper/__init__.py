"""The router stepper: how do a router's logits become weights?"""

from moe_lite.widgets.router_stepper.widget import RouterStepper

__all__ = ["RouterStepper"]
