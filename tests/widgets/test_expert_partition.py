"""The expert partition: what it draws is what the mixture says, and its controls train."""

import asyncio
import re

import pytest
import torch
from waiting import LONG, until

from moe_lite.lessons.mixture import mixture_nll, responsibilities, soft_gate
from moe_lite.look.palette import expert_class
from moe_lite.widgets import ExpertPartition
from moe_lite.widgets.expert_partition.drawing import _border, _pieces, _runs
from moe_lite.widgets.expert_partition.view import CELLS, Fit, View, look, plane
from moe_lite.widgets.expert_partition.words import facts, reading, status

MANY = 100_000


def partition(steps: int = 30, **options) -> ExpertPartition:
    return ExpertPartition(steps=steps, pace=0.0, **options)


# ---- what it shows ---------------------------------------------------------------------------------------------------


def test_before_a_training_data_and_random_networks_are_shown():
    shown = partition(n_experts=3)
    assert shown.view["button"] == "▶ Start" and shown.figure.count('class="own') == 3
    assert "Nothing has been trained yet" in shown.reading and shown.error == {}
    with pytest.raises(RuntimeError, match="Nothing has been trained yet"):
        _ = shown.mixture


def test_a_task_that_does_not_exist_is_named_and_the_figure_stays():
    shown = partition(n_experts=3)
    shown.task = "nope"
    assert shown.error["what"] == "task is 'nope', expected one of 1-D, 2-D." and "<svg" in shown.static_html()


def test_view_is_what_the_mixture_says():
    shown = partition(task="2-D", n_experts=3)
    asyncio.run(shown.start().done())
    seen, x = look(shown.fit), plane(CELLS)
    answer = shown.mixture(x)
    torch.testing.assert_close(seen.gates, answer.log_gates.exp())
    torch.testing.assert_close(seen.y, answer.y)
    data = shown.fit.problem
    there = shown.mixture(data.x)
    h = responsibilities(there.log_gates, there.outputs, data.targets, data.sigma)
    assert torch.equal(seen.claimed_by, h.argmax(dim=-1))
    wrong = ((shown.mixture(shown.fit.test.x).y > 0) != (shown.fit.test.targets > 0)).float().mean().item()
    assert seen.wrong == pytest.approx(wrong) and 0 < seen.wrong < 0.5


def test_plane_starts_at_the_upper_left():
    x = plane(4)
    assert x[0].tolist() == [-0.75, 0.75] and x[3].tolist() == [0.75, 0.75] and x[-1].tolist() == [0.75, -0.75]


def test_cells_are_drawn_as_runs_and_borders_between_them():
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=torch.bool).flatten()
    assert _runs(mask, 4, 4) == "M0.0 0.0h2.0v1.00h-2.0zM3.0 0.0h1.0v1.00h-1.0zM3.0 3.0h1.0v1.00h-1.0z"
    drawn = set(re.findall(r"M[\d.]+ [\d.]+[hv]", _border(mask, 4, 4)))
    assert drawn == {"M2.0 0.0v", "M3.0 0.0v", "M0.0 1.0h", "M1.0 1.0h", "M3.0 1.0h", "M3.0 3.0v", "M3.0 3.0h"}
    assert {"M0.0 0.0v", "M4.0 3.0v"} <= set(re.findall(r"M[\d.]+ [\d.]+[hv]", _border(mask, 4, 4, closed=True)))


def test_curves_break_off_where_they_leave_the_picture():
    points = [(0, 0, True), (1, 1, True), (2, 9, False), (3, 1, True)]
    assert _pieces(points) == "M0.0 0.0L1.0 1.0M3.0 1.0"


def test_points_are_coloured_by_responsibility_in_1d():
    def last(log_gates, outputs, targets, sigma):
        return torch.nn.functional.one_hot(torch.tensor(2), 3).float().expand_as(outputs)

    shown = partition(n_experts=3, responsible=last)
    dots = re.findall(r'class="dots ([^"]+)" d="([^"]+)"', shown.figure)
    assert [name for name, _ in dots] == [expert_class(2, 3)] and dots[0][1].count("M") == 256


def test_words_state_the_measures():
    shown = partition()
    asyncio.run(shown.start().done())
    fit = shown.fit
    seen = look(fit)
    values = dict((name, value) for value, name in facts(fit, seen))
    assert values["error of the blend"] == f"{seen.measures.error:.2f}"
    assert values["effective experts"] == f"{seen.measures.effective:.1f} of 4"
    assert status(fit) == "Finished: 30 steps, random start 0."
    measures = seen.measures.__class__(error=0.1, alone=0.35, effective=2.0, used=1)
    altered = View(seen.x, seen.outputs, seen.gates, seen.y, seen.claimed_by, measures, 0.0)
    sentence = "".join(reading(fit, altered))
    assert "1 expert has a region" in sentence and "3.5 times as large" in sentence


