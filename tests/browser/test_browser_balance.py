"""The balance lab in a real browser: sliders, the step, two trainings at a time, a file saved; where things stand."""

import asyncio

import pytest
from small import small_corpora
from waiting import until
from widget_page import script_page

from moe_lite.widgets import BalanceLab

CELL = """
from moe_lite.widgets import BalanceLab
lab = BalanceLab(steps=4000)
lab
"""
ROOT = ".jp-OutputArea .mx.balance_lab:not(.twin)"
READING = f"() => document.querySelector('{ROOT} .read').textContent"


# centres of the lines, of the slider's thumb and of the grips in the other columns, edges of strips and curves
PLACES = """(root) => {
  const box = (e) => e.getBoundingClientRect(), all = (css) => [...document.querySelectorAll(`${root} svg.lab ${css}`)];
  const input = document.querySelector(`${root} input[aria-label=step]`), track = box(input);
  const share = (input.value - input.min) / (input.max - input.min);
  const lines = all('.cursor path').map(box), strips = all('image.strips.light').map(box);
  return {
    step: Number(input.value),
    thumb: track.left + 7 + (track.width - 14) * share,
    middle: (track.top + track.bottom) / 2,
    lines: lines.map((b) => (b.left + b.right) / 2),
    tops: lines.map((b) => b.top),
    bottoms: lines.map((b) => b.bottom),
    grips: all('.cursor circle').map(box).map((b) => (b.top + b.bottom) / 2),
    strips: strips.map((b) => [b.left, b.right, b.top, b.bottom]),
    curves: all('.spark').map(box).map((b) => [b.left, b.right, b.bottom]),
    ends: all('.frame').map(box).slice(1).map((b) => [b.left, b.right]),
    said: document.querySelector(`${root} .asked b`).textContent,
  };
}"""


def check_one_axis(places: dict, total: int = 900, bin_steps: int = 20) -> None:
    """Strips, curves, lines and the slider's thumb stand on one axis of steps, in each column."""
    n = len(places["lines"])
    assert len(places["strips"]) == len(places["ends"]) == n and len(places["curves"]) == 7 * n
    assert places["said"] == f"{places['step']:,}"
    for i, ((left, right), (first, last, top, bottom)) in enumerate(zip(places["ends"], places["strips"], strict=True)):
        assert first == pytest.approx(left, abs=1.5)
        one = (right - left) * bin_steps / total
        for from_, to, _ in places["curves"][i::n]:
            assert to == pytest.approx(last, abs=1.5) and from_ == pytest.approx(left + one, abs=1.5)
        at = min(left + (right - left) * places["step"] / total, last)
        assert places["lines"][i] == pytest.approx(at, abs=1.5)
        assert places["tops"][i] < top and places["bottoms"][i] > max(b for *_, b in places["curves"]), "through all"
        assert places["middle"] > bottom
    assert places["thumb"] == pytest.approx(places["lines"][0], abs=1.5)
    assert places["grips"] == pytest.approx([places["middle"]] * (n - 1), abs=1.5)


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
    assert "with coefficient 0.01;" in reading.inner_text()

    page.locator(f"{ROOT} input[aria-label='coefficient']").focus()
    press(page, "ArrowRight", "with coefficient 0.1;")
    moves = [("ArrowRight", "with coefficient 1;"), ("ArrowLeft", "with coefficient 0.1;")] * 10
    times = [press(page, *move) for move in moves]
    assert page.locator(f"{ROOT} svg.lab image.strips.light").count() == 2
    took("balance lab, slider to redraw", times)

    page.locator(f"{ROOT} .stage").focus()
    press(page, "ArrowLeft", "step 880")
    page.keyboard.press("ArrowDown")
    until(lambda: page.locator(f"{ROOT} svg.lab text.num.b").text_content() == "1")
    assert "expert 1 " in reading.inner_text()

    step = page.locator(f"{ROOT} input[aria-label='step']")
    step.focus()
    page.keyboard.press("Home")
    for at in range(20, 901, 20):  # each press is a stop, and each stop a bin
        until(lambda at=at: f"At step {at}, " in page.evaluate(READING))
        assert page.evaluate(PLACES, ROOT)["step"] == at
        page.keyboard.press("ArrowRight")
    check_one_axis(page.evaluate(PLACES, ROOT))

    for column, share in ((0, 0.31), (1, 0.52)):  # the line is dragged in either column, and is where the hand let go
        box = page.locator(f"{ROOT} [data-grab='{column}']").bounding_box()
        page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] - 40)
        page.mouse.down()
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] - 40, steps=4)
        page.mouse.up()
        until(lambda: f"At step {page.evaluate(PLACES, ROOT)['step']}, " in page.evaluate(READING))
        places = page.evaluate(PLACES, ROOT)
        check_one_axis(places)
        assert abs(places["lines"][column] - box["x"] - share * box["width"]) <= box["width"] * 10 / 900 + 1.5

    page.locator(ROOT).get_by_text("What one text does").click()
    assert page.locator(f"{ROOT} .gone").count() == 1, "in the legend alone"
    page.locator(f"{ROOT} input[aria-label='capacity for this text']").focus()
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator(f"{ROOT} details .gone").count() > 1)
    pieces = "(nodes) => nodes.map((e) => e.getClientRects().length)"
    tiles = page.locator(f"{ROOT} details .tx:not(.signs) .tk:not(.brk)").evaluate_all(pieces)
    assert len(tiles) == 77 and set(tiles) == {1}, "a tile is broken across lines"

    train = page.get_by_role("button", name="▶ Train this")
    assert not train.is_visible()
    page.locator(ROOT).get_by_text("Train your own").click()
    train.click()
    until(lambda: page.locator(f"{ROOT} .head .now").count() == 1)
    train.click()
    status = page.locator(f"{ROOT} .head .now")
    until(lambda: status.count() == 2 and all("live" in text for text in status.all_text_contents()))
    page.locator(f"{ROOT} input[aria-label='coefficient']").focus()
    busy = [press(page, *move) for move in moves[:8]]
    took("balance lab, the same while two trainings run", busy)
    assert all("live" in text for text in status.all_text_contents()), "no move waited for a training"
    page.locator(ROOT).get_by_role("button", name="■ Stop").click()
    until(lambda: page.locator(f"{ROOT} .head .dim", has_text="stopped at step").count() == 2)

    with page.expect_download() as saved:
        page.locator(ROOT).get_by_role("button", name="save as CSV").click()
    assert saved.value.suggested_filename == "balance-lab.csv" and lab.errors == []


