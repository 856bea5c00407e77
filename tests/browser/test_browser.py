"""Journeys in a real browser: what the page shows is what the model did, and it shows it at once."""

import json
import random
from pathlib import Path

import pytest
import torch
from lab import Lab
from lesson_texts import lesson_files
from waiting import SOON, until

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.metrics import budget
from moe_lite.widgets import BudgetExplorer, NextTokens

LESSONS = [path.stem for path in lesson_files()]
WIDGET = ".jp-OutputArea .mx:not(.twin)"

# On a machine with nothing else to do, 95 of 100 moves are drawn within 100 ms; within 250 with 4,000 tokens.

VIEWER = """
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import TokenViewer
viewer = TokenViewer({{n: pretrained(n) for n in (4, 8, 16)}}, {text!r}, layer=1)
viewer
"""
SHOWN = """() => [...document.querySelectorAll('.jp-OutputArea .mx:not(.twin) [data-i]')]
  .map(e => [Number(e.dataset.i), Number(e.dataset.expert), Number(e.querySelector('b')?.textContent)])"""


def long_text(n_tokens: int) -> str:
    """Text of the samples, cut to at most n_tokens tokens."""
    text = ("\n".join(data.SAMPLES.values()) + "\n") * 20
    low, high = 0, len(text)
    while low < high:  # the longest beginning with no more than n_tokens
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(data.encode(text[:middle])) <= n_tokens else (low, middle - 1)
    return text[:low]


def first_choices(ids: list[int], n_experts: int, top_k: int, layer: int) -> list[int]:
    """What the router says: the expert with the largest weight for each token, from `routing.expert_ids`."""
    with torch.no_grad():
        routing = pretrained(n_experts)(torch.tensor([ids]), top_k=top_k).routing[layer - 1]
    assert routing.expert_ids.shape == (routing.n_tokens * top_k,)
    return routing.top_k[1][:, 0].tolist()


def test_viewer_shows_the_routing_of_its_model_at_every_move(lab, took):
    text = long_text(200)
    lab.write("viewer.ipynb", VIEWER.format(text=text))
    lab.open("viewer.ipynb")
    lab.run_all()
    lab.page.wait_for_selector(".mx:not(.twin) [data-i]")
    chance, at, times = random.Random(0), {"layer": 1, "top-k": 2}, []
    drawn = lab.redraws(WIDGET)
    limits = {"layer": (1, 4), "top-k": (1, 8)}
    for _ in range(50):
        name = chance.choice(["layer", "top-k"])
        low, high = limits[name]
        step = chance.choice([-1, 1])
        step = -step if not low <= at[name] + step <= high else step
        times.append(lab.move(WIDGET, name, step))
        at[name] += step
        expected = first_choices(data.encode(text), current_experts(lab), at["top-k"], at["layer"])
        both = [[expert, expert] for expert in expected]
        until(lambda both=both: [token[1:] for token in lab.page.evaluate(SHOWN)] == both, SOON)
    took("token viewer, 200 tokens, slider to redraw", times)
    assert lab.redraws(WIDGET) == drawn + len(times), "a move is drawn once"
    assert lab.errors == []


def current_experts(lab: Lab) -> int:
    return lab.page.evaluate("document.querySelectorAll('.mx:not(.twin) .rail [data-expert]').length")


def test_long_text_is_drawn_once_a_move_and_as_the_model_routes_it(lab, took):
    text = long_text(4000)
    lab.write("long.ipynb", VIEWER.format(text=text))
    lab.open("long.ipynb")
    lab.run_all()
    lab.page.wait_for_selector(".mx:not(.twin) [data-i]")
    drawn, experts = lab.redraws(WIDGET), current_experts(lab)
    times = [lab.move(WIDGET, "top-k", step) for step in [1, -1] * 10]
    took("token viewer, 4,000 tokens, slider to redraw", times)
    assert lab.redraws(WIDGET) == drawn + len(times)
    window = data.encode(text)[:256]  # the model reads a long text in windows; this is the first
    shown = [expert for _, expert, _ in lab.page.evaluate(SHOWN)][: len(window)]
    assert shown == first_choices(window, experts, top_k=2, layer=1)


