"""The results explorer: what it says is what `comparison.equal` finds, and what cannot be told is said."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise, permutations

import pytest
from planted_runs import TITLES, plant
from widget_page import script_page, send

from moe_lite.lab.comparison import AXES, equal, largest_common, series
from moe_lite.widgets import ResultsExplorer
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.results_explorer.drawing import NARROWEST, TOP, WIDEST, ResultsDrawing
from moe_lite.widgets.results_explorer.view import SPENT, entering, loss_range
from moe_lite.widgets.results_explorer.words import EMPTY, amount_text, digits, tick_text

SVG = "{http://www.w3.org/2000/svg}"
DENSE, TOTAL, MOE, FINE = TITLES
D, T, M = (f"“{TITLES[name]}”" for name in (DENSE, TOTAL, MOE))
ONE_M, TWO_M = 1_024_000, 2_048_000
# at equal tokens the mixture is 0.05, 0.05 and 0.06 better; it needs twice the seconds and a tenth more FLOPs
LOSSES = {
    "1M": {DENSE: [3.30, 3.32, 3.28], MOE: [3.25, 3.27, 3.22]},
    "2M": {DENSE: [2.90, 2.92, 2.88], MOE: [2.85, 2.87, 2.82], TOTAL: [2.80, 2.83, 2.81]},
}
COSTS = {
    "seconds": {DENSE: 0.1, MOE: 0.2, TOTAL: 0.25},
    "flops": {DENSE: 300, MOE: 330, TOTAL: 600},
    "parameters": {DENSE: 1_000_000, MOE: 2_000_000, TOTAL: 1_990_000},
}


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A function that plants losses by budget and model, instead of what the course ships."""

    def at(losses=LOSSES, **costs):
        monkeypatch.setenv("MOE_LITE_DATA", str(plant(tmp_path, losses, **(COSTS | costs))))

    return at


@pytest.fixture
def shown(planted):
    planted()
    return ResultsExplorer(names=[DENSE, TOTAL, MOE])


def groups(widget: ResultsExplorer) -> list[ET.Element]:
    """The group of each model in the figure, in their order: its curves, lines and ends."""
    svg = ET.fromstring(widget.figure)
    return [g for g in svg if g.tag == f"{SVG}g" and not g.findall(f"{SVG}text")]


def kinds(group: ET.Element) -> dict[str, int]:
    """How many elements of each class."""
    found: dict[str, int] = {}
    for node in group.iter():
        if name := node.get("class"):
            found[name] = found.get(name, 0) + 1
    return found


def places(group: ET.Element) -> list[tuple[float, float]]:
    """px of a model's ends."""
    at = [node.get("transform") for node in group.iter(f"{SVG}path") if node.get("class") == "end"]
    return [tuple(map(float, re.findall(r"[\d.]+", text))) for text in at]


def cells(widget: ResultsExplorer) -> list[list[str]]:
    """The table of verdicts, as text."""
    rows = re.findall(r"<tr.*?</tr>", widget.view["table"])[1:]
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


# ---- what is said ----------------------------------------------------------------------------------------------------


def test_the_usual_pair_at_the_most_that_both_spent(shown):
    """Differences −0.05, −0.05, −0.06: mean −0.0533, ± 4.303 · 0.00577 / √3 = 0.0143."""
    assert shown.reading == (
        f"At 2.05 M tokens of training, {M} is better than {D}: −0.053 nats per token, "
        "95 % interval −0.068 to −0.039, three seeds."
    )


def test_what_wins_per_token_can_lose_per_second(shown):
    """100 s are 2M tokens of the dense model and 1M of the mixture: 0.35, 0.35 and 0.34 worse."""
    shown.axis = "seconds"
    assert shown.reading == (
        f"At 100 s of training, {M} is worse than {D}: +0.347 nats per token, "
        "95 % interval +0.332 to +0.361, three seeds."
    )
    rows = cells(shown)
    assert [row[0] for row in rows] == [
        "equal tokens 2.05 M tokens", "equal FLOPs 614 MFLOPs", "equal seconds 100 s", "bytes held",
    ]  # fmt: skip
    winners = [row[1] for row in rows]
    assert winners[0] == f"{TITLES[MOE]} is better" and winners[2] == f"{TITLES[DENSE]} is better"
    assert winners[3] == f"{TITLES[DENSE]} holds less" and rows[3][2] == "32.0 MB against 16.0 MB"
    assert shown.view["table"].count('class="won"') == 3, "where it loses stands as large as where it wins"


