"""A background run: paused, resumed, stopped, awaited, interrupted, left alone (moe_lite/lab/live.py)."""

import asyncio
import gc
import itertools
import threading
import time
import weakref

import pytest
from waiting import LONG, until

from moe_lite.lab.live import LiveRun


def slowly(n: int | None = None, seconds: float = 0.005):
    for i in itertools.count() if n is None else range(n):
        time.sleep(seconds)
        yield i


def test_steps_are_taken_in_order_in_another_thread():
    seen = []
    run = LiveRun(slowly(5), on_step=lambda log: seen.append((log, threading.current_thread())))
    assert (run.state, run.logs) == ("ready", [])
    assert run.start() is run and run.wait(LONG)
    assert (run.state, run.logs, run.error) == ("finished", [0, 1, 2, 3, 4], None)
    assert [log for log, _ in seen] == run.logs and threading.current_thread() not in {thread for _, thread in seen}


def test_pause_rests_and_resume_goes_on_where_it_was():
    run = LiveRun(slowly()).start()
    until(lambda: len(run.logs) > 2)
    run.pause()
    until(lambda: run.state == "paused")
    n = len(run.logs)
    time.sleep(0.1)
    assert len(run.logs) == n
    run.resume()
    until(lambda: len(run.logs) > n + 2)
    run.stop()
    assert run.wait(LONG) and run.logs == [*range(len(run.logs))]


@pytest.mark.parametrize("paused", [False, True])
def test_stop_answers_within_a_step_and_closes_the_iterator(paused):
    closed = []

    def steps():
        try:
            yield from slowly()
        finally:
            closed.append(True)

    run = LiveRun(steps()).start()
    until(lambda: run.logs)
    if paused:
        run.pause()
        until(lambda: run.state == "paused")
    run.stop()
    taken = len(run.logs)
    assert run.state in ("stopping", "stopped")
    assert run.wait(LONG) and len(run.logs) <= taken + 1
    assert (run.state, closed) == ("stopped", [True])
    run.stop(), run.pause(), run.resume()  # nothing happens to a run that is over
    assert run.state == "stopped"


def test_done_waits_without_blocking_the_loop():
    ticked = threading.Event()

    def steps():
        yield ticked.wait(LONG)  # goes on when the loop has

    async def cell() -> None:
        run = LiveRun(steps()).start()
        task = asyncio.ensure_future(run.done())
        for _ in range(6):
            await asyncio.sleep(0.005)
        assert not task.done()
        ticked.set()
        assert await task is run and run.state == "finished" and run.logs == [True]

    asyncio.run(cell())


@pytest.mark.parametrize("where", ["step", "on_step"])
def test_what_is_raised_is_kept_and_raised_again_by_done(where):
    def steps():
        yield 1
        yield 2
        if where == "step":
            raise FloatingPointError("the loss is nan")

    def show(log):
        if where == "on_step" and log == 2:
            raise KeyError("layer")

    run = LiveRun(steps(), on_step=show).start()
    assert run.wait(LONG) and run.state == "failed" and run.logs == [1, 2]
    with pytest.raises(FloatingPointError if where == "step" else KeyError) as raised:
        asyncio.run(run.done())
    assert raised.value is run.error


def test_interrupt_while_awaiting_stops_the_run():
    run = LiveRun(slowly())

    async def cell():
        task = asyncio.ensure_future(run.start().done())
        await asyncio.sleep(0.005)  # done() has begun
        while not run.logs:
            await asyncio.sleep(0.005)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cell())
    assert run.wait(LONG) and run.state == "stopped" and run.logs


def test_listeners_hear_every_change_of_state():
    run, heard = LiveRun(slowly()), []
    run.on_change(lambda run: heard.append(run.state))
    run.start()
    until(lambda: run.logs)
    run.pause()
    until(lambda: run.state == "paused")
    run.resume()
    until(lambda: run.state == "running")
    run.stop()
    assert run.wait(LONG)
    assert heard == ["running", "paused", "running", "stopping", "stopped"]


def test_a_run_starts_once():
    run = LiveRun(slowly(1)).start()
    with pytest.raises(RuntimeError, match="a run starts once"):
        run.start()
    assert run.wait(LONG)
    never = LiveRun(slowly(1))
    never.stop()
    assert never.state == "stopped" and never.wait(0) and never.logs == []


def test_a_run_that_nobody_holds_stops():
    taken = []
    run = LiveRun(slowly(), on_step=taken.append).start()
    gone, thread = weakref.ref(run), run._thread
    until(lambda: len(taken) > 2)
    del run
    until(lambda: gc.collect() is not None and gone() is None)
    thread.join(LONG)
    assert not thread.is_alive()


def failing_listener(run: LiveRun) -> None:
    if threading.current_thread() is not threading.main_thread():
        raise KeyError("listener")


def fails_to_close():
    try:
        yield from slowly()
    finally:
        raise KeyError("close")


@pytest.mark.parametrize("where", ["listener", "listener at the end", "close", "not an iterable"])
def test_done_never_waits_for_a_thread_that_has_died(where):
    steps = {"listener at the end": [1], "close": fails_to_close(), "not an iterable": 5}.get(where, slowly())
    run = LiveRun(steps)
    if "listener" in where:
        run.on_change(failing_listener)
    run.start()
    if where == "listener":
        run.pause()
    if where == "close":
        until(lambda: run.logs)
        run.stop()
    with pytest.raises(TypeError if where == "not an iterable" else KeyError) as raised:
        asyncio.run(asyncio.wait_for(run.done(), LONG))
    assert raised.value is run.error and run.over


def test_done_of_a_run_that_has_not_begun_says_so():
    with pytest.raises(RuntimeError, match=r"call start\(\) first"):
        asyncio.run(asyncio.wait_for(LiveRun(slowly()).done(), LONG))
