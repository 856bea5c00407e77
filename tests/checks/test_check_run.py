"""Learner's code under a time limit: it ends, on every path, and changes nothing of ours."""

import _thread
import contextlib
import io
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from waiting import LONG, until

from moe_lite.checks.engine import run
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.run import run_limited
from moe_lite.checks.registry import exercises


def endless():
    while True:
        pass


def deaf():
    """Catches everything, also what is meant to end it."""
    while True:
        try:
            sum(range(10))
        except:  # noqa: E722
            pass


def careful():
    while True:
        try:
            time.sleep(0.001)
        except Exception:  # what a learner may write: it must not keep TimeUp out
            pass


def learners_threads():
    return [t for t in threading.enumerate() if t.name == "learner's code"]


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A thread that has been told to stop gets its time on a busy machine, too."""
    monkeypatch.setattr(run, "GRACE_SECONDS", LONG)


def none_is_left():
    until(lambda: not learners_threads())
    return True


def test_a_value_and_an_error_come_back():
    assert run_limited(lambda: 7, LONG).value == 7
    ended = run_limited(lambda: 1 / 0, LONG)
    assert isinstance(ended.error, ZeroDivisionError) and not ended.timed_out


@pytest.mark.parametrize("code", [endless, careful, deaf], ids=lambda f: f.__name__)
def test_a_loop_that_does_not_end_is_stopped(code, took):
    began = time.monotonic()
    ended = run_limited(code, 0.2)
    taken = time.monotonic() - began
    assert ended.timed_out and not ended.left_running and taken >= 0.2
    took(f"{code.__name__} loop with a limit of 200 ms, stopped after", [1000 * taken])
    assert none_is_left()


def test_code_that_sits_in_a_library_call_is_left_behind_and_the_caller_goes_on(monkeypatch):
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.1)
    ours = threading.Lock()
    with ours:
        ended = run_limited(lambda: ours.acquire(timeout=LONG), 0.1)  # whoever waits for it, waits for long
        assert ended.timed_out and ended.left_running and learners_threads()
    assert none_is_left()


@pytest.mark.parametrize("code", [endless, deaf], ids=lambda f: f.__name__)
def test_limited_code_may_run_limited_code_and_both_end(code):
    inner = run_limited(lambda: run_limited(code, 0.1), LONG)
    assert inner.value.timed_out
    outer = run_limited(lambda: run_limited(code, 60), 0.1)
    assert outer.timed_out and not outer.left_running
    assert none_is_left(), "the inner loop still runs"


def test_work_that_ends_at_the_limit_is_either_done_or_timed_out_and_leaves_nothing(capfd):
    """The race: TimeUp is raised in the thread just as its work ends."""
    outcomes = set()
    for i in range(200):
        end = time.monotonic() + 0.0005 * (i % 40)

        def work(end=end):
            while time.monotonic() < end:
                pass
            return "done"

        ended = run_limited(work, 0.006)
        assert not ended.left_running
        assert (ended.value == "done") != ended.timed_out
        outcomes.add(ended.timed_out)
    assert outcomes == {True, False}, "the limit was not near the work's end"
    assert none_is_left()
    assert capfd.readouterr().err == ""


def test_an_interrupt_while_the_thread_starts_leaves_nothing_running(monkeypatch):
    class Interrupted(run._Worker):
        def start(self):
            super().start()
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "_Worker", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_limited(endless, LONG)
    assert none_is_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(3), GeneratorExit])
def test_what_would_end_the_kernel_comes_back_as_an_error(error):
    def work():
        raise error

    assert isinstance(run_limited(work, LONG).error, error if isinstance(error, type) else SystemExit)


def test_an_interrupt_of_the_caller_gets_through_and_ends_the_code():
    """What pressing Jupyter's stop button does: KeyboardInterrupt in the main thread, while a check waits."""
    timer = threading.Timer(0.2, _thread.interrupt_main)

    def pressed():
        timer.start()
        endless()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_limited(pressed, LONG)
    finally:
        signal.signal(signal.SIGINT, before)
    timer.join()
    assert none_is_left()