def test_one_expert_is_shown_without_words_about_gates():
    shown = partition(n_experts=1)
    asyncio.run(shown.start().done())
    assert [name for _, name in facts(shown.fit, look(shown.fit))] == ["error"]
    html = shown.static_html()
    assert all(word not in html for word in ("gate", "blend:", "competitive", "effective"))
    assert "gates: the share of each expert" in partition(n_experts=2).figure


@pytest.mark.parametrize("task", ["1-D", "2-D"])
@pytest.mark.parametrize("n_experts", [1, 8])
def test_picture_has_every_expert_and_its_reading(task, n_experts):
    shown = partition(task=task, n_experts=n_experts)
    asyncio.run(shown.start().done())
    html = shown.static_html()
    assert f'aria-label="{shown.reading}"' in html
    classes = {name for name in re.findall(r'class="(?:own |sure |unsure )?(e\d)', html)}
    assert len(classes) == n_experts
    assert ("on the wrong side" in html) == (task == "2-D")
    assert "nan" not in shown.figure


# ---- what its controls do --------------------------------------------------------------------------------------------


def test_button_starts_and_stops():
    shown = partition(steps=MANY)
    shown.presses += 1
    run = shown.fit.live
    until(lambda: len(run.logs) > 20)
    assert shown.view["button"] == "■ Stop"
    shown.presses += 1
    assert run.wait(LONG) and run.state == "stopped"
    until(lambda: shown.view["button"] == "▶ Start again")
    assert shown.view["status"].startswith("Stopped at step ") and shown.fit.step == len(run.logs)


def test_figure_changes_while_it_trains():
    shown = partition(steps=90)
    figures = set()
    shown.observe(lambda change: figures.add(change.new), "figure")
    asyncio.run(shown.start().done())
    assert len(figures) == 6  # after every 15th step


def test_a_control_that_is_moved_trains_anew_and_the_old_training_ends():
    shown = partition(steps=MANY)
    shown.n_experts = 3
    assert shown.fit.live is None and shown.fit.n_experts == 3  # nothing was started
    first = shown.start()
    shown.loss = "cooperative"
    assert first.over and shown.fit.loss == "cooperative" and shown.fit.state == "running"
    shown.task, second = "2-D", shown.fit.live
    assert second.over and shown.fit.problem.classes and shown.mixture.w_gate.shape == (3, 2)
    shown.stop()
    assert shown.fit.live.wait(LONG)


def test_each_start_with_the_same_settings_is_another_one_unless_a_seed_is_given():
    shown = partition(steps=1)
    seeds = []
    for _ in range(2):
        asyncio.run(shown.start().done())
        seeds.append(shown.fit.seed)
    asyncio.run(shown.start(n_experts=2).done())
    asyncio.run(shown.start(n_experts=4, seed=7).done())
    assert [*seeds, shown.fit.seed] == [0, 1, 7] and "random start 7" in shown.view["status"]


def test_own_functions_train():
    calls = {"gate": 0, "nll": 0}

    def gate(*args):
        calls["gate"] += 1
        return soft_gate(*args)

    def nll(*args):
        calls["nll"] += 1
        return mixture_nll(*args)

    shown = partition(steps=12, gate=gate, nll=nll)
    asyncio.run(shown.start().done())
    assert calls["nll"] == 12 and calls["gate"] > 12
    asyncio.run(shown.start(loss="cooperative").done())
    assert calls["nll"] == 12  # stands in for the competitive loss only


def test_an_exception_in_a_loss_is_shown_and_raised():
    def breaks(*args):
        raise IndexError("expert 9 of 4")

    shown = partition(nll=breaks)
    with pytest.raises(IndexError, match="expert 9 of 4"):
        asyncio.run(shown.start().done())
    assert shown.error["what"] == "IndexError: expert 9 of 4" and "breaks" in shown.error["details"]
    assert "IndexError: expert 9 of 4" in shown.static_html() and shown.view["status"] == "It failed after step 0."
    asyncio.run(shown.start(loss="cooperative").done())
    assert shown.error == {}


def test_an_exception_in_a_gate_is_shown_before_anything_is_drawn():
    def breaks(*args):
        raise IndexError("no such gate")

    shown = partition(gate=breaks)
    assert shown.error["what"] == "IndexError: no such gate" and "no such gate" in shown.static_html()


def test_settings_that_do_not_exist_are_refused():
    for options, message in (
        ({"task": "3-D"}, "task is '3-D', expected one of 1-D, 2-D"),
        ({"n_experts": 9}, "n_experts is 9, expected 1 to 8"),
        ({"loss": "both"}, "loss is 'both', expected one of competitive, cooperative"),
    ):
        with pytest.raises(ValueError, match=message):
            partition(**options)
    with pytest.raises(ValueError, match="n_experts is 0"):
        partition().start(n_experts=0)


def test_a_fit_without_a_run_is_ready():
    fit = partition().fit
    assert isinstance(fit, Fit) and fit.state == "ready" and fit.step == 0
