"""The generation viewer: which experts make each new token?"""

from moe_lite.widgets.generation_viewer.widget import GenerationViewer

__all__ = ["GenerationViewer"]
