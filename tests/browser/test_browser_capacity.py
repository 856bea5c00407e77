"""Capacity view and bias controller in a real JupyterLab: what is struck out is what the routing says, and at once."""

import random
import statistics

import pytest
import torch
from lab import open_lab

from moe_lite.checkpoint import pretrained
from moe_lite.data import encode
from moe_lite.model.balance import drop_over_capacity, expert_capacity

pytestmark = pytest.mark.browser

TEXT = "The king said nothing, and the old man left the room.\ndef add(a, b):\n    return a + b\n17 + 25 = 42\n"
CELLS = (f"from moe_lite.widgets import BiasController, CapacityView\nCapacityView({TEXT!r})", "BiasController()")
ROOT = ".jp-OutputArea .mx.{}:not(.twin)"
# moves a slider by one step and waits until what follows has been painted; the milliseconds of it
MOVE = """async ([css, label, by]) => {
  const root = document.querySelector(css), before = root.dataset.version;
  const input = root.querySelector(`input[aria-label="${label}"]`);
  const began = performance.now();
  by > 0 ? input.stepUp() : input.stepDown();
  input.dispatchEvent(new Event('input', { bubbles: true }));
  while (root.dataset.version === before) {
    if (performance.now() - began > 5000) return null;
    await new Promise((done) => setTimeout(done, 1));
  }
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return performance.now() - began;
}"""
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
MEDIAN_MS, P95_MS = 100, 300  # CI machines are not idle; the figures are printed


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    with open_lab(tmp_path_factory.mktemp("capacity"), chromium) as lab:
        lab.write("capacity.ipynb", *CELLS)
        lab.open("capacity.ipynb")
        lab.run_all()
        lab.page.locator(ROOT.format("bias_controller") + " svg").wait_for()
        yield lab


def moved(
    lab, css: str, label: str, low: int, high: int, at: int, moves: int = 40, look=lambda at: None
) -> list[float]:
    """Milliseconds from slider to redraw, of a walk between two places; `look` is called after each move."""
    chance, times = random.Random(0), []
    for _ in range(moves):
        step = chance.choice([-1, 1])
        step = -step if not low <= at + step <= high else step
        at += step
        took = lab.page.evaluate(MOVE, [css, label, step])
        assert took is not None, f"no redraw within 5 s after {label} to {at}"
        times.append(took)
        look(at)
    return times


def in_time(times: list[float], what: str) -> None:
    median, p95 = statistics.median(times), sorted(times)[int(0.95 * len(times))]
    print(f"\n{what}: slider to redraw, median {median:.0f} ms, 95th {p95:.0f} ms")
    assert median <= MEDIAN_MS and p95 <= P95_MS


def test_every_factor_strikes_out_what_the_package_drops(lab):
    css = ROOT.format("capacity_view")
    with torch.no_grad():
        routing = pretrained(8)(torch.tensor([encode(TEXT)])).routing[3]

    def look(at: int) -> None:
        capacity = expert_capacity(routing.n_tokens, 2, 8, FACTORS[at])
        kept = drop_over_capacity(routing, capacity, priority).kept
        assert lab.page.locator(f"{css} svg.rooms .stroke").count() == int((~kept).sum())

    priority = "position"
    in_time(moved(lab, css, "capacity factor", 0, 9, at=5, look=look), "capacity view")
    priority = "score"
    lab.page.locator(css).get_by_role("button", name="highest score first").click()
    lab.page.wait_for_function(
        "css => document.querySelector(css).querySelector('.read').innerText.includes('highest score first')", arg=css
    )
    moved(lab, css, "capacity factor", 0, 3, at=3, moves=3)
    assert "highest score first" in lab.page.locator(f"{css} .read").inner_text()


def test_controller_answers_every_step_at_once(lab):
    css = ROOT.format("bias_controller")
    figures = set()
    times = moved(lab, css, "step size", 0, 7, at=4,
                  look=lambda at: figures.add(lab.page.locator(f"{css} svg").inner_html()))  # fmt: skip
    in_time(times, "bias controller")
    assert 3 <= len(figures) <= 8
    assert lab.errors == [] and lab.error_outputs() == 0
