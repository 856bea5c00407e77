"""The model calculator in a real JupyterLab: what it shows after a move is what the package counts."""

import json
import random
from dataclasses import replace

import pytest
from lab import open_lab
from waiting import SOON, until

from moe_lite import families
from moe_lite.widgets.model_calculator.view import STEPS
from moe_lite.widgets.model_calculator.words import short

VIEWS = {
    "DeepSeek-V3": {"preset": "DeepSeek-V3"},
    "Mixtral, twice the experts": {"preset": "Mixtral-8x7B", "n_experts": 16},
}
CELL = f"from moe_lite.widgets import ModelCalculator\nModelCalculator().suggest({VIEWS})"
ROOT = ".jp-OutputArea .mx.model_calculator:not(.twin)"
TWIN = "() => document.querySelector('.mx.model_calculator.twin').textContent"
SUMS = "css => [...document.querySelector(css).querySelectorAll('.sums span')].map((e) => e.textContent)"
MINE = """css => [".n-total", ".n-active"].map((name) =>
  document.querySelector(`${css} svg.bars .mine ${name}`)?.textContent)"""


@pytest.fixture(scope="module")
def lab(server, browser):
    with open_lab(server, browser) as lab:
        lab.write("calculator.ipynb", CELL)
        lab.open("calculator.ipynb")
        lab.run_all()
        lab.page.locator(f"{ROOT} svg.bars").wait_for()
        yield lab
        assert lab.errors == [] and lab.error_outputs() == []


def test_a_moved_slider_shows_what_the_package_counts(lab, took):
    chance, times, drawn = random.Random(0), [], lab.redraws(ROOT)
    steps, at = STEPS["n_experts"], STEPS["n_experts"].index(8)
    lowest = steps.index(2)  # top-k
    for _ in range(40):
        step = chance.choice([-1, 1])
        step = -step if not lowest <= at + step < len(steps) else step
        at += step
        times.append(lab.move(ROOT, "experts E", step))
        found = families.count(replace(families.published("Mixtral-8x7B"), n_experts=steps[at]))
        total, active = (f"{n.all / 1e9:,.1f}" for n in (found.total, found.active))
        sums = lab.page.evaluate(SUMS, ROOT)
        assert [text.split(" = ")[1] for text in sums] == [f"{total} total", f"{active} active"]
        assert lab.page.evaluate(MINE, ROOT) == ([None, None] if steps[at] == 8 else [total, active])
    took("model calculator, slider to redraw", times)
    assert lab.redraws(ROOT) == drawn + len(times), "a move is drawn once"


def test_it_is_worked_by_keys_alone_and_the_twin_follows(lab):
    """JupyterLab knows letters and arrows, too: in the widget they are the widget's."""
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("combobox", name="model").focus()
    page.keyboard.type("DBRX")
    until(lambda: "parameters of DBRX work" in said(root), SOON)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")  # one expert, where a token would choose four
    until(lambda: root.locator(".err").is_visible(), SOON)
    assert root.locator(".err").inner_text() == "top-k 4 is more than 1 expert. Showing 1."
    assert root.get_by_role("slider", name="top-k").get_attribute("aria-valuetext") == "1"
    assert page.evaluate("document.activeElement.ariaLabel") == "experts E", "the focus has not left for the notebook"
    page.keyboard.press("End")
    until(lambda: root.locator(".err").is_hidden() and "your DBRX" in said(root), SOON)
    until(lambda: "DBRX, changed · experts E 512 · top-k 1 · " in page.evaluate(TWIN), SOON)
    before = said(root)
    root.get_by_role("button", name="the body only").focus()
    page.keyboard.press("Enter")
    until(lambda: "embedding and head not counted" in said(root) != before, SOON)
    assert root.get_by_role("button", name="the body only").get_attribute("aria-pressed") == "true"


def said(root) -> str:
    return root.locator(".read").inner_text()


def test_a_pasted_file_is_counted_and_a_broken_one_leaves_what_is_there(lab):
    page, root = lab.page, lab.page.locator(ROOT)
    root.get_by_role("button", name="everything").click()
    until(lambda: "not counted" not in said(root), SOON)
    root.locator("summary").focus()
    page.keyboard.press("Enter")
    box, before = root.locator("textarea"), said(root)
    box.fill('{"model_type": "mixtral", "vocab_size": 1000')
    until(lambda: root.locator(".err").is_visible(), SOON)
    assert "This is not JSON: " in root.locator(".err").inner_text() and said(root) == before
    page.set_viewport_size({"width": 900, "height": 900})  # a new width puts nothing right
    lab.redraws(ROOT)
    assert "This is not JSON: " in root.locator(".err").inner_text()
    sizes = {"model_type": "mixtral", "vocab_size": 1000, "hidden_size": 512, "num_hidden_layers": 4,
             "num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 1024, "num_local_experts": 64,
             "num_experts_per_tok": 4}  # fmt: skip
    box.fill(json.dumps(sizes))
    until(lambda: root.locator(".err").is_hidden() and "parameters of mixtral work" in said(root), SOON)
    found = families.count(families.from_hf_config(sizes))
    total, active = (short(n.all, 10**9) for n in (found.total, found.active))
    assert said(root).startswith(f"{active} of the {total} billion parameters of mixtral work on a token")
    assert root.get_by_role("combobox").evaluate("e => e.value") == "mixtral" and box.input_value() == json.dumps(sizes)


def test_words_set_preset_and_sizes_whatever_stood_there(lab):
    root = lab.page.locator(ROOT)
    for words, (name, n) in {
        "DeepSeek-V3": ("DeepSeek-V3", 256), "Mixtral, twice the experts": ("Mixtral-8x7B", 16)}.items():  # fmt: skip
        for _ in range(2):  # what is there already stays
            root.get_by_role("button", name=words).click()
            until(lambda name=name: f"{name} work on a token" in said(root), SOON)
            assert root.get_by_role("slider", name="experts E").get_attribute("aria-valuetext") == str(n)
