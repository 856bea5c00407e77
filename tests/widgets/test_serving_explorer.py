"""The serving explorer: what it draws and says is what `lessons.serving` computes for the same machines."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from small import small_config
from widget_page import script_page, send

from moe_lite.families import published
from moe_lite.lab import hosting
from moe_lite.lab.hosting import BATCHES, Accelerator
from moe_lite.lessons import serving
from moe_lite.lessons.serving import Machine
from moe_lite.look.svg import NO_MATH
from moe_lite.look.words import percent
from moe_lite.widgets import ServingExplorer
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.serving_explorer.bars import WHAT, Bars
from moe_lite.widgets.serving_explorer.drawing import (
    LOOKS,
    NARROWEST,
    WIDEST,
    Lines,
    ratio_ticks,
    speed_ticks,
    spread_out,
)
from moe_lite.widgets.serving_explorer.view import ACTIVE, KEYS, MIXTURE, WHOLE, ServingView, mixtures
from moe_lite.widgets.serving_explorer.words import (
    dollars_text,
    experts_text,
    sentence,
    speed_text,
    tick_text,
    time_text,
)

SVG = "{http://www.w3.org/2000/svg}"
SHOWN = ["Mixtral-8x7B", "DeepSeek-V3", "OLMoE-1B-7B", "LongCat-Flash", "Granite-3.0-1B-A400M"]
SETTINGS = [
    {},
    {"batch": 1, "context": 256},
    {"batch": 2048, "context": 32_768, "accelerator": "RTX 4090"},
    {"batch": 256, "context": 1024, "bits": 4, "accelerator": "A100 80 GB"},
]


def computed(name: str, batch: int = 16, context: int = 4096, accelerator: str = "H100 SXM", bits: int = 16):
    """The three footprints and the machine, straight from the lesson's functions."""
    model, one = hosting.footprint(name, bits, context), hosting.accelerator(accelerator).machine
    machine = one.times(serving.machines_needed(model.weights_bytes + model.cache_bytes, one))
    three = {MIXTURE: model, ACTIVE: model.as_dense(model.top_k), WHOLE: model.as_dense(model.n_experts)}
    return three, machine


def lines(widget: ServingExplorer) -> dict[str, list[tuple[float, float]]]:
    """first two words of a line's class -> its points, in px."""
    found = {}
    for group in ET.fromstring(widget.figure):
        for line in group.findall(f"{SVG}polyline"):
            points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
            kind, what = line.get("class").split()
            key = next(key for key, look in LOOKS.items() if look == group.get("class"))
            found[f"{kind} {key}" + (" times" if what == "times" else "")] = points
    return found


def rows(widget: ServingExplorer) -> dict[str, dict[str, ET.Element]]:
    """key of a model -> "moving" and "computing" -> the group."""
    return {
        group.get("class").split()[0]: {part.get("class"): part for part in group.findall(f"{SVG}g")}
        for group in ET.fromstring(widget.bars)
        if group.get("class") != "axis"
    }


def parts(row: ET.Element) -> dict[str, ET.Element]:
    return {node.get("class").split()[0]: node for node in row}


# ---- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", SHOWN)
def test_lines_are_what_serving_computes_and_solid_as_far_as_memory_goes(name, settings):
    widget = ServingExplorer(name, **settings)
    three, machine = computed(name, **settings)
    drawing, found = Lines(widget.now, None, WIDEST, live=True), lines(widget)
    for key, model in three.items():
        most = serving.largest_batch(model, machine)
        batches = widget.now.batches
        for kind, some in (("fits", [b for b in batches if b <= most]), ("beyond", [b for b in batches if b >= most])):
            for suffix in ("", " times") if key != ACTIVE else ("",):
                points = found.get(f"{kind} {key}{suffix}", [])
                assert len(points) == (len(some) if len(some) > 1 else 0), "a single point is no line"
                for batch, (x, y) in zip(some, points, strict=bool(points)):
                    speed = serving.tokens_per_second(model, machine, batch)
                    times = serving.tokens_per_second(three[ACTIVE], machine, batch) / speed
                    assert x == pytest.approx(drawing.x(batch), abs=0.06)
                    assert y == pytest.approx(drawing.level(times) if suffix else drawing.y(speed), abs=0.06)
        if most < 2048:
            assert most in batches, "the line ends exactly where memory does"


