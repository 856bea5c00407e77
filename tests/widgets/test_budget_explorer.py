"""The budget explorer: its counts are the models', its labels stay apart, its words are its numbers."""

import html
import re
import xml.etree.ElementTree as ET
from itertools import pairwise, product

import pytest
from small import small_config, small_model

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.metrics import budget, count_parameters, flops_per_token
from moe_lite.model.config import dense_twin
from moe_lite.widgets import BudgetExplorer
from moe_lite.widgets.budget_explorer.drawing import WIDEST, BudgetDrawing
from moe_lite.widgets.budget_explorer.view import COURSE, PRESETS, SIZES, STEPS, BudgetView, Counted, shaped
from moe_lite.widgets.budget_explorer.words import amount, count_text, exact
from moe_lite.widgets.kit.widget import KERNEL_GONE

SVG = "{http://www.w3.org/2000/svg}"
MIXTRAL, OLMOE, DBRX = (
    next(name for name in PRESETS if name.startswith(word)) for word in ("Mixtral", "OLMoE", "DBRX")
)
KINDS = ("parameters", "flops")


def blocks(widget: BudgetExplorer) -> dict[str, dict[str, ET.Element]]:
    """kind -> first word of the class -> element, for the two bars of the picture."""
    figure = ET.fromstring(widget.figure)
    groups = {g.get("class"): g for g in figure}
    return {kind: {child.get("class").split()[0]: child for child in groups[kind]} for kind in KINDS}


def package_count(config: ModelConfig, context: int) -> tuple[int, int]:
    counts = budget(config, context)
    return counts.total_parameters, counts.total_flops


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_it_begins_with_the_courses_dense_model():
    widget, model = BudgetExplorer(), MoELanguageModel(dense_twin(ModelConfig()))
    assert (widget.preset, widget.context) == (COURSE, 256)
    assert widget.view.budget.total_parameters == count_parameters(model).total == 918_656
    assert widget.view.budget.total_flops == flops_per_token(model, 256)


@pytest.mark.parametrize(
    "changes", [{}, {"n_kv_heads": 1}, {"vocab_size": 2048, "d_model": 48, "n_heads": 3, "n_kv_heads": 3}]
)
def test_bars_are_what_a_real_model_holds_and_costs(changes):
    config = small_config(n_experts=1, **changes)
    widget, model = BudgetExplorer(config), small_model(n_experts=1, **changes)
    totals = {"parameters": count_parameters(model).total, "flops": flops_per_token(model, config.context_length)}
    assert (widget.preset, widget.context) == ("your model", config.context_length)
    for kind, parts in blocks(widget).items():
        assert parts["exact"].text == f"{totals[kind]:,}" and parts["total"].text == amount(totals[kind])
        amounts = getattr(budget(config, config.context_length), kind)
        for part, n in amounts.items():
            if n == 0:
                assert f"s-{part}" not in parts and f"l-{part}" not in parts
                continue
            segment = parts[f"s-{part}"]
            assert float(segment.get("width")) == pytest.approx(max(1, WIDEST * n / totals[kind]), abs=0.06)
            assert parts[f"l-{part}"].find(f"{SVG}text[@class='am']").text == amount(n)


def test_published_shapes_have_their_published_sizes():
    """Active, as published: OLMoE 1.3, DBRX 36 billion. Mixtral: one of 8 experts (5.64), and the rest (1.60)."""
    assert {name: amount(budget(PRESETS[name], 1).total_parameters) for name in (OLMOE, MIXTRAL, DBRX)} == {
        OLMOE: "1.28 billion", MIXTRAL: "7.24 billion", DBRX: "36.5 billion",
    }  # fmt: skip


def test_wider_models_have_more_in_the_feed_forward_and_less_in_the_vocabulary():
    widget, shares = BudgetExplorer(), []
    for name in (COURSE, OLMOE, MIXTRAL, DBRX):
        widget.preset = name
        share = widget.view.shares("parameters")
        shares.append((share["feed-forward"], share["embedding"] + share["head"]))
    assert [round(100 * feed_forward) for feed_forward, _ in shares] == [21, 63, 78, 87]
    assert all(a < b and v > w for (a, v), (b, w) in pairwise(shares))