@pytest.mark.slow
@pytest.mark.parametrize("axis", SPENT)
def test_every_stop_of_the_marker_says_what_equal_finds(shown, axis):
    shown.axis = axis
    one, other = series(MOE), series(DENSE)
    told = 0
    for stop in shown.view["marker"]["stops"]:
        shown.at = stop
        expected = equal(one, other, axis, stop)
        assert shown.found.verdict == expected
        if expected is None:
            assert "cannot be compared" in shown.reading
        else:
            told += 1
            assert f"{expected.delta_nats:+.3f}".replace("-", "−") in shown.reading
        assert shown.now.at == stop and shown.error == {}
    assert told > 5 or axis == "seconds"
    most = largest_common(one, other, axis)
    assert most in shown.view["marker"]["stops"]
    assert shown.rows[list(AXES).index(axis)].verdict == equal(one, other, axis, most)


def test_an_interval_that_contains_zero(planted):
    planted({"2M": {DENSE: [2.9, 2.9, 2.9], MOE: [2.8, 2.95, 2.88]}})
    shown = ResultsExplorer()
    assert shown.reading == (
        f"At 2.05 M tokens of training, three seeds cannot tell {M} from {D}: the difference is −0.023 nats per token, "
        "and its 95 % interval, −0.210 to +0.163, contains 0."
    )
    assert cells(shown)[0][1] == "cannot tell" and 'class="none"' in shown.view["table"]


def test_what_was_never_trained_cannot_be_compared(shown):
    shown.at = 700_000.0
    assert shown.reading == (
        f"At 700 k tokens the two cannot be compared: {M} was never trained on so few tokens. "
        "Its shortest training took 1.02 M tokens."
    )
    shown.axis, shown.at = "seconds", 150.0
    assert shown.reading == (
        f"At 150 s the two cannot be compared: {D} was never trained for so many seconds. "
        "Its longest training took 100 s."
    )
    shown.axis, shown.second = "FLOPs", TOTAL
    assert shown.reading == (
        f"At 676 MFLOPs the two cannot be compared: {T} was never trained with so few FLOPs. "
        "Its shortest training took 1.23 GFLOPs."
    )
    assert cells(shown)[1][1:3] == ["cannot be compared", f"{TITLES[TOTAL]} had no training so short"]


def test_bytes_are_held_and_compared_at_equal_tokens(shown):
    shown.axis = "bytes"
    assert shown.reading == (
        f"While it trains, {M} holds 32.0 MB, which is 2.00 times the 16.0 MB of {D}. At 2.05 M tokens of training, "
        f"{M} is better than {D}: −0.053 nats per token, 95 % interval −0.068 to −0.039, three seeds."
    )
    shown.second = TOTAL
    assert shown.reading.startswith(
        f"While it trains, {M} holds 32.0 MB and {T} 31.8 MB, about the same. So this is a comparison at equal bytes."
    )
    assert cells(shown)[3][1] == "about the same"
    assert shown.view["marker"] == {} and not shown.view["curves"]


def test_a_model_on_both_sides(shown):
    shown.second = MOE
    assert shown.reading == f"{M} stands on both sides. Choose another model to compare it with."
    for axis in AXES:
        shown.axis = axis
        assert "both sides" in shown.reading and shown.error == {}


# ---- what cannot be told ---------------------------------------------------------------------------------------------