def test_the_axes_are_logarithmic_and_hold_every_line():
    for name in mixtures():
        drawing = Lines(ServingView(published(name), hosting.accelerator("H100 SXM"), dollars=3.0), None, WIDEST)
        assert drawing.x(4) - drawing.x(2) == pytest.approx(drawing.x(2048) - drawing.x(1024))
        assert drawing.y(100) - drawing.y(200) == pytest.approx(drawing.y(1000) - drawing.y(2000))
        for batch in drawing.view.batches:
            assert drawing.strip_top <= drawing.level(drawing.view.ratio(batch, WHOLE)) <= drawing.bottom + 1e-9
            assert drawing.level(1) == drawing.bottom
            for key in KEYS:
                assert 40 <= drawing.y(drawing.view.speed(key, batch)) <= 40 + 172


def test_where_memory_ends_is_written():
    widget = ServingExplorer()
    assert "memory full at 114<" in widget.figure and "at 240<" in widget.figure  # as lab/hosting.py prints
    widget.context = 256
    assert "memory full at 1,824<" in widget.figure, "the dense model of active size has room for all of the axis"
    assert widget.figure.count("cap") == 1
    roomy = ServingExplorer(small_config())
    assert "memory full" not in roomy.figure and not any(key.startswith("beyond") for key in lines(roomy))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", SHOWN)
def test_bars_are_one_step_on_one_scale(name, settings):
    widget = ServingExplorer(name, **settings)
    three, machine = computed(name, **settings)
    found, bars = rows(widget), Bars(widget.now, None, WIDEST)
    per_second = bars.long(1.0)
    for key, model in three.items():
        step = serving.step(model, machine, widget.batch)
        moving, computing = parts(found[key]["moving"]), parts(found[key]["computing"])
        for part, n in (("common", step.bytes_common), ("experts", step.bytes_experts), ("cache", step.bytes_cache)):
            assert float(moving[part].get("width")) == pytest.approx(n / machine.bandwidth * per_second, abs=0.06)
        assert float(moving["common"].get("x")) == WHAT
        assert float(computing["flops"].get("width")) == pytest.approx(step.computing * per_second, abs=0.06)
        longer = moving if step.bound == "bandwidth" else computing
        other = computing if longer is moving else moving
        assert "longer" in longer and "longer" not in other, "the longer one is marked"
        assert " b" in longer["time"].get("class") and " b" not in other["time"].get("class")
    assert bars.right - WHAT >= max(bars.long(s.seconds) for s in map(widget.now.step, KEYS))
    assert f">{experts_text(widget.now)} experts per layer touched<" in widget.bars


def test_what_does_not_fit_has_no_price():
    widget = ServingExplorer(batch=128)  # room for 114 texts, and for 240 beside the dense model of active size
    out = ["out" in g.get("class").split() for g in ET.fromstring(widget.bars) if g.get("class") != "axis"]
    assert out == [True, False, True]
    assert widget.bars.count(">does not fit: room for 114 texts<") == 2 and widget.bars.count("per million<") == 1
    assert widget.figure.count(" here off") == 3, "two speeds and the ratio"


def test_ticks_stand_where_bars_and_speeds_were_before_the_move():
    widget = ServingExplorer()
    assert 'class="was"' not in widget.bars + widget.figure and "before the move" not in widget.view["legend"]
    before = widget.now
    widget.bits = 8
    bars = Bars(widget.now, None, WIDEST)
    for key, row in rows(widget).items():
        tick = parts(row["computing"])["was"]
        assert float(tick.get("x")) + 0.75 == pytest.approx(WHAT + bars.long(before.step(key).computing), abs=0.06)
    assert widget.figure.count('class="was"') == 3 and "before the move" in widget.view["legend"]
    widget.batch = 64
    assert 'class="gone"' in widget.figure, "a line where the batch was"
    before = widget.now
    widget.width = 700
    assert widget.now == before