# ---- settings --------------------------------------------------------------------------------------------------------


def test_a_moved_slider_makes_a_shape_of_ones_own_and_the_way_back_is_a_preset_again():
    widget = BudgetExplorer()
    widget.preset = MIXTRAL
    assert [getattr(widget, name) for name in SIZES] == [4096, 32, 14_336, 32_000]
    widget.d_model = 2048
    assert widget.preset == "" and widget.view.config.n_heads == 16 and "Mixtral" not in widget.note
    widget.d_model = 4096
    assert widget.preset == MIXTRAL and "arXiv 2401.04088" in widget.note
    widget.n_layers = 1
    widget.preset = MIXTRAL  # chosen again, though it was the last one chosen
    assert widget.n_layers == 32


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("d_model", STEPS["d_model"])
def test_heads_divide_every_width_that_the_sliders_reach(name, d_model):
    base = PRESETS[name]
    config = shaped(base, {size: getattr(base, size) for size in SIZES} | {"d_model": d_model})
    assert config.n_heads * config.d_head == d_model and config.d_head <= base.d_head
    if d_model % base.d_head == 0:
        assert config.d_head == base.d_head


def test_smaller_heads_and_impossible_sizes_are_said():
    widget = BudgetExplorer()
    widget.preset = MIXTRAL
    widget.d_model = 192
    assert widget.note.startswith("D is no multiple of 128, the size of a head: heads are smaller here.")
    assert "3 query heads of size 64, 3 for keys and values." in widget.note
    widget.d_model = 101
    assert widget.d_model == 102 and "D was 101, but rotary positions pair its numbers: now it is 102." in widget.note
    widget.n_layers = 0
    assert widget.n_layers == 1 and "L was 0, but it goes from 1 to 1,000: now it is 1." in widget.note
    widget.preset = "GPT-9"
    assert widget.error["what"].startswith("There is no preset 'GPT-9'; there are course model, ")
    assert widget.preset == "" and widget.n_layers == 1
    assert widget.view.budget.total_parameters > 0


def test_sparse_models_and_empty_choices_are_refused():
    with pytest.raises(ValueError, match="'your model' has 8 experts; expected a dense model"):
        BudgetExplorer(ModelConfig())
    with pytest.raises(ValueError, match="presets is empty"):
        BudgetExplorer(presets={})
    assert BudgetExplorer(small_config(n_experts=1), presets={}).preset == "your model"


def test_sliders_can_stand_at_every_presets_sizes():
    widget = BudgetExplorer(small_config(n_experts=1))
    for preset in widget.presets.values():
        for name in SIZES:
            assert getattr(preset, name) in widget.fixed["steps"][name]
    assert all(steps == sorted(set(steps)) for steps in widget.fixed["steps"].values())


# ---- picture ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [560, 740, WIDEST])
def test_labels_never_overlap_and_stay_inside(width):
    n_outside = 0
    choices = (
        STEPS["d_model"][::2],
        STEPS["n_layers"][::3],
        STEPS["d_expert"][::2],
        STEPS["vocab_size"][::2],
        (64, 131_072),
    )
    for d_model, n_layers, d_expert, vocab_size, context in product(*choices):
        sizes = dict(zip(SIZES, (d_model, n_layers, d_expert, vocab_size), strict=True))
        drawing = BudgetDrawing(BudgetView(shaped(PRESETS[COURSE], sizes), context, ""), None, None, width)
        for kind in KINDS:
            labels = drawing.labels(kind)
            assert all(label.room + 16 <= label.width for label in labels if label.inside)
            outside = [
                (label.centre - label.room / 2, label.centre + label.room / 2) for label in labels if not label.inside
            ]
            assert all(right + 9.9 <= left for (_, right), (left, _) in pairwise(outside)), (sizes, kind)
            assert all(left >= -0.1 and right <= width + 0.1 for left, right in outside), (sizes, kind)
            n_outside = max(n_outside, len(outside))
    assert n_outside >= 4  # the sweep has hard cases


