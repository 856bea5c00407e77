"""The page draws a token's way through the router as the notebooks' stepper does, from the logits of its own model."""

import re
from collections.abc import Iterator

import build_site
import pytest
import torch
from lab import Driver
from playwright.sync_api import Page
from test_site_page import site, typed, visit  # noqa: F401 (fixtures)

from moe_lite.checkpoint import pretrained
from moe_lite.widgets.kit.token_rows import model_rows
from moe_lite.widgets.router_stepper.drawing import StepperDrawing, columns_for
from moe_lite.widgets.router_stepper.view import Step, step_view

SPAN = (-4.0, 3.0)
TEXT = "Thou art a villain."
WORDS = {
    "z = x @ W_r": "the router's numbers", "softmax(z / T)": "as shares of 1", "stable order": "the largest",
    "s / sum of chosen": "divided by their sum",
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(browser: Driver) -> Iterator[Page]:
    """A page with what draws the figure."""
    paths = [build_site.WIDGETS / "kit" / "kit.js", build_site.SITE / "page" / "stepper.js"]
    script = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    with browser.page() as page:
        page.add_script_tag(content=f'const FOLDER = "";\n{script}')
        yield page


def in_page(page: Page, logits: list[list[float]], k: int, room: int) -> str:
    """The figure there: of the last logits, with ticks at the ones before."""
    return page.evaluate(
        """([rows, k, span, room]) => {
          const [now, before = null] = rows.map((logits) => stepOf(Float32Array.from(logits), k)).reverse();
          return stepFigure(now, before, span, stepColumns(room), "label");
        }""",
        [logits, k, SPAN, room],
    )


def in_notebook(logits: list[list[float]], k: int, room: int) -> str:
    now, before = ([*(step_view(torch.tensor(row), k=k) for row in logits)][::-1] + [None])[:2]
    text = StepperDrawing(now, before, SPAN, columns_for(room)).svg("label")
    for code, words in WORDS.items():  # under the heads the page has words
        assert text.count(f">{code}<") == 1
        text = text.replace(f">{code}<", f">{words}<")
    return re.sub(r' data-weight="[^"]*"', "", text)  # the notebooks' tests read it


NUMBER = re.compile(r"−?-?\d+(?:\.\d+)?")


def same_picture(found: str, wanted: str) -> None:
    """The same elements in the same order; numbers may differ in the last place, where they were rounded."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", wanted)
    pairs = zip(NUMBER.findall(found), NUMBER.findall(wanted), strict=True)
    for mine, theirs in ((a.replace("−", "-"), b.replace("−", "-")) for a, b in pairs):
        places = len(theirs.partition(".")[2])
        assert abs(float(mine) - float(theirs)) < 1.01 * 10**-places * (places > 0) + 1e-9, (mine, theirs)


@pytest.mark.parametrize("room", [520, 700, 1200])
@pytest.mark.parametrize(("n_experts", "k"), [(2, 1), (8, 1), (8, 2), (16, 12), (4, 4)])
def test_the_figure_is_that_of_the_notebooks(drawn: Page, n_experts: int, k: int, room: int):
    rows = (torch.randn(2, n_experts, generator=torch.Generator().manual_seed(n_experts + k)) * 1.5).tolist()
    same_picture(in_page(drawn, rows[:1], k, room), in_notebook(rows[:1], k, room))
    same_picture(in_page(drawn, rows, k, room), in_notebook(rows, k, room))


def test_ties_and_near_ties_are_told_as_in_the_notebooks(drawn: Page):
    for row in ([0.5, 1.5, 0.5, 0.5], [2.0, 2.0, 2.0, 2.0], [0.5, 1.5, 0.501, -3.0], [9.0, -9.0, 0.0, 0.0]):
        found, wanted = in_page(drawn, [row], 2, 800), in_notebook([row], 2, 800)
        same_picture(found, wanted)
        assert found.count("= in") == wanted.count("= in")


def figure_of(page: Page, step: str, room: int = 800) -> str:
    return page.evaluate(f"""() => stepFigure({step}, null, [-2, 4], stepColumns({room}), "label")""")


def test_a_muted_expert_has_no_cross_and_no_rank_and_the_next_best_takes_its_place(drawn: Page):
    text = figure_of(drawn, "stepOf([1, 3, 2, 0], 2, [1])")
    rows = re.findall(r'<g class="row [^"]*?( on)?" data-expert="(\d)".*?</g>', text)
    assert [expert for on, expert in rows if on] == ["0", "2"] and text.count(">muted<") == 1
    assert text.count('class="x"') == 1 and "the 2nd best of the others passes" in text
    lowest = figure_of(drawn, "stepOf([1, 3, 2, 0], 2, [3])")  # muted, and nobody misses it
    assert "the 2nd best passes" in lowest


def test_experts_chosen_by_hand_have_weights_and_no_border(drawn: Page):
    text = figure_of(drawn, "stepOf([1, 3, 2, 0], 2, [], [3, 0])")
    rows = re.findall(r'<g class="row [^"]*? on" data-expert="(\d)".*?class="tw val"[^>]*>([\d.]+)<', text)
    assert rows == [("0", "0.73"), ("3", "0.27")]
    assert ">yours<" in text and "passes" not in text and 'class="cut"' not in text


def test_a_narrow_figure_has_all_but_the_logits_and_fits(drawn: Page):
    for room in (290, 330, 519):
        text = figure_of(drawn, "stepOf([1, 3, 2, 0], 2)", room)
        assert f'width="{room}"' in text and "logits" not in text and ">scores<" in text and "kept 0.88" in text
        assert max(float(x) for x in re.findall(r' x="([\d.]+)"', text)) <= room


def test_the_page_shows_the_way_of_the_token_that_was_clicked(visit):  # noqa: F811
    with visit("#layer=2&experts=16&token=3&text=Thou+art+a+villain.") as page:
        rows = model_rows(pretrained(16), TEXT, layer=2)
        shows(page, step_view(rows.logits[2], k=2))
        page.locator("#viewer [data-i='4']").click()
        page.wait_for_function("() => location.hash.includes('token=5')")
        shows(page, step_view(rows.logits[4], k=2))
        assert page.locator("#route-figure .foot .fz").count() == 0  # another token: nothing was moved
        page.locator("#viewer .rail button.mute").nth(15).click()
        page.wait_for_function("() => location.hash.includes('muted=15')")
        assert page.locator("#route-figure .foot .fz").count() == 1
        assert "muted" in page.locator("#route-figure .row").nth(15).text_content()


def test_on_a_phone_the_figure_is_there_and_those_who_hear_have_a_table(visit):  # noqa: F811
    with visit(f"#token=3&layer=1&text={TEXT.replace(' ', '+')}", viewport={"width": 360, "height": 700}) as page:
        step = step_view(model_rows(pretrained(8), TEXT, layer=1).logits[2], k=2)
        shows(page, step)
        assert page.locator("#route-figure svg").bounding_box()["width"] < 340
        cells = page.locator("#route-figure tbody tr").nth(step.chosen[0]).locator("td").all_inner_texts()
        assert cells[3:] == ["1st", f"{step.weights[step.chosen[0]]:.2f}"]
        typed(page, "Thou")
        assert page.locator("#route-figure code").first.inner_text() == "Th"


def test_token_layer_and_top_k_are_moved_beside_the_figure(visit):  # noqa: F811
    with visit(f"#token=3&layer=1&text={TEXT.replace(' ', '+')}") as page:
        panel = page.locator("#route-figure")
        panel.get_by_role("button", name="next token").click()
        page.wait_for_function("() => location.hash.includes('token=4')")
        shows(page, step_view(model_rows(pretrained(8), TEXT, layer=1).logits[3], k=2))
        panel.get_by_role("slider", name="layer").press("ArrowRight")
        page.wait_for_function("() => location.hash.includes('layer=2')")
        shows(page, step_view(model_rows(pretrained(8), TEXT, layer=2).logits[3], k=2))
        panel.get_by_role("slider", name="layer").press("ArrowLeft")
        panel.get_by_role("slider", name="top-k").press("ArrowRight")
        page.wait_for_function("() => location.hash.includes('k=3')")
        # in the first layer nothing lies below that could answer otherwise
        shows(page, step_view(model_rows(pretrained(8), TEXT, layer=1).logits[3], k=3))
        assert "the layers before" not in panel.inner_text()
        assert page.locator("#route-figure .foot .fz").count() == 1


def test_the_hand_keeps_its_place_on_the_keyboard_and_late_answers_stay_away(visit):  # noqa: F811
    with visit(f"#token=2&layer=1&text={TEXT.replace(' ', '+')}") as page:
        hand = page.locator("#route-figure .hand")
        hand.get_by_role("button", name="expert 1", exact=True).focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.ariaLabel") == "expert 1"
        hand.get_by_text("For the rest of the text").wait_for()
        every = hand.get_by_role("button", name="Try every choice")
        # asked and left in one breath: the answer is about a token that is no longer there
        every.evaluate("(node) => { node.click(); document.querySelector('[aria-label=\"next token\"]').click(); }")
        page.wait_for_function("() => location.hash.includes('token=3')")
        every.click()  # its answer comes after the other's
        hand.get_by_text("Of 28 choices").wait_for()
        every.evaluate("(node) => { node.click(); document.querySelector('[aria-label=\"next token\"]').click(); }")
        page.wait_for_function("() => location.hash.includes('token=4')")
        page.wait_for_timeout(3000)
        assert hand.locator(".read").inner_text() == ""


def test_no_state_is_shown_that_is_half_of_another(visit):  # noqa: F811
    """While the model of another slider's place is on its way, figure, buttons and sentence stay those of one model."""
    watch = """() => {
      window.seen = [];
      new MutationObserver(() => {
        const panel = document.querySelector("#route-figure");
        const now = [panel.querySelectorAll(".row").length, panel.querySelectorAll(".hand .n").length];
        window.seen.push([...now, panel.querySelector(".hk .t").textContent, panel.querySelectorAll(".rank").length]);
      }).observe(document.querySelector("#route-figure"), { childList: true, subtree: true, attributes: true });
    }"""
    with visit("#experts=16&k=8") as page:
        page.evaluate(watch)
        slider = page.locator("#viewer").get_by_role("slider", name="experts")
        slider.focus()
        for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
        page.wait_for_function("() => document.querySelectorAll('#route-figure .row').length === 4")
        seen = page.evaluate("() => window.seen")
        assert seen and all(rows == buttons for rows, buttons, _, _ in seen)
        assert all(kept in (f"top {min(8, rows)}", "top 4") for rows, _, kept, _ in seen)
        assert page.locator("#route-figure .foot .fz").count() == 0  # another model: nothing was moved


def shows(page: Page, step: Step) -> None:
    """The figure has this step's scores, ranks and weights."""
    rows = page.locator("#route-figure .row")
    for expert in range(step.n_experts):
        row = rows.nth(expert)
        assert abs(float(row.locator(".ts").text_content()) - step.scores[expert]) < 0.0051
        if expert in step.chosen:
            assert row.locator(".rank").text_content()[0] == str(step.chosen.index(expert) + 1)
            assert row.locator(".tw").text_content() == f"{step.weights[expert]:.2f}"
        else:
            assert row.locator(".rank").count() == 0