def test_prints_of_the_code_are_caught_and_those_of_others_are_not():
    out = io.StringIO()
    printing = threading.Event()

    def bystander():
        printing.wait(LONG)
        print("not caught")

    thread = threading.Thread(target=bystander)

    def work():
        print("caught")
        printing.set()
        thread.join()

    with contextlib.redirect_stdout(out):
        thread.start()
        ended = run_limited(work, LONG)
        assert isinstance(sys.stdout, io.StringIO), "sys.stdout was not put back"
    assert ended.printed == "caught\n"
    assert out.getvalue() == "not caught\n"


def test_endless_printing_is_cut():
    def work():
        while True:
            print("x" * 1000)

    ended = run_limited(work, 0.2)
    assert ended.timed_out
    assert len(ended.printed) <= run.PRINT_LIMIT + 2


@pytest.mark.parametrize("around", [contextlib.nullcontext, run.generators_kept])
def test_settings_and_generators_are_as_before(around):
    def work():
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(99)
        random.seed(99)
        np.random.seed(99)

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with around():
        assert run_limited(work, LONG).error is None
        assert run_limited(lambda: run_limited(work, LONG), LONG).value.error is None
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


@pytest.mark.parametrize("around", [contextlib.nullcontext, run.generators_kept])
def test_code_with_randomness_gives_the_same_in_every_check(around):
    with around():
        draws = [
            run_limited(lambda: (float(torch.rand(1)), random.random(), float(np.random.rand())), LONG).value
            for _ in "ab"
        ]
    assert draws[0] == draws[1]


def test_a_whole_check_leaves_the_notebooks_generators_alone():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    exercise = exercises()["6.4"]

    def draws(logits):
        random.random(), np.random.rand(), torch.rand(1)
        return exercise.reference(logits)

    assert grade(exercise, draws).status == "not yet"
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_gradients_are_recorded_even_if_the_notebook_switched_them_off():
    with torch.no_grad():
        assert run_limited(torch.is_grad_enabled, LONG).value


def test_the_limit_is_a_setting(monkeypatch):
    monkeypatch.delenv("MOE_LITE_CHECK_SECONDS", raising=False)
    assert run.time_limit() == 10
    monkeypatch.setenv("MOE_LITE_CHECK_SECONDS", "0.25")
    assert run.time_limit() == 0.25


@pytest.mark.notebook
def test_jupyters_stop_button_ends_a_check_in_a_kernel(tmp_path, took):
    """In a real kernel: the cell ends with KeyboardInterrupt, long before its limit, and the next cell runs."""
    begun = tmp_path / "begun"
    cell = (
        "import pathlib, threading\nfrom moe_lite.checks import lesson00 as check\n"
        f"from moe_lite.checks.engine import run\nrun.GRACE_SECONDS = {LONG}\n"
        "def expert_load(expert_ids, n_experts):\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n    while True:\n        pass\n"
    )
    env = os.environ | {"MOE_LITE_CHECKS": "show", "MOE_LITE_CHECK_SECONDS": str(LONG)}
    manager, client = start_new_kernel(startup_timeout=LONG, env=env)
    try:
        assert client.execute_interactive(cell, timeout=LONG)["content"]["status"] == "ok"
        asked = client.execute("check.expert_load(expert_load)", stop_on_error=False)
        until(begun.exists)
        manager.interrupt_kernel()
        began = time.monotonic()
        reply = client.get_shell_msg(timeout=LONG)
        took("from Jupyter's stop button to the cell's end", [1000 * (time.monotonic() - began)])
        assert reply["parent_header"]["msg_id"] == asked
        assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "KeyboardInterrupt")
        left = (
            'for t in [t for t in threading.enumerate() if t.name == "learner\'s code"]:\n'
            f"    t.join({LONG})\n    assert not t.is_alive()"
        )
        assert client.execute_interactive(left, timeout=LONG)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