def test_ticks_of_the_axes_are_round_and_apart():
    assert speed_ticks(60, 14_000, 172) == [100, 200, 500, 1000, 2000, 5000, 10_000]
    assert speed_ticks(400, 800, 172) == [400, 500, 600, 700, 800]
    assert speed_ticks(1, 1e9, 172) == [1.0, 100.0, 1e4, 1e6, 1e8]
    assert [ratio_ticks(most) for most in (1.25, 3.9, 34.0)] == [[1, 1.1, 1.2], [1, 1.5, 2, 3], [1, 5, 20]]
    assert spread_out([10, 12, 14], 30, 0, 172) == [15, 45, 75]
    assert spread_out([150, 160, 171], 30, 0, 172) == [97, 127, 157]


# ---- the sentence ----------------------------------------------------------------------------------------------------


def toy(bandwidth: float, flops: float, memory: float = 100e9, **settings) -> ServingView:
    """Mixtral on an accelerator that is planted."""
    one = Accelerator("toy", Machine(memory, bandwidth, flops), 2.0, (1.0, 3.0), "https://a.b", "https://c.d", "today")
    return ServingView(published("Mixtral-8x7B"), one, **{"dollars": 2.0} | settings)


def test_a_step_that_waits_for_bandwidth():
    """2.9 GB of common weights, 7.92 · 11.27 GB of experts and 16 · 0.537 GB of keys and values are 101 GB, over
    2 · 3.35 TB/s 15.0 ms; 6 dollars for half an hour of 16 / 0.0150 tokens per second are $3.14 per million."""
    assert ServingExplorer().reading == (
        "With 16 texts at a time on 2 × H100 SXM, a step of Mixtral-8x7B moves 101 GB and waits for bandwidth: "
        "15.0 ms. That is 3.0 times as long as a dense model of its active size takes, and about as long as one of "
        "its whole size. At $3.00 per hour and accelerator, and if they are busy half of the time, a million tokens "
        "cost at least $3.14."
    )


def test_one_text_costs_as_much_as_a_dense_model_of_active_size():
    assert ServingExplorer(batch=1, utilisation=100).reading == (
        "With one text at a time on 2 × H100 SXM, a step of Mixtral-8x7B moves 26.0 GB and waits for bandwidth: "
        "3.89 ms. That is as long as a dense model of its active size takes, and 28 % of the time of one of its whole "
        "size. At $3.00 per hour and accelerator, and if they are busy all of the time, a million tokens cost at least "
        "$6.48."
    )


def test_a_step_that_waits_for_arithmetic():
    """Fast memory and slow processors: whatever the batch, it costs as a dense model of its active size does."""
    for batch in (1, 2, 4):
        view = toy(1e18, 1e9, batch=batch, utilisation=30)
        model = hosting.footprint("Mixtral-8x7B")
        found = serving.step(model, view.machine, batch)
        assert found.bound == "arithmetic"
        took, text = time_text(found.flops / view.machine.flops), sentence(view)
        assert f"GFLOPs and waits for arithmetic: {took}. That is as long as a dense model of its active" in text
        part = percent(model.flops / model.as_dense(8).flops)
        assert f"and {part} of the time of one of its whole size" in text and "busy 30 % of the time" in text