@pytest.fixture(scope="module")
def four():
    """A lab of four columns: two recorded, one kept of other top-k and seed, one trained with all that can be set."""
    lab = BalanceLab(corpora=small_corpora(), steps=20, top_k=4, seed=1, coefficient=0.0001)
    lab.command = "keep 1"
    lab.top_k, lab.seed, lab.at = 2, 0, 300
    settings = {"n_experts": 16, "z_coef": 0.001, "bias_step": 0.001, "capacity_factor": 1.25, "jitter": 0.01}
    asyncio.run(lab.start(**settings).done())
    assert len(lab.columns) == 4
    return lab


# boxes of the lines of text in each column's head, and of the strips under it
TITLES = """() => [...document.querySelectorAll('.head')].map((head, i) => {
  const lines = [...head.querySelectorAll('b, .dim')].flatMap((e) => {
    const range = document.createRange();
    range.selectNodeContents(e);
    return [...range.getClientRects()].map((b) => [b.left, b.right, b.top, b.bottom]);
  });
  const frame = document.querySelectorAll('svg.lab .frame')[i + 1].getBoundingClientRect();
  return { text: head.textContent, lines, left: frame.left, top: frame.top, cut: head.scrollWidth - head.clientWidth };
})"""


@pytest.mark.parametrize(("width", "room"), [(900, 860), (760, 720), (900, 720), (600, 560)])
def test_titles_neither_overlap_nor_are_cut_and_stand_over_their_strips(four, browser, width, room):
    four.width = room
    with script_page(four, browser, width if room == 860 else room + 30) as page:
        heads = page.evaluate(TITLES)
        root = page.locator(".mx.balance_lab").bounding_box()
        check_one_axis(page.evaluate(PLACES, ".mx.balance_lab"))
    assert len(heads) == 4 and "seed 1 of 3" in heads[2]["text"] and "jitter 0.01" in heads[3]["text"]
    for i, head in enumerate(heads):
        after = heads[i + 1]["left"] if i < 3 else root["x"] + root["width"]
        assert head["cut"] <= 0 and head["lines"]
        for left, right, _, bottom in head["lines"]:
            assert left >= head["left"] - 1.5 and right < after and bottom <= head["top"] + 1
    assert heads[1]["lines"][0][0] == pytest.approx(heads[1]["left"], abs=1.5)


def test_experts_have_the_hues_of_the_columns_whatever_the_next_training_has(browser):
    lab = BalanceLab(n_experts=8)
    lab.picked = 20
    with script_page(lab, browser, 900) as page:
        assert page.locator(".read .n").get_attribute("class") == "n e5"
    assert 'class="n e5"' in lab.static_html()


def test_controls_strips_and_reading_line_fit_on_a_screen(browser):
    lab = BalanceLab()
    with script_page(lab, browser, 900) as page:
        top = page.locator(".q").bounding_box()["y"]
        read = page.locator(".read").bounding_box()
        folded = [box.is_visible() for box in page.locator("details button, details input").all()]
        rows = {round(e.bounding_box()["y"]) for e in page.locator(".ctl:not(details *) input").all()}
    assert read["y"] + read["height"] - top < 720, "JupyterLab leaves 770 px of 900"
    assert folded and not any(folded) and len(rows) == 1
