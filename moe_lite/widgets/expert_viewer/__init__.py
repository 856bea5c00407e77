"""The expert viewer: which domains does an expert take, and what does the model lose without it?"""

from moe_lite.widgets.expert_viewer.widget import ExpertViewer

__all__ = ["ExpertViewer"]
