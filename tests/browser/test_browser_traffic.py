"""The traffic explorer in a real JupyterLab: every control by pointer and by keys, and the cells of the matrix."""

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite.widgets import TrafficExplorer
from moe_lite.widgets.kit.parts import plain

VIEWS = {"a limit": {"devices": 8, "limit": 2}, "none": {"devices": 4, "limit": None}}
CELL = f"from moe_lite.widgets import TrafficExplorer\nshown = TrafficExplorer().suggest({VIEWS})\nshown"
ROOT = ".jp-OutputArea .mx.traffic_explorer:not(.twin)"
TWIN = "() => document.querySelector('.mx.traffic_explorer.twin .read').textContent"


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("traffic.ipynb", CELL)
        lab.open("traffic.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.loads").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


@pytest.fixture
def root(lab):
    return lab.page.locator(ROOT)


@pytest.fixture(scope="module")
def model() -> TrafficExplorer:
    """The same widget here: what the page is compared with."""
    return TrafficExplorer()


def shows(root, model: TrafficExplorer) -> bool:
    """Whether sentence, note and key figures on the page are those of the widget here."""
    read, note = (root.locator(css).first.inner_text().replace("\xa0", " ") for css in (".read", ".note"))
    values = root.locator(".keys b").all_inner_texts()
    return (read, note, values) == (model.reading, model.note, [value for value, _ in model.view["keys"]])


def test_every_control_moves_the_sentence_and_the_twin_follows(lab, root, model):
    until(lambda: shows(root, model), SOON)
    for words, settings in VIEWS.items():
        root.get_by_role("button", name=words, exact=True).click()
        with model.hold_trait_notifications():
            for name, value in settings.items():
                setattr(model, name, value)
        until(lambda: shows(root, model), SOON)
    for group, label, name, value in (
        ("experts", "32", "n_experts", 32),
        ("devices", "8", "devices", 8),
        ("texts", "one kind per device", "texts", "kinds"),
        ("placement", "hot experts copied", "placement", "copies"),
        ("devices per token, at most", "2", "limit", 2),
        ("devices per token, at most", "off", "limit", None),
        ("placement", "by load", "placement", "load"),
        ("vector sent", "once per expert", "once", False),
    ):
        root.get_by_role("group", name=group, exact=True).get_by_role("button", name=label, exact=True).click()
        setattr(model, name, value)
        until(lambda: shows(root, model), SOON)
    for label, name in (("layer", "layer"), ("top-k", "top_k")):
        root.get_by_role("slider", name=label, exact=True).press("ArrowRight")
        setattr(model, name, getattr(model, name) + 1)
        until(lambda: shows(root, model), SOON)
    assert root.locator(".err:visible").count() == 0
    until(lambda: lab.page.evaluate(TWIN).replace("\xa0", " ").startswith(model.reading), SOON)


def test_a_limit_that_leaves_all_devices_open_cannot_be_pressed(root, model):
    limits = root.get_by_role("group", name="devices per token, at most", exact=True)
    assert limits.get_by_role("button", name="4", exact=True).is_enabled()
    root.get_by_role("group", name="devices", exact=True).get_by_role("button", name="2", exact=True).click()
    model.devices = 2
    until(lambda: shows(root, model), SOON)
    assert [button.is_enabled() for button in limits.get_by_role("button").all()] == [True, True, False, False]


def test_the_cells_are_reached_with_the_keyboard_alone(lab, root, model):
    """JupyterLab takes none of the keys."""
    sentences = [[plain(parts) for parts in row] for row in model.view["told"]]
    root.get_by_role("group", name="vector sent").get_by_role("button").last.focus()
    lab.page.keyboard.press("Tab")
    told = root.locator(".told")
    for key, (i, j) in (("", (0, 0)), ("ArrowRight", (0, 1)), ("ArrowDown", (1, 1)), ("Home", (1, 0))):
        if key:
            lab.page.keyboard.press(key)
        until(lambda i=i, j=j: told.inner_text().replace("\xa0", " ") == sentences[i][j], SOON)
        assert lab.page.evaluate("document.activeElement.dataset.cell") == f"{i},{j}"
    lab.page.keyboard.press("Escape")
    until(lambda: told.inner_text().startswith("Point at a cell"), SOON)
