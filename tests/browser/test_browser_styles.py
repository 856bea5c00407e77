"""All widgets on one page, live and as static twins: each looks as it does alone."""

import pytest
from every_widget import all_widgets
from widget_page import render_all

from moe_lite import widgets

pytestmark = pytest.mark.browser

# Where one widget's computed styles with its own sheet differ from those with the sheets of all, in any property that a
# sheet speaks of.
DIFFERENCES = """([name, kind, reversed]) => {
  const opened = [...document.querySelectorAll("head style")].sort((a, b) => a.dataset.order - b.dataset.order);
  document.head.append(...(reversed ? opened.reverse() : opened));
  document.querySelectorAll("style").forEach((style) => { style.sheet.disabled = true; });
  const sheets = [...document.querySelectorAll(kind === "live" ? "head style" : "style")];

  const spoken = (rules) => [...rules].flatMap((rule) => [...(rule.style ?? []), ...spoken(rule.cssRules ?? [])]);
  const properties = [...new Set(sheets.flatMap((style) => spoken(style.sheet.cssRules)))];
  const nodes = [...document.querySelectorAll(`#${name}-${kind} .mx, #${name}-${kind} .mx *`)];
  const looks = (shown) => {
    sheets.forEach((style) => { style.sheet.disabled = !shown(style); });
    return nodes.map((node) => {
      const style = getComputedStyle(node);
      return properties.map((property) => style.getPropertyValue(property));
    });
  };
  const alone = looks((style) => style.closest("[data-widget]").dataset.widget === name), together = looks(() => true);
  const found = nodes.flatMap((node, i) => properties.flatMap((property, p) => alone[i][p] === together[i][p] ? []
    : [[node.tagName, node.getAttribute("class"), property, alone[i][p], together[i][p]]]));
  return { compared: nodes.length * properties.length, found: found.slice(0, 9) };
}"""
# unscoped, as lesson 07's sheet once was, and as strong as what it changes
LEAK = ".mx.mx .tx .tk { background-color: var(--t) !important; } .mx.mx .keys { gap: 1px; }"


@pytest.fixture(scope="module")
def page(browser):
    with browser.page_that(viewport={"width": 900, "height": 900}, reduced_motion="reduce") as page:
        render_all(page, all_widgets())
        yield page


NAMES = sorted(getattr(widgets, name).folder for name in widgets.__all__)


@pytest.mark.parametrize(
    ("kind", "in_reverse"), [("live", False), ("live", True), ("twin", False)], ids=["live", "live in reverse", "twin"]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_widget_looks_among_all_as_it_does_alone(page, name, kind, in_reverse):
    seen = page.evaluate(DIFFERENCES, [name, kind, in_reverse])
    assert seen["compared"] > 5_000
    assert seen["found"] == []


@pytest.mark.parametrize(
    ("kind", "changed"), [("live", ["token_viewer", "training_dashboard"]), ("twin", ["token_viewer"])]
)
def test_a_sheet_without_scope_would_be_seen(page, kind, changed):
    page.evaluate(
        """(css) => {
          const sheet = Object.assign(document.createElement("style"), { textContent: css, id: "leak" });
          Object.assign(sheet.dataset, { widget: "capacity_view", order: 99 });
          document.head.append(sheet);
        }""",
        LEAK,
    )
    try:
        looked_at = ["token_viewer", "training_dashboard", "next_tokens"]
        assert [name for name in looked_at if page.evaluate(DIFFERENCES, [name, kind, False])["found"]] == changed
    finally:
        page.evaluate("document.getElementById('leak').remove()")