def test_one_budget_alone(planted):
    planted({"2M": LOSSES["2M"]})
    shown = ResultsExplorer()
    assert f"{M} is better than {D}" in shown.reading and shown.budgets == ["2M"]
    assert "trained on one budget only, so there is nothing to compare elsewhere" in shown.view["note"]
    assert "dashed line" not in shown.view["note"] and 'class="join"' not in shown.figure
    shown.axis = "seconds"
    assert "was never trained for so few seconds" in shown.reading


def test_one_seed_alone(planted):
    planted({"2M": {DENSE: [2.9], MOE: [2.8]}})
    shown = ResultsExplorer()
    assert shown.reading == (
        f"{M} and {D} have one seed in common here, and one difference has no interval. "
        "So nobody can tell whether it is more than luck."
    )
    assert "A single seed has no interval" in shown.view["note"] and "whisker" not in shown.figure
    assert shown.source == "recorded, one seed" and cells(shown)[0][1] == "cannot be compared"
    for axis in AXES:
        shown.axis = axis
        assert shown.error == {} and shown.figure and "nan" not in shown.reading + shown.figure


def test_seeds_that_differ(planted):
    planted({"2M": {DENSE: [2.9, 2.8], MOE: {7: 2.8, 8: 2.7}}})
    assert ResultsExplorer().reading.startswith(f"{M} and {D} have no seed in common here.")


def test_a_long_budget_with_one_seed_leaves_the_others_what_they_can_tell(planted):
    planted(LOSSES | {"8M": {DENSE: [2.4], MOE: [2.3]}})
    shown = ResultsExplorer()
    assert "one seed in common" in shown.reading
    shown.at = float(TWO_M)
    assert f"{M} is better than {D}: −0.053" in shown.reading and shown.reading.endswith("three seeds.")


def test_many_seeds(planted):
    planted({"2M": {DENSE: [2.9 + i / 1000 for i in range(12)], MOE: [2.8 - i / 1000 for i in range(12)]}})
    shown = ResultsExplorer()
    assert shown.reading.endswith("twelve seeds.") and shown.error == {}
    assert kinds(groups(shown)[0])["seed"] == 12


def test_a_model_of_which_no_step_was_timed(planted):
    planted(seconds={DENSE: 0.1})
    shown = ResultsExplorer(axis="seconds")
    assert shown.reading == (f"No training step of {M} was timed. So it cannot be compared with {D} at equal seconds.")
    assert "so there is no place for that on this axis" in shown.view["note"]
    assert len(groups(shown)) == 1 and shown.view["marker"] == {}
    planted(seconds={})
    nothing = ResultsExplorer(axis="seconds")
    assert nothing.figure == "" and nothing.error == {} and nothing.static_html()
    nothing.axis = "tokens"
    assert nothing.figure


def test_nothing_recorded(planted):
    planted({})
    shown = ResultsExplorer()
    assert shown.reading == EMPTY and shown.figure == "" and KERNEL_GONE in shown.static_html()


def test_a_usual_pair_that_is_not_recorded_is_replaced(planted):
    planted({"2M": {DENSE: [2.9, 2.8], FINE: [2.7, 2.75]}})
    shown = ResultsExplorer()
    assert (shown.first, shown.second, shown.error) == (FINE, DENSE, {})
    planted()
    alone = ResultsExplorer(names=MOE)
    assert (alone.first, alone.second, alone.error) == (MOE, MOE, {}) and "both sides" in alone.reading


def test_budgets_may_be_left_out(planted):
    """The figure is that of a course that has no longer trainings."""
    planted()
    short = ResultsExplorer(within=["1M"])
    assert set(short.models) == {DENSE, MOE} and short.budgets == ["1M"]
    assert short.reading.startswith(f"At 1.02 M tokens of training, {M} is better than {D}: −0.05")
    assert "2M" not in short.static_html() and ResultsExplorer(within="1M").reading == short.reading
    with pytest.raises(ValueError, match="There is no budget '4M'; there are 1M, 2M"):
        ResultsExplorer(within=["1M", "4M"])


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def test_every_seed_is_thin_their_mean_thick_and_every_end_a_mark_with_its_interval(shown):
    dense, total, mixture = groups(shown)
    assert kinds(mixture) == {"e2": 1, "seed": 6, "mean": 2, "join": 1, "whisker": 2, "end": 2}
    assert kinds(total) == {"e1": 1, "seed": 3, "mean": 1, "whisker": 1, "end": 1}
    says = [title.text for title in mixture.iter(f"{SVG}title")]
    assert says[1] == (
        "8 experts, top-2, 2M tokens: 2.847 nats per token, 95 % interval 2.784 to 2.909"
    )  # ± 4.303 · 0.02517 / √3
    assert kinds(dense)["e0"] == 1


