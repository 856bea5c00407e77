"""The balance lab: recorded trainings that sliders choose, new ones beside them, what is saved."""

import asyncio
import base64
import csv
import io
import re
import time
from itertools import pairwise

import pytest
import torch
from small import small_corpora
from waiting import LONG, until

from moe_lite.lab.sweeps import BIN, FACTORS, LabRun, grid, lab_model
from moe_lite.look.palette import ROLES, channels, mark, tint
from moe_lite.metrics import dead_experts, fair_multiples, load_cv, max_violation
from moe_lite.model.balance import expert_capacity
from moe_lite.widgets import BalanceLab
from moe_lite.widgets.balance_lab.drawing import HIGHEST, LEGEND, LEVELS, LabDrawing, png, ramp, row_height
from moe_lite.widgets.balance_lab.save import FIELDS
from moe_lite.widgets.balance_lab.view import MEASURES, Column, dropped, figures, multiples, text_at
from moe_lite.widgets.balance_lab.words import final, heads, rows, signs_html, text_html, title
from moe_lite.widgets.kit.text import face
from moe_lite.widgets.token_viewer import TokenRouting, token_html


def column(load, **settings) -> Column:
    load = torch.tensor(load)  # (S, L, E)
    n_bins, n_layers, _ = load.shape
    run = LabRun(
        name="a run", settings={"balance_coef": 0.01, "top_k": 1, "seed": 0} | settings, source="recorded",
        steps=[20 * (i + 1) for i in range(n_bins)], load=load, dropped=torch.zeros(n_bins, n_layers),
        cross_entropy=[4.0 - i for i in range(n_bins)], overflow=torch.full((n_bins, n_layers, len(FACTORS)), 0.25),
    )  # fmt: skip
    return Column(run, seeds=(3.5, 3.7), total=20 * n_bins)


@pytest.fixture
def lab():
    return BalanceLab(corpora=small_corpora(), steps=40)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [("layer", 9, 1), ("layer", -5, -1), ("picked", -1, 0), ("picked", 99, 31), ("looked", -2, 0)],
)
def test_what_is_not_there_becomes_what_is(lab, name, value, becomes):
    setattr(lab, name, value)
    assert getattr(lab, name) == becomes and lab.error == {} and "<table>" in lab.static_html()


def test_measures_are_those_of_metrics_bin_by_bin():
    one = column([[[6, 2, 0, 0]], [[2, 2, 2, 2]]])
    found = figures(one, 0).by_name
    assert tuple(found) == MEASURES
    assert found["CV"] == pytest.approx([6**0.5 / 2, 0.0]) and found["max violation"] == [2.0, 0.0]
    assert found["dead experts"] == [2.0, 0.0] and found["over 1.25 × fair, %"] == [25.0, 25.0]
    assert found["training loss"] == [4.0, 3.0] and figures(one, 0).losses == (3.5, 3.7)
    assert multiples(one, 0)[0].tolist() == [3.0, 1.0, 0.0, 0.0]


def test_step_is_the_last_bin_that_ends_there_and_at_least_the_first():
    one = column([[[1, 1]], [[1, 1]], [[1, 1]]])
    assert [one.bin_at(step) for step in (0, 1, 20, 39, 40, 999)] == [2, 0, 0, 0, 1, 2]
    assert [one.step_at(step) for step in (0, 1, 39, 999)] == [60, 20, 20, 60]
    none = Column(grid().run(0.0, 2, 0).__class__(**(vars(one.run) | {"steps": []})))
    assert (none.bin_at(0), none.bin_at(40), none.step_at(40)) == (-1, -1, 0)


def test_capacity_on_the_text_drops_late_tokens_of_a_full_expert():
    ids = torch.tensor([[0, 1], [0, 2], [0, 1], [2, 0]])  # expert 0 is asked by all four; capacity ceil(8 / 3) = 3
    assert expert_capacity(4, 2, 3, 1.0) == 3
    routing = dropped(ids, 3, 1.0)
    lost = [(t, e) for t, e, k in zip(routing.token_ids, routing.expert_ids, routing.kept, strict=True) if not k]
    assert [(int(t), int(e)) for t, e in lost] == [(3, 0)]


