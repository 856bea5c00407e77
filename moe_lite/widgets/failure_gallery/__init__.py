"""The failure gallery: what is wrong with this training?"""

from moe_lite.widgets.failure_gallery.widget import FailureGallery

__all__ = ["FailureGallery"]