def spaced(text: str) -> str:
    """Text of the page with ordinary spaces: before % stands one that does not break the line."""
    return text.replace("\u00a0", " ")


EXPLORER = """
from moe_lite.metrics import budget
from moe_lite.widgets import BudgetExplorer
def count_dense(config, context):
    counts = budget(config, context)
    return counts.total_parameters, counts.total_flops + 1
BudgetExplorer(count=count_dense)
"""
BARS_SHOWN = """() => ['parameters', 'flops'].map(kind => {
  const block = document.querySelector(`.jp-OutputArea .mx:not(.twin) svg .${kind}`);
  const segments = [...block.querySelectorAll('.seg')];
  return [block.querySelector('.exact').textContent, block.querySelector('.mine').textContent,
          Object.fromEntries(segments.map(e => [e.classList[0].slice(2), Number(e.getAttribute('width'))]))];
})"""
# pairs of texts of the picture whose boxes overlap, and texts that leave it
TEXTS_COLLIDE = """() => {
  const svg = document.querySelector('.jp-OutputArea .mx:not(.twin) svg'), all = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].map(e => [e.textContent, e.getBoundingClientRect()]);
  const left = boxes.filter(([, b]) => b.left < all.left - 1 || b.right > all.right + 1);
  const found = left.map(([text]) => [text, 'the edge']);
  boxes.forEach(([text, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 0.5 && high > 2) found.push([text, other]);
  }));
  return found;
}"""


def test_explorer_counts_at_every_move_and_its_labels_stay_apart(lab, took):
    python = BudgetExplorer()
    lab.write("budget.ipynb", EXPLORER)
    lab.open("budget.ipynb")
    lab.run_all()
    lab.page.wait_for_selector(".mx.budget_explorer:not(.twin) svg")
    labels = {"width D": "d_model", "depth L": "n_layers", "feed-forward F": "d_expert", "vocabulary V": "vocab_size",
              "context": "context"}  # fmt: skip
    chance, times, drawn = random.Random(0), [], lab.redraws(WIDGET)
    for _ in range(30):
        label = chance.choice(list(labels))
        name, step = labels[label], chance.choice([-1, 1, 1])
        steps = python.fixed["steps"][name]
        at = steps.index(getattr(python, name))
        step = -step if not 0 <= at + step < len(steps) else step
        setattr(python, name, steps[at + step])
        times.append(lab.move(WIDGET, label, step))
        expected = budget(python.view.config, python.context)
        for (exact, mine, widths), kind, off in zip(
            lab.page.evaluate(BARS_SHOWN), ("parameters", "flops"), ("equal", "1 too many"), strict=True
        ):
            amounts = {part: n for part, n in getattr(expected, kind).items() if n}
            total = sum(amounts.values())
            assert exact == f"{total:,}" and mine.startswith("count_dense gives ") and mine.endswith(f": {off}")
            assert widths.keys() == amounts.keys()
            whole = sum(widths.values())
            assert widths == pytest.approx({part: whole * n / total for part, n in amounts.items()}, abs=1.1)
        assert lab.page.evaluate(TEXTS_COLLIDE) == []
    took("budget explorer, slider to redraw", times)
    assert lab.redraws(WIDGET) == drawn + len(times)
    lab.page.select_option(".mx.budget_explorer:not(.twin) select", label="Mixtral 8x7B, one expert")
    lab.page.wait_for_function(
        "document.querySelector('.mx.budget_explorer:not(.twin) .parameters .exact').textContent === '7,241,732,096'"
    )
    reading = spaced(lab.page.locator(".mx.budget_explorer:not(.twin) .read").inner_text())
    assert reading.startswith("Of 7.24 billion parameters 78 % sit in the feed-forward networks")
    assert lab.errors == []


