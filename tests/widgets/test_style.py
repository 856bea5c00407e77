"""A widget's sheet holds in that widget alone: JupyterLab is one page, where the sheets of all widgets hold at once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from widget_page import script_page

from moe_lite import widgets
from moe_lite.widgets.kit import widget as kit_widget
from moe_lite.widgets.kit.widget import MoEWidget, scoped, style

WIDGETS = [getattr(widgets, name) for name in widgets.__all__]
INSIDE = ("@media", "@container", "@supports")  # the rules with @ that CSS nesting lets hold for a part of the page


def blocks(css: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, what stands in it) of each { … } that is in no other."""
    depth, start, prelude = 0, 0, ""
    for place, character in enumerate(css):
        if character == "{":
            if depth == 0:
                prelude, start = css[start:place].split(";")[-1].strip(), place + 1
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                yield prelude, css[start:place]
                start = place + 1
    assert depth == 0, "the braces of this sheet do not match"


def reaches_out(selector: str) -> bool:
    """Whether a nested selector finds what is not in the root: & is not what it begins with, or it looks beside it."""
    bare = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", selector))
    return ("&" in selector and "&" not in bare) or bool(re.search(r"&[^\s>+~]*\s*[+~]", bare))


def outside(css: str, folder: str) -> list[str]:
    """Whatever in a sheet could change something that is not in `.mx.<folder>`."""
    found = []

    def look(nested: str) -> None:
        for prelude, body in blocks(nested):
            if prelude.startswith("@"):
                found.extend([prelude] if not prelude.startswith(INSIDE) else [])
                look(body)
            else:
                found.extend(selector for selector in selectors(prelude) if reaches_out(selector))
                assert "{" not in body, f"{prelude} has rules in it: one level is enough"

    for prelude, body in blocks(css):
        found.extend([prelude] if prelude != f".mx.{folder}" else [])
        look(body)
    return found


def selectors(prelude: str) -> list[str]:
    """A list of selectors, taken apart at the commas that are in no parentheses."""
    return re.split(r",(?![^()]*\))", prelude)


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget.folder)
def test_no_rule_holds_outside_of_the_widget(widget):
    assert widget._css.count("{") > 80
    assert outside(widget._css, widget.folder) == []


@pytest.mark.parametrize(
    ("sheet", "found"),
    [
        (".tk { color: red }", []),
        ("} .mx .tk { color: red", [".mx .tk"]),  # a brace too many ends the scope
        (".a :is(td, th) {} body:not(&) .tk, .b { color: red }", ["body:not(&) .tk"]),
        ("body:has(&) .tk {}", ["body:has(&) .tk"]),
        ("& + p {} &.twin ~ p {} & > p + p {}", ["& + p", "&.twin ~ p"]),
        ("@media (width < 9px) { body[data-x] & .tk {} p:not(&) {} } @keyframes turn { to { top: 0 } }",
         ["p:not(&)", "@keyframes turn"]),
    ],
)  # fmt: skip
def test_a_rule_that_reaches_out_is_found(sheet, found):
    assert outside(scoped(sheet, "planted"), "planted") == found
    assert outside(".mx .tx .tk { color: red }", "planted") == [".mx .tx .tk"]


def test_a_sheet_of_two_files_holds_in_the_widget_of_the_last():
    css = style("token_viewer/style.css", "generation_viewer/style.css")
    assert outside(css, "generation_viewer") == [] and outside(css, "token_viewer") != []


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget.folder)
def test_root_class_and_question_are_said_once(widget):
    """The folder's name marks the root, and the question stands in Python alone."""
    question = widget.question.default_value
    assert f'const FOLDER = "{widget.folder}";' in widget._esm and question.endswith("?")
    assert question not in widget._esm and question.replace("’", "'") not in widget._esm


def test_a_subclass_elsewhere_keeps_the_folder():
    class Mine(widgets.BiasController):
        pass

    assert (Mine.folder, MoEWidget.folder) == ("bias_controller", "")
    twin = Mine().static_html()
    assert '<div class="mx bias_controller twin ' in twin and 'aria-label="Can a rule even out' in twin


def test_a_suggestion_names_what_the_widget_can_set():
    view = widgets.CapacityView("The king said nothing.")
    assert view.suggest({"factor 3": {"factor": 3.0}}) is view
    assert view.suggested == [{"words": "factor 3", "settings": {"factor": 3.0}}]
    with pytest.raises(ValueError, match="'all of it' sets rows, which nothing on the widget moves; it has factor, "):
        view.suggest({"all of it": {"rows": 3}})
    assert view.suggested[0]["words"] == "factor 3", "what was suggested before stays"


# Where a slider with steps of 6 px marks the place it stood at, after a move by one step, and by two.
MARKS = """async (kit) => {
  const text = kit + "export { slider };", address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const { slider } = await import(address), values = Array.from({ length: 17 }, (_, i) => i);
  const control = slider({ label: "x", values, value: 0, onmove() {} });
  return [1, 3].map((value) => { control.set(value); return control.input.style.getPropertyValue("--was"); });
}"""


@pytest.mark.browser
def test_a_slider_marks_where_it_stood_unless_the_thumb_covers_the_place(browser):
    kit = Path(kit_widget.__file__).with_name("kit.js").read_text(encoding="utf-8")
    with script_page(widgets.BiasController(), browser) as page:
        assert page.evaluate(MARKS, kit) == ["", "12px"]