def test_a_batch_that_does_not_fit():
    """90 of 100 GB hold no 93.4 GB; two machines have 180 GB, and 86.6 GB over 0.537 are 161 texts."""
    view = toy(1e12, 1e15, batch=256)
    assert view.n_machines == 2
    assert sentence(view).startswith(
        "256 texts of 4,096 tokens do not fit: 2 × toy have room for 161 beside the weights of Mixtral-8x7B, and for "
        "287 beside those of a dense model of its active size. With the memory for it, a step moves "
    )
    price = serving.price_per_million(4.0, serving.tokens_per_second(view.footprints[MIXTURE], view.machine, 161), 0.5)
    assert (
        f"With the 161 that fit, a million tokens cost at least {dollars_text(price)}, at $2.00 per hour"
        in sentence(view)
    )
    assert "do not fit" not in sentence(replace(view, batch=161))
    assert "do not fit" in sentence(replace(view, batch=162))
    one = toy(1e12, 1e15, memory=(93.5e9 + 0.6e9) / 0.9, batch=2)
    assert one.n_machines == 1 and "1 × toy has room for 1 beside" in sentence(one)
    assert "With the 1 that fits, a million" in sentence(one) and "if it is busy half" in sentence(one)


def test_a_million_tokens_cost_as_the_lesson_says():
    for settings in SETTINGS:
        widget = ServingExplorer(**settings)
        three, machine = computed("Mixtral-8x7B", **settings)
        one = hosting.accelerator(widget.accelerator)
        for key, model in three.items():
            speed = serving.tokens_per_second(model, machine, widget.batch)
            dollars = machine.memory / one.machine.memory * one.dollars_per_hour
            assert widget.now.price(key) == pytest.approx(serving.price_per_million(dollars, speed, 0.5))
            if widget.batch <= serving.largest_batch(model, machine):
                cost = f"≤ {speed_text(speed)} tokens/s · ≥ {dollars_text(widget.now.price(key))} per million"
                assert cost in widget.bars


def test_it_says_that_nothing_was_measured_and_where_figures_come_from():
    for name, one in hosting.accelerators().items():
        widget = ServingExplorer(accelerator=name)
        assert widget.source == "computed from published figures, not measured"
        text = widget.view["sources"]
        assert text.startswith("Upper bounds, not measurements: ") and one.price_date in text
        assert f'href="{one.source}"' in text and f'href="{one.price_source}"' in text
        assert f"{one.range[0]:.2f}" in text and f"{one.range[1]:.2f}" in text
    assert "without scales" in ServingExplorer(bits=4).note and ServingExplorer().note == ""
    assert "may choose experts without weights" in ServingExplorer("LongCat-Flash").note


def test_numbers_read_well():
    assert [dollars_text(v) for v in (3.0, 0.34, 0.0421, 1234.5)] == ["$3.00", "$0.34", "$0.042", "$1,234.50"]
    assert [time_text(v) for v in (2.5, 0.0151, 9e-5, 5e-7)] == ["2.50 s", "15.1 ms", "90.0 µs", "0.500 µs"]
    assert [tick_text(v) for v in (50, 1000, 2e4, 5e6)] == ["50", "1 k", "20 k", "5 M"]
    assert [speed_text(v) for v in (254.6, 11_503.2, 2.5e7)] == ["255", "11,503", "25.0 M"]
    said = [experts_text(toy(1e12, 1e15, batch=batch)) for batch in (1, 4, 16, 32)]
    assert said == ["2 of 8", "5.5 of 8", "7.9 of 8", "all 8"]  # 8 · (1 − 0.75⁴) = 5.47


# ---- settings --------------------------------------------------------------------------------------------------------


def test_models_to_choose_from_are_mixtures_without_an_encoder():
    names = ServingExplorer().fixed["models"]
    assert names[0] == "Mixtral-8x7B" and len(names) == len(mixtures()) > 20
    assert not {"Llama-2-70B", "Switch-Base-16"} & {*names}
    assert [*BATCHES][-1] == ServingExplorer().fixed["most"]


