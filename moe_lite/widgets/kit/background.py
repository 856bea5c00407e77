"""Widgets that a thread draws in, while the page speaks in the kernel's."""

import threading

from moe_lite.widgets.kit.widget import MoEWidget


class BackgroundWidget(MoEWidget):
    """A widget whose numbers come from another thread. It writes `tell()`, which sets all that the script draws."""

    def __init__(self, **traits):
        self._mutex = threading.RLock()  # page and thread take turns
        super().__init__(**traits)

    def tell(self) -> None:
        raise NotImplementedError

    def draw(self, patience: float) -> bool:
        """From any thread: tell, unless it is not its turn within `patience` seconds: the page may wait for this very
        thread. Whether it was told."""
        if not self._mutex.acquire(timeout=patience):
            return False
        try:
            with self.hold_sync():
                self.tell()
        finally:
            self._mutex.release()
        return True

    def _recompute(self, _change: object = None) -> None:
        with self._mutex:
            super()._recompute(_change)