def test_text_follows_step_and_capacity():
    shipped = grid()
    one = Column(shipped.run(0.0, 2, 0))
    first, kept = text_at(one, 1, 0, None)
    assert torch.equal(first, one.run.choices[-1, 1, :, 0]) and (kept == 2).all()
    _, limited = text_at(one, 1, 0, 1.0)
    ids = one.run.choices[-1, 1]
    room = expert_capacity(len(ids), 2, 32, 1.0)
    over = (torch.bincount(ids.flatten(), minlength=32) - room).clamp(min=0).sum()
    assert int((2 - limited).sum()) == int(over) > 0
    assert text_at(Column(shipped.run(0.0, 2, 1)), 1, 0, None) is None


def test_text_marks_what_was_dropped_and_escapes():
    html = text_html(["<b>", " a", "\n"], torch.tensor([0, 1, 2]), torch.tensor([2, 1, 0]), 2, 4)
    assert "&lt;b&gt;" in html and "<b><" not in html
    assert 'class="tk e1 part gap"' in html and 'class="tk e2 gone"' in html and "2 of 2 assignments dropped" in html
    assert "background-color" not in html.split("gone")[1], "no tint for pages without a style sheet either"


@pytest.mark.parametrize("piece", ["The", " king", "\n", "\n   ", " ", "<b>", "\t", "a\nb"])
def test_a_token_is_drawn_as_the_token_viewer_draws_it(piece):
    one = torch.ones(1, 1, 1)
    routing = TokenRouting((12 * one).short().numpy(), one.numpy(), torch.zeros(1, 1, 16).numpy())
    theirs = re.sub(' title="[^"]*"', "", token_html(routing, face(piece), 0, 0, 0))
    ours = text_html([piece], torch.tensor([12]), torch.tensor([2]), 2, 16)
    assert theirs in re.sub(' title="[^"]*"', "", ours)


def test_each_sign_on_a_token_is_in_the_legend():
    signs = signs_html()
    assert [signs.count(look) for look in ('e5"', 'e5 part"', 'e5 gone"')] == [1, 1, 1]


