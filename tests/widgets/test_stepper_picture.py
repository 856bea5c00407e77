"""The router stepper's SVG and its static twin."""

import json
import math
import re
import xml.etree.ElementTree as ET

import pytest
from small import SENTENCE, model_with_opinions
from steppers import LOGITS, part, rows, stepper

from moe_lite.widgets import RouterStepper
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.router_stepper.drawing import NARROWEST, WIDEST, columns_for


@pytest.fixture(scope="module")
def model():
    return model_with_opinions(16)


def test_ticks_stay_where_the_bars_ended_until_the_next_move():
    widget = stepper()
    ends = {e: float(part(r, "sc").get("x")) + float(part(r, "sc").get("width")) for e, r in rows(widget).items()}
    assert all(part(row, "ws") is None for row in rows(widget).values())
    widget.temperature = 0.7
    for e, row in rows(widget).items():
        assert float(part(row, "ws").get("x")) + 0.75 == pytest.approx(ends[e], abs=1)  # a bar has at least 1 px
        assert part(row, "wz") is None  # the logits have not moved
    widget.token = 1
    assert all(part(row, "ws") is None for row in rows(widget).values())  # another token has no before


def test_moves_of_one_press_are_one_move():
    widget = stepper()

    def ask(gesture, **values):  # as the script does: all values in one message
        with widget.hold_trait_notifications():
            widget.set_trait("asked", widget.asked + 1)
            widget.set_trait("gesture", gesture)
            for name, value in values.items():
                widget.set_trait(name, value)

    for temperature in (0.9, 0.8, 0.7):
        ask(1, temperature=temperature)
    assert widget.reading.startswith("T from 1.0 to 0.7: ")
    ask(2, temperature=0.6)
    assert widget.reading.startswith("T from 0.7 to 0.6: ")
    ask(2, width=600)
    assert widget.reading.startswith("T from 0.7 to 0.6: ") and 'width="600"' in widget.figure
    assert widget.answered == widget.asked == 5


def test_bars_have_fixed_scales():
    widget = stepper()
    unit = columns_for(WIDEST).unit
    for name, value in [("temperature", 0.2), ("top_k", 5), ("rule", "sigmoid"), ("renorm", False), ("n_experts", 6)]:
        logits = {e: part(row, "z").attrib for e, row in rows(widget).items()}
        setattr(widget, name, value)
        for e, row in rows(widget).items():
            assert part(row, "z").attrib == logits[e]
            expected = max(1, unit * widget.step.scores[e])
            assert float(part(row, "sc").get("width")) == pytest.approx(expected, abs=0.06)


def test_scale_of_the_logits_holds_all_tokens_and_experts():
    widget = stepper(logits=LOGITS - 6.5, n_experts=2)  # from −7.8 to 0.5
    assert (widget.parts["grips"]["low"], widget.parts["grips"]["high"]) == (-8.0, 2.0)
    length = columns_for(WIDEST).logits_width
    assert float(part(rows(widget)[0], "z").get("width")) == pytest.approx(4.6 / 10 * length, abs=0.06)


def test_crossed_out_rows_end_at_a_cross_and_chosen_ones_have_their_rank():
    widget = stepper(top_k=3)
    ranks = {e: part(row, "rank").text for e, row in rows(widget).items() if part(row, "rank") is not None}
    assert ranks == {3: "1st", 6: "2nd", 0: "3rd"}
    crossed = [e for e, row in rows(widget).items() if part(row, "x") is not None]
    assert sorted([*ranks, *crossed]) == list(range(8)) and not set(ranks) & set(crossed)
    assert all(part(rows(widget)[e], "tw").text == "0" for e in crossed)
    widget.top_k = 8
    assert 'class="x"' not in widget.figure and 'class="cut"' not in widget.figure


def test_logit_that_is_not_a_number_is_named_in_its_row():
    broken = LOGITS.clone()
    broken[0, 5] = math.nan
    widget = stepper(logits=broken)
    assert part(rows(widget)[5], "tz").text == "not a number"
    assert "choosing stops here" in widget.reading and widget.error == {}
    assert json.loads(json.dumps(widget.parts["grips"]["values"], allow_nan=False))[5] is None
    widget.edits = {5: 0.0}
    assert widget.step.chosen == (3, 6)


@pytest.mark.parametrize("n_experts", [2, 8, 16])
def test_siblings_in_the_figure_have_different_names(model, n_experts):
    widget = RouterStepper(SENTENCE, model=model, n_experts=n_experts, top_k=2)
    widget.edits = {0: 1.0, 1: 1.0}
    for rule in ("softmax", "topk", "sigmoid"):
        widget.rule = rule
        for parent in ET.fromstring(widget.figure).iter():
            names = [child.get("data-expert") or child.get("class").split()[0] for child in parent]
            assert len(names) == len(set(names))


@pytest.mark.parametrize("width", [1, NARROWEST, 640, 740, WIDEST, 2000])
def test_columns_fit_the_width_they_are_given(width):
    c = columns_for(width)
    assert NARROWEST <= c.width <= WIDEST
    ends = [c.logits, c.logits + c.logits_width, c.logit_value, c.scores, c.scores + c.unit, c.score_value, c.pill,
            c.weights, c.weights + c.unit, c.weight_value, c.width]  # fmt: skip
    assert ends == sorted(ends)


# ---- static twin -----------------------------------------------------------------------------------------------------


def test_static_twin_holds_the_figure_the_numbers_and_the_reading_line(model):
    widget = RouterStepper(SENTENCE, model=model, layer=2)
    bundle = widget.twin_bundle()
    twin = bundle["text/html"]
    assert bundle["text/plain"] == widget.reading
    assert widget.figure in twin and KERNEL_GONE in twin and "<script" not in twin and "<input" not in twin
    assert len(twin.encode()) <= 20_000
    table = re.findall(r"<tr><td>.*?>(\d+)</span></td>.*?<td>([^<]+)</td></tr>", twin)
    assert table == [(str(e), f"{w:.2f}" if w else "0") for e, w in enumerate(widget.step.weights)]
    assert "8 experts · top-2 · T 1.0 · softmax, then top-k · renormalised" in twin


def test_no_text_is_smaller_than_ten_pixels():
    sizes = re.findall(r"(?:font-size:|font:[^;}]*?)\s*([\d.]+)px", stepper()._css)
    assert len(sizes) > 10 and min(map(float, sizes)) >= 10
    assert "font-size" not in stepper().figure and 'viewBox="0 0 812' in stepper().figure
