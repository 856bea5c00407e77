"""The results explorer: is a mixture of experts better, at equal tokens, FLOPs, seconds or bytes?"""

from moe_lite.widgets.results_explorer.widget import ResultsExplorer

__all__ = ["ResultsExplorer"]
