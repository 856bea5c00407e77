"""An iterator that runs in the background, so that a notebook can watch, pause, resume and stop it.

run = LiveRun(train(model, corpora, config), on_step=show).start()
await run.done()          # at the top level of a cell: buttons answer meanwhile, Run All goes on afterwards
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
OVER = ("stopped", "finished", "failed")
END = object()
LOOK_EVERY = 0.02  # seconds, while a cell awaits


class LiveRun(Generic[T]):
    """Takes one step after the other in a thread of its own, and keeps what each step gave.

    state   "ready", "running", "paused", "stopping", then "stopped", "finished" or "failed"
    logs    what the steps gave, oldest first; kept when the run fails
    error   what a step, `on_step` or a listener raised; None if nothing
    on_step(log) is called in the run's thread. Whoever needs the run keeps it: a run that nobody holds stops.
    """

    def __init__(self, steps: Iterable[T], *, on_step: Callable[[T], None] | None = None):
        self.logs: list[T] = []
        self.error: BaseException | None = None
        self._state = "ready"
        self._paused = self._stopped = False  # what was asked for
        self._turn = threading.Condition()
        self._told = threading.Event()  # it is over, and all who listen know
        self._listeners: list[Callable[[LiveRun[T]], None]] = []
        task = weakref.ref(self), self._turn, steps, on_step
        self._thread = threading.Thread(target=_consume, args=task, daemon=True)

    @property
    def state(self) -> str:
        return self._state

    @property
    def over(self) -> bool:
        return self._state in OVER

    def on_change(self, listener: Callable[["LiveRun[T]"], None]) -> None:
        """Call `listener(run)` whenever the state has changed, in the thread that changed it."""
        self._listeners.append(listener)

    def start(self) -> "LiveRun[T]":
        """Begin. RuntimeError if it has begun before: an iterator runs once."""
        if self._state != "ready":
            raise RuntimeError(f"This run is {self._state}; a run starts once. Make a new one.")
        self._become("running")
        self._thread.start()
        return self

    def pause(self) -> None:
        """Rest after the step that is being taken. Nothing happens to a run that is over."""
        self._ask(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._ask(paused=False)

    def stop(self) -> None:
        """End after the step that is being taken."""
        self._ask(stopped=True)
        if self._thread.ident is None:
            self._become("stopped")
            self._told.set()
        else:
            self._become("stopping")

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run is over, or `timeout` seconds; whether it is over. Does not raise what a step raised."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self.over

    async def done(self) -> "LiveRun[T]":
        """Wait without blocking the kernel; raises what a step raised. An interrupt meanwhile stops the run.

        RuntimeError if it has not begun: it would never be over.
        """
        if self._state == "ready":
            raise RuntimeError("This run has not begun, so it would never be over: call start() first.")
        try:
            while not self._told.is_set():
                await asyncio.sleep(LOOK_EVERY)
        except BaseException:  # Jupyter's interrupt arrives as KeyboardInterrupt or as a cancelled task
            self.stop()
            raise
        if self.error is not None:
            raise self.error
        return self

    # ---- in the run's thread -----------------------------------------------------------------------------------------

    def _ask(self, **asked: bool) -> None:
        with self._turn:
            for name, value in asked.items():
                setattr(self, f"_{name}", value)
            self._turn.notify_all()

    def _become(self, state: str) -> None:
        with self._turn:  # both threads come here
            if self.over or state == self._state or (self._stopped and state in ("running", "paused")):
                return
            self._state = state
        for listener in self._listeners:
            listener(self)

    def _end(self, state: str, error: BaseException | None) -> None:
        self.error = error
        try:
            self._become(state)
        except BaseException as problem:  # of a listener
            self.error = error or problem
        finally:
            self._told.set()

    def _next_turn(self) -> str:
        """What to do now: "step", "rest" or "end"."""
        if self._stopped:
            return "end"
        self._become("paused" if self._paused else "running")
        return "rest" if self._paused else "step"


def _consume(ref: weakref.ref, turn: threading.Condition, steps: Iterable[T], on_step) -> None:
    """The thread. It holds the run only while it takes a step: a run that nobody else holds is collected, and ends."""
    state, error = "finished", None
    try:
        iterator = iter(steps)
        while (run := ref()) is not None:
            todo = run._next_turn()
            if todo == "end":
                state = "stopped"
                break
            if todo == "rest":
                del run
                with turn:
                    turn.wait(0.2)  # also wakes to see whether the run is still held
                continue
            log = next(iterator, END)
            if log is END:
                break
            run.logs.append(log)
            if on_step is not None:
                on_step(log)
            del run
        if hasattr(iterator, "close"):
            iterator.close()
    except BaseException as problem:  # of a step, of `on_step`, of a listener: done() raises it
        state, error = "failed", problem
    if (run := ref()) is not None:
        run._end(state, error)
