"""Nothing that a learner has made disappears: a saved notebook shows every widget as it was left, kernel or not."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from lab import Lab, open_lab
from nbconvert import HTMLExporter
from waiting import SOON, until

from moe_lite import widgets
from moe_lite.look.svg import NO_MATH
from moe_lite.widgets.kit.widget import CALM, KERNEL_GONE

NAMES = [getattr(widgets, name).folder for name in widgets.__all__]
TESTS = Path(__file__).parents[1]
SETUP = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from every_widget import all_widgets
made = all_widgets()
"""
LOST = "Error displaying widget"
# of each widget: which of its figures can be seen, live ones and twins
SEEN = """(names) => Object.fromEntries(names.map((name) => [name,
  [...document.querySelectorAll(`.jp-OutputArea .mx.${name}`)].filter((e) => e.checkVisibility())
    .map((e) => (e.classList.contains("twin") ? "twin" : "live"))]))"""
VISIBLE = """() => [...document.querySelectorAll('.jp-OutputArea-child')].filter((e) => e.checkVisibility())
  .map((e) => e.innerText)"""


def seen(lab: Lab) -> dict[str, list[str]]:
    return lab.page.evaluate(SEEN, NAMES)


def reading(lab: Lab, css: str) -> str:
    """The sentence below a figure, with ordinary spaces."""
    return re.sub(r"\s+", " ", lab.page.locator(f"{css} .read").text_content()).strip()


# where the first slider would change no word below the figure
OTHERS = {
    "failure_gallery": ".cases button:nth-child(3)",
    "generation_viewer": "[data-i] >> nth=2",
    "token_viewer": "[data-i] >> nth=2",
    "training_dashboard": "input[aria-label=step]",
}


def moved(lab: Lab, name: str) -> None:
    """Move a slider of a widget by a step, or click on something."""
    control = lab.page.locator(f".jp-OutputArea .mx.{name}:not(.twin)").locator(
        OTHERS.get(name, "input[type=range]:visible >> nth=0")
    )
    if control.evaluate("e => e.type === 'range'"):
        control.focus()
        lab.page.keyboard.press("ArrowLeft" if control.evaluate("e => e.value === e.max") else "ArrowRight")
    else:
        control.click()


@pytest.fixture(scope="module")
def saved(server, browser, tmp_path_factory) -> dict:
    """A notebook in which every widget was shown, moved and saved: its text, and the readings of the live ones."""
    with open_lab(server, browser) as lab:
        lab.write("all.ipynb", SETUP, *[f"made[{name!r}]" for name in NAMES])
        lab.open("all.ipynb")
        lab.run_all()
        live = {name: ["live"] for name in NAMES}
        until(lambda: seen(lab) == live)
        first = {name: reading(lab, f".jp-OutputArea .mx.{name}:not(.twin)") for name in NAMES}
        for name in NAMES:
            moved(lab, name)
        lab.wait_idle()
        lab.page.wait_for_timeout(1000 * (CALM + 1))
        lab.wait_idle()
        assert seen(lab) == live, "a twin that is brought up to date stays hidden"
        last = {name: reading(lab, f".jp-OutputArea .mx.{name}:not(.twin)") for name in NAMES}
        lab.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        until(lambda: "twin" in (lab.folder / "all.ipynb").read_text(encoding="utf-8"))
        lab.page.wait_for_timeout(500)
        text = (lab.folder / "all.ipynb").read_text(encoding="utf-8")
        assert lab.errors == []
    return {"text": text, "first": first, "last": last}


def left(readings: dict[str, str]) -> dict[str, str]:
    """The readings as a twin gives them."""
    return {name: f"{text} {KERNEL_GONE}" for name, text in readings.items()}


def outputs_with(lab: Lab, text: str) -> int:
    """How many outputs that can be seen have this text."""
    return sum(text in re.sub(r"\s+", " ", shown) for shown in lab.page.evaluate(VISIBLE))


def test_every_widget_was_moved(saved):
    """Else the twins of the start would pass for those of the end."""
    unmoved = [name for name in NAMES if saved["first"][name] == saved["last"][name]]
    assert unmoved == [], unmoved


def test_a_reopened_notebook_shows_every_widget_as_it_was_left(lab, saved):
    (lab.folder / "all.ipynb").write_text(saved["text"], encoding="utf-8")
    lab.open("all.ipynb")
    until(lambda: seen(lab) == {name: ["twin"] for name in NAMES}, SOON)
    assert {name: reading(lab, f".mx.{name}.twin") for name in NAMES} == left(saved["last"])
    assert outputs_with(lab, LOST) == 0


def test_in_a_notebook_that_is_not_trusted_every_widget_is_there_once(lab, saved):
    notebook = json.loads(saved["text"])
    notebook["metadata"]["changed"] = "by someone else, so its signature does not hold"
    (lab.folder / "all.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    lab.open("all.ipynb")
    assert lab.page.locator(".jp-OutputArea .mx style").count() == 0, "it is not trusted"
    for at, (name, text) in enumerate(left(saved["last"]).items(), start=1):
        lab.page.evaluate("(at) => window.jupyterapp.shell.currentWidget.content.scrollToItem(at)", at)
        until(lambda text=text: outputs_with(lab, text), SOON)  # JupyterLab draws what comes into sight
        assert (name, outputs_with(lab, text), outputs_with(lab, LOST)) == (name, 1, 0)


def test_run_again_the_live_widgets_take_the_twins_places(lab, saved):
    (lab.folder / "all.ipynb").write_text(saved["text"], encoding="utf-8")
    lab.open("all.ipynb")
    lab.run_all()
    until(lambda: seen(lab) == {name: ["live"] for name in NAMES}, SOON)
    lab.server.end_kernels()
    until(lambda: outputs_with(lab, LOST) == 0 and all(len(each) == 1 for each in seen(lab).values()), SOON)


def test_a_static_page_has_one_figure_of_each(saved):
    page, _ = HTMLExporter().from_notebook_node(nbformat.reads(saved["text"], as_version=4))
    assert sorted(re.findall(r'class="mx ([^"]*)"', page)) == [f"{name} twin {NO_MATH}" for name in sorted(NAMES)]