@pytest.mark.parametrize("axis", SPENT)
def test_ends_stand_where_they_were_measured(shown, axis):
    shown.axis = axis
    drawing = ResultsDrawing(shown.now, WIDEST)
    for trace, group in zip(shown.now.traces, groups(shown), strict=True):
        one = series(trace.model.name)
        for end, tokens, (x, y) in zip(trace.ends, one.tokens, places(group), strict=True):
            assert end.amount == tokens * one.per_token(axis)
            assert x == pytest.approx(drawing.x(end.amount), abs=15.1), "no farther aside than needed"
            assert y == pytest.approx(drawing.y(end.mean), abs=0.1)
    assert drawing.x(shown.now.amounts[1]) <= WIDEST - 190


def test_a_chosen_budget_has_the_curves_and_the_vertical_axis(shown):
    whole = shown.now.losses
    shown.budget = "1M"
    dense, total, mixture = groups(shown)
    assert kinds(mixture) == {"e2": 1, "seed": 3, "mean": 1, "join": 1, "whisker": 1, "end": 1}
    assert "mean" not in kinds(total) and f"{T} was not trained on the budget of 1M tokens." in shown.view["note"]
    low, high = shown.now.losses
    assert low > whole[0] and low < 3.22 and high > 3.32
    assert all(TOP - 1 <= y for group in (dense, mixture) for _, y in places(group))
    for points in re.findall(r'class="join" d="M([^"]*)"', shown.figure):
        assert all(TOP - 0.1 <= float(at.split()[1]) <= 272.1 for at in points.split("L"))


def test_bytes_have_a_mark_and_a_circle_for_each_seed_at_the_largest_budget_of_all(shown):
    shown.axis = "bytes"
    for group, name in zip(groups(shown), (DENSE, TOTAL, MOE), strict=True):
        assert kinds(group)["one"] == 3 and kinds(group)["end"] == 1
        (title,) = [title.text for title in group.iter(f"{SVG}title")]
        assert title.startswith(f"{TITLES[name]}, 2M tokens")
    assert "trainings on 2M tokens, the largest budget that all of these models have" in shown.view["note"]


def test_models_without_a_common_budget_are_not_compared_by_bytes(planted):
    planted({"1M": {DENSE: [3.3, 3.2]}, "2M": {MOE: [2.8, 2.9]}})
    shown = ResultsExplorer(axis="bytes")
    assert (
        "No number of tokens was recorded for all of these models. Theirs are 1M tokens and 2M tokens"
        in (shown.view["note"])
    )
    assert "cannot be compared" in shown.reading and shown.error == {}


def test_a_budget_in_seconds_has_the_curves_of_all_that_were_trained_for_so_long(planted):
    """2M tokens take the dense model 100 s, in which the mixture sees 1M; on bytes it is no budget for all."""
    planted(LOSSES | {"8M": {MOE: [2.4, 2.5]}, "100s": {TOTAL: [2.95, 2.96, 2.94]}})
    shown = ResultsExplorer([DENSE, TOTAL, MOE], "seconds", budget="100s")
    assert shown.budgets == ["1M", "2M", "8M", "100s"]
    assert [kinds(group).get("mean", 0) for group in groups(shown)] == [1, 1, 1] and "was not" not in shown.view["note"]
    assert [trace.ends[0].budget for trace in shown.now.traces] == ["1M", "100s", "1M"], "by tokens"
    assert f"{TITLES[TOTAL]}: 2.950 on 100 seconds and 2.813 on 2M tokens" in shown.figure
    shown.budget = "8M"
    assert f"{D} and {T} were not trained on the budget of 8M tokens" in shown.view["note"]
    shown.axis = "bytes"
    assert "trainings on 2M tokens, the largest budget" in shown.view["note"]


