"""The traffic explorer: what travels between the devices that a layer's experts are spread over?"""

from moe_lite.widgets.traffic_explorer.widget import TrafficExplorer

__all__ = ["TrafficExplorer"]
