"""The family explorer: same token, two rules: which experts change, and why?"""

from moe_lite.widgets.family_explorer.widget import FamilyExplorer

__all__ = ["FamilyExplorer"]