def test_ticks_stand_where_borders_were_before_the_move():
    widget = BudgetExplorer()
    assert "was" not in widget.figure
    before = widget.view.shares("parameters")
    widget.d_model = 256
    tick = blocks(widget)["parameters"]["w0"]  # the border after the embedding
    assert float(tick.get("x")) + 0.75 == pytest.approx(WIDEST * before["embedding"], abs=0.06)
    widget.context = 512
    assert "w0" not in blocks(widget)["parameters"], "the context moves no parameter"
    assert "w1" in blocks(widget)["flops"]


def test_moves_of_one_press_share_their_ticks():
    widget = BudgetExplorer()
    start = widget.view
    for d_model in (192, 256, 384):  # as a slider that is dragged asks for it
        with widget.hold_trait_notifications():
            widget.d_model, widget.gesture, widget.asked = d_model, 1, widget.asked + 1
    assert widget._before == start and "D from 128 to 384" in widget.reading
    with widget.hold_trait_notifications():
        widget.d_model, widget.gesture, widget.asked = 512, 2, widget.asked + 1
    assert "D from 384 to 512" in widget.reading


def test_picture_is_valid_at_every_step_and_parts_are_no_experts():
    widget = BudgetExplorer(count=lambda config, context: (1, 1))
    for name in PRESETS:
        widget.preset = name
        figure = ET.fromstring(widget.figure)
        assert figure.get("aria-label") == widget.reading
        assert not re.search(r'class="[^"]*\be\d', widget.figure)
    assert "var(--t" not in widget._css.rsplit(".mx.budget_explorer{", 1)[1]


def test_static_twin_has_picture_table_and_sentence():
    widget = BudgetExplorer(count=package_count)
    widget.preset = MIXTRAL
    bundle = widget.twin_bundle()
    twin = bundle["text/html"]
    assert bundle["text/plain"] == widget.reading
    assert html.escape(widget.reading) in twin and KERNEL_GONE in twin
    assert "<script" not in twin and "<input" not in twin and "<select" not in twin and "http" not in twin.replace(
        "http://www.w3.org/2000/svg", "")  # fmt: skip
    assert len(twin.encode()) <= 20_000
    assert "Mixtral 8x7B, one expert · D 4,096 · L 32 · F 14,336 · V 32,000 · context 256" in twin
    rows = re.findall(
        r"<tr><td>([^<]+)</td><td>([^<]+)</td><td>([^<]+)</td><td>([^<]+)</td><td>([^<]+)</td></tr>", twin
    )
    assert [row[0] for row in rows] == ["embedding", "attention", "feed-forward", "norms", "head", "all"]
    assert rows[2][1:3] == ("5.64 billion", "78 %") and rows[-1][1] == "7,241,732,096" and rows[0][3:] == ("0", "0 %")
    sizes = re.findall(r"(?:font-size:|font:[^;}]*?)\s*([\d.]+)px", widget._css)
    assert len(sizes) > 10 and min(map(float, sizes)) >= 11, "the picture is drawn for 760 px and may shrink to 740"


def test_names_are_escaped():
    widget = BudgetExplorer(presets={"<b>&": small_config(n_experts=1)}, count=lambda config, context: (1, 2))
    ET.fromstring(widget.figure)
    assert "&lt;lambda&gt; gives 1: " in widget.figure
    body = widget.static_html().replace(f"<style>{widget._css}</style>", "")
    assert "<b>&amp;" not in body and "&lt;b&gt;&amp;" in body and "<lambda>" not in body


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 thousand"), (1152, "1.15 thousand"), (918_656, "919 thousand"),
     (999_499, "999 thousand"), (999_500, "1.00 million"), (7_241_732_096, "7.24 billion"),
     (36_470_000_000, "36.5 billion"), (10**15, "1,000 trillion")],
)  # fmt: skip
def test_amounts_have_three_digits_and_a_word(number, text):
    assert amount(number) == text


