"""The training dashboard: what it shows is what the stream of StepLog says, and its buttons do what they say."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import nbformat
import pytest
import torch
from build_notebooks import ThisPython
from forked import kernels_of
from nbclient import NotebookClient
from small import small_config, small_corpora
from waiting import LONG, until

from moe_lite import MoELanguageModel, TrainConfig
from moe_lite.checkpoint import load, load_extra
from moe_lite.lab.runs import recording as recorded_run
from moe_lite.metrics import fair_multiples
from moe_lite.model.config import dense_twin
from moe_lite.train import StepLog, resume, train
from moe_lite.widgets import TokenViewer, TrainingDashboard
from moe_lite.widgets.training_dashboard.drawing import DashboardDrawing
from moe_lite.widgets.training_dashboard.view import Curve, curve_of, load_at, numbers, smoothed, thinned
from moe_lite.widgets.training_dashboard.words import badge_of, clock, facts, reading_parts, validation_text

SETTINGS = TrainConfig(steps=30, batch_size=2, length=8, warmup_steps=2, validate_every=10, validation_windows=1)


def build(n_experts: int, top_k: int) -> MoELanguageModel:
    config = small_config()
    return MoELanguageModel(dense_twin(config) if n_experts == 1 else replace(config, n_experts=n_experts, top_k=top_k))


def dashboard(config: TrainConfig = SETTINGS, build=build, **options) -> TrainingDashboard:
    return TrainingDashboard(build, small_corpora(), config, n_experts=5, top_k=2, choices=(1, 3, 5), **options)


def log(step: int, load: list[list[int]], loss: float = 5.0, **changes) -> StepLog:
    values = {"tokens": 100 * step, "seconds": 0.5 * step, "lr": 1e-3, "balance_loss": 1.25, "z_loss": 2.0}
    values |= {"dropped": torch.zeros(len(load), dtype=torch.int64), "validation": None} | changes
    return StepLog(step=step, cross_entropy=loss, load=torch.tensor(load), **values)


def long(steps: int = 100_000) -> TrainConfig:
    return replace(SETTINGS, steps=steps, validate_every=0)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_loads_are_summed_over_the_last_twenty_steps():
    logs = [log(step, [[1, 0]] if step <= 10 else [[0, 1]]) for step in range(1, 41)]
    assert load_at(logs, 4).tolist() == [[5, 0]]
    assert load_at(logs, 24).tolist() == [[5, 15]]  # steps 6 to 25
    assert load_at(logs, 39).tolist() == [[0, 20]]
    assert fair_multiples(load_at(logs, 24)).tolist() == [[0.5, 1.5]]


def test_key_figures_by_hand():
    # 4 experts in one layer: two dead; entropy of (1/2, 1/2) over log 4 is a half
    logs = [log(step, [[4, 4, 0, 0]], loss=float(step)) for step in range(1, 13)]
    found = numbers(logs, 11, total=20)
    assert found.loss == sum(range(3, 13)) / 10  # mean of the last ten
    assert found.tokens_per_second == pytest.approx(200)  # 100 tokens in half a second
    assert found.seconds_left == pytest.approx(8 * 0.5)
    assert (found.dead, found.n_cells, found.entropy, found.balance_loss) == (2, 4, pytest.approx(0.5), 1.25)
    assert numbers(logs[:5], 4, total=20).seconds_left is None  # too early to say
    shown = dict((name, value) for value, name in facts(found))
    assert shown["training loss, mean of 10"] == "7.50" and shown["tokens/s"] == "200" and shown["left"] == "0:04"
    assert shown["dead of 4 experts"] == "2" and shown["load entropy, of 1"] == "0.50" and "dropped" not in shown


def test_dropped_share_is_shown_only_where_something_was_dropped():
    full = log(1, [[4, 4, 0, 0]], dropped=torch.tensor([2]))
    assert ["25.0 %", "dropped"] in facts(numbers([full], 0, total=5))


def test_dense_models_have_no_load_figures():
    found = numbers([dense_log()], 0, 5)
    assert found.is_dense and [name for _, name in facts(found)][3:] == []


def dense_log() -> StepLog:
    return replace(log(1, [[1]]), load=torch.zeros(0, 0, dtype=torch.int64), dropped=torch.zeros(0, dtype=torch.int64))


def test_a_thinned_curve_keeps_its_end_and_its_order():
    assert thinned([]) == [] and thinned([1, 2, 3]) == [1, 2, 3]
    found = thinned(range(1, 1001))
    assert len(found) <= 240 and found[-1] == 1000 and found == sorted(found)


def test_clock_and_validation_in_words():
    assert [clock(5), clock(65), clock(600)] == ["0:05", "1:05", "10:00"]
    logs = [log(1, [[1, 1]], validation={"a": 4.0, "b": 3.0}), log(2, [[1, 1]])]
    assert validation_text(logs, 1) == "validation at step 1: mean 3.50 · a 4.00 · b 3.00"
    assert validation_text(logs[1:], 0) == ""


def test_reading_line_names_the_layer_that_is_furthest_from_even():
    class Run:
        logs = [log(7, [[5, 5, 5, 5], [10, 4, 6, 0]])]

    parts = reading_parts(Run, 0)
    assert parts == ["At step 7 layer 2 sends expert ", {"expert": 0}, " 2.0 times its fair share and expert ",
                     {"expert": 3}, " nothing."]  # fmt: skip
    Run.logs = [log(7, [[5, 5], [5, 5]])]
    assert reading_parts(Run, 0) == ["At step 7 every expert has its fair share, within a twentieth."]


def test_the_curve_is_the_mean_that_is_printed_and_the_single_steps_stand_under_it():
    logs = [log(step, [[4, 4, 0, 0]], loss=float(step)) for step in range(1, 31)]
    means = smoothed(logs)
    assert means[0] == (1, 1.0) and means[4] == (5, 3.0) and means[29] == (30, 25.5)
    assert [mean for _, mean in means] == [numbers(logs, i, 30).loss for i in range(30)]


def test_a_recording_or_an_earlier_run_is_drawn_beside():
    recording = recorded_run("moe-8-top2")
    short, whole = curve_of(recording, 400), curve_of(recording, 1000)
    assert (short.steps[0], short.steps[-1], len(short.steps), short.note) == (10, 400, 40, "recorded, of 1,000 steps")
    assert (whole.steps[-1], whole.note) == (1000, "recorded") and [*short.loss] == recording.runs[0].train_loss[:40]
    assert curve_of(recording, 5).steps == (10,), "one point at least"
    first = dashboard()
    asyncio.run(first.start().done())
    second = dashboard(beside={"mine": first.runs[0]})
    assert second.beside["mine"].loss[-1] == numbers(first.runs[0].logs, 29, 30).loss
    assert "trained before" in second.figure and second.source == "", "it is no recording"


def test_before_the_first_step_the_loads_are_those_of_the_recorded_model():
    recording = recorded_run("moe-8-top2")
    shown = dashboard(beside={"eight": recording})
    shares = recording.runs[0].load_table / recording.runs[0].load_table.float().mean(dim=1, keepdim=True)
    cells = re.findall(r'class="num"[^>]*>([\d.]+)<', shown.figure)
    assert cells == [f"{share:.1f}" for share in shares.flatten().tolist()] and len(cells) == 32
    assert "eight: load at its end, × fair share" in shown.figure and "data-cell" not in shown.figure
    asyncio.run(shown.start().done())
    assert "load at step 30" in shown.figure and "at its end" not in shown.figure
    assert "fair share" not in dashboard(beside={"dense": recorded_run("dense-equal-active")}).figure


class Stub:
    """A run as the drawing sees it."""

    def __init__(self, name: str, logs: list[StepLog], state: str = "finished", total: int = 400):
        self.name, self.logs, self.state, self.total = name, logs, state, total


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """Of each name: left, right, upper and lower edge."""
    found = re.findall(r'<text class="nm \w" x="([\d.]+)" y="([\d.]+)">([^<]*)<', svg)
    return [(float(x), float(x) + 5.6 * len(text), float(y) - 9, float(y) + 2) for x, y, text in found]


@pytest.mark.parametrize("ends", [(400,), (91,), (400, 400), (380, 400, 91), (91, 93, 95, 400)])
def test_a_name_stands_at_the_end_of_its_curve_and_covers_no_other(ends):
    runs = [Stub(f"8 experts, top-{i}", [log(s, [[1] * 8], loss=7 - 3 * s / 400) for s in range(1, end + 1)])
            for i, end in enumerate(ends)]  # fmt: skip
    beside = {"dense": Curve([10, 400], [7.5, 4.1], "recorded, seed 0"), "16 experts": Curve([10, 400], [7.5, 4.0])}
    drawing = DashboardDrawing(runs, beside, ends[-1], 812, live=True)
    found = boxes(drawing.svg("a label"))
    assert len(found) == len(ends) + 4, "recorded ones have a second line"
    for i, (left, right, upper, lower) in enumerate(found):
        assert right < 812
        for other in found[i + 1 :]:
            assert right < other[0] or other[1] < left or lower < other[2] or other[3] < upper
    last = runs[-1].logs[-1]
    x, y = drawing.axes.x(last.step) + 8, drawing.axes.y(smoothed(runs[-1].logs)[-1][1])
    assert any(abs(left - x) < 0.1 and abs((upper + lower) / 2 - y) < 30 for left, _, upper, lower in found)


@pytest.mark.parametrize("n_experts", [8, 16, 64])
def test_the_line_stands_where_the_script_is_told_to_put_the_thumb(n_experts):
    run = Stub("mine", [log(step, [[1] * n_experts] * 4) for step in range(1, 92)])
    drawing = DashboardDrawing([run], {}, 60, 812, live=True)
    at = drawing.places()
    svg = drawing.svg("a label")
    x = float(re.search(r'class="cursor"[^>]*translate\(([\d.]+) ', svg)[1])
    assert x == pytest.approx(at["left"] + at["width"] * 60 / at["steps"], abs=0.06)
    assert f'height="{at["height"]}"' in svg and at["bottom"] + 34 < at["height"]
    still = DashboardDrawing([run], {}, 60, 760).svg("a label")
    assert "data-grab" not in still, "in a picture nothing can be dragged"


@pytest.mark.parametrize(
    ("state", "newest", "recorded", "badge"),
    [("ready", 0, False, ""), ("ready", 0, True, "recorded"), ("running", 96, True, "live"),
     ("paused", 96, False, "paused · step 96"), ("stopped", 1096, False, "stopped · step 1,096"),
     ("failed", 61, False, "failed · step 61"), ("finished", 400, True, "step 400")],
)  # fmt: skip
def test_the_badge_says_what_the_numbers_are(state, newest, recorded, badge):
    assert badge_of(state, newest, recorded) == badge


def test_the_time_left_is_shown_while_there_is_something_left():
    shown = dashboard(long())
    run = shown.start()
    until(lambda: len(run.logs) > 12)
    until(lambda: "left" in [name for _, name in shown.view["facts"]])
    shown.stop()
    assert run.wait(LONG)
    until(lambda: shown.view["state"] == "stopped")
    assert "left" not in [name for _, name in shown.view["facts"]] and shown.source.startswith("stopped · step ")


def test_experts_have_the_colours_of_the_run_that_is_shown():
    shown = dashboard()
    asyncio.run(shown.start().done())
    shown.n_experts = 3  # the next training's
    assert shown.view["experts"] == 5 and 'class="n e' in shown.reading_html()


@pytest.mark.parametrize(("steps", "losses"), [([], []), ([1, 2], [3.0])])
def test_a_curve_has_a_loss_for_each_step(steps, losses):
    with pytest.raises(ValueError, match="A curve has"):
        Curve(steps, losses)


# ---- training --------------------------------------------------------------------------------------------------------


def test_a_run_gives_the_losses_of_the_same_training_without_a_dashboard():
    shown = dashboard()
    run = asyncio.run(shown.start().done())
    alone = [entry.cross_entropy for entry in train(build(5, 2), small_corpora(), SETTINGS)]
    assert [entry.cross_entropy for entry in run.logs] == alone
    assert run.state == shown.view["state"] == "finished" and shown.view["status"] == "Through: 30 steps."
    assert shown.model is shown.runs[0].model and shown.view["newest"] == 30


def test_what_is_drawn_is_the_load_of_the_step_that_is_looked_at():
    shown = dashboard()
    asyncio.run(shown.start().done())
    shown.at = 12
    logs = shown.runs[0].logs
    expected = fair_multiples(load_at(logs, 11))
    cells = re.findall(r'data-cell="(\d),(\d)".*?<title>layer \d, expert \d: ([\d.]+) times', shown.figure)
    assert len(cells) == 3 * 5
    for layer, expert, number in cells:
        share = float(expected[int(layer), int(expert)])
        assert number == ("0" if share < 0.01 else f"{share:.1f}")
    assert shown.view["shown"] == 12 and shown.reading.startswith("At step 12 ")
    assert f"{numbers(logs, 29, 30).loss:.2f} · 5 experts, top-2" in shown.figure


@pytest.mark.filterwarnings("ignore:ModelConfig. top_k=1")  # said a second time: here by the widget
@pytest.mark.parametrize("top_k, warned", [(1, True), (2, False)])
def test_a_router_without_a_gradient_is_said_beside_the_run(top_k, warned):
    board = dashboard()
    assert board.start(top_k=top_k).wait(LONG)
    said = "Careful: top_k=1 with renormalised weights makes every weight 1"
    until(lambda: (said in board.view["status"]) == warned)
    assert board.view["status"].startswith("Through: ")


def test_pause_holds_the_steps_and_stop_answers_within_a_step():
    shown = dashboard(long())
    run = shown.start()
    until(lambda: len(run.logs) > 3)
    shown.presses += 1  # the page's button, while it runs: pause
    until(lambda: run.state == "paused" and shown.view["button"] == "▶ Resume")
    n = len(run.logs)
    time.sleep(0.1)
    assert len(run.logs) == n
    until(lambda: shown.view["status"].startswith(f"Paused at step {n:,}."))
    shown.presses += 1
    until(lambda: len(run.logs) > n)
    shown.halts += 1
    taken = len(run.logs)
    assert run.wait(LONG) and run.state == "stopped" and len(run.logs) <= taken + 1
    until(lambda: shown.view["button"] == "▶ Start again")
    shown.model(torch.zeros(1, 4, dtype=torch.int64))  # can be used


def test_sliders_make_the_next_training_beside_the_old_one():
    shown = dashboard()
    asyncio.run(shown.start().done())
    shown.n_experts, shown.top_k = 3, 1
    assert len(shown.runs) == 1
    shown.presses += 1
    asyncio.run(shown.runs[-1].live.done())
    shown.start(n_experts=1).wait(LONG)
    shown.start(n_experts=1).wait(LONG)
    names = [trial.name for trial in shown.runs]
    assert names == ["5 experts, top-2", "3 experts, top-1", "dense", "dense #2"]
    assert all(name in shown.figure for name in names)
    assert shown.runs[1].model.config.n_experts == 3 and shown.model.config.is_dense
    shown.n_experts = 1
    assert shown.top_k == 1  # no more than there are


def test_starting_another_one_stops_what_runs():
    first = dashboard(long())
    run = first.start()
    until(lambda: run.logs)
    again = first.start()
    assert run.over and again.state == "running"
    second = dashboard(long())  # the cell run again
    until(lambda: again.over)
    third = second.start()
    other = dashboard(long()).start()
    assert third.over and not other.over
    other.stop()


def test_an_exception_in_training_is_shown_and_raised_and_loses_nothing():
    calls = []

    def breaks(scores, k):
        calls.append(1)
        if len(calls) > 12:
            raise IndexError("expert 9 of 5")
        values, ids = scores.topk(k)
        return values / values.sum(-1, keepdim=True), ids

    def with_learners_router(n_experts, top_k):
        return MoELanguageModel(replace(small_config(), n_experts=n_experts, top_k=top_k), top_k_fn=breaks)

    shown = dashboard(replace(SETTINGS, validate_every=0), build=with_learners_router)
    with pytest.raises(IndexError, match="expert 9 of 5"):
        asyncio.run(shown.start().done())
    assert shown.view["state"] == "failed" and shown.error["what"] == "IndexError: expert 9 of 5"
    assert "breaks" in shown.error["details"] and len(shown.runs[0].logs) == 4  # three layers a step
    assert shown.view["status"] == "The curve, and the model of step 4, stay."
    assert "IndexError: expert 9 of 5" in shown.static_html()


def test_a_build_that_fails_is_shown_when_the_page_pressed_the_button():
    def build(n_experts, top_k):
        raise ValueError("no model for you")

    shown = dashboard(build=build)
    with pytest.raises(ValueError, match="no model for you"):
        shown.start()
    shown.presses += 1
    assert shown.error["what"] == "no model for you" and shown.view["state"] == "ready"
    with pytest.raises(RuntimeError, match="Nothing has been trained yet"):
        _ = shown.model


def test_recorded_curves_and_the_twin_stand_without_a_kernel():
    shown = dashboard(beside={"dense": Curve([0, 15, 30], [4.2, 4.0, 3.75])})
    assert "Nothing has been trained here yet; the grey curve is there to compare with." in shown.static_html()
    assert shown.source == "recorded"
    asyncio.run(shown.start().done())
    twin = shown.static_html()
    assert re.search(r">3.75 · dense</text><text[^>]*>recorded</text>", twin) and "step 30" in twin
    for expert in range(5):
        assert f'">{expert}</text>' in twin


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_checkpoint_is_written_when_training_rests_and_ends(tmp_path):
    path = tmp_path / "run.safetensors"
    shown = dashboard(long(), checkpoint=path)
    run = shown.start()
    until(lambda: len(run.logs) > 3)
    shown.pause()
    until(lambda: run.state == "paused" and "Saved in run.safetensors." in shown.view["status"])
    assert load_extra(path)[0]["step"] == len(run.logs)
    shown.stop()
    assert run.wait(LONG)
    assert torch.equal(load(path).head.weight, shown.model.head.weight)


def test_going_on_gives_the_losses_of_an_uninterrupted_run(tmp_path):
    path = tmp_path / "run.safetensors"
    whole = [entry.cross_entropy for entry in train(build(5, 2), small_corpora(), SETTINGS)]

    def stopped_in_its_sixth_step(n_experts, top_k):
        model = build(n_experts, top_k)
        model.register_forward_pre_hook(lambda *_: first.stop() if len(first.runs[-1].logs) == 5 else None)
        return model

    first = dashboard(checkpoint=path, build=stopped_in_its_sixth_step)
    run = first.start()
    assert run.wait(LONG)
    n = len(run.logs)
    assert n == 6
    second = dashboard(checkpoint=path)
    rest = asyncio.run(second.go_on().done())
    assert [entry.step for entry in rest.logs] == [*range(n + 1, 31)]
    assert [entry.cross_entropy for entry in [*run.logs, *rest.logs]] == whole
    with pytest.raises(ValueError, match="has no checkpoint file"):
        dashboard().go_on()


KILLED = """
import os, signal, sys; sys.path[:0] = {paths!r}
import torch; torch.set_num_threads({threads})
import moe_lite.widgets.training_dashboard.widget as module
from test_training_dashboard import dashboard, long
module.SAVE_EVERY = 0.05
shown = dashboard(long(150), checkpoint={path!r})
run = shown.start()
while len(run.logs) <= 20 or not os.path.exists({path!r}):
    run.wait(0.005)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_after_kill_9_training_goes_on_to_the_same_losses(tmp_path):
    path = tmp_path / "killed.safetensors"
    script = KILLED.format(paths=[p for p in sys.path if p], path=str(path), threads=torch.get_num_threads())
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    rest = resume(path, small_corpora())
    step = rest.step
    assert 0 < step < 150
    whole = [entry.cross_entropy for entry in train(build(5, 2), small_corpora(), long(150))]
    assert [entry.cross_entropy for entry in rest] == whole[step:]


