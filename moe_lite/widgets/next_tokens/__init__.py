"""Next-token bars: what comes next, and how sure is the model? `draw` asks any sampler for a token."""

from moe_lite.widgets.next_tokens.view import draw
from moe_lite.widgets.next_tokens.widget import NextTokens

__all__ = ["NextTokens", "draw"]
