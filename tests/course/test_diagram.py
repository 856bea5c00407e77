"""The model as one line: which parts are marked, in colour, stroke and words (moe_lite/course/diagram.py)."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from moe_lite.course import outline
from moe_lite.course.diagram import WIDTH, model_diagram

NUMBERS = range(17)


def svg(today: int) -> ElementTree.Element:
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", model_diagram(today).html, re.DOTALL)[0])


def texts(today: int) -> list[str]:
    return [element.text for element in svg(today).iter("text")]


def boxes(today: int) -> dict[str, str]:
    """{part: how its box is drawn} of the parts that are boxes with their name inside."""
    found = {}
    elements = [e for e in svg(today) if e.tag in ("rect", "text")]
    for rect, text in zip(elements, elements[1:], strict=False):
        if rect.tag == "rect" and text.tag == "text" and rect.get("class", "").startswith("part"):
            dashed = "dashed" if rect.get("stroke-dasharray") else "solid"
            found[text.text] = "today" if "today" in rect.get("class") else dashed
    return found


def test_lesson_03_has_built_todays_and_coming_parts():
    assert boxes(3) == {
        "embed": "solid", "attention": "solid", "router": "today", "combine": "dashed", "head": "solid",
    }  # fmt: skip
    assert texts(3).count("today · 03") == 1
    assert [text for text in texts(3) if re.fullmatch(r"\d\d|experts · .*", text)] == [
        "01",
        "01",
        "04",
        "01",
        "experts · 04",
    ]
    assert model_diagram(3).alt.endswith(
        "Today: router. Built so far: embed, attention, residual and head. To come: experts and combine."
    )


def test_lesson_02_says_that_its_parts_are_small_ones():
    assert model_diagram(2).alt.endswith(
        "Today, on toy data: router, experts and combine. The model gets its own in lessons 03 and 04. "
        "Built so far: embed, attention, residual and head."
    )
    assert "Dashed and blue: today, on toy data." in model_diagram(2).html
    dashed = [e for e in svg(2).iter("rect") if "today" in e.get("class", "") and e.get("stroke-dasharray")]
    assert len(dashed) == 3  # router, combine, and the frame around the experts


def test_lesson_00_shows_the_whole_model_with_nothing_built():
    assert set(boxes(0).values()) == {"dashed"} and len(boxes(0)) == 5
    assert "The whole model, nothing built yet." in model_diagram(0).html
    assert 'class="part today' not in model_diagram(0).html and "experts · 04" in texts(0)


def test_lesson_01_is_dense():
    assert boxes(1) == dict.fromkeys(["embed", "attention", "feed-forward", "head"], "today")
    assert not {"router", "combine", "experts · 04", "0", "7"} & set(texts(1))
    assert "four blocks of attention and feed-forward" in model_diagram(1).alt


@pytest.mark.parametrize("today", [n for n in NUMBERS if n != 1])
def test_eight_experts_with_their_numbers_two_of_them_lit(today):
    experts = [group for group in svg(today).iter("g")]
    assert sorted(group.get("class") for group in experts) == [f"e{e}" for e in range(8)]
    for group in experts:
        assert group.find("text").text == group.get("class")[1:]
        assert ("lit" in group.find("rect").get("class")) == (group.get("class") in ("e1", "e5"))


@pytest.mark.parametrize("today", [n for n in NUMBERS if n])
def test_todays_parts_are_marked_by_stroke_and_word_and_no_others(today):
    lesson = outline.lesson(today)
    label = f"today · {lesson.label}"
    assert sum(label in text for text in texts(today)) == len(lesson.today)
    marked = {part for part, look in boxes(today).items() if look == "today"}
    assert marked == set(lesson.today) & {"embed", "attention", "router", "combine", "feed-forward", "head"}
    assert (f"experts · {label}" in texts(today)) == ("experts" in lesson.today)
    strokes = [e for e in svg(today).iter() if "today" in e.get("class", "").split()]
    assert len(strokes) == len(lesson.today) + ("residual" in lesson.today)  # the way around, and its plus


@pytest.mark.parametrize("today", NUMBERS)
def test_what_is_to_come_is_dashed_and_only_that(today):
    come = {part for part, number in outline.course().model.items() if number >= max(today, 1)} - {
        "block",
        "feed-forward",
    }
    come -= set(outline.lesson(today).today)
    if today == 1:
        come -= {"router", "experts", "combine"}  # not in the dense picture
    dashed = {part for part, look in boxes(today).items() if look == "dashed"}
    assert dashed == come - {"experts", "residual"}
    in_experts = {"dashed" if group.find("rect").get("stroke-dasharray") else "solid" for group in svg(today).iter("g")}
    assert in_experts == ({"dashed"} if "experts" in come else {"solid"} if today != 1 else set())
    assert ("Dashed:" in model_diagram(today).html) == bool(come)


@pytest.mark.parametrize("today", NUMBERS)
def test_it_fits_reads_and_loads_nothing(today):
    picture = model_diagram(today)
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:\s*(?:\d+ )?([\d.]+)px", picture.html)]
    assert len(sizes) >= 5 and min(sizes) >= 11
    assert WIDTH <= 740 and f'viewBox="0 0 {WIDTH} ' in picture.html, "drawn at full size from 760 px on"
    right = [float(e.get("x", 0)) + float(e.get("width", 0)) for e in svg(today).iter() if e.get("x")]
    assert max(right) <= WIDTH and "max-width:100%" in picture.html
    body = picture.html.split("</style>")[1]
    assert not re.findall(r"#[0-9a-fA-F]{3,6}\b|rgba?\(|<script|url\(|https?:", body)
    assert svg(today).get("role") == "img" and svg(today).get("aria-label") == picture.alt == repr(picture)


def test_the_text_of_a_box_fits_into_it():
    """By the width of DejaVu Sans, the widest of the usual fonts: at most 0.66 em a letter in these words."""
    from moe_lite.course.diagram import PLACES

    for part, (_, width) in PLACES.items():
        assert len(part) * 13 * 0.66 <= width, part


@pytest.mark.parametrize("wrong", [17, -1, "3", None])
def test_a_lesson_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers from 0 to 16"):
        model_diagram(wrong)