def test_ramp_is_the_page_at_0_the_tint_at_the_fair_share_and_the_mark_at_4():
    for theme in ("light", "dark"):
        colours = ramp(2, 8, theme)
        assert (len(colours), colours[0]) == (LEVELS, ROLES[theme]["bg"])
        assert colours[(LEVELS - 1) // 4] == tint(2, 8, theme) and colours[-1] == mark(2, 8, theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_greys_of_the_legend_can_be_told_apart(theme):
    """Neighbours are 15 apart in lightness, CIELAB's L* from 0 to 100."""

    def lightness(grey: str) -> float:
        red, green, blue = channels(grey)
        assert red == green == blue
        light = red / 255
        linear = light / 12.92 if light <= 0.04045 else ((light + 0.055) / 1.055) ** 2.4
        return 116 * linear ** (1 / 3) - 16 if linear > 0.008856 else 903.3 * linear

    greys = ramp(0, 32, theme)
    shown = [lightness(greys[round(share * (LEVELS - 1) / HIGHEST)]) for share, _ in LEGEND]
    assert shown == sorted(shown, reverse=theme == "light")
    assert min(abs(a - b) for a, b in pairwise(shown)) > 15


def test_strip_has_a_row_for_each_expert_and_a_pixel_for_each_bin():
    from matplotlib.image import imread

    data = base64.b64decode(png(torch.rand(7, 8), range(8), 8, "light").split(",")[1])
    assert imread(io.BytesIO(data)).shape[:2] == (8, 7)


@pytest.mark.parametrize("n_experts", [8, 32])
def test_legend_shows_the_colours_of_the_strips(n_experts):
    from matplotlib.image import imread

    one = column([[[1] * n_experts]])
    svg = LabDrawing([one], 0, 0, 3, 760).svg("a reading")
    legend = svg.split('<g class="ramp">')[1].split("</g>")[0]
    for theme in ("light", "dark"):
        data = legend.split(f'class="{theme}"')[1].split("base64,")[1].split('"')[0]
        shown = (255 * imread(io.BytesIO(base64.b64decode(data)))[:, 0, :3]).round().tolist()
        colours = ramp(3, n_experts, theme)
        assert shown == [channels(colours[round(share * (LEVELS - 1) / HIGHEST)]) for share, _ in LEGEND]
    assert [text for _, text in LEGEND] == re.findall(r">([^<]+?)(?: × fair)?</text>", legend)[1:]


# ---- places ----------------------------------------------------------------------------------------------------------


def test_strips_curves_and_slider_have_one_axis_of_steps(lab):
    asyncio.run(lab.start().done())  # of 40 steps, beside recorded ones of 900
    drawing = LabDrawing(lab.columns, 0, 300, 0, 860, movable=True)
    axis, svg = drawing.places(), drawing.svg("a reading")
    images = re.findall(r'class="strips light" x="([\d.]+)" y="\d+" height="\d+" width="([\d.]+)"', svg)
    curves = re.findall(r'class="spark" points="([^"]+)"', svg)
    cursors = re.findall(r'class="cursor" [^>]*translate\(([\d.]+) ', svg)
    assert axis["steps"] == 900 and len(images) == len(cursors) == 3 and len(curves) == 3 * len(MEASURES)
    for i, (left, last, shown) in enumerate(zip(axis["lefts"], (900, 900, 40), (300, 300, 40), strict=True)):
        end = left + axis["wide"] * last / 900
        assert float(images[i][0]) == pytest.approx(left, abs=0.1)
        assert float(images[i][0]) + float(images[i][1]) == pytest.approx(end, abs=0.1)
        assert float(cursors[i]) == pytest.approx(left + axis["wide"] * shown / 900, abs=0.1)
        for curve in curves[i::3]:
            places = [float(point.split(",")[0]) for point in curve.split()]
            assert places[0] == pytest.approx(left + axis["wide"] * 20 / 900, abs=0.1)
            assert places[-1] == pytest.approx(end, abs=0.1)


@pytest.mark.parametrize(
    ("n_experts", "picked", "numbers"),
    [
        (8, 1, range(8)),
        (16, 1, range(16)),
        (32, 13, (0, 8, 13, 16, 24)),
        (32, 15, (0, 8, 15, 24)),
        (32, 1, (1, 8, 16, 24)),
    ],
)
def test_numbers_at_the_left_do_not_cover_each_other(n_experts, picked, numbers):
    svg = LabDrawing([column([[[1] * n_experts]])], 0, 0, picked, 760).svg("a reading")
    found = re.findall(r'class="d end num[^"]*" x="[\d.]+" y="([\d.]+)">(\d+)<', svg)
    assert [int(number) for _, number in found] == [*numbers]
    places = [float(y) for y, _ in found]
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) >= min(12, row_height(n_experts))


def test_final_loss_says_how_many_seeds_it_is_of():
    assert (final(()), final((3.5,)), final((3.5, 3.7))) == ("–", "3.50 · 1 seed", "3.60 ± 0.10")


# ---- sliders ---------------------------------------------------------------------------------------------------------


def test_opens_on_recorded_trainings_and_follows_the_sliders(lab):
    assert [title(c) for c in lab.columns] == ["no balancing loss", "coefficient 0.01"] and lab.source == "2 recorded"
    lab.coefficient = 0.1
    shown = lab.columns[1].run
    assert torch.equal(shown.load, grid().run(0.1, 2, 0).load) and "with coefficient 0.1;" in lab.reading
    lab.top_k, lab.seed = 4, 2
    assert torch.equal(lab.columns[0].run.load, grid().run(0.0, 4, 2).load)
    lab.coefficient = 0.0
    assert len(lab.columns) == 1 and lab.error == {}


def test_layer_is_the_most_uneven_one_until_one_is_chosen(lab):
    assert lab.view["layer"] == int(load_cv(lab.columns[0].run.load[-1]).argmax())
    lab.layer = 0
    assert lab.view["layer"] == 0 and lab.reading.startswith("At step 900, ") and " of layer 1 " in lab.reading


def test_each_stop_of_the_slider_is_a_bin_and_its_number_the_step_shown(lab):
    assert (lab.fixed["bin"], lab.view["shown"], lab.view["newest"]) == (BIN, 900, 900)
    stops = range(BIN, lab.view["axis"]["steps"] + 1, BIN)
    assert [*stops] == lab.columns[0].run.steps and len(stops) == 45
    seen = set()
    for step in stops:
        lab.at = step
        assert lab.view["shown"] == step and lab.reading.startswith(f"At step {step}, ")
        seen.add(tuple(map(tuple, rows(lab.columns, 1, lab.at))))
    assert len(seen) == 45, "two stops show the same table"