def test_a_model_of_ones_own_is_shown():
    course = ServingExplorer(small_config(n_experts=4, top_k=2), batch=2)
    assert course.model == "your model" == course.fixed["models"][0] and "a step of your model moves" in course.reading
    own = replace(published("Mixtral-8x7B"), n_experts=16)
    assert ServingExplorer(own).model == "Mixtral-8x7B (own)"
    assert ServingExplorer(published("DBRX")).model == "DBRX"
    strange = ServingExplorer(replace(own, name="<b>&"))
    ET.fromstring(strange.figure)
    ET.fromstring(strange.bars)
    twin = strange.static_html().replace(strange._css, "")
    assert "<b>&amp;" not in twin and "&lt;b&gt;&amp;" in twin
    strange.model = "DBRX"
    strange.model = "<b>&"
    assert strange.error == {} and strange.now.model.n_experts == 16


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Llama-2-70B", "Llama-2-70B is dense: it has no experts, so there is no mixture to compare"),
        (small_config(n_experts=1), "your model is dense"),
        ("Switch-Base-16", "what is cached depends on two lengths"),
        ("Mixtral", "no published model 'Mixtral'; near: Mixtral-8x7B"),
        ("GPT-4", "the sizes of GPT-4 are not published"),
        (7, "count takes a PublishedModel, its name or a ModelConfig; int came"),
    ],
    ids=str,
)
def test_what_is_no_mixture_is_refused(model, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        ServingExplorer(model)


WRONG = [
    ({"batch": 0}, "the batch, in texts at a time, is 0, expected a whole number from 1 to 2,048."),
    ({"batch": 4096}, "the batch, in texts at a time, is 4096"),
    ({"context": 0}, "context, in tokens, is 0, expected a whole number from 1 to 1,048,576."),
    ({"bits": 5}, "bits is 5, expected 16, 8 or 4 for each weight."),
    ({"utilisation": 101}, "the time that the accelerators are busy, in %, is 101, expected a whole number from 1 to"),
    ({"dollars": 0.0}, "dollars is 0.0, expected a number above 0"),
    ({"dollars": float("nan")}, "dollars is nan, expected a number above 0"),
    ({"accelerator": "H200"}, "no accelerator 'H200' in data/prices.toml; there are RTX 4090, A100 80 GB, H100 SXM."),
]


@pytest.mark.parametrize(("settings", "said"), WRONG, ids=str)
def test_a_bad_value_is_refused_and_as_a_trait_set_back(settings, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        ServingExplorer(**settings)
    widget = ServingExplorer(batch=32)
    before = widget._settings(widget.now), widget.figure, widget.bars, widget.reading
    for name, value in settings.items():
        setattr(widget, name, value)
    assert said in widget.error["what"] and widget.error["instead"] == "What was shown stays."
    own = {name: getattr(widget, name) for name in before[0]}
    assert (own, widget.figure, widget.bars, widget.reading) == before
    widget.width = 640
    assert said in widget.error["what"], "another width puts nothing right"
    widget.batch = 64
    assert widget.error == {} and widget.now.batch == 64


@pytest.mark.parametrize("value", [1.5, "16", True, None])
def test_a_batch_is_a_whole_number(value):
    with pytest.raises(ValueError, match="expected a whole number from 1 to 2,048"):
        ServingExplorer(batch=value)


def test_a_model_that_is_not_there_is_told_and_set_back():
    widget = ServingExplorer("DBRX")
    widget.model = "Llama-2-70B"
    assert "is dense" in widget.error["what"] and widget.model == "DBRX"


def test_another_accelerator_brings_its_price_unless_one_is_set_as_well():
    widget = ServingExplorer()
    assert widget.dollars == 3.0
    widget.accelerator = "A100 80 GB"
    assert widget.dollars == 1.3
    with widget.hold_trait_notifications():
        widget.accelerator, widget.dollars = "RTX 4090", 0.5
    assert widget.dollars == 0.5 and "$0.50 per hour" in widget.reading
    assert ServingExplorer(accelerator="A100 80 GB", dollars=3.89).dollars == 3.89
    with pytest.raises(ValueError, match="sets machines, which nothing on the widget moves"):
        widget.suggest({"x": {"machines": 2}})


def test_all_three_get_as_many_accelerators_as_hold_the_weights_and_one_text():
    for name in mixtures():
        for context in (256, 32_768):
            for accelerator in hosting.accelerators().values():
                view = ServingView(published(name), accelerator, context=context)
                model, n = view.footprints[MIXTURE], view.n_machines
                assert serving.largest_batch(model, accelerator.machine.times(n)) >= 1
                assert n == 1 or serving.largest_batch(model, accelerator.machine.times(n - 1)) == 0
                assert view.room[MIXTURE] == view.room[WHOLE] <= view.room[ACTIVE]
                ratios = [view.ratio(batch) for batch in BATCHES]
                assert ratios[0] == pytest.approx(1, abs=1e-6) and min(ratios) >= 1 - 1e-6


# ---- on a page -------------------------------------------------------------------------------------------------------


def test_twin_has_settings_figures_table_and_sentence():
    widget = ServingExplorer(batch=128, bits=8)
    page = widget.static_html()
    setting = (
        "Mixtral-8x7B on 1 × H100 SXM · batch 128 · context 4,096 · weights of 8 bits · busy 50 % · $3.00 per hour"
    )
    text = re.sub("<[^>]*>", "", page)
    assert setting in text and widget.reading.replace(" %", "&nbsp;%") in text and KERNEL_GONE in text
    shown = re.sub('aria-label="[^"]*"', "", page)
    assert f'class="mx serving_explorer twin {NO_MATH}"' in shown, "two dollar signs would be set as a formula"
    assert page.count("<svg") == 2 + 4 and page.count("<tr>") == 4 and "data-grab" not in page
    assert "Upper bounds, not measurements" in page and "Tokens are taken to choose experts evenly" in page
    assert page.index("</div><table>") > page.index("svg"), "where SVG is dropped, the table is read"
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert labels[0].startswith("Tokens per second over batch, at most. Mixtral-8x7B: ")
    assert labels[1].startswith("A step with 128 texts. Mixtral-8x7B, all 8 experts per layer touched: moving ")
    widget.batch = 4096
    assert "expected a whole number" in widget.static_html()


TEXTS = """(css) => [...document.querySelectorAll(css)].map((node) => {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return [node.textContent, left, right, top + 2, bottom - 2, parseFloat(getComputedStyle(node).fontSize)];
})"""


@pytest.mark.parametrize("width", [NARROWEST + 8, 660, WIDEST + 8])
def test_no_letters_cover_others_or_leave_the_figure(browser, width):
    widget = ServingExplorer()
    with script_page(widget, browser, width + 16) as page:
        for name, settings in zip([*SHOWN, "Llama-4-Maverick"], [*SETTINGS, *SETTINGS], strict=False):
            with widget.hold_trait_notifications():
                widget.model, widget.width = name, max(NARROWEST, 20 * ((width - 8) // 20)) if width < 820 else WIDEST
                for trait, value in settings.items():
                    setattr(widget, trait, value)
            send(page, widget)
            for css in ("svg.serving", "svg.steps:not(.sw)"):
                box = page.locator(css).bounding_box()
                texts = page.evaluate(TEXTS, f"{css} text")
                assert len(texts) > 10
                for i, (text, left, right, top, bottom, size) in enumerate(texts):
                    assert size >= 10, text
                    assert left >= box["x"] - 1 and right <= box["x"] + box["width"] + 6, (name, text)
                    for other, l2, r2, t2, b2, _ in texts[i + 1 :]:
                        apart = right <= l2 + 1 or r2 <= left + 1 or bottom <= t2 or b2 <= top
                        assert apart, (name, settings, text, other)


def test_a_key_moves_the_batch_to_the_next_power_of_two(browser):
    widget = ServingExplorer(batch=100)
    with script_page(widget, browser) as page:
        slider = page.get_by_role("slider", name="batch")
        assert slider.get_attribute("aria-valuetext") == "100 texts at a time"
        for key, batch in (("ArrowRight", 128), ("ArrowLeft", 64), ("Home", 1), ("ArrowLeft", 1), ("End", 2048)):
            slider.press(key)
            assert page.evaluate("model.get('batch')") in (batch, 100, 128)  # what is asked for waits for the answer
            said = "one text at a time" if batch == 1 else f"{batch:,} texts at a time"
            assert slider.get_attribute("aria-valuetext") == said