# ---- in a notebook ---------------------------------------------------------------------------------------------------

CELLS = """
import sys; sys.path[:0] = {paths!r}
from test_training_dashboard import dashboard
shown = dashboard()
shown
--
run = shown.start()
await run.done()
--
print(run.state, len(run.logs), shown.model is shown.runs[0].model)
"""


@pytest.mark.notebook
def test_run_all_reaches_the_next_cell_with_a_trained_model(python, tmp_path):
    cells = CELLS.format(paths=[p for p in sys.path if p]).strip().split("\n--\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    settings = {"timeout": LONG, "startup_timeout": LONG, "resources": {"metadata": {"path": tmp_path}}}
    with kernels_of(python):
        NotebookClient(notebook, kernel_manager_class=ThisPython, **settings).execute()
    assert notebook.cells[2].outputs[0].text.strip() == "finished 30 True"
    twin = notebook.cells[0].outputs[0].data["text/html"]
    assert "Through: 30 steps." in twin, "the cell that shows the dashboard keeps what became of it"


def test_the_trained_model_opens_in_the_token_viewer():
    shown = dashboard(replace(SETTINGS, steps=3), build=lambda n, k: MoELanguageModel(small_config(vocab_size=2048)))
    asyncio.run(shown.start().done())
    assert TokenViewer(shown.model, "def area(r):").error == {}
