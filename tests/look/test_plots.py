"""Figures: what they say is what they were given, and they are right in both themes."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
import tinycss2
import torch
from matplotlib.figure import Figure

from moe_lite import ModelConfig, TrainConfig, model_diagram, plots
from moe_lite.lab.runs import Recording, Run
from moe_lite.lab.timing import Timing
from moe_lite.look.palette import HUES
from moe_lite.plots import balance
from moe_lite.plots.figure import label, picture, spread_labels

LOSSES = {4: {"1": 3.3, "2": 3.1, "3": 3.2}, 8: {"1": 3.2, "2": 3.0, "4": 2.9}}


def test_table_shows_every_value_and_fills_the_chosen_cells():
    picture = plots.table(torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.25, 0.55]]), "scores", chosen=torch.tensor([[0], [2]]))
    assert re.findall(r"<td[^>]*>([\d.]+)</td>", picture.html) == ["0.60", "0.30", "0.10", "0.20", "0.25", "0.55"]
    assert re.findall(r'<td class="on (e\d)">([\d.]+)</td>', picture.html) == [("e0", "0.60"), ("e2", "0.55")]
    assert repr(picture) == "Table, 2 × 3: scores"


def test_table_shows_ranges():
    picture = plots.table(torch.tensor([[0.1, 1.0]]), "errors", to=torch.tensor([[0.25, 1.0]]), rows=["a"])
    assert re.findall(r"<td[^>]*>([^<]+)</td>", picture.html) == ["0.10 to 0.25", "1 to 1"]
    with pytest.raises(ValueError, match=r"values are 1 × 2, but the upper ends `to` have the shape \(2,\)"):
        plots.table(torch.zeros(1, 2), "errors", to=torch.zeros(2), rows=["a"])


def test_table_refuses_names_that_do_not_fit():
    with pytest.raises(ValueError, match="values are 2 × 3, but there are 1 rows and 3 columns"):
        plots.table(torch.zeros(2, 3), "scores", rows=["one"])


def test_table_escapes_what_it_is_given():
    html = plots.table(torch.zeros(1, 1), "<script>", rows=["<b>"], columns=["<i>"], right=("<u>", torch.ones(1))).html
    assert not re.search(r"<(script|b|i|u)>", html)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (0.126, "0.13"),
        (-1.5, "−1.50"),
        (6e-8, "6e−08"),
        (0.0049, "0.005"),
        (-0.00096, "−0.001"),
        (3e-4, "0.0003"),
        (9.4e-5, "9e−05"),
    ],
)
def test_numbers_are_short_and_never_hide_what_is_not_zero(value, text):
    assert plots.number(value) == text


def test_loss_by_top_k_states_the_minimum_of_each_line():
    alt = repr(plots.loss_by_top_k(LOSSES, trained_at=2))
    assert "4 experts are lowest at top-2 (3.10, as trained)" in alt
    assert "8 experts are lowest at top-4 (2.90; 3.00 at 2)" in alt


def test_loss_by_top_k_is_one_svg_without_fixed_inks():
    html = plots.loss_by_top_k(LOSSES, trained_at=2).html
    svg = html[html.index("<svg") : html.index("</svg>") + 6]
    ET.fromstring(svg)
    drawn = set(re.findall(r"(?:stroke|fill): (#[0-9a-f]{6})", svg))
    assert drawn == set(), "inks that do not follow the theme"
    assert "var(--fg)" in svg and HUES[0].bright in html


def test_pictures_are_the_same_every_time():
    assert plots.loss_by_top_k(LOSSES, 2).html == plots.loss_by_top_k(LOSSES, 2).html


def test_a_picture_is_written_briefly_and_keeps_its_numbers_whole():
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().set_xticks([0.0, 1.0], ["", "0.12345"])
    html = picture(figure, "a\nb").html
    assert ">0.12345</text>" in html and 'aria-label="a\nb"' in html
    for gone in ("<!--", "<metadata", 'id="xtick', "> <"):
        assert gone not in html
    named = {*re.findall(r' id="([^"]+)"', html)}
    assert named and {*re.findall(r'(?:href="|url\()#([^")]+)', html)} <= named, "what is referred to is there"


def test_loss_curves_say_where_each_run_began_and_ended_and_smooth_only_over_the_window():
    points = [(2048 * (i + 1), 8.0 - i) for i in range(6)]
    picture = plots.loss_curves({"this run": points}, {"knows nothing": 7.62}, window=2)
    assert repr(picture) == (
        "Training loss. this run: from 8.00 to 3.50 after 12,288 tokens; knows nothing: 7.62."
    )  # the last two are 4 and 3
    assert "knows nothing: 7.62" in picture.html and "12,000" in picture.html
    ET.fromstring(picture.html[picture.html.index("<svg") : picture.html.index("</svg>") + 6])


def test_times_stand_beside_flops_with_their_quartiles():
    ratios = {2: Timing((1.0, 1.2, 1.4)), 8: Timing((1.5, 2.0, 2.5))}
    picture = plots.times({"loop": ratios}, {"loop": {2: 1.0, 8: 1.25}}, x="experts E")
    alt = "Time and FLOPs against experts E. loop: time 1.20 at 2, 2.00 at 8; loop: FLOPs 1.00 at 2, 1.25 at 8."
    assert repr(picture) == alt
    for text in ("measured time, dense layer = 1", "counted FLOPs, dense layer = 1", ">experts E<"):
        assert text in picture.html


def test_lines_are_named_and_begin_at_nothing():
    picture = plots.lines({"time": {"mixture": {1: 1.0, 16: 3.5, 2048: 1.25}}}, x="texts at the same time")
    assert repr(picture) == "Against texts at the same time. time, mixture: 1.00 at 1, 3.50 at 16, 1.25 at 2048."
    for text in (">time<", ">mixture<", ">2,048<", ">0.0<", ">texts at the same time<"):
        assert text in picture.html
    two = plots.lines({"time": {"a": {1: 1.0, 2: 2.0}}, "bytes": {"a": {1: 3.0, 2: 1.0}}}, x="n")
    assert ">time<" in two.html and ">bytes<" in two.html


def test_lines_that_end_apart_are_named_there_and_others_in_a_legend_from_the_highest_end_down():
    def named(high):
        html = plots.lines({"time": {"low": {1: 1.0, 2: 1.0}, "high": high}}, x="n").html
        found = re.findall(r'y="([\d.]+)"[^>]*>(low|high)<', html)
        return [name for _, name in found], abs(float(found[0][0]) - float(found[1][0]))  # px between them

    assert named({1: 1.0, 2: 4.0})[1] > 100, "each at the end of its line"
    names, apart = named({1: 3.0, 2: 1.01})
    assert names == ["high", "low"] and 10 < apart < 20, "one below the other"


def test_figures_take_the_fonts_of_the_page():
    fonts = re.findall('font-family: ([^;"]+)', plots.lines({"time": {"a": {1: 1.0, 2: 2.0}}}, x="n").html)
    assert set(fonts) == {"var(--jp-ui-font-family,sans-serif)"}


def test_a_table_has_as_many_decimals_as_are_asked_for_and_none_where_all_are_whole():
    values, names = torch.tensor([[46.7, 8.0], [131.62, 16.0]]), {"rows": ["a", "b"], "columns": ["billion", "experts"]}
    for decimals, shown in ((1, ["46.7", "8", "131.6", "16"]), (2, ["46.70", "8", "131.62", "16"])):
        html = plots.table(values, "sizes", **names, decimals=decimals).html
        assert re.findall(r"<td>([^<]+)</td>", html) == shown
    assert plots.table(values, "sizes", **names).html == html, "two, unless asked"


def test_recorded_runs_show_their_mean_and_range():
    def run(seed: int, *validation: float) -> Run:
        return Run(seed, 1e-3, 1.0, [], [], [1024, 2048], [*validation], {"a": validation[-1]}, [])

    counts = {"total": 1, "active": 1, "experts": 0, "router": 0}
    settings = ModelConfig(), TrainConfig(steps=1, batch_size=16, length=128), counts, 1, "2.13.0", 1, "CPU"
    recording = Recording("a", "8 experts", *settings, (run(0, 5.0, 3.0), run(1, 4.0, 4.0)))
    assert "8 experts: 4.50 to 3.50, 2 seeds." in repr(plots.recorded([recording]))
    assert "8 experts: 3.50 to 3.50, 2 seeds." in repr(plots.recorded([recording], last=0.4))


def test_coefficients_have_a_dot_for_every_seed_and_a_zero_that_stands_apart():
    values = {"dead %": torch.tensor([[30.0, 40.0], [2.0, 4.0], [0.0, 0.0]]), "CV": torch.ones(3, 2)}
    picture = plots.against_coefficient(values, [0.0, 0.01, 1.0])
    assert repr(picture) == "Means over seeds. dead %: 35 at 0, 0 at 1; CV: 1 at 0, 1 at 1."
    assert picture.html.count("<use") >= 12 and ">0.01<" in picture.html
    assert re.search(r"min-width:\d{3}pt", picture.html), "its letters stay large enough on a narrow page"
    places = balance._places([0.0, 0.001, 0.01, 1.0])
    assert places == pytest.approx([0, 1, 2, 4]), "equal factors, equal steps"
    with pytest.raises(ValueError, match="CV: 2 rows for 3 coefficients"):
        plots.against_coefficient({"CV": torch.ones(2, 2)}, [0.0, 0.01, 1.0])


def test_labels_that_would_cover_each_other_are_moved_apart():
    axes = Figure(figsize=(4, 3)).add_subplot()
    axes.set_ylim(0, 1)
    for y in (0.5, 0.501, 0.502, 0.9):
        label(axes, "x", (1, y))
    spread_labels(axes, height=11)
    places = sorted(axes.transData.transform(t.xy)[1] * 72 / axes.figure.dpi + t.xyann[1] for t in axes.texts)
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) > 10.9


# ---- ranges and intervals --------------------------------------------------------------------------------------------

LEAST, MOST = (
    torch.tensor([[22.0, 3.57], [0.0, 3.5], [53.0, 3.91]]),
    torch.tensor([[30.0, 3.66], [0.0, 3.77], [59.0, 3.99]]),
)
SETTINGS = ["as it is", "8 experts", "learning rate 0.01"]


def drawn(picture) -> ET.Element:
    return ET.fromstring(re.search(r"<svg.*?</svg>", picture.html, re.DOTALL)[0])


def test_ranges_are_drawn_said_and_folded_into_a_table():
    picture = plots.ranges(LEAST, MOST, "three seeds", rows=SETTINGS, columns=["dead, %", "loss"], reference=0)
    texts = [text.text for text in drawn(picture).iter("text")]
    assert {"22 to 30", "0", "53 to 59", "3.57 to 3.66", "dead, %", "loss", *SETTINGS} <= set(texts)
    assert picture.alt.startswith("three seeds; shaded: as it is. as it is: dead, % 22 to 30; loss 3.57 to 3.66.")
    marks = [m.get("class") for m in drawn(picture) if (m.get("class") or "-").split()[0] in ("bar", "dot")]
    assert sorted(marks) == ["bar", "bar", "bar", "bar ref", "bar ref", "dot"], "a range of nothing is a dot"
    table = picture.html[picture.html.index("<details>") :]
    assert "<td>22 to 30</td>" in table and "<td>3.57 to 3.66</td>" in table


def test_a_bar_goes_from_the_least_to_the_most():
    picture = plots.ranges(LEAST, MOST, "three seeds", rows=SETTINGS, columns=["dead, %", "loss"])
    ends = [re.match(r"M([\d.]+) \d+H([\d.]+)", m.get("d")).groups() for m in drawn(picture) if m.get("class") == "bar"]
    first = [(float(a), float(b)) for a, b in ends][:2]  # of the panel "dead": 22 to 30 and 53 to 59
    scale = (first[1][0] - first[0][0]) / (53 - 22)
    assert first[0][1] - first[0][0] == pytest.approx(8 * scale, abs=0.2)
    assert first[1][1] - first[1][0] == pytest.approx(6 * scale, abs=0.2)


def test_an_interval_that_contains_zero_has_an_open_dot():
    values = torch.tensor([[-0.05, -0.08, -0.02], [-0.02, -0.05, 0.01], [0.22, -0.02, 0.47]])
    picture = plots.intervals(values, "differences", rows=["a", "b", "c"])
    dots = [m.get("class") for m in drawn(picture).iter("circle")]
    assert dots == ["dot", "dot open", "dot open"]
    texts = [text.text for text in drawn(picture).iter("text")]
    assert "−0.05 (−0.08 to −0.02)" in texts and "−0.02 (−0.05 to 0.01)" in texts
    assert sum(m.get("class") == "zero" for m in drawn(picture)) == 1
    near = plots.intervals(torch.tensor([[-0.0004, -0.026, 0.026]]), "differences", rows=["a"])
    assert "0.000 (−0.026 to 0.026)" in [text.text for text in drawn(near).iter("text")], "no minus before a zero"


LONG = [
    "short",
    "the 32 finer experts minus the small dense model, seconds",
    "a name that nobody would give to a row, because " * 3,
]


@pytest.mark.parametrize(
    ("n", "rows"), [(1, SETTINGS), (2, SETTINGS), (3, SETTINGS), (4, SETTINGS), (1, LONG), (2, LONG)]
)
def test_no_text_of_a_comparison_leaves_it_or_covers_another(n, rows):
    panels = {f"a measure with a long name, {i}": LEAST[:, :1] + torch.tensor([[0.0, 9.5]]) for i in range(n - 1)}
    panels["loss minus the base"] = torch.tensor([[0.0, 0, 0], [0.25, -0.18, 0.68], [-0.29, -0.8, 0.22]])
    picture = plots.compared(panels, "a caption", rows=rows, reference=0)
    svg = drawn(picture)
    assert all(f"{row}: " in picture.alt for row in rows), "what is cut is read whole"
    boxes = []
    for text in svg.iter("text"):
        x, y, wide = float(text.get("x")), float(text.get("y")), 5.6 * len(text.text)
        x -= {"end": wide, "middle": wide / 2}.get(text.get("text-anchor"), 0)
        boxes.append((x, x + wide, y - 9, y + 2, text.text))
    for i, (left, right, upper, lower, text) in enumerate(boxes):
        assert left > -1 and right < 812 + 1, text
        for other in boxes[i + 1 :]:
            assert right < other[0] or other[1] < left or lower < other[2] or other[3] < upper, (text, other[4])


def test_ticks_of_a_narrow_range_can_be_told_apart():
    tree = drawn(plots.ranges(torch.tensor([[0.492]]), torch.tensor([[0.507]]), "narrow", rows=["a"], columns=["loss"]))
    ticks = [text.text for text in tree.iter("text") if text.get("text-anchor") == "middle"]
    assert len(ticks) > 2 and len({*ticks}) == len(ticks)


def test_groups_of_rows_stand_apart():
    def places(together: int | None) -> list[float]:
        tree = drawn(plots.compared({"loss": torch.arange(6.0)}, "six", rows=[*"abcdef"], together=together))
        return [float(dot.get("cy")) for dot in tree.iter("circle")]

    even, grouped = places(None), places(3)
    assert {b - a for a, b in pairwise(even)} == {24}
    assert [b - a for a, b in pairwise(grouped)] == [24, 24, 36, 24, 24]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(
        ValueError, match=r"least \(3, 2\) and most \(3, 2\) should have one shape, and no least be above"
    ):
        plots.ranges(MOST, LEAST, "upside down", rows=SETTINGS, columns=["a", "b"])
    with pytest.raises(ValueError, match=r"loss has the shape \(3, 4\); expected 3 rows of one, two or three numbers"):
        plots.compared({"loss": torch.zeros(3, 4)}, "seeds", rows=SETTINGS)
    with pytest.raises(ValueError, match="loss holds a number that is not finite"):
        plots.compared({"loss": torch.tensor([1.0, float("nan"), 2.0])}, "seeds", rows=SETTINGS)


def test_a_column_has_one_number_format():
    values = torch.tensor([[0.0, 70.7, 46702.79], [50.0, 3e-4, 1.0], [21.5, 0.0, 2.0]])
    cells = re.findall(r"<td>([^<]+)</td>", plots.table(values, "mixed", rows=["a", "b", "c"], columns="xyz").html)
    assert cells == ["0.00", "70.70", "46,702.79", "50.00", "0.0003", "1.00", "21.50", "0.00", "2.00"]
    whole = re.findall(
        r"<td>([^<]+)</td>", plots.table(torch.tensor([[1200.0, 3.0]]), "whole", rows=["a"], columns="xy").html
    )
    assert whole == ["1,200", "3"]


@pytest.mark.parametrize(
    "picture",
    [
        plots.ranges(LEAST, MOST, "three seeds", rows=SETTINGS, columns=["dead, %", "loss"]),
        plots.loss_by_top_k(LOSSES, 2),
    ],
    ids=["by hand", "matplotlib"],
)
def test_where_svg_is_dropped_its_letters_stay_hidden_and_the_words_are_read(picture):
    assert (
        '<div class="pic" hidden="hidden"><svg' in picture.html and f'<p class="alt">{picture.alt}</p>' in picture.html
    )
    assert (
        ".pic[hidden]:has(svg){display:block!important;" in picture.html
        and ".pic:has(svg)+.alt{display:none}" in picture.html
    )


# ---- strips ----------------------------------------------------------------------------------------------------------


def test_strips_are_dark_where_an_expert_is_busy():
    dead_late = torch.tensor([[1, 1, 1, 1], [4, 0, 0, 0]])  # (bins, E): the fair share, then all to expert 0
    even = torch.ones(2, 4)
    picture = plots.strips({"free": dead_late, "even": even}, 900, "layer 2")
    texts = [text.text for text in drawn(picture).iter("text")]
    assert {"free", "even", "900 steps"} <= set(texts)
    assert picture.alt == "layer 2. One block each: free; even.", "it gives nothing away"
    shades = [(p.get("fill-opacity"), p.get("d").count("z")) for p in drawn(picture) if p.get("class") == "cell"]
    assert shades == [("0.25", 4), ("1.00", 1), ("0.25", 4)], (
        "nothing is drawn for a load of 0; equal neighbours are one"
    )
    with pytest.raises(ValueError, match=r"free has the shape \(4,\); expected \(bins, E\)"):
        plots.strips({"free": torch.ones(4)}, 900, "layer 2")


def test_strips_show_numbers_as_they_are_where_the_darkest_is_given():
    alone = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.0, 0.0, 0.0]])  # (tokens, E): four fair shares in both
    for darkest, shades in ((1.0, ["0.25", "1.00"]), (None, ["1.00"])):
        cells = [p for p in drawn(plots.strips({"a": alone}, 2, "a", darkest=darkest)) if p.get("class") == "cell"]
        assert [cell.get("fill-opacity") for cell in cells] == shades


def test_strips_count_what_they_are_told():
    assert "14 tokens" in plots.strips({"layer 1": torch.eye(14)}, 14, "who works for whom", unit="tokens").html


# ---- loads -----------------------------------------------------------------------------------------------------------


def test_loads_share_one_scale_and_mark_who_is_dead():
    picture = plots.loads({"layer 1": torch.tensor([6, 2, 0, 0]), "layer 2": torch.ones(4)}, "load")
    assert picture.alt == (
        "load. layer 1: at most 3 fair shares, 2 of 4 dead; layer 2: at most 1 fair shares, 0 of 4 dead."
    )
    tree = drawn(picture)
    high = [float(bar.get("height")) for bar in tree.iter("rect") if bar.get("class") == "bar"]
    assert [round(h / high[4], 1) for h in high] == [3.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    assert [t.text for t in tree.iter("text") if t.get("class") == "dead"] == ["0", "0"]
    fair = [float(line.get("y1")) for line in tree.iter("line") if line.get("class") == "fair"]
    base = [float(line.get("y1")) for line in tree.iter("line") if line.get("class") == "base"]
    assert [b - f for b, f in zip(base, fair, strict=True)] == [pytest.approx(high[4], abs=0.1)] * 2
    for wrong in (torch.ones(2, 2), torch.zeros(4)):
        with pytest.raises(ValueError, match=r"layer 1 has the shape .* expected a load \(E,\)"):
            plots.loads({"layer 1": wrong}, "load")


@pytest.mark.parametrize(
    "picture",
    [
        plots.table(torch.ones(1, 2), "table"),
        plots.ranges(LEAST, MOST, "ranges", rows=SETTINGS, columns=["dead, %", "loss"]),
        plots.loads({"layer 1": torch.tensor([1, 2])}, "loads"),
        plots.strips({"one": torch.ones(2, 3)}, 10, "strips"),
        model_diagram(3),
    ],
    ids=["table", "ranges", "loads", "strips", "diagram"],
)
def test_no_rule_of_a_figure_holds_outside_of_it(picture):
    (sheet, *_) = re.findall(r"<style>(.*?)</style>", picture.html, re.DOTALL)
    rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    outside = [tinycss2.serialize(rule.prelude) for rule in rules if rule.type == "qualified-rule"]
    outside += [
        tinycss2.serialize(inner.prelude)
        for rule in rules
        if rule.type == "at-rule"
        for inner in tinycss2.parse_rule_list(rule.content, skip_whitespace=True)
    ]
    assert len(outside) > 3 and [prelude for prelude in outside if not _of_figures(prelude)] == []


def _of_figures(prelude: str) -> bool:
    """Whether each of the selectors asks for `.mx`, the root of a figure."""
    return all(re.search(r"\.mx\b", selector) for selector in re.sub(r"\([^)]*\)", "", prelude).split(","))


def test_a_shaded_table_is_darkest_at_the_largest_value():
    picture = plots.table(torch.tensor([[1.0, 0.0], [0.25, 0.75]]), "weights", rows="ab", columns="cd", shade=True)
    assert re.findall(r'<td class="sh" style="--s:(\d+)%">([\d.]+)</td>', picture.html) == [
        ("45", "1.00"), ("11", "0.25"), ("34", "0.75"),
    ]  # fmt: skip
    assert "<td>0.00</td>" in picture.html
    counts = plots.table(torch.tensor([[8.0, 4.0]]), "counts", rows="a", columns="cd", shade=True)
    assert re.findall(r"--s:(\d+)%", counts.html) == ["45", "22"], "by the largest, whatever it is"
