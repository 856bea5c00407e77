"""The capacity view: which tokens find no room?"""

from moe_lite.widgets.capacity_view.widget import CapacityView

__all__ = ["CapacityView"]