@pytest.mark.parametrize(("step", "shown"), [(1, 20), (19, 20), (39, 20), (899, 880), (5000, 900)])
def test_between_two_stops_the_bin_before_is_shown_and_never_an_empty_table(lab, step, shown):
    lab.at = step
    assert lab.view["shown"] == shown and lab.reading.startswith(f"At step {shown}, ")
    assert "–" not in lab.figure and "–" not in str(rows(lab.columns, 1, step))


def test_scrubber_shows_the_numbers_of_its_step(lab):
    lab.layer, lab.at = 1, 300
    loads = [c.run.load[c.run.steps.index(300), 1] for c in lab.columns]
    first, second = (f"{1 + max_violation(load):.1f}" for load in loads)
    dead = int(dead_experts(loads[0]))
    assert lab.reading.startswith(f"At step 300, {dead} of 32 experts of layer 2 are dead without balancing loss, and ")
    assert lab.reading.endswith(f"; the busiest takes {first} and {second} times its fair share.")


def test_reading_states_a_difference_only_where_no_seed_overlaps(lab):
    lab.coefficient = 0.01
    assert "the ranges of their validation losses over the seeds overlap" in lab.reading
    lab.coefficient = 1.0
    low, high = min(grid().losses(1.0, 2)), max(grid().losses(0.0, 2))
    said = "all its seeds end with a higher validation loss than any of the first column's, by 0.33 on average."
    assert low > high and lab.reading.endswith(said)


def test_reading_is_one_sentence_about_what_has_moved(lab):
    load = lab.columns[1].run.load[-1, 1]
    moves = [
        ("coefficient", 0.1, "coefficient 0.1;"), ("seed", 1, "With seed 1, at step 900, "), ("layer", 0, "layer 1 "),
        ("at", 120, "At step 120, "), ("picked", 7, "expert 7 of layer 1 takes "), ("room", 1.25, "seed 0 only"),
        ("top_k", 4, "With top-4, at step 120, "), ("top_k", 2, "With top-2"), ("seed", 0, "With seed 0"),
        ("looked", 1, "With room for 1.25 times"), ("room", 0.0, "Without a limit"),
        ("at", 0, "At step 900, "), ("coefficient", 0.01, "coefficient 0.01"), ("layer", 1, "layer 2"),
    ]  # fmt: skip
    for name, value, said in moves:
        setattr(lab, name, value)
        assert said in lab.reading, name
        assert lab.reading.endswith(".") and not re.search(r"\. [A-Z]", lab.reading), "one sentence"
    lab.command = "keep 1"
    lab.coefficient = 1.0
    assert "coefficient 1;" in lab.reading and len(lab.columns) == 3 and "0.01" not in lab.reading, "of two columns"
    lab.picked = 3
    share = fair_multiples(load)[3]
    assert f"{share:.1f} times with coefficient 0.01." in lab.reading and lab.reading.startswith(
        "At step 900, expert 3"
    )


def test_reading_tells_top_k_and_seed_where_they_differ(lab):
    lab.command = "keep 1"
    lab.seed = 2
    lab.at = 300
    assert "without balancing loss (top-2, seed 2)" in lab.reading
    assert "with coefficient 0.01 (top-2, seed 0)" in lab.reading


def test_what_all_columns_share_is_said_once_over_them(lab):
    assert heads(lab.columns) == (
        "recorded · top-2, seed 0 of 3", [("no balancing loss", ""), ("coefficient 0.01", "")],
    )  # fmt: skip
    assert lab.heads.count("top\u20112, seed 0 of 3") == 1 and "recorded" not in lab.figure
    lab.command = "keep 1"
    lab.seed = 1
    shared, names = heads(lab.columns)
    assert shared == "" and [about for _, about in names] == [f"recorded · top-2, seed {n} of 3" for n in (1, 1, 0)]
    lab.command = "remove 2 2"
    asyncio.run(lab.start().done())
    assert heads(lab.columns) == (
        "top-2, seed 1",
        [("no balancing loss", "recorded, 3 seeds"), ("coefficient 0.01", "recorded, 3 seeds"),
         ("coefficient 0.01", "trained here, 1 seed")],
    )  # fmt: skip


