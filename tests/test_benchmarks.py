"""The benchmarks: their pure parts, and that nothing is timed before its values are compared. No time is judged."""

import json
import time
from dataclasses import replace

import nbformat
import pytest
import torch

from benchmarks import (
    __main__ as program,
    budget,
    contenders,
    decoding,
    goals,
    layers,
    machine,
    memory,
    start,
    training,
    watching,
)
from benchmarks.apart import peak_bytes, run_apart
from benchmarks.contenders import Shape
from benchmarks.goals import GOALS, Goal, goal_of
from benchmarks.machine import Machine
from benchmarks.model import random_ids
from benchmarks.report import Report, Row, rows_of, table
from moe_lite import ModelConfig
from moe_lite.lab.timing import Timing

CPU = torch.device("cpu")
TINY = Shape(N=12, D=8, F=4, E=8, K=2)
SMALL = ModelConfig(vocab_size=50, n_layers=2, d_model=16, n_experts=4, d_expert=8, init_std=0.2)
MACHINE = Machine("Linux x86_64", "3.11", "2.13", "5.23", 2, 0.25, "cpu", {1: 1e11, 2: 2e11})


# ---- rows, table, JSON -----------------------------------------------------------------------------------------------


def two_rows() -> list[Row]:
    timings = {"a": Timing((0.010, 0.020, 0.010)), "b": Timing((0.030, 0.050, 0.010))}
    return rows_of(
        timings, section="layers", case="S1 forward", threads=2, over="a", flops={"a": 3e8, "b": 3e8}, peak=1e11,
        note="N 512",
    )  # fmt: skip


def test_row_holds_median_paired_ratio_and_share_of_the_peak():
    a, b = two_rows()
    assert (a.value, a.unit, a.ratio, a.over) == (10.0, "ms", None, "")
    assert a.of_peak == pytest.approx(0.3)  # 3e8 FLOPs in 10 ms, of 1e11 a second
    # ratios 3, 2.5 and 1, although the medians' is 3
    assert (b.value, b.ratio, b.low, b.high, b.over) == (30.0, 2.5, 1.75, 2.75, "a")
    assert b.of_peak == pytest.approx(0.1)


def test_table_reads_like_this():
    shown = table(two_rows(), remark=lambda row: "goal ≤ 2: missed" if row.name == "b" else "")
    assert shown.splitlines() == [
        "layers · S1 forward · 2 threads · N 512",
        "                                         median     over a            of peak",
        "  a                                       10.00 ms                        30%",
        "  b                                       30.00 ms  2.50 [1.75–2.75]      10%  goal ≤ 2: missed",
    ]


def test_report_survives_the_way_through_json(tmp_path):
    report = Report(MACHINE, (*two_rows(), Row("start", "import after torch", "moe_lite", 0.01, "s", 1)))
    (tmp_path / "rows.json").write_text(report.to_json(), encoding="utf-8")
    assert Report.read(tmp_path / "rows.json") == report


# ---- goals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "measured", "verdict"),
    [
        (Goal("s", "c", "n", 1.2), {"ratio": 1.2}, "goal ≤ 1.2: met"),
        (Goal("s", "c", "n", 1.2), {"ratio": 1.2001}, "goal ≤ 1.2: missed"),
        (Goal("s", "c", "n", 2.0, at_least=True), {"ratio": 2.0}, "goal ≥ 2: met"),
        (Goal("s", "c", "n", 2.0, at_least=True), {"ratio": 1.9}, "goal ≥ 2: missed"),
        (Goal("s", "c", "n", 0.5, of="value"), {"ratio": 9.0, "value": 0.4}, "goal ≤ 0.5: met"),
        (Goal("s", "c", "n", 0.5, of="value"), {"ratio": 0.1, "value": 0.6}, "goal ≤ 0.5: missed"),
    ],
)
def test_verdict(goal, measured, verdict):
    row = Row("s", "c", "n", **({"value": 1.0, "unit": "ms", "threads": 1} | measured))
    assert goal.verdict(row) == verdict


def every_row() -> list[Row]:
    """All sections in miniature; processes are not started."""
    shapes = {name: TINY for name in contenders.SHAPES}
    half = {"before": 10, "peak": 110, "parameters": 5, "note": ""}
    cases = [Row("start", case, name, 1.0, "s", 1) for case, (_, works) in start.CASES.items() for name in works]
    return [
        *layers.layers(1, 1, 1e11, CPU, shapes),
        *layers.growth(1, 1, CPU, TINY),
        *training.training(1, 1, 1e11, CPU, {"training step": SMALL}),
        *decoding.decoding(1, 1, CPU, SMALL),
        *memory.compared({"dense": [half], "sparse": [half]}, threads=1),
        *cases,
        *watching.compared([(2.0, 2.1)], threads=1),
    ]


