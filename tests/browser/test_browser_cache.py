"""The cache explorer in a real JupyterLab: a text of one's own, every control by pointer and by keys, the strip's
columns, and a measuring that blocks nothing."""

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite.widgets import CacheExplorer
from moe_lite.widgets.kit.parts import plain

VIEWS = {"room for all": {"slots": 16}, "the future": {"rule": "belady", "slots": 4}}
CELL = f"from moe_lite.widgets import CacheExplorer\nshown = CacheExplorer(new=12).suggest({VIEWS})\nshown"
ROOT = ".jp-OutputArea .mx.cache_explorer:not(.twin)"
TWIN = "() => document.querySelector('.mx.cache_explorer.twin .read').textContent"
SEEN = "() => document.querySelector('.mx.cache_explorer.twin').textContent"


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("cache.ipynb", CELL)
        lab.open("cache.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.strip:not(.sw)").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


@pytest.fixture
def root(lab):
    return lab.page.locator(ROOT)


@pytest.fixture(scope="module")
def model() -> CacheExplorer:
    """The same widget here: what the page is compared with."""
    return CacheExplorer(new=12)


def shows(root, model: CacheExplorer) -> bool:
    """Whether both sentences on the page are those of the widget here."""
    read, batch = (root.locator(css).first.inner_text().replace("\xa0", " ") for css in (".read", ".said"))
    return (read, batch) == (model.reading, model.view["batch"])


def test_every_control_moves_the_sentences_and_the_twin_follows(lab, root, model):
    until(lambda: shows(root, model), SOON)
    for words, settings in VIEWS.items():
        root.get_by_role("button", name=words, exact=True).click()
        for name, value in settings.items():
            setattr(model, name, value)
        until(lambda: shows(root, model), SOON)
    for label, name, value in (("32", "n_experts", 32), ("LFU", "rule", "lfu"), ("16", "n_experts", 16)):
        root.get_by_role("button", name=label, exact=True).click()
        setattr(model, name, value)
        until(lambda: shows(root, model), SOON)
    for label, name in (("layer", "layer"), ("room for", "slots"), ("new tokens", "new"), ("texts at a time", "batch")):
        root.get_by_role("slider", name=label, exact=True).press("ArrowRight")
        setattr(model, name, getattr(model, name) + 1)
        until(lambda: shows(root, model), SOON)
    root.get_by_role("combobox", name="texts from").select_option("french")
    model.domain = "french"
    until(lambda: shows(root, model), SOON)
    until(lambda: lab.page.evaluate(TWIN).replace("\xa0", " ").startswith(model.reading), SOON)
    assert "tokens per second" not in lab.page.evaluate(SEEN), "nothing has been measured"


def test_a_text_of_one_s_own(root, model):
    box = root.get_by_role("textbox", name="text")
    for text in ("17 + 25 = ", "\U0001f642 <b>", ""):
        box.fill(text)
        model.text = text
        until(lambda: shows(root, model), SOON)
    assert root.locator("svg.strip:not(.sw)").count() == 0
    box.fill("def add(a, b):")
    model.text = "def add(a, b):"
    until(lambda: shows(root, model), SOON)
    assert root.locator(".err:visible").count() == 0


def test_the_columns_are_reached_with_the_keyboard_alone(lab, root, model):
    """JupyterLab takes none of the keys."""
    root.get_by_role("slider", name="new tokens").focus()
    lab.page.keyboard.press("Tab")
    assert lab.page.evaluate("document.activeElement.ariaLabel") == "step"
    sentences = [plain(parts) for parts in model.view["told"]]
    told = root.locator(".told")
    assert told.inner_text() == sentences[0], "the focus alone shows the prompt"
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("End", len(sentences) - 1), ("Home", 0)):
        lab.page.keyboard.press(key)
        until(lambda step=step: told.inner_text() == sentences[step], SOON)
        assert lab.page.evaluate("document.activeElement.ariaLabel") == "step"


def test_measuring_blocks_nothing_and_then_is_drawn(lab, root, model):
    button = root.get_by_role("button", name="Measure here")
    button.click()
    root.get_by_role("slider", name="layer", exact=True).press("ArrowRight")
    model.layer += 1
    until(lambda: shows(root, model), SOON)
    until(lambda: root.locator("svg.speeds:not(.sw) .timed").count() == 6)
    until(button.is_enabled)
    assert "On this machine one text makes" in root.locator(".said").last.inner_text()
    until(lambda: "tokens per second" in lab.page.evaluate(SEEN), SOON)