def test_losses_over_bytes_are_those_on_as_many_tokens_and_not_in_as_many_seconds(planted):
    planted(LOSSES | {"400s": {TOTAL: [2.5, 2.6, 2.7], MOE: [2.4, 2.5, 2.6]}})
    shown = ResultsExplorer([TOTAL, MOE], "bytes", (MOE, TOTAL))
    assert [trace.ends[0].budget for trace in shown.now.traces] == ["2M", "2M"]


def test_a_model_keeps_its_colour_and_its_mark_on_every_axis(planted):
    many = {f"model {i}": [2.5 + i / 50, 2.51 + i / 50] for i in range(12)}
    planted({"1M": many, "2M": many}, seconds=dict.fromkeys(many, 0.1))
    shown = ResultsExplorer(shown=many)
    looks = [[name, look, shape] for name, _, _, look, shape in shown.fixed["models"]]
    assert len({(look, shape) for _, look, shape in looks}) == 12
    for axis in AXES:
        shown.axis = axis
        for (_, look, shape), group in zip(looks, groups(shown), strict=True):
            assert group.get("class") == look
            assert {node.get("d") for node in group.iter() if node.get("class") == "end"} == {shape}


@pytest.mark.parametrize("width", [NARROWEST, 640, WIDEST])
@pytest.mark.parametrize("spread", [0.0, 0.002, 0.05])
def test_names_at_the_line_ends_do_not_cover_each_other(planted, width, spread):
    many = {f"model {i} with a long name that takes two lines": [2.5 + spread * i, 2.51 + spread * i] for i in range(8)}
    planted({"2M": many})
    shown = ResultsExplorer(shown=many)
    drawing = ResultsDrawing(shown.now, width)
    assert len(drawing.names) == 8
    for upper, lower in pairwise(drawing.names):
        assert lower.y - upper.y >= (upper.height + lower.height) / 2 - 0.6


def test_a_curve_begins_where_it_comes_below_the_upper_edge():
    assert entering([(1.0, 5.0), (4.0, 3.0), (8.0, 2.0)], 4.0) == ((2.0, 4.0), (4.0, 3.0), (8.0, 2.0))
    assert entering([(1.0, 3.0), (2.0, 2.0)], 4.0) == ((1.0, 3.0), (2.0, 2.0))
    assert entering([(1.0, 5.0), (2.0, 5.0)], 4.0) == ()


def test_numbers_read_well():
    assert [digits(v) for v in (0.0, 2.048, 20.48, 204.8, 2048.0)] == ["0", "2.05", "20.5", "205", "2,048"]
    assert digits(9.999) == "10.0" and digits(0.0123) == "0.0123"
    assert amount_text("tokens", 999_900) == "1.00 M tokens" and amount_text("FLOPs", 9.66e12) == "9.66 TFLOPs"
    assert amount_text("tokens", 512) == "512 tokens" and amount_text("bytes", 24.2e6) == "24.2 MB"
    assert [tick_text("tokens", v) for v in (0, 5e5, 1e6, 1.5e6)] == ["0", "500 k", "1 M", "1.5 M"]
    assert tick_text("seconds", 1000) == "1,000"


def test_equal_losses_have_an_axis(planted):
    planted({"2M": {DENSE: [2.9, 2.9], MOE: [2.9, 2.9]}})
    for axis in AXES:
        shown = ResultsExplorer(axis=axis)
        ET.fromstring(shown.figure)
        assert shown.error == {}
    assert "contains 0" in shown.reading
    low, high = loss_range(shown.now.traces[0].ends, 0.0)
    assert high > low


# ---- settings --------------------------------------------------------------------------------------------------------


