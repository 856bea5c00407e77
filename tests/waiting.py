"""Waiting for what another thread, a process or a page does, and noting how long something took.

Nothing here fails because the machine is busy with something else: waits end after minutes, and a time is printed at
the end of the run (tests/conftest.py) and asserted nowhere. Assert order and number, and who did not wait for whom.
"""

import statistics
import time
from collections.abc import Callable

LONG = 300.0  # seconds: a test that waits for so long waits for something that does not come
SOON = 60.0  # the same, for what a page should show after a move: one that shows something else is a fault


def until(condition: Callable[[], object], seconds: float = LONG) -> float:
    """Return, as soon as the condition holds, the seconds that it took; AssertionError if it never does."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"it did not happen in {seconds:.0f} s"
        time.sleep(0.005)
    return time.monotonic() - began


def in_words(times: list[float], unit: str) -> str:
    """`median 31 ms, 95th 58 ms, of 50`."""
    times = sorted(times)
    if len(times) == 1:
        return f"{times[0]:.0f} {unit}"
    p95 = times[int(0.95 * len(times))]
    return f"median {statistics.median(times):.0f} {unit}, 95th {p95:.0f} {unit}, of {len(times)}"
