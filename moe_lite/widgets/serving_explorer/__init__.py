"""The serving explorer: when does a mixture cost as much as a dense model of its active size?"""

from moe_lite.widgets.serving_explorer.widget import ServingExplorer

__all__ = ["ServingExplorer"]
