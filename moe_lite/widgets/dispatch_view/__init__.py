"""The dispatch view: how does a sparse layer save work?"""

from moe_lite.widgets.dispatch_view.widget import DispatchView

__all__ = ["DispatchView"]
