"""The expert partition in a real browser: start, watch the figure change, move a control, stop."""

from waiting import until

CELL = """
import asyncio
from moe_lite.widgets import ExpertPartition
partition = ExpertPartition(steps=4000)
partition
"""
ROOT = ".jp-OutputArea .mx.expert_partition:not(.twin)"
FIGURE = f"() => document.querySelector('{ROOT} svg.partition')?.innerHTML ?? ''"


def test_partition_is_started_watched_changed_and_stopped_from_the_page(lab):
    page = lab.page
    lab.write("partition.ipynb", CELL.strip())
    lab.open("partition.ipynb")
    lab.run_all()
    page.wait_for_selector(f"{ROOT} svg.partition")
    button = page.locator(f"{ROOT} button.pri")
    assert button.inner_text() == "▶ Start"
    button.click()
    seen = set()
    until(lambda: seen.add(page.evaluate(FIGURE)) or len(seen) > 3)
    page.locator(f"{ROOT} input[aria-label='experts E']").focus()
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator(f"{ROOT} path.own").count() == 5)
    page.locator(ROOT).get_by_role("button", name="2-D classes").click()
    until(lambda: page.locator(f"{ROOT} path.hole").count() == 1)
    until(lambda: "of 4,000, random start 0" in page.locator(f"{ROOT} [role=status]").inner_text())
    button.click()
    until(lambda: "Stopped at step" in page.locator(f"{ROOT} [role=status]").inner_text())
    assert button.inner_text() == "▶ Start again" and lab.errors == []