def test_another_axis_brings_the_marker_back_unless_it_is_set_as_well(shown):
    shown.at = 1.5e6
    shown.axis = "seconds"
    assert shown.at == 0 and shown.now.at == pytest.approx(100)
    with shown.hold_trait_notifications():
        shown.axis, shown.at = "tokens", 1.5e6
    assert shown.at == 1.5e6 and shown.reading.startswith("At 1.50 M tokens")
    shown.first, shown.second = DENSE, MOE
    assert shown.at == 1.5e6 and f"{D} is worse than {M}" in shown.reading


def test_a_marker_beside_the_axis_is_brought_onto_it_and_that_is_told(shown):
    shown.at = 1e9
    assert shown.at == TWO_M
    assert shown.view["note"].startswith("The models were to be compared at 1e+09 tokens, but this axis goes from ")
    shown.at = -3.0
    assert shown.at == shown.view["marker"]["stops"][0] > 0
    shown.at = float("nan")
    assert shown.at == 0 and shown.error == {} and "nan" not in shown.reading


def test_what_cannot_be_is_told_and_set_back(shown):
    before = shown.figure
    shown.axis = "hours"
    assert shown.error["what"] == "There is no axis 'hours'; there are tokens, FLOPs, seconds and bytes."
    assert shown.error["instead"] == "Showing tokens." and (shown.axis, shown.figure) == ("tokens", before)
    shown.second = "moe-9"
    assert "No model 'moe-9' among those of this figure; it has dense-equal-active, " in shown.error["what"]
    assert shown.second == DENSE and "No model" in shown.static_html()
    shown.budget = "3M"
    assert "There is no budget '3M'; there are 1M and 2M" in shown.error["what"] and shown.budget == ""
    shown.shown = [MOE, "x"]
    assert "No model 'x'" in shown.error["what"] and shown.shown == [MOE]
    shown.budget = "2M"
    assert shown.error == {}
    wrong = ResultsExplorer(axis="?", pair=("a", "b"), budget="z")
    assert wrong.error["instead"].startswith("Showing tokens, ") and wrong.figure


def test_arguments_that_do_not_fit(planted):
    planted()
    with pytest.raises(ValueError, match="There is no recording 'nonsense'"):
        ResultsExplorer(names=["nonsense"])
    with pytest.raises(ValueError, match="expected the names of two models"):
        ResultsExplorer(pair="moe-8-top2")
    with pytest.raises(ValueError, match="sets pair, which nothing on the widget moves"):
        ResultsExplorer().suggest({"x": {"pair": (MOE, DENSE)}})


def test_the_pair_is_drawn_whatever_is_shown(shown):
    shown.shown = []
    assert [trace.model.name for trace in shown.now.traces] == [DENSE, MOE]
    shown.shown = [TOTAL]
    assert len(groups(shown)) == 3


def test_twin_has_pair_ends_verdicts_and_sentence(shown):
    shown.axis = "seconds"
    page = shown.static_html()
    assert page.count("<tr>") == 1 + 5 + 1 and page.count('<tr class="o') == 4  # ends and heads, verdicts
    assert "2M tokens</td><td>2.847</td><td>2.784 to 2.909</td><td>3</td>" in page
    assert f"{M} is worse than {D}" in page and KERNEL_GONE in page
    assert "has not decayed yet" in page and shown.twin_bundle()["text/plain"] == shown.reading


@pytest.mark.slow
@pytest.mark.parametrize("axis", AXES)
def test_what_the_course_ships_is_drawn(axis):
    """All of them, each pair of the first, on any number of budgets and seeds."""
    shown = ResultsExplorer(axis=axis)
    shown.shown = [*shown.models]
    for first, second in permutations([*shown.models][:4], 2):
        with shown.hold_trait_notifications():
            shown.first, shown.second = first, second
        for budget in ("", *shown.budgets):
            shown.budget = budget
            assert shown.error == {}
            ET.fromstring(shown.figure)
            said = shown.reading + shown.view["note"] + re.sub("<[^>]*>", " ", shown.view["table"])
            assert not re.search(r"\.\.|nan|None|\{|inf\b| ,", said), said
    assert shown.models[first].title in shown.static_html()


