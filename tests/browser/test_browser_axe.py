"""Accessibility by axe-core, light and dark: no serious or critical violation in the widgets, live and as twins, nor in
the static page of a solved lesson."""

from collections.abc import Iterator

import nbformat
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from every_widget import all_widgets
from lab import Driver
from lesson_texts import ROOT, lesson_files
from nbconvert import HTMLExporter
from playwright.sync_api import Page
from widget_page import render_all

from moe_lite import widgets
from moe_lite.look.palette import ROLES, THEMES

pytestmark = pytest.mark.browser

NAMES = sorted(getattr(widgets, name).folder for name in widgets.__all__)
SEVERE = ("serious", "critical")
RUN = """async ([context, options]) => {
  const inside = context === "looks" ? { include: looks() } : context;
  const { violations } = await axe.run(inside,
    { preload: false, elementRef: true, resultTypes: ["violations"], ...options });
  return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ element, target, html, any, all, none }) => ({
    id, impact, html, at: target.join(" "), widget: element.closest("[data-widget]")?.dataset.widget,
    why: [...any, ...all, ...none].map((check) => check.message).join("; "),
  })));

  // every link in the outputs, and of the texts that have the same ink on the same ground one, for there are thousands
  function looks() {
    const first = new Map(), grounds = new Map([[document.body, ""]]);
    const ground = (node) => {
      if (!grounds.has(node)) {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(node);
        grounds.set(node, [ground(node.parentElement), backgroundColor, backgroundImage, opacity].join());
      }
      return grounds.get(node);
    };
    for (const node of document.querySelectorAll(".jp-OutputArea-output :not(svg, svg *)")) {
      const own = [...node.childNodes].filter((child) => child.nodeType === 3).map((text) => text.data.trim()).join("");
      if (!own) continue;
      const { color, fontSize, fontWeight } = getComputedStyle(node);
      const key = [color, fontSize, fontWeight, ground(node), own.length > 1].join(); // axe passes over single letters
      if (node.checkVisibility() && !first.has(key)) first.set(key, node);
    }
    return [...first.values(), ...document.querySelectorAll(".jp-OutputArea-output a")];
  }
}"""
# The rules that ask for colours. On a lesson's page they are asked of its outputs alone: the colours of prompts, code
# and prose (where links have no line) are those of nbconvert's theme, and not ours.
COLOURS = ["color-contrast", "link-in-text-block"]
ONLY_COLOURS = {"runOnly": COLOURS}
NO_COLOURS = {"rules": {rule: {"enabled": False} for rule in COLOURS}}


@pytest.fixture(scope="module")
def page(browser: Driver) -> Iterator[Page]:
    with browser.page_that(viewport={"width": 900, "height": 900}, reduced_motion="reduce", offline=True) as page:
        yield page


def severe(page: Page, context: str, options: dict | None = None) -> list[dict]:
    """The serious and critical violations inside the element that the selector `context` finds, or, for "looks", in one
    text of each look in a lesson's outputs."""
    page.evaluate(AXE_SCRIPT)
    return [found for found in page.evaluate(RUN, [context, options or {}]) if found["impact"] in SEVERE]


def told(found: list[dict]) -> str:
    """For each rule how often it is broken, and the first places."""
    lines = [""]
    for rule in sorted({each["id"] for each in found}):
        broken = [each for each in found if each["id"] == rule]
        lines.append(f"{rule}: {len(broken)} times")
        lines += [f"  {each['at']}\n    {each['html'][:200]!r}\n    {each['why']}" for each in broken[:5]]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def of_widgets(page: Page) -> list[dict]:
    """What is found on one page of all widgets, live and as twins."""
    render_all(page, all_widgets())
    found = []
    for theme, options in zip(THEMES, ({}, ONLY_COLOURS), strict=True):  # all else is the same in the dark
        page.emulate_media(color_scheme=theme)
        page.evaluate("(colour) => { document.body.style.background = colour; }", ROLES[theme]["bg"])
        found += severe(page, "body", options)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_widget_breaks_no_rule(of_widgets, name):
    found = [each for each in of_widgets if each["widget"] == name]
    assert not found, told(found)


def test_a_broken_rule_would_be_seen(page):
    pale = '<p style="color:#999">pale</p><p>in text <a href="#" style="text-decoration:none">a link</a></p>'
    page.set_content(f'<main class="jp-OutputArea-output"><p>ink</p>{pale}<img></main>')
    assert {each["id"] for each in severe(page, "main")} == {*COLOURS, "image-alt"}
    assert {each["id"] for each in severe(page, "main", NO_COLOURS)} == {"image-alt"}
    assert {each["id"] for each in severe(page, "looks", ONLY_COLOURS)} == {*COLOURS}


@pytest.fixture(scope="module")
def frames() -> dict[str, str]:
    """theme -> the static page of a notebook as far as its cells, which do not depend on the theme."""
    empty = nbformat.v4.new_notebook()
    return {theme: before_cells(HTMLExporter(theme=theme).from_notebook_node(empty)[0])[0] for theme in THEMES}


def before_cells(static: str) -> tuple[str, str]:
    """A static page in two: what precedes its cells, and the rest."""
    head, main, cells = static.partition("<main>")
    assert main, "nbconvert puts the cells into <main>"
    return head, main + cells


@pytest.mark.parametrize("lesson", [pytest.param(path.stem, id=f"lesson {path.stem[:2]}") for path in lesson_files()])
def test_the_static_page_of_a_solved_lesson_breaks_no_rule(page, frames, lesson):
    static, _ = HTMLExporter(exclude_input=True).from_filename(str(ROOT / "solutions" / f"{lesson}.ipynb"))
    _, cells = before_cells(static)  # without code, which is nbconvert's own, and half of all nodes
    found = []
    for theme, frame in frames.items():
        page.emulate_media(color_scheme=theme)
        page.set_content(frame + cells, wait_until="domcontentloaded")
        found += severe(page, "looks", ONLY_COLOURS)
        if theme == "light":
            found += severe(page, "main", NO_COLOURS)
    assert not found, told(found)