TOKENS = """
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import NextTokens
NextTokens(pretrained(1), {text!r})
"""
NEXT = ".mx.next_tokens:not(.twin)"
ROWS_SHOWN = f"""() => [...document.querySelectorAll('{NEXT} .nt .row:not(.h)')]
  .map(row => [row.children[0].textContent, row.children[1].textContent])"""
DRAWN_SHOWN = f"() => [...document.querySelectorAll('{NEXT} .sofar u')].map(e => e.textContent)"


def test_next_tokens_follow_temperature_draws_and_typing(lab, took):
    text = "def area(r):"
    python = NextTokens(pretrained(1), text)
    lab.write("next.ipynb", TOKENS.format(text=text))
    lab.open("next.ipynb")
    lab.run_all()
    root = lab.page.locator(NEXT)
    root.locator(".nt .row").first.wait_for()

    def compare() -> None:
        rows = [row[:2] for row in [*python.figure["rows"], python.figure["others"]]]
        until(lambda: lab.page.evaluate(ROWS_SHOWN) == rows, SOON)
        assert lab.page.evaluate(DRAWN_SHOWN) == [token for token, _ in python.line["drawn"]]
        assert spaced(root.locator(".read").inner_text()) == python.reading

    def press(name: str, n_drawn: int) -> None:
        root.get_by_role("button", name=name, exact=True).click()
        python.n_drawn = n_drawn
        lab.page.wait_for_function(f"n => ({DRAWN_SHOWN})().length === n", arg=n_drawn)
        compare()

    compare()
    times, drawn = [], lab.redraws(NEXT)
    for at in [*range(9, -1, -1), *range(1, 11)]:
        times.append(lab.move(NEXT, "temperature", 1 if at / 10 > python.temperature else -1))
        python.temperature = at / 10
        compare()
    took("next tokens, slider to redraw", times)
    assert lab.redraws(NEXT) == drawn + len(times)
    press("draw", 1)  # both draw from a generator with the same seed
    press("draw 20", 21)
    press("undo", 20)
    root.locator(".sofar u").last.focus()
    lab.page.keyboard.press("ArrowLeft")
    assert root.locator(".facts").inner_text() == python.line["drawn"][18][1]
    root.locator("textarea").fill("<b>Q</b>: 2/9 + ")
    python.text = "<b>Q</b>: 2/9 + "
    lab.page.wait_for_function(
        "([at, text]) => document.querySelector(at).textContent.replaceAll('\u00a0', ' ') === text",
        arg=[f"{NEXT} .read", python.reading],
    )
    compare()
    root.locator("textarea").fill("")
    lab.page.wait_for_function("t => document.querySelector(t).hidden", arg=f"{NEXT} .nt")
    assert root.get_by_role("button", name="draw", exact=True).is_disabled()
    python.text = text
    root.get_by_role("button", name="reset").click()
    lab.page.wait_for_function("t => !document.querySelector(t).hidden", arg=f"{NEXT} .nt")
    compare()
    assert lab.errors == []


def test_an_error_is_seen_wherever_it_is(lab):
    """Else the next test could not fail."""
    lab.write("error.ipynb", *["print('a line\\n' * 30)"] * 20, "1 / 0", *["print('another\\n' * 30)"] * 20)
    lab.open("error.ipynb")
    lab.run_all()
    assert lab.error_outputs() == ["ZeroDivisionError: division by zero"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_saved_lesson_shows_its_pictures_without_a_kernel(root: Path, lesson):
    notebook = json.loads((root / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
    widgets = [cell for cell in notebook["cells"] if "widget" in cell["metadata"].get("tags", [])]
    assert widgets
    for cell in widgets:
        twins = ["".join(o["data"]["text/html"]) for o in cell["outputs"] if "text/html" in o.get("data", {})]
        assert len(twins) == 1 and "A picture. Run the cell to move it." in twins[0]