def test_capacity_of_the_text_is_not_that_of_the_next_training(lab):
    whole = lab.text
    lab.capacity_factor = 1.0
    assert lab.text == whole and " gone" not in whole
    lab.capacity_factor, lab.room = 0.0, 1.0
    assert " gone" in lab.text and " part" in lab.text
    lost = len(re.findall(r'class="tk[^"]* (?:part|gone)\b', lab.text))
    assert f"{lost} of 78 tokens of the text lose assignments in layer 2 at step 900" in lab.reading
    assert f"; {lab.text.count(' gone')} of them lose all." in lab.reading


def test_unknown_slider_value_is_shown_and_the_last_figure_stays(lab):
    figure = lab.figure
    lab.coefficient = 0.5
    assert "No recorded run with coefficient 0.5" in lab.error["what"] and lab.figure == figure


def test_kept_columns_stay_and_can_be_removed(lab):
    lab.command = "keep 1"
    lab.coefficient = 1.0
    assert [title(c) for c in lab.columns] == ["no balancing loss", "coefficient 1", "coefficient 0.01"]
    lab.command = "remove 2 2"
    assert len(lab.columns) == 2 and lab.error == {}


def test_a_slider_is_answered_by_one_new_figure(lab, took):
    lab.coefficient = 0.1
    figures, times = [], []
    lab.observe(lambda change: figures.append(change.new), "figure")
    for n, value in enumerate((0.001, 1.0, 0.01, 0.1, 0.0001), 1):
        began = time.perf_counter()
        lab.coefficient = value
        times.append(1000 * (time.perf_counter() - began))
        assert len(figures) == n, "none, or drawn twice"
    took("balance lab, a slider's answer in the kernel", times)  # 25 ms on a machine with nothing else to do


def test_twin_is_small_and_says_everything(lab):
    html = lab.static_html()
    pictures = sum(len(part) for part in html.split("base64,")[1:])
    assert len(html) < 60_000 and pictures > 1000
    for name in (*MEASURES, "validation loss, end", "no balancing loss", "coefficient 0.01"):
        assert name.replace("×", "×") in html
    assert f'aria-label="{lab.question}"' in html


def test_twin_has_no_controls_and_the_names_over_the_strips(lab):
    lab.at = 300
    html = lab.static_html().split("</style>")[1]
    for control in ("<button", "<input", "<details", "data-grab", 'class="track"'):
        assert control not in html
    picture, table = html.split('<div class="pic" hidden="hidden">')[1].split("</svg></div>")
    assert picture.index("recorded · top") < picture.index("<b>no balancing loss</b>") < picture.index("<svg")
    assert 'class="ramp"' in picture and 'class="cursor"' in picture and "<table>" in table
    assert "grab" in lab.figure and "track" in lab.figure


# ---- training --------------------------------------------------------------------------------------------------------


def test_training_adds_a_column_that_ends_with_its_measure(lab):
    run = lab.start(n_experts=8, bias_step=0.01, capacity_factor=1.25)
    asyncio.run(run.done())
    live = lab.columns[-1]
    assert live.run.steps == [20, 40] and live.state == "finished" and lab.source == "1 live · 2 recorded"
    assert title(live) == "coefficient 0.01, 8 experts, bias step 0.01, capacity 1.25"
    assert live.run.final_loss > 0 and live.run.load.shape == (2, 2, 8)
    assert lab.reading == (
        "The training with coefficient 0.01, 8 experts, bias step 0.01 and capacity 1.25 has ended with a validation "
        f"loss of {live.run.final_loss:.2f}, against 3.62 ± 0.05 without balancing loss; one seed gives no verdict."
    )
    assert live.run.dropped.max() > 0
    lab.at = 20
    assert " in the training with coefficient 0.01, 8 experts, bias step 0.01 and capacity 1.25;" in lab.reading


