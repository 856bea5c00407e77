"""Next-token bars: what comes next, and how sure is the model?"""

from moe_lite.widgets.next_tokens.widget import NextTokens

__all__ = ["NextTokens"]
