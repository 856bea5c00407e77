"""Figures: what they say is what they were given, and they are right in both themes."""

import re
import xml.etree.ElementTree as ET

import pytest
import torch

from moe_lite import plots
from moe_lite.palette import HUES

LOSSES = {4: {"1": 3.3, "2": 3.1, "3": 3.2}, 8: {"1": 3.2, "2": 3.0, "4": 2.9}}


def test_table_shows_every_value_and_fills_the_chosen_cells():
    picture = plots.table(torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.25, 0.55]]), "scores", chosen=torch.tensor([[0], [2]]))
    assert re.findall(r"<td[^>]*>([\d.]+)</td>", picture.html) == ["0.60", "0.30", "0.10", "0.20", "0.25", "0.55"]
    assert re.findall(r'<td class="on (e\d)">([\d.]+)</td>', picture.html) == [("e0", "0.60"), ("e2", "0.55")]
    assert repr(picture) == "Table, 2 × 3: scores"


def test_table_refuses_names_that_do_not_fit():
    with pytest.raises(ValueError, match="values are 2 × 3, but there are 1 rows and 3 columns"):
        plots.table(torch.zeros(2, 3), "scores", rows=["one"])


def test_table_escapes_what_it_is_given():
    html = plots.table(torch.zeros(1, 1), "<script>", rows=["<b>"], columns=["<i>"], right=("<u>", torch.ones(1))).html
    assert not re.search(r"<(script|b|i|u)>", html)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-0.0, "0"), (3.0, "3"), (0.126, "0.13"), (-1.5, "−1.50"), (6e-8, "6e−08")]
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


def test_loss_curves_say_where_each_run_began_and_ended_and_smooth_only_over_the_window():
    points = [(2048 * (i + 1), 8.0 - i) for i in range(6)]
    picture = plots.loss_curves({"this run": points}, {"knows nothing": 7.62}, window=2)
    assert repr(picture) == (
        "Training loss. this run: from 8.00 to 3.50 after 12,288 tokens; knows nothing: 7.62."
    )  # the last two are 4 and 3
    assert "knows nothing: 7.62" in picture.html and "12,000" in picture.html
    ET.fromstring(picture.html[picture.html.index("<svg") : picture.html.index("</svg>") + 6])