def test_name_tells_only_what_is_unlike_the_recorded_ones(lab):
    asyncio.run(lab.start(z_coef=0.001).done())
    assert title(lab.columns[-1]) == "coefficient 0.01, z-loss 0.001"


def test_reading_follows_a_training_until_something_else_is_moved(lab):
    lab.steps = 100_000
    live = lab.start()
    assert re.fullmatch(r"The training with coefficient 0.01 (has begun|is at step).*", lab.reading)
    until(lambda: " of 100,000: " in lab.reading)
    assert re.match(r"The training with coefficient 0.01 is at step \d+ of 100,000: ", lab.reading)
    assert lab.view["axis"]["steps"] == 100_000
    lab.coefficient = 0.1
    assert lab.reading.startswith("At step 900, ")
    lab.stop()
    assert live.wait(LONG)
    until(lambda: "was stopped after step" in lab.reading)


def test_models_differ_in_what_was_asked_for_alone():
    base = grid().model
    one = lab_model(base, top_k=1, balance_coef=0.5)
    assert (one.d_expert, one.renorm, one.balance_coef) == (2 * base.d_expert, False, 0.5)
    assert lab_model(base, top_k=4).d_expert * 4 == base.d_expert * base.top_k and lab_model(base) == base


def test_balancing_loss_of_ones_own_is_used():
    seen = []

    def mine(routings):
        seen.append(len(routings))
        return routings[0].scores.sum() * 0

    own = BalanceLab(corpora=small_corpora(), steps=20, balance_loss=mine)
    asyncio.run(own.start().done())
    assert seen[:2] == [2, 2]


def test_third_training_ends_the_oldest_and_there_are_never_more_than_four_columns(lab):
    lab.steps = 100_000
    first, second = lab.start(), lab.start()
    third = lab.start()
    assert first.wait(LONG) and first.state == "stopped" and len(lab.columns) == 4
    lab.stop()
    assert second.wait(LONG) and third.wait(LONG)


def test_buttons_pause_go_on_and_stop(lab):
    lab.steps = 100_000
    lab.command = "train 1"
    live = lab.columns[-1].live
    until(lambda: live.logs)
    lab.command = "pause 2"
    until(lambda: live.state == "paused" and lab.view["running"] == "paused")  # the page is told a moment later
    lab.command = "pause 3"
    until(lambda: live.state == "running")
    lab.command = "stop 4"
    assert live.wait(LONG) and live.state == "stopped"
    until(lambda: lab.view["running"] == 0)


def test_what_training_raises_is_shown_and_raised():
    def broken(routings):
        raise RuntimeError("no loss today")

    own = BalanceLab(corpora=small_corpora(), steps=20, balance_loss=broken)
    with pytest.raises(RuntimeError, match="no loss today"):
        asyncio.run(own.start().done())
    assert "no loss today" in own.error["what"] and own.columns[-1].state == "failed"


def test_settings_that_no_model_can_have_are_refused(lab):
    with pytest.raises(ValueError, match="top_k is 4"):
        lab.start(n_experts=2, top_k=4)
    assert len(lab.columns) == 2


# ---- saving ----------------------------------------------------------------------------------------------------------


def test_csv_has_a_line_for_each_run_bin_layer_and_expert(lab, tmp_path):
    lines = list(csv.DictReader(lab.to_csv(tmp_path / "lab.csv").open(encoding="utf-8")))
    assert tuple(lines[0]) == FIELDS and len(lines) == 2 * 45 * 2 * 32
    run = lab.columns[1].run
    line = next(x for x in lines if (x["run"], x["step"], x["layer"], x["expert"]) == (run.name, "300", "2", "7"))
    place = run.steps.index(300)
    assert int(line["load"]) == int(run.load[place, 1, 7])
    assert float(line["CV"]) == pytest.approx(load_cv(run.load[place, 1]).item(), abs=1e-4)


@pytest.mark.slow
def test_picture_is_a_png_and_the_page_gets_both(lab, tmp_path):
    assert lab.to_png(tmp_path / "lab.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    lab.command = "csv 1"
    assert lab.file["name"] == "balance-lab.csv"
    assert base64.b64decode(lab.file["data"]).decode().startswith("run,source,step")
    lab.command = "png 2"
    assert base64.b64decode(lab.file["data"])[:4] == b"\x89PNG"