# ---- on a page -------------------------------------------------------------------------------------------------------

BOXES = """(css) => [...document.querySelectorAll(css)].map((node) => [node.textContent, node.getBoundingClientRect()])
  .map(([text, box]) => [text, box.left, box.right, box.top, box.bottom])"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [NARROWEST, 620, WIDEST])
@pytest.mark.parametrize("axis", AXES)
def test_no_words_of_the_figure_cover_each_other(shown, browser, width, axis):
    shown.axis, shown.width = axis, width
    with script_page(shown, browser) as page:
        texts = page.evaluate(BOXES, "svg.results text")
        box = page.locator("svg.results").bounding_box()
        assert len(texts) > 10
        for i, (text, left, right, top, bottom) in enumerate(texts):
            assert box["x"] <= left + 1 and right <= box["x"] + width + 1, text
            for other in texts[i + 1 :]:
                apart = right <= other[1] or other[2] <= left or bottom - 3 <= other[3] or other[4] - 3 <= top
                assert apart, (text, other)


@pytest.mark.browser
def test_controls_are_sent_and_what_comes_back_is_drawn(shown, browser):
    with script_page(shown, browser) as page:
        saved = "dict => Object.fromEntries(window.model.saved)"

        def answer(**values):
            for name, new in values.items():
                assert page.evaluate(saved)[name] == new
                setattr(shown, name, new)
            shown.asked += 1
            send(page, shown)
            assert page.locator(".read").inner_text().replace("\xa0", " ") == shown.reading

        page.get_by_role("button", name="seconds").click()
        answer(axis="seconds", at=0)
        page.get_by_role("button", name="2M").click()
        answer(budget="2M")
        total = page.get_by_role("button", name="dense, equal total parameters")
        assert total.get_attribute("aria-pressed") == "true"
        total.click()
        answer(shown=[DENSE, MOE])
        assert total.get_attribute("aria-pressed") == "false" and page.locator("svg.results .nm").count() == 3
        assert page.get_by_role("button", name="8 experts, top-2").is_disabled(), "it is one of the pair"
        page.get_by_label("second model").select_option(TOTAL)
        answer(second=TOTAL)
        page.get_by_role("button", name="bytes").click()
        answer(axis="bytes", at=0)
        assert not page.locator(".back").is_visible() and not page.get_by_label("curves of the budget").is_visible()


@pytest.mark.browser
def test_the_marker_goes_from_stop_to_stop_by_keys_and_by_hand(shown, browser):
    stops = shown.view["marker"]["stops"]
    with script_page(shown, browser) as page:
        saved = "dict => Object.fromEntries(window.model.saved)"
        slider = page.get_by_role("slider", name="compared at")

        def answer(at):
            assert page.evaluate(saved)["at"] == at
            shown.at = at
            shown.asked += 1
            send(page, shown)
            assert slider.get_attribute("aria-valuetext") == amount_text("tokens", at)
            assert page.locator(".read").inner_text().replace("\xa0", " ") == shown.reading

        slider.focus()
        for key, stop in (("ArrowLeft", -2), ("ArrowLeft", -3), ("PageDown", -13), ("End", -1), ("Home", 0)):
            page.keyboard.press(key)
            answer(stops[stop])
        box, marker = page.locator("svg.results").bounding_box(), shown.view["marker"]
        x = box["x"] + marker["left"] + marker["width"]
        page.mouse.move(x - 200, box["y"] + 100)
        page.mouse.down()
        held = page.evaluate(saved)["at"]
        assert stops[0] < held < stops[-1]
        answer(held)
        page.mouse.move(x + 50, box["y"] + 100)
        page.mouse.up()
        answer(stops[-1])
        page.mouse.move(x - 300, box["y"] + 100)
        assert page.evaluate(saved)["at"] == stops[-1], "let go"
        page.get_by_role("button", name="to the most that both spent").click()
        assert page.evaluate(saved)["at"] == 0
