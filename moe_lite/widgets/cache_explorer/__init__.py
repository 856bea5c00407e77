"""The cache explorer: which experts does a request touch, and which of them does a small memory hold?"""

from moe_lite.widgets.cache_explorer.widget import CacheExplorer

__all__ = ["CacheExplorer"]