@pytest.mark.slow
def test_every_goal_finds_its_row_and_each_section_runs(monkeypatch):
    monkeypatch.setattr(training, "BATCH", 2)
    monkeypatch.setattr(torch, "compile", lambda model: model)  # a C++ compiler would take two minutes
    rows = every_row()
    assert {goal_of(row) for row in rows} - {None} == set(GOALS)
    assert {row.section for row in rows} == set(program.SECTIONS)
    lines = goals.summary(rows, program.SECTIONS)
    assert len(lines) == len(GOALS) and all(", 1 thread: " in line for line in lines)
    assert len({(row.section, row.case, row.name) for row in rows}) == len(rows)


def test_goal_that_was_not_measured_is_said():
    assert goals.summary([], ["train"]) == ["train: training step, own sorted: goal ≤ 1.08, not measured"]


# ---- contenders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [contenders.dense, contenders.sparse])
@pytest.mark.parametrize("parameter", [0, -1])
def test_contender_with_other_weights_is_not_timed(make, parameter):
    x, dy = layers.inputs(TINY, CPU)
    found = make(TINY)
    contenders.require_equal(found, x, dy)
    last = list(found)[-1]
    with torch.no_grad():
        list(found[last].module.parameters())[parameter].mul_(-1.1)
    with pytest.raises(AssertionError, match=f"{last}: its .* differs from the reference"):
        contenders.require_equal(found, x, dy)


def test_contender_with_a_gradient_of_its_own_is_not_timed():
    x, dy = layers.inputs(TINY, CPU)
    found = contenders.sparse(TINY)
    found["own sorted"].module.experts.down.register_hook(lambda gradient: 1.01 * gradient)
    with pytest.raises(AssertionError, match="own sorted: its down differs"):
        contenders.require_equal(found, x, dy)


def test_nan_is_not_equal():
    with pytest.raises(AssertionError, match="it differs"):
        contenders.close(torch.tensor([float("nan")]), torch.tensor([1.0]), "it")


def test_model_with_another_loss_is_not_timed():
    ids = random_ids(2, 9, below=SMALL.vocab_size)
    dense, sparse = training.learners(SMALL)
    for found in (dense, sparse):
        training.require_equal(found, ids)
        last = list(found)[-1]
        with torch.no_grad():
            found[last].model.lm_head.weight.mul_(1.5)
        with pytest.raises(AssertionError, match=f"{last}: its cross-entropy differs"):
            training.require_equal(found, ids)


def test_balancing_weighs_as_much_in_every_model():
    """In one layer; transformers pools the layers of a deeper model."""
    ids = random_ids(2, 9, below=SMALL.vocab_size)
    found = training.learners(replace(SMALL, n_layers=1, z_coef=0.0, balance_coef=0.5))[1]
    losses = torch.stack([learner.losses(ids)[0] for learner in found.values()])
    torch.testing.assert_close(losses, losses[0].expand(4))
    assert losses[0] > found["own sorted"].losses(ids)[1] + 0.4


def test_step_changes_the_model_by_its_gradient():
    ids = random_ids(2, 9, below=SMALL.vocab_size)
    learner = training.learners(SMALL)[1]["own sorted"]
    one, before = training.step(learner, ids), learner.losses(ids)[0].item()
    for _ in range(20):
        one()
    assert learner.losses(ids)[0].item() < before - 0.01


def test_speed_is_over_generate_and_time_over_dense(monkeypatch):
    clock = [0.0]  # a clock that only the works move on
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def work(seconds: float) -> list[int]:
        clock[0] += seconds
        return [1]

    works = {decoding.DENSE: 0.01, decoding.GENERATE: 0.06, "own sorted": 0.02}
    naps = {name: lambda seconds=seconds: work(seconds) for name, seconds in works.items()}
    dense = {decoding.DENSE: naps.pop(decoding.DENSE)}
    monkeypatch.setattr(decoding, "decoders", lambda config, device, batch: (dense, naps))
    rows = {(row.case, row.name): row for row in decoding.decoding(3, 1, CPU)}
    assert rows["time over dense", "own sorted"].ratio == pytest.approx(2)
    assert rows["speed over generate of transformers", "own sorted"].ratio == pytest.approx(3)


def test_decoders_give_the_tokens_asked_for_and_others_are_refused():
    dense, sparse = decoding.decoders(SMALL, prompt=5, new=7)
    for works in (dense, sparse):
        decoding.require_equal(works)
        assert [len(row) for row in next(iter(works.values()))()] == [7]
    assert [len(row) for row in decoding.decoders(SMALL, batch=3, prompt=5, new=2)[1]["own sorted"]()] == [2] * 3
    with pytest.raises(AssertionError, match=r"x decodes \[1\], own dense decodes \[\["):
        decoding.require_equal(dense | {"x": lambda: [1]})


# ---- processes and the machine ---------------------------------------------------------------------------------------


