"""The results explorer in a real JupyterLab: axes, models and budgets by pointer, the marker and the rest by keys."""

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite.widgets import ResultsExplorer

VIEWS = {"per second": {"axis": "seconds"}, "equal bytes": {"axis": "bytes", "second": "dense-equal-total"}}
NAMES = ["dense-equal-active", "dense-equal-total", "moe-8-top2"]
CELL = f"from moe_lite.widgets import ResultsExplorer\nshown = ResultsExplorer({NAMES}).suggest({VIEWS})\nshown"
ROOT = ".jp-OutputArea .mx.results_explorer:not(.twin)"
TWIN = "() => document.querySelector('.mx.results_explorer.twin .read').textContent"


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("results.ipynb", CELL)
        lab.open("results.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.results").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


def said(lab) -> str:
    return lab.page.locator(f"{ROOT} .read").inner_text().replace("\xa0", " ")


def drawn(lab) -> int:
    """How many models have a name in the figure."""
    return lab.page.locator(f"{ROOT} svg.results .nm").count()


def test_axes_models_and_pair_by_pointer(lab):
    root, model = lab.page.locator(ROOT), ResultsExplorer(NAMES)
    assert said(lab) == model.reading
    for axis in ("FLOPs", "seconds", "bytes", "tokens"):
        root.get_by_role("button", name=axis, exact=True).click()
        model.axis = axis
        until(lambda: said(lab) == model.reading, SOON)
        on = root.locator("table.four tr.on th").inner_text()
        assert axis in on
    root.get_by_role("button", name="per second").click()
    model.axis = "seconds"
    until(lambda: said(lab) == model.reading, SOON)
    root.get_by_role("button", name="equal bytes").click()
    model.axis, model.second = "bytes", "dense-equal-total"
    until(lambda: said(lab) == model.reading, SOON)
    root.get_by_role("combobox", name="second model").select_option("dense-equal-active")
    model.second = "dense-equal-active"
    until(lambda: said(lab) == model.reading, SOON)
    names = drawn(lab)
    root.get_by_role("button", name="dense, equal total parameters").click()
    until(lambda: drawn(lab) == names - 2, SOON)  # a name of two lines
    model.shown = ["moe-8-top2", "dense-equal-active"]
    until(lambda: lab.page.evaluate(TWIN).startswith(model.reading[:60]), SOON)


def test_it_is_worked_by_keys_alone(lab):
    page, root = lab.page, lab.page.locator(ROOT)
    model = ResultsExplorer(NAMES, shown=[NAMES[0], NAMES[2]])  # as the first test leaves it: ranges depend on it
    root.get_by_role("button", name="tokens", exact=True).focus()
    page.keyboard.press("Enter")
    until(lambda: said(lab) == model.reading, SOON)
    slider = root.get_by_role("slider", name="compared at")
    slider.focus()
    stops = model.view["marker"]["stops"]
    at = stops.index(model.now.at)
    for key, step in (("ArrowLeft", -1), ("ArrowLeft", -1), ("Shift+ArrowLeft", -10), ("ArrowRight", 1)):
        page.keyboard.press(key)
        at = min(max(0, at + step), len(stops) - 1)
        model.at = stops[at]
        until(lambda: said(lab) == model.reading, SOON)
        assert slider.get_attribute("aria-valuetext") == model.view["marker"]["says"]
        assert page.evaluate("document.activeElement.ariaLabel") == "compared at", "it keeps the focus"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "to the most that both spent"
    page.keyboard.press("Enter")
    model.at = 0.0
    until(lambda: said(lab) == model.reading, SOON)
