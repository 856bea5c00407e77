"""The family explorer in a real JupyterLab: another family, another token, k and bias, by pointer and by keys alone."""

import random

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite.widgets import FamilyExplorer
from moe_lite.widgets.family_explorer.words import short

VIEWS = {
    "groups alone": {"left": "mixtral", "right": "deepseek_v3", "token": 4, "top_k": 4, "bias": 0.0},
    "other weights": {"left": "mixtral", "right": "olmoe", "token": 11, "top_k": 2},
}
CELL = f"from moe_lite.widgets import FamilyExplorer\nFamilyExplorer().suggest({VIEWS})"
ROOT = ".jp-OutputArea .mx.family_explorer:not(.twin)"
TWIN = "() => document.querySelector('.mx.family_explorer.twin').textContent"
BY = """css => Object.fromEntries([...document.querySelectorAll(`${css} svg .taken > g[data-expert]`)]
  .filter((g) => g.querySelector('.by')).map((g) => [g.dataset.expert, g.querySelector('.by').textContent]))"""


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("families.ipynb", CELL)
        lab.open("families.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.families").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


def said(lab) -> str:
    return lab.page.locator(f"{ROOT} .read").inner_text().replace("\xa0", " ")


def shows(lab, model: FamilyExplorer) -> bool:
    """Whether figure and sentence on the page are those of a widget with the same settings here."""
    now = model.now
    groups = ((now.both, "both"), (now.left_only, "↑ only"), (now.right_only, "↓ only"))
    expected = {str(e): word for experts, word in groups for e in experts}
    return said(lab) == model.reading and lab.page.evaluate(BY, ROOT) == expected


def test_each_step_of_k_and_bias_is_drawn_once_and_is_what_route_does(lab, took):
    chance, times, model = random.Random(0), [], FamilyExplorer()
    drawn = lab.redraws(ROOT)
    assert shows(lab, model)
    for _ in range(24):
        if chance.random() < 0.5:
            step = 1 if model.top_k == 1 else -1 if model.top_k == 8 else chance.choice([-1, 1])
            times.append(lab.move(ROOT, "k", step))
            model.top_k += step
        else:
            step = 1 if model.bias == 0 else -1 if model.bias == 1 else chance.choice([-1, 1])
            times.append(lab.move(ROOT, "bias ×", step))
            model.bias = round(10 * model.bias + step) / 10
        assert shows(lab, model), (model.top_k, model.bias)
    took("family explorer, slider to redraw", times)
    assert lab.redraws(ROOT) == drawn + len(times), "a move is drawn once"


def test_a_click_on_a_token_and_another_family_change_figure_and_sentence(lab):
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("button", name="groups alone").click()
    model = FamilyExplorer(**VIEWS["groups alone"])
    until(lambda: shows(lab, model), SOON)
    assert "Without its groups, DeepSeek-V3 would take the same experts as Mixtral." in said(lab)
    root.get_by_role("radio").nth(9).click()
    model.token = 9
    until(lambda: shows(lab, model), SOON)
    assert root.get_by_role("radio", checked=True).inner_text() == "("
    for right in ("deepseek_v2", "gpt_oss", "llama4"):
        root.get_by_role("combobox", name="second family").select_option(right)
        model.right = right
        until(lambda: shows(lab, model), SOON)
        assert root.locator(".rules .whose").nth(1).inner_text().startswith(short(right))
        assert root.get_by_role("slider", name="bias ×").is_enabled() == (right == "gpt_oss")
    until(lambda: "Mixtral (2024-01) against Llama 4 (2025-04)" in page.evaluate(TWIN), SOON)


def test_it_is_worked_by_keys_alone(lab):
    """JupyterLab knows letters and arrows, too: in the widget they are the widget's."""
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("button", name="other weights").focus()
    page.keyboard.press("Enter")
    model = FamilyExplorer(**VIEWS["other weights"])
    until(lambda: said(lab).startswith("For ): both take"), SOON)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "):", "the row of tokens is one stop"
    for key, token in (("ArrowRight", 12), ("ArrowRight", 12), ("Home", 0), ("ArrowRight", 1), ("End", 12)):
        page.keyboard.press(key)
        model.token = token
        until(lambda: said(lab) == model.reading, SOON)
        assert page.evaluate("document.activeElement.dataset.i") == str(token)
    page.keyboard.press("Tab")
    page.keyboard.type("DBRX")
    until(lambda: "in DBRX" in said(lab), SOON)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "k"
    page.keyboard.press("Home")
    until(lambda: "both take expert 7;" in said(lab) or "both take expert 3;" in said(lab), SOON)
    assert root.get_by_role("slider", name="k", exact=True).get_attribute("aria-valuetext") == "1"
