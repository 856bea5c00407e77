"""The serving explorer in a real JupyterLab: models, batch and settings by pointer and by keys, and a line that is
dragged."""

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite.widgets import ServingExplorer

VIEWS = {"one text": {"batch": 1}, "Kimi-K2, short texts": {"model": "Kimi-K2", "context": 256}}
CELL = f"from moe_lite.widgets import ServingExplorer\nshown = ServingExplorer().suggest({VIEWS})\nshown"
ROOT = ".jp-OutputArea .mx.serving_explorer:not(.twin)"
TWIN = "() => document.querySelector('.mx.serving_explorer.twin .read').textContent"


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("serving.ipynb", CELL)
        lab.open("serving.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.serving").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


@pytest.fixture
def root(lab):
    """The live widget, as it was at the start."""
    return lab.page.locator(ROOT)


def said(root) -> str:
    return root.locator(".read").inner_text().replace("\xa0", " ")


def test_every_control_moves_the_sentence_and_the_twin_follows(lab, root):
    model = ServingExplorer()
    assert said(root) == model.reading
    for words, settings in VIEWS.items():
        root.get_by_role("button", name=words).click()
        for name, value in settings.items():
            setattr(model, name, value)
        until(lambda: said(root) == model.reading, SOON)
    root.get_by_role("combobox", name="accelerator").select_option("A100 80 GB")
    model.accelerator = "A100 80 GB"  # its price comes with it
    until(lambda: said(root) == model.reading, SOON)
    assert root.get_by_role("slider", name="accelerator, $ per hour").get_attribute("aria-valuetext") == "1.30"
    root.get_by_role("combobox", name="model").select_option("Mixtral-8x7B")
    model.model = "Mixtral-8x7B"
    until(lambda: said(root) == model.reading, SOON)
    root.get_by_role("button", name="4", exact=True).click()
    model.bits = 4
    until(lambda: said(root) == model.reading, SOON)
    for label, name, value in (("context", "context", 512), ("busy", "utilisation", 60)):
        root.get_by_role("slider", name=label, exact=True).press("ArrowRight")
        setattr(model, name, value)
        until(lambda: said(root) == model.reading, SOON)
    root.get_by_role("slider", name="accelerator, $ per hour").press("ArrowRight")
    model.dollars = 1.5
    until(lambda: said(root) == model.reading, SOON)
    until(lambda: lab.page.evaluate(TWIN).replace("\xa0", " ").startswith(model.reading), SOON)


def test_the_batch_is_moved_by_keys_alone(lab, root):
    """It is reached with Tab, and JupyterLab takes none of its keys."""
    root.get_by_role("button", name="one text").click()
    until(lambda: "one text at a time on" in said(root), SOON)
    slider = root.get_by_role("slider", name="batch")
    root.get_by_role("slider", name="accelerator, $ per hour").focus()
    lab.page.keyboard.press("Tab")
    assert lab.page.evaluate("document.activeElement.ariaLabel") == "batch"
    for key, batch in (("ArrowRight", 2), ("ArrowUp", 4), ("PageUp", 32), ("ArrowLeft", 16), ("End", 2048)):
        lab.page.keyboard.press(key)
        until(lambda batch=batch: f"With {batch:,} texts" in said(root) or f"{batch:,} texts of" in said(root), SOON)
        assert slider.get_attribute("aria-valuetext") == f"{batch:,} texts at a time"
        assert lab.page.evaluate("document.activeElement.ariaLabel") == "batch", "it keeps the focus"
    lab.page.keyboard.press("Home")
    until(lambda: "one text at a time on" in said(root), SOON)


def test_the_line_in_the_figure_is_dragged_and_its_thumb_stands_under_it(lab, root):
    grab = root.locator("svg.serving .grab")
    grab.scroll_into_view_if_needed()
    box, mouse = grab.bounding_box(), lab.page.mouse
    mouse.move(box["x"] + 8, box["y"] + 60)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + 60, steps=5)
    mouse.move(box["x"] + box["width"] - 8, box["y"] + 60, steps=5)
    mouse.up()
    until(lambda: "2,048 texts" in said(root), SOON)
    line = root.locator("svg.serving .cursor").bounding_box()
    track = root.get_by_role("slider", name="batch").bounding_box()
    assert abs(line["x"] - (track["x"] + track["width"] - 7)) < 2, "the thumb is 14 px wide"
