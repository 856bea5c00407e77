"""The balance lab in a real browser: sliders, the scrubber, two trainings at a time, a file saved."""

import statistics
import time

import pytest
from lab import Lab, open_lab

pytestmark = pytest.mark.browser

CELL = """
from moe_lite.widgets import BalanceLab
lab = BalanceLab(steps=4000)
lab
"""
ROOT = ".jp-OutputArea .mx.balance_lab:not(.twin)"
READING = f"() => document.querySelector('{ROOT} .read').textContent"


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory) -> Lab:
    with open_lab(tmp_path_factory.mktemp("balance"), chromium) as lab:
        yield lab


def wait_for(condition, seconds: float = 30.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.01)


def press(page, key: str, expected: str) -> float:
    """Milliseconds from a key to a reading line that begins to say so."""
    began = time.perf_counter()
    page.keyboard.press(key)
    wait_for(lambda: expected in page.evaluate(READING))
    return 1e3 * (time.perf_counter() - began)


def test_balance_lab_is_moved_trained_in_and_saved_from_the_page(lab, capsys):
    page = lab.page
    lab.write("balance.ipynb", CELL.strip())
    lab.open("balance.ipynb")
    lab.run_all()
    page.wait_for_selector(f"{ROOT} svg.lab")
    reading = page.locator(f"{ROOT} .read")
    assert "Coefficient 0.01:" in reading.inner_text()

    page.locator(f"{ROOT} input[aria-label='coefficient']").focus()
    press(page, "ArrowRight", "Coefficient 0.1:")
    moves = [("ArrowRight", "Coefficient 1:"), ("ArrowLeft", "Coefficient 0.1:")] * 10
    times = [press(page, *move) for move in moves]
    assert page.locator(f"{ROOT} svg.lab image.light").count() == 2
    with capsys.disabled():
        slow = sorted(times)[int(0.95 * len(times))]
        print(
            f"\nbalance lab, slider to redraw: {statistics.median(times):.0f} ms median, {slow:.0f} ms 95th percentile"
        )

    page.locator(f"{ROOT} .stage").focus()
    press(page, "ArrowLeft", "step 880")
    page.keyboard.press("ArrowDown")
    wait_for(lambda: page.locator(f"{ROOT} svg.lab text.b.end").first.text_content() == "1")
    page.locator(f"{ROOT} input[aria-label='capacity']").focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: page.locator(f"{ROOT} .labtext .gone").count() > 0)

    train = page.get_by_role("button", name="▶ Train this")
    train.click()
    train.click()
    status = page.locator(f"{ROOT} svg.lab text.now")
    wait_for(lambda: status.count() == 2 and all("live" in text for text in status.all_text_contents()))
    page.locator(f"{ROOT} input[aria-label='coefficient']").focus()
    busy = [press(page, *move) for move in moves[:8]]
    with capsys.disabled():
        print(f"balance lab, the same while two trainings run: {statistics.median(busy):.0f} ms median")
    page.locator(ROOT).get_by_role("button", name="■ Stop").click()
    wait_for(lambda: all("stopped" in text for text in status.all_text_contents()))

    with page.expect_download() as saved:
        page.locator(ROOT).get_by_role("button", name="save as CSV").click()
    assert saved.value.suggested_filename == "balance-lab.csv" and lab.errors == []
