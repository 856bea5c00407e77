"""The widget of lesson 02: it trains in the background and shows which expert answers where."""

import asyncio
import time

import pytest
import torch

from moe_lite.mixture import measure
from moe_lite.widgets import ExpertPartition


def partition(steps: int = 40, **options) -> ExpertPartition:
    return ExpertPartition(steps=steps, pace=0, **options)


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.mark.parametrize("task", ["1-D", "2-D"])
@pytest.mark.parametrize("loss", ["competitive", "cooperative"])
def test_a_training_ends_with_a_picture_of_its_experts(task, loss):
    shown = partition(task=task, loss=loss)
    asyncio.run(shown.start().done())
    picture = shown.picture()
    assert repr(picture) == shown.reading and "<svg" in picture.html and shown.error == {}
    found = measure(shown.mixture, shown.trial.test)
    assert any(f"{found.error:.2f}" in str(value) for value, _ in shown.view["facts"])


def test_a_moved_control_starts_anew_and_the_button_stops():
    shown = partition(steps=100_000)
    first = shown.start()
    until(lambda: first.logs)
    shown.n_experts = 2
    assert first.over and shown.trial.live is not first and len(shown.mixture.w_in) == 2
    shown.presses += 1
    assert shown.trial.live.wait(5) and shown.trial.live.state == "stopped"


def test_starts_differ_and_a_seed_brings_one_back():
    shown = partition(steps=5)
    weights = []
    for seed in (None, None, 0):
        asyncio.run(shown.start(seed=seed).done())
        weights.append(shown.mixture.w_in.detach().clone())
    assert not torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])


def test_what_a_learners_loss_raises_is_shown_and_raised():
    def nll(log_gates, outputs, targets, sigma):
        raise IndexError("no such expert")

    shown = partition(nll=nll)
    with pytest.raises(IndexError, match="no such expert"):
        asyncio.run(shown.start().done())
    assert "no such expert" in shown.error["what"]


@pytest.mark.parametrize("wrong", [{"task": "3-D"}, {"n_experts": 9}, {"loss": "angry"}])
def test_unknown_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*expected"):
        ExpertPartition(**wrong)
    with pytest.raises(RuntimeError, match="Nothing has been trained yet"):
        _ = ExpertPartition().mixture
