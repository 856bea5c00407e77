"""The balance lab in a real browser: sliders, the scrubber, two trainings at a time, a file saved."""

from waiting import until

CELL = """
from moe_lite.widgets import BalanceLab
lab = BalanceLab(steps=4000)
lab
"""
ROOT = ".jp-OutputArea .mx.balance_lab:not(.twin)"
READING = f"() => document.querySelector('{ROOT} .read').textContent"


def press(page, key: str, expected: str) -> float:
    """Milliseconds from a key to a reading line that begins to say so."""
    page.keyboard.press(key)
    return 1e3 * until(lambda: expected in page.evaluate(READING))


def test_balance_lab_is_moved_trained_in_and_saved_from_the_page(lab, took):
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
    took("balance lab, slider to redraw", times)

    page.locator(f"{ROOT} .stage").focus()
    press(page, "ArrowLeft", "step 880")
    page.keyboard.press("ArrowDown")
    until(lambda: page.locator(f"{ROOT} svg.lab text.b.end").first.text_content() == "1")
    page.locator(f"{ROOT} input[aria-label='capacity']").focus()
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator(f"{ROOT} .labtext .gone").count() > 0)

    train = page.get_by_role("button", name="▶ Train this")
    train.click()
    train.click()
    status = page.locator(f"{ROOT} svg.lab text.now")
    until(lambda: status.count() == 2 and all("live" in text for text in status.all_text_contents()))
    page.locator(f"{ROOT} input[aria-label='coefficient']").focus()
    busy = [press(page, *move) for move in moves[:8]]
    took("balance lab, the same while two trainings run", busy)
    assert all("live" in text for text in status.all_text_contents()), "no move waited for a training"
    page.locator(ROOT).get_by_role("button", name="■ Stop").click()
    until(lambda: all("stopped" in text for text in status.all_text_contents()))

    with page.expect_download() as saved:
        page.locator(ROOT).get_by_role("button", name="save as CSV").click()
    assert saved.value.suggested_filename == "balance-lab.csv" and lab.errors == []
