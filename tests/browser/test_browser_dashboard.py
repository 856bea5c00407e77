"""The training dashboard in a real browser: start, watch, pause, change, start again, stop, look into the model."""

import time

import pytest
from lab import Lab, open_lab
from waiting import until

from moe_lite import data

CELLS = (
    """
import torch
from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, data
from moe_lite.widgets import TokenViewer, TrainingDashboard

def build(n_experts, top_k):
    return MoELanguageModel(ModelConfig(n_layers=2, d_model=32, n_experts=n_experts, top_k=top_k, d_expert=32))

corpora = data.load_corpora(["math", "dialogue"])
dashboard = TrainingDashboard(build, corpora, TrainConfig(steps=3000, batch_size=4, length=64))
dashboard
""",
    """
text = "12 + 7 = 19. Thank you, that helps."
viewer = TokenViewer(dashboard.model, text, layer=2)
viewer
""",
    """
with torch.no_grad():
    routing = dashboard.model.eval()(torch.tensor([data.encode(text)])).routing[1]
print("experts", routing.top_k[1][:, 0].tolist())
""",
)
ROOT = ".jp-OutputArea .mx.training_dashboard:not(.twin)"
STEPS = f"""() => {{
  const text = document.querySelector('{ROOT} [role=status]').textContent.replaceAll(',', '');
  return Number(text.match(/\\d+/)?.[0] ?? 0);
}}"""
CURVE = f"() => document.querySelector('{ROOT} polyline.now')?.getAttribute('points') ?? ''"
SHOWN = """() => [...document.querySelectorAll('.jp-OutputArea .mx:not(.twin) [data-i]')]
  .map(e => Number(e.dataset.expert))"""


@pytest.fixture(scope="module")
def lab(server, browser) -> Lab:
    with open_lab(server, browser) as lab:
        yield lab


def press(lab: Lab, name: str) -> None:
    lab.page.locator(ROOT).get_by_role("button", name=name).click()


def run_cell(lab: Lab, index: int) -> None:
    lab.page.evaluate(f"window.jupyterapp.shell.currentWidget.content.activeCellIndex = {index}")
    lab.page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")
    time.sleep(0.5)
    lab.wait_idle(ran=True)


def test_training_is_started_paused_changed_and_stopped_from_the_page(lab, took):
    page = lab.page
    lab.write("dashboard.ipynb", *(cell.strip() for cell in CELLS))
    lab.open("dashboard.ipynb")
    run_cell(lab, 0)
    page.wait_for_selector(f"{ROOT} button.pri")
    assert page.evaluate(STEPS) == 3000 and page.evaluate(CURVE) == ""  # "3,000 steps of … tokens"
    acknowledged = page.evaluate(f"""() => {{
      const button = document.querySelector('{ROOT} button.pri');
      button.click();
      return [button.textContent, button.disabled];
    }}""")
    assert acknowledged == ["Starting…", True]
    until(lambda: page.evaluate(CURVE).count(",") > 10)
    before = page.evaluate(CURVE)
    until(lambda: page.evaluate(CURVE) != before)

    press(lab, "Pause")
    until(lambda: page.locator(ROOT).get_by_text("Paused at step").count() == 1)
    held = page.evaluate(STEPS)
    time.sleep(0.6)
    assert page.evaluate(STEPS) == held
    press(lab, "Resume")
    until(lambda: page.evaluate(STEPS) > held)

    # move top-k and start again: the old curve stays, the new one has its name
    page.locator(f"{ROOT} input[aria-label='top-k']").focus()
    page.keyboard.press("ArrowLeft")
    press(lab, "Stop")
    until(lambda: page.locator(ROOT).get_by_text("Stopped at step").count() == 1)
    press(lab, "Start again")
    until(lambda: page.locator(f"{ROOT} polyline:not(.raw)").count() == 2)
    names = f"() => [...document.querySelectorAll('{ROOT} text.nm')].map(e => e.textContent.split(' · ')[1])"
    assert sorted(page.evaluate(names)) == ["8 experts, top-1", "8 experts, top-2"]
    until(lambda: page.evaluate(CURVE).count(",") > 10)

    press(lab, "Stop")
    answered = until(lambda: page.locator(ROOT).get_by_text("Stopped at step").count() == 1)
    took("training dashboard, from Stop to its answer", [1000 * answered])
    assert page.evaluate(STEPS) < 3000, "it waited for the training's end"

    run_cell(lab, 1)
    run_cell(lab, 2)
    printed = page.locator(".jp-OutputArea-output pre").get_by_text("experts [").inner_text()
    n_tokens = len(data.encode("12 + 7 = 19. Thank you, that helps."))
    until(lambda: len(page.evaluate(SHOWN)) == n_tokens)
    assert str(page.evaluate(SHOWN)) == printed.removeprefix("experts ").strip()
    assert lab.errors == [] and lab.error_outputs() == []


LINE_AND_THUMB = f"""() => {{
  const line = document.querySelector('{ROOT} svg .cursor').getBoundingClientRect();
  const input = document.querySelector('{ROOT} input[aria-label=step]'), track = input.getBoundingClientRect();
  const thumb = track.left + 7 + (track.width - 14) * (input.value - input.min) / (input.max - input.min);
  return [line.left + line.width / 2, thumb, line.bottom, track.top + track.height / 2, Number(input.value)];
}}"""


def test_the_thumb_stands_under_its_line_wherever_the_hand_drags_either(lab):
    page = lab.page
    page.locator(f"{ROOT} svg.training").scroll_into_view_if_needed()
    box, newest = page.locator(f"{ROOT} [data-grab]").bounding_box(), page.evaluate(STEPS)
    steps = set()
    for part in (0.2, 0.5, 0.8):  # of what has been trained
        pressed, released = (box["x"] + at * newest / 3000 * box["width"] for at in (part, part + 0.1))
        page.mouse.move(pressed, box["y"] + 90)
        page.mouse.down()
        page.mouse.move(released, box["y"] + 90)
        page.mouse.up()
        until(lambda: f"At step {page.evaluate(LINE_AND_THUMB)[-1]} " in page.locator(f"{ROOT} .read").inner_text())
        line, thumb, bottom, middle, step = page.evaluate(LINE_AND_THUMB)
        assert abs(line - thumb) < 1.5 and abs(bottom - middle) < 14
        assert abs(line - released) < 1.5, "the line is where the hand let go"
        steps.add(step)
    assert len(steps) == 3


def test_the_step_that_is_looked_at_follows_the_hand(lab):
    page = lab.page
    page.locator(f"{ROOT} input[aria-label='step']").focus()
    page.keyboard.press("Home")
    until(lambda: "At step 1 " in page.locator(f"{ROOT} .read").inner_text())
    page.keyboard.press("Shift+ArrowRight")
    until(lambda: "At step 11 " in page.locator(f"{ROOT} .read").inner_text())
    page.keyboard.press("End")
    until(lambda: "At step 11 " not in page.locator(f"{ROOT} .read").inner_text())
    cell = page.locator(f"{ROOT} [data-cell='0,0']")
    cell.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.cell") == "1,1"
    page.keyboard.press("Enter")
    until(lambda: page.locator(f"{ROOT} polyline.spark").count() == 1)
