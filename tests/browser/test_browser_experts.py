"""The expert viewer in a real JupyterLab: select by column, token and key, mute, type, change layer and model."""

from itertools import pairwise
from pathlib import Path

import pytest
from lab import open_lab
from small import model_with_opinions, sample_corpora
from waiting import SOON, until
from widget_page import script_page

from moe_lite.widgets import ExpertViewer
from moe_lite.widgets.expert_viewer.words import as_many

TEXT = "Il a dit : def area(r): return 3 * r"
CELL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from small import model_with_opinions, sample_corpora
from moe_lite.widgets import ExpertViewer
viewer = ExpertViewer({{n: model_with_opinions(n) for n in (8, 16)}}, sample_corpora(), {TEXT!r}, expert=5, windows=2)
viewer.suggest({{"python's expert": {{"domain": "python"}}, "mute it": {{"muted": True}}}})
"""
ROOT = ".jp-OutputArea .mx.expert_viewer:not(.twin)"
TWIN = "() => document.querySelector('.mx.expert_viewer.twin').textContent"
# experts under the tokens, and which of them keep their tint, which have a bar
TOKENS = """css => [...document.querySelectorAll(`${css} [data-i]`)]
  .map((e) => [Number(e.dataset.expert), !e.classList.contains("off"), e.classList.contains("mv")])"""
# of the columns' heads where they begin, how wide they are, and where what is written in them ends
HEADS = """() => [...document.querySelectorAll("table.doms thead th")].map((head) => {
  const { left, width } = head.getBoundingClientRect(), range = document.createRange();
  range.selectNodeContents(head);
  return [left, width, range.getBoundingClientRect().right];
})"""
# the cells that are narrower than what is written in them
CUT = """() => [...document.querySelectorAll("table.doms :is(td:not(:has(.bar)), tbody th)")]
  .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)"""
CELLS = "css => [...document.querySelectorAll(`${css} table.heat td`)].map((e) => e.textContent)"


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("experts.ipynb", CELL)
        lab.open("experts.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} table.heat").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


@pytest.fixture(scope="module")
def model() -> ExpertViewer:
    """The same widget here: what the page is compared with."""
    return ExpertViewer({n: model_with_opinions(n) for n in (8, 16)}, sample_corpora(), TEXT, expert=5, windows=2)


def said(lab) -> str:
    return lab.page.locator(f"{ROOT} .read").inner_text().replace("\xa0", " ")


def shows(lab, model: ExpertViewer) -> bool:
    """Whether sentence, heatmap and text on the page are those of the widget here."""
    shown, chosen = model.shown, [row[model.choice] for row in model.view["chosen"]]
    off, moved = shown.dimmed(model.choice).tolist(), shown.changed(model.choice).tolist()
    tokens = [[e, not o, m] for e, o, m in zip(chosen, off, moved, strict=True)]
    return (
        said(lab) == model.reading
        and lab.page.evaluate(TOKENS, ROOT) == tokens
        and lab.page.locator(f"{ROOT} table.heat th button[aria-pressed=true]").inner_text() == str(model.expert)
    )


def test_a_column_and_a_token_select_their_expert(lab, model):
    root = lab.page.locator(ROOT)
    until(lambda: shows(lab, model), SOON)
    root.locator("table.heat th button").nth(2).click()
    model.expert = 2
    until(lambda: shows(lab, model), SOON)
    root.locator("table.heat tbody tr").nth(3).locator("td").nth(6).click()
    model.expert = 6
    until(lambda: shows(lab, model), SOON)
    assert root.locator(".title").inner_text() == "Expert 6 in layer 1"
    at = next(i for i, row in enumerate(model.view["chosen"]) if row[0] != 6)
    root.locator("[data-i]").nth(at).click()
    model.expert = model.view["chosen"][at][0]
    until(lambda: shows(lab, model), SOON)
    root.get_by_role("button", name="second choice").click()
    model.choice = 1
    until(lambda: shows(lab, model), SOON)
    root.locator("[data-i]").nth(at).click()
    model.expert = model.view["chosen"][at][1]
    until(lambda: shows(lab, model), SOON)
    root.get_by_role("button", name="first choice").click()
    model.choice = 0
    until(lambda: shows(lab, model), SOON)


def test_the_suggested_buttons_select_and_mute_and_the_losses_appear(lab, model):
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("button", name="python's expert").click()
    model.domain = "python"
    until(lambda: shows(lab, model), SOON)
    mute = root.get_by_role("button", name=f"Mute expert {model.expert} in layer 1")
    assert mute.get_attribute("aria-pressed") == "false" and root.locator("table.doms.three").count() == 0
    root.get_by_role("button", name="mute it").click()
    model.mute()
    until(lambda: shows(lab, model))
    assert mute.get_attribute("aria-pressed") == "true"
    rows = root.locator("table.doms.three tbody tr")
    changes = model.changes
    assert rows.count() == 9 and root.locator("p.note").last.inner_text() == model.view["note"]
    for d, (domain, pair) in enumerate(changes.by_domain.items()):
        shown = [rows.nth(d).locator(f".v{i}").inner_text().replace("−", "-") for i in (1, 2)]
        assert [float(text) for text in shown] == pytest.approx(pair, abs=0.0051)
        control = changes.controls[domain]
        assert rows.nth(d).locator(".vs .n").inner_text() == str(control.expert)
        assert rows.nth(d).locator(".vs .of").inner_text().strip() == as_many(control)
    assert len({control.expert for control in changes.controls.values()}) > 1, "it differs from domain to domain"
    until(lambda: "Without expert" in page.evaluate(TWIN) and "muted" in page.evaluate(TWIN), SOON)


def test_another_text_is_routed_without_the_muted_expert(lab, model):
    root = lab.page.locator(ROOT)
    root.get_by_role("textbox", name="text").fill('{"nom": "un été"} for x in y:\n    print(x)')
    model.text = '{"nom": "un été"} for x in y:\n    print(x)'
    until(lambda: shows(lab, model), SOON)
    mute = root.locator("button.mute")
    mute.click()
    model.muted = False
    until(lambda: shows(lab, model), SOON)
    assert mute.get_attribute("aria-pressed") == "false" and root.locator("table.doms.three").count() == 0


def test_each_move_of_layer_and_model_is_drawn_once(lab, model, took):
    times, drawn = [], lab.redraws(ROOT)
    moves = [("layer", 1, 2), ("layer", 1, 3), ("experts", 1, 16), ("layer", -1, 2), ("experts", -1, 8)]
    for label, step, value in moves:
        times.append(lab.move(ROOT, label, step))
        setattr(model, {"experts": "n_experts"}.get(label, label), value)
        assert shows(lab, model), (label, value)
        cells = lab.page.evaluate(CELLS, ROOT)
        assert len(cells) == 10 * model.n_experts
    took("expert viewer, slider to redraw", times)
    assert lab.redraws(ROOT) == drawn + len(times), "a move is drawn once"


def test_it_is_worked_by_keys_alone(lab, model):
    """JupyterLab knows letters and arrows, too: in the widget they are the widget's."""
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("slider", name="layer").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.textContent"
    assert page.evaluate(focused) == str(model.expert), "the columns are one stop, at the selected one"
    keys = [("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 7), ("ArrowRight", 7)]
    for key, expert in keys:
        page.keyboard.press(key)
        model.expert = expert
        until(lambda: shows(lab, model), SOON)
        assert page.evaluate(focused) == str(expert)
    page.keyboard.press("m")
    model.mute()
    until(lambda: shows(lab, model))
    page.keyboard.press("3")
    model.layer = 3
    until(lambda: shows(lab, model), SOON)
    for stop in ("TEXTAREA", "BUTTON", "BUTTON", "SPAN"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == stop
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    model.expert = model.view["chosen"][1][0]
    until(lambda: shows(lab, model), SOON)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    model.mute()
    until(lambda: shows(lab, model))
    assert page.evaluate(focused) == f"Mute expert {model.expert} in layer 3"


@pytest.mark.parametrize("width", [900, 700, 480, 360])
def test_the_columns_of_a_muted_expert_fit_beside_each_other(browser, model, width):
    """What the expert takes is left out where there is no room: the heatmap has it, too."""
    with script_page(model.mute(), browser, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        heads = [box for box in page.evaluate(HEADS) if box[1] > 0]
        assert len(heads) == (4 if width == 360 else 5)
        assert all(right <= left + 0.5 for (_, _, right), (left, _, _) in pairwise(heads))
        assert page.evaluate(CUT) == []