def test_clock_starts_after_what_comes_before_and_runs_on():
    clock = "clock = [7.0]; time.perf_counter = lambda: clock[0]\ndef work(seconds): clock[0] += seconds\nwork(1)"
    code = start.timed(clock, {"first": "work(2)", "second": "work(3)"})
    assert run_apart("-c", code, threads=1) == {"first": 2.0, "second": 5.0}


def test_failure_apart_shows_its_error():
    with pytest.raises(RuntimeError, match="ended with 1(.|\n)*ZeroDivisionError"):
        run_apart("-c", "1 / 0", threads=1)


def test_peak_is_that_of_the_process_and_stays():
    code = (
        "import json; from benchmarks.apart import peak_bytes; before = peak_bytes(); held = b'x' * 10**8; del held\n"
        "print(json.dumps({'before': before, 'after': peak_bytes()}))"
    )
    found = run_apart("-c", code, threads=1)
    assert 0.9e8 < found["after"] - found["before"] < 1.5e8
    assert found["before"] < peak_bytes()  # this process has torch


def test_memory_is_compared_with_what_the_extra_parameters_must_take():
    dense = [{"before": 1e6, "peak": 11e6, "parameters": 1000, "note": ""}]
    sparse = [{"before": 2e6, "peak": 32e6, "parameters": 251_000, "note": ""}]
    # 250,000 parameters more, 16 bytes each: 4 MB; 30 MB over 10 + 4
    small, allowed, large = memory.compared({"dense": dense, "sparse": sparse}, threads=1)
    assert (small.value, allowed.value, large.value) == (10.0, 14.0, 30.0)
    assert large.ratio == pytest.approx(30 / 14) and large.over == allowed.name


def test_peak_of_matrix_products_is_plausible(monkeypatch):
    monkeypatch.setattr(machine, "SECONDS", 0.02)
    monkeypatch.setattr(machine, "SIZE", 256)
    assert 1e8 < machine.matmul_peak(1, CPU) < 1e14


# ---- the programs ----------------------------------------------------------------------------------------------------


def test_program_prints_the_table_and_writes_json(monkeypatch, capsys, tmp_path):
    row = Row("train", "training step", "own sorted", 1.0, "ms", 1, "own dense", 1.2, 1.1, 1.3)
    monkeypatch.setattr(program, "this_machine", lambda threads, device: MACHINE)
    monkeypatch.setattr(program, "training", lambda rounds, threads, peak, device: [row])
    program.main(["--only", "train", "--threads", "1", "--json", str(tmp_path / "rows.json")])
    shown = capsys.readouterr().out
    assert "1.20 [1.10–1.30]" in shown and "goal ≤ 1.08: missed" in shown and "torch 2.13" in shown
    assert Report.read(tmp_path / "rows.json") == Report(MACHINE, (row,))


def test_unknown_section_is_refused():
    with pytest.raises(SystemExit, match="--only tain: expected some of layers,growth,train"):
        program.main(["--only", "tain,decode"])


@pytest.mark.notebook
def test_cost_of_a_notebook(tmp_path, monkeypatch):
    folder = tmp_path / "solutions"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(text) for text in ("held = b'x' * 10**8", "del held; 1 / 0", "print('on')")]
    path = folder / "05_tiny.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = path.read_bytes()
    found = budget.cost(path, budget.environment(tmp_path / "progress.json"))
    assert (found.lesson, found.which, found.errors) == ("05_tiny", "solved", 1)
    assert 0.1 < found.gigabytes < 0.5 and found.seconds > 0.1
    assert path.read_bytes() == before


def test_budget_names_what_is_over_it():
    costs = [
        budget.Cost("03_router", "solved", 181.0, 0.5, 0),
        budget.Cost("05_model", "unsolved", 181.0, 3.5, 2),
        budget.Cost("06_x", "solved", 20.0, 0.5, 0),
    ]
    assert [cost.verdict for cost in costs] == ["over 180 s", "over 3 GB", ""]
    shown = budget.table(costs).splitlines()
    assert shown[2].split() == ["05_model", "unsolved", "181.0", "3.50", "2", "over", "3", "GB"]


def test_kernels_keep_away_from_the_learners_progress(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_LITE_CHECKS", "raise")
    env = budget.environment(tmp_path / "progress.json")
    assert env["MOE_LITE_PROGRESS"] == str(tmp_path / "progress.json") and "MOE_LITE_CHECKS" not in env


def test_costs_are_written_as_json(monkeypatch, tmp_path):
    found = budget.Cost("03_router", "solved", 1.0, 0.5, 0)
    monkeypatch.setattr(budget, "cost", lambda path, env: found)
    budget.main(["--only", "03", "--json", str(tmp_path / "costs.json")])
    rows = json.loads((tmp_path / "costs.json").read_text())
    assert len(rows) == 2 and rows[0]["gigabytes"] == 0.5
