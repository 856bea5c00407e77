"""Run a learner's code: within a time limit, with its prints caught, and without letting it change our settings.

The code runs in a thread of its own. A loop that does not end gets an exception raised inside that thread; code that
sits in a long library call cannot be reached that way and is left behind. Either way the caller goes on. Because the
caller only waits, Jupyter's own interrupt reaches it at once, and a KeyboardInterrupt from the learner's code is never
taken for one.
"""

import contextlib
import ctypes
import io
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

POLL_SECONDS = 0.02  # a lock wait on Windows ignores Ctrl-C, so the caller waits in steps
GRACE_SECONDS = 2.0  # how long a thread that was told to stop may take before it is left behind
PRINT_LIMIT = 20_000  # characters


class TimeUp(SystemExit):
    """Raised inside the learner's code when its time is over.

    `except Exception` lets a SystemExit pass, and Python ends a thread that it leaves without a word.
    """


@dataclass
class Ended:
    """How a piece of work ended: with a value, with an error, or not at all."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False
    left_running: bool = False  # it could not be stopped either
    printed: str = ""


def time_limit() -> float:
    """Seconds that one call of a learner's function may take: $MOE_LITE_CHECK_SECONDS, or 10."""
    return float(os.environ.get("MOE_LITE_CHECK_SECONDS", "10"))


def run_limited(work: Callable[[], Any], seconds: float) -> Ended:
    """Call `work()` in a thread for at most `seconds`. Raises only what is meant for the caller: an interrupt."""
    worker = _Worker(work)
    with _settings_kept(), _prints_caught(worker) as printed:
        try:
            worker.start()  # waits until the thread runs, and an interrupt may come while it waits
            finished = worker.wait(seconds)
            stopped = finished or worker.stop(GRACE_SECONDS)
        except BaseException:  # Jupyter's interrupt, or TimeUp when this runs inside limited code itself
            worker.stop(GRACE_SECONDS)
            raise
    if not finished:
        return Ended(timed_out=True, left_running=not stopped, printed=printed.text())
    return Ended(worker.value, worker.error, printed=printed.text())


class _Worker(threading.Thread):
    """A thread that can be told to stop.

    Whoever wants to raise TimeUp in it needs its door. When the work is over, the thread takes the door for good and
    takes back a TimeUp that has not arrived yet; one that arrives in between only repeats these two steps.
    """

    def __init__(self, work: Callable[[], Any]):
        super().__init__(name="learner's code", daemon=True)
        self.value: Any = None
        self.error: BaseException | None = None
        self._work, self._begun, self._door, self._done = work, False, threading.RLock(), threading.Event()
        self._inner: _Worker | None = None  # limited code may itself run limited code: a check inside a check
        if isinstance(threading.current_thread(), _Worker):
            threading.current_thread()._inner = self

    def run(self) -> None:
        while True:
            try:
                self._work_once()
                self._door.acquire()
                _raise_in(self.ident, None)
                self._done.set()
                return
            except TimeUp:
                continue

    def _work_once(self) -> None:
        if self._begun:
            return
        self._begun = True
        try:
            self.value = self._work()
        except TimeUp:
            raise
        except BaseException as error:  # a learner's KeyboardInterrupt or SystemExit must not end the kernel
            self.error = error

    def wait(self, seconds: float) -> bool:
        """True if the work ended within `seconds`. (A `join` that is interrupted marks a running thread as stopped.)"""
        end = time.monotonic() + seconds
        while not self._done.wait(min(POLL_SECONDS, max(end - time.monotonic(), 0))):
            if time.monotonic() >= end:
                return False
        return True

    def stop(self, seconds: float) -> bool:
        """Raise TimeUp in the thread until it ends; True if it did.

        First a few times with time to leave, then as fast as threads can take turns: a bare `except:` swallows one,
        but not the next that arrives while it is at that.
        """
        end = time.monotonic() + seconds
        for _ in range(5):
            self._raise_time_up()
            if self.wait(POLL_SECONDS):
                break
        turn = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            while not self._done.is_set() and time.monotonic() < end:
                self._raise_time_up()
                time.sleep(0)
        finally:
            sys.setswitchinterval(turn)
        if self._inner:
            self._inner.stop(max(end - time.monotonic(), 0))
        return self.wait(POLL_SECONDS) or not self.is_alive()

    def _raise_time_up(self) -> None:
        if self._door.acquire(blocking=False):
            _raise_in(self.ident, TimeUp)
            self._door.release()


def _raise_in(thread_id: int | None, exception: type[BaseException] | None) -> None:
    """Raise `exception` in a thread the next time it runs Python code; None takes a waiting one back."""
    target = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id or 0), target)


class _PrintCatcher(io.TextIOBase):
    """Stands in for sys.stdout: one thread's text goes into a buffer, everybody else's where it always went."""

    def __init__(self, thread: threading.Thread, original):
        self._thread, self._original, self._parts, self._length = thread, original, [], 0

    def write(self, text: str) -> int:
        if threading.current_thread() is not self._thread:
            return self._original.write(text)
        if self._length < PRINT_LIMIT:
            self._parts.append(text[: PRINT_LIMIT - self._length])
            self._length += len(text)
        return len(text)

    def flush(self) -> None:
        self._original.flush()

    def text(self) -> str:
        return "".join(self._parts) + ("\n…" if self._length > PRINT_LIMIT else "")


@contextlib.contextmanager
def _prints_caught(thread: threading.Thread) -> Iterator[_PrintCatcher]:
    catcher = _PrintCatcher(thread, sys.stdout)
    with contextlib.redirect_stdout(catcher):
        yield catcher


@contextlib.contextmanager
def _settings_kept() -> Iterator[None]:
    """Seed every generator, so that a check of code with randomness repeats, and put all global settings back after.

    Whether gradients are recorded belongs to a thread, so the learner's code can only change that for itself.
    """
    dtype, torch_state = torch.get_default_dtype(), torch.get_rng_state()
    with generators_kept():
        torch.default_generator.manual_seed(0)  # torch.manual_seed also notes down a whole stack for CUDA, at each call
        random.seed(0)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_rng_state(torch_state)


_of_thread = threading.local()


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Put Python's and NumPy's generators back after. Around many calls it is done once: a state takes longer to get
    and to set than a thread to start."""
    if getattr(_of_thread, "keeps_generators", False):
        yield
        return
    python_state, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    _of_thread.keeps_generators = True
    try:
        yield
    finally:
        _of_thread.keeps_generators = False
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
