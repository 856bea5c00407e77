"""The token viewer: which expert takes each token?"""

from moe_lite.widgets.token_viewer.widget import TokenViewer

__all__ = ["TokenViewer"]
