"""Capacity view and bias controller in a real JupyterLab: what is struck out is what the routing says, and at once."""

import pytest
import torch
from lab import open_lab
from waiting import until

from moe_lite.checkpoint import pretrained
from moe_lite.data import encode
from moe_lite.model.balance import drop_over_capacity, expert_capacity

TEXT = "The king said nothing, and the old man left the room.\ndef add(a, b):\n    return a + b\n17 + 25 = 42\n"
VIEWS = {"no room at all": {"factor": 0.25}, "layer 1, factor 3": {"layer": 1, "factor": 3.0}}
CELLS = (
    f"from moe_lite.widgets import BiasController, CapacityView\nCapacityView({TEXT!r}).suggest({VIEWS})",
    "BiasController()",
)
ROOT = ".jp-OutputArea .mx.{}:not(.twin)"
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("capacity.ipynb", *CELLS)
        lab.open("capacity.ipynb")
        lab.run_all()
        lab.page.locator(ROOT.format("bias_controller") + " svg").wait_for()
        yield lab


def moved(lab, css: str, label: str, low: int, high: int, at: int, look=lambda at: None) -> list[float]:
    """Milliseconds from slider to redraw, of a walk down to the lowest place, up to the highest and back; `look` is
    called after each move."""
    places, times = [*range(at - 1, low - 1, -1), *range(low + 1, high + 1), *range(high - 1, at - 1, -1)], []
    drawn = lab.redraws(css)
    for place in places:
        times.append(lab.move(css, label, place - at))
        at = place
        look(at)
    assert lab.redraws(css) == drawn + len(places), "a move is drawn once"
    return times


def test_every_factor_strikes_out_what_the_package_drops(lab, took):
    css = ROOT.format("capacity_view")
    with torch.no_grad():
        routing = pretrained(8)(torch.tensor([encode(TEXT)])).routing[3]

    def look(at: int) -> None:
        capacity = expert_capacity(routing.n_tokens, 2, 8, FACTORS[at])
        kept = drop_over_capacity(routing, capacity, priority).kept
        assert lab.page.locator(f"{css} svg.rooms .stroke").count() == int((~kept).sum())

    priority = "position"
    took("capacity view, slider to redraw", moved(lab, css, "capacity factor", 0, 9, at=5, look=look))
    priority = "score"
    lab.page.locator(css).get_by_role("button", name="highest score first").click()
    lab.page.wait_for_function(
        "css => document.querySelector(css).querySelector('.read').innerText.includes('highest score first')", arg=css
    )
    moved(lab, css, "capacity factor", 2, 5, at=5, look=look)
    assert "highest score first" in lab.page.locator(f"{css} .read").inner_text()


def test_a_token_is_found_in_the_queues_by_keys_alone_and_stays_pinned_in_the_twin(lab):
    """JupyterLab knows Enter, Escape and arrows, too: in the widget they are the widget's."""
    page, root = lab.page, lab.page.locator(ROOT.format("capacity_view"))
    root.get_by_role("slider", name="layer").focus()
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    said = said_now(root)
    assert "token 2: first choice, expert" in said and root.locator("svg .rings rect").count() == 2
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    place = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert said_now(root) == place
    page.keyboard.press("Tab")
    assert said_now(root) == said, "the pinned token comes back when nothing else is pointed at"
    pinned = "() => [...document.querySelectorAll('.mx.capacity_view.twin .tk.pin')].map((e) => e.title)"
    until(lambda: page.evaluate(pinned) == [said])
    page.locator(ROOT.format("capacity_view") + " [data-i='0']").focus()
    page.keyboard.press("Escape")
    assert root.locator(".pin, .at, svg .rings rect").count() == 0 and "choices are dropped" in said_now(root)
    until(lambda: page.evaluate(pinned) == [])
    assert page.evaluate("document.activeElement.dataset.i") == "0", "the focus has not left for the notebook"


def said_now(root) -> str:
    return root.locator(".read").inner_text()


def test_words_set_the_widget_and_what_they_moved_lights_up(lab):
    root = lab.page.locator(ROOT.format("capacity_view"))
    labels = "(node) => [...node.querySelectorAll('.lit')].map((e) => e.textContent)"
    root.get_by_role("button", name="layer 1, factor 3").click()
    root.locator(".lit").first.wait_for()
    assert sorted(root.evaluate(labels)) == ["capacity factor3", "layer1"]
    assert [
        root.get_by_role("slider", name=n).get_attribute("aria-valuetext") for n in ("layer", "capacity factor")
    ] == ["1", "3"]
    root.locator(".lit").first.wait_for(state="detached")
    root.get_by_role("button", name="no room at all").click()
    root.locator(".lit").first.wait_for()
    assert root.evaluate(labels) == ["capacity factor0.25"], "the layer has not moved"
    assert root.locator("svg .stroke").count() > 20


def test_controller_answers_every_step(lab, took):
    css = ROOT.format("bias_controller")
    figures = set()
    times = moved(lab, css, "step size", 0, 7, at=4,
                  look=lambda at: figures.add(lab.page.locator(f"{css} svg").inner_html()))  # fmt: skip
    took("bias controller, slider to redraw", times)
    assert 3 <= len(figures) <= 8
    assert lab.errors == [] and lab.error_outputs() == []