def test_reading_line_states_the_figure():
    widget = BudgetExplorer()
    widget.preset = MIXTRAL
    assert widget.reading == (
        "Of 7.24 billion parameters 78 % sit in the feed-forward networks, and 79 % of the FLOPs a token costs at "
        f"context 256. From “{COURSE}” to “{MIXTRAL}”: of the parameters, the feed-forward’s share grows from 21 % to "
        "78 % and the vocabulary’s shrinks from 57 % to 4 %."
    )
    widget.context = 4096  # 11.27 of 16.37 billion; attention's weights cost 2.68, scores and mix 2.15 and 0.13 before
    assert widget.reading.endswith(
        "Context from 256 to 4,096: of the FLOPs, the feed-forward’s share shrinks from 79 % to 69 % and attention’s "
        "grows from 20 % to 30 %."
    )


def test_reading_line_names_what_grows_when_only_the_width_does():
    widget = BudgetExplorer()
    widget.d_model = 512  # attention has 3.15 of 6.03 million: it grows with the square of D, all else with D
    assert widget.reading.endswith(
        "D from 128 to 512: of the parameters, the feed-forward’s share shrinks from 21 % to 13 % and attention’s "
        "grows from 21 % to 52 %."
    )
    widget.d_model = 128
    assert widget.preset == COURSE and f"From your own shape to “{COURSE}”" in widget.reading


# ---- the learner's own count -----------------------------------------------------------------------------------------


def test_own_count_stands_beside_and_follows_the_sliders():
    def count_dense(config, context):
        parameters, flops = package_count(config, context)
        return parameters - config.d_model, flops + 10

    widget = BudgetExplorer(count=count_dense)
    widget.preset = MIXTRAL
    shown = {kind: parts["mine"] for kind, parts in blocks(widget).items()}
    assert shown["parameters"].text == "count_dense gives 7,241,728,000: 4,096 too few"
    assert shown["flops"].text.endswith(": 10 too many") and "off" in shown["flops"].get("class")
    right = BudgetExplorer(count=package_count)
    right.preset = MIXTRAL
    assert blocks(right)["parameters"]["mine"].text == "package_count gives 7,241,732,096: equal"
    assert "off" not in blocks(right)["parameters"]["mine"].get("class")
    assert "mine" not in blocks(BudgetExplorer())["flops"]


def test_huge_and_negative_answers_fit():
    assert exact(-5) == "−5" and exact(10**40) == "1.000e+40"
    text = count_text(Counted("a_very_long_name_for_a_function", -(10**40), 1), "parameters", 7)
    assert text == "a_very_long_name_fo… gives −1.000e+40: 1.000e+40 too few"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (lambda config, context: 1 / 0, "<lambda> raised ZeroDivisionError: division by zero"),
        (lambda config, context: 3, "<lambda> returned int; expected two whole numbers, parameters and FLOPs."),
        (lambda config, context: (1, 2.5), "<lambda> returned tuple of int, float; expected two whole numbers"),
        (lambda config, context: (1, 2, 3), "<lambda> returned tuple of int, int, int; expected two"),
        (lambda config, context: None, "<lambda> returned NoneType; expected two"),
    ],
)
def test_what_a_wrong_count_does_is_shown_and_the_bars_go_on(count, said):
    widget = BudgetExplorer(count=count)
    assert widget.error["what"].startswith(said) and "Traceback" in widget.error["details"]
    assert widget.error["instead"] == "The bars show the package’s counts."
    widget.preset = MIXTRAL
    assert widget.error["what"].startswith(said) and "7,241,732,096" in widget.figure and "mine" not in widget.figure
    assert html.escape(said) in widget.static_html() and "Traceback" not in widget.static_html()


def test_error_ends_with_the_settings_that_caused_it():
    def no_large(config, context):
        if config.d_model > 1000:
            raise MemoryError("too large")
        return package_count(config, context)

    widget = BudgetExplorer(count=no_large)
    widget.d_model = 2048
    assert widget.error["what"] == "no_large raised MemoryError: too large" and "mine" not in widget.figure
    widget.d_model = 128
    assert widget.error == {} and "no_large gives 918,656: equal" in widget.figure
