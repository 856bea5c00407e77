"""The dispatch view in a real browser: sliders, keys and clicks show the model's own routing, and at once."""

import random

import torch
from waiting import SOON, until

from moe_lite import data
from moe_lite.checkpoint import pretrained

TEXT = "def area(r): return 3.14 * r"
# On a machine with nothing else to do, 95 of 100 moves are drawn within 60 ms.
CELL = f"""
from moe_lite.widgets import DispatchView
DispatchView({TEXT!r}, layer=2)
"""
ROOT = ".mx.dispatch_view:not(.twin)"
SHOWN = """() => {
  const svg = document.querySelector('.mx.dispatch_view:not(.twin) svg');
  const rows = [...svg.querySelectorAll('[data-row]')].sort((a, b) => a.dataset.row - b.dataset.row);
  return { rows: rows.map((e) => [Number(e.querySelector('.tn').textContent), Number(e.dataset.slice)]),
           counts: [...svg.querySelectorAll('.count')].map((e) => Number(e.textContent)),
           total: svg.querySelector('.sum')?.textContent ?? '' };
}"""
TRAVEL = """() => getComputedStyle(document.querySelector('.mx.dispatch_view:not(.twin) .skin'))
  .transitionDuration.split(',')[0]"""
# upright numerals that are wider than their row, and names wider than their token's box
TOO_WIDE = """() => [...document.querySelectorAll('.mx.dispatch_view:not(.twin) :is(.cell, .token)')].filter((e) => {
  const text = e.querySelector('.tn:not([transform]), .name');
  return text && text.getComputedTextLength() > e.querySelector('rect').width.baseVal.value + 1;
}).map((e) => e.textContent)"""


def routed(n_experts: int, top_k: int):
    with torch.no_grad():
        return pretrained(n_experts)(torch.tensor([data.encode(TEXT)[:14]]), top_k=top_k).routing[1]


def test_page_shows_the_routing_at_every_move_and_follows_keys_and_clicks(lab, took):
    lab.write("dispatch.ipynb", CELL)
    lab.open("dispatch.ipynb")
    lab.run_all()
    root = lab.page.locator(ROOT)
    root.locator("svg").wait_for()
    assert lab.page.evaluate(TRAVEL) == "0.4s"
    lab.page.emulate_media(reduced_motion="reduce")
    assert lab.page.evaluate(TRAVEL) == "0s"

    def compare(n_experts: int, top_k: int) -> dict:
        routing = routed(n_experts, top_k)
        pairs = [list(pair) for pair in zip(routing.token_ids.tolist(), routing.expert_ids.tolist(), strict=True)]
        until(lambda: lab.page.evaluate(SHOWN)["rows"] == pairs, SOON)
        shown = lab.page.evaluate(SHOWN)
        assert shown["counts"] == routing.load.tolist()
        return shown

    def act(do) -> None:
        """Do it, then wait for the redraw."""
        version = root.get_attribute("data-version")
        do()
        lab.page.wait_for_function(
            "([css, v]) => document.querySelector(css).dataset.version !== v", arg=[ROOT, version]
        )

    chance, at, times = random.Random(0), {"experts E": 1, "top-k": 2}, []
    drawn = lab.redraws(ROOT)
    for _ in range(40):
        name = chance.choice([*at])
        low, high = {"experts E": (0, 2), "top-k": (1, 4)}[name]
        step = chance.choice([-1, 1])
        step = -step if not low <= at[name] + step <= high else step
        at[name] += step
        times.append(lab.move(ROOT, name, step))
        compare((4, 8, 16)[at["experts E"]], at["top-k"])
        assert lab.page.evaluate(TOO_WIDE) == []
    took("dispatch view, slider to redraw", times)
    assert lab.redraws(ROOT) == drawn + len(times)

    while at["experts E"] < 1 or at["top-k"] != 2:
        name = "experts E" if at["experts E"] < 1 else "top-k"
        step = 1 if name == "experts E" or at["top-k"] < 2 else -1
        at[name] += step
        lab.move(ROOT, name, step)
    n_experts = (4, 8, 16)[at["experts E"]]
    weights, experts = routed(n_experts, 2).top_k
    root.locator(".tops .t0").focus()
    act(lambda: lab.page.keyboard.press("ArrowRight"))
    act(lambda: lab.page.keyboard.press("ArrowRight"))
    assert lab.page.evaluate("document.activeElement.dataset.token") == "2"
    assert compare(n_experts, 2)["total"].startswith(f"{weights[2, 0]:.2f} · f")
    act(lambda: root.locator(".slots .slice").nth(int(experts[2, 0])).click())
    assert f"Expert {int(experts[2, 0])} has row" in root.locator(".read").inner_text()
    assert root.locator(".ink path").count() == 2 * int(routed(n_experts, 2).load[experts[2, 0]])
    lab.page.keyboard.press("Tab")
    act(lambda: root.locator("button:has-text('3 compute')").click())
    assert root.locator(".fn").count() == sum(n > 0 for n in routed(n_experts, 2).load.tolist())
    act(lambda: root.locator("button:has-text('plain loop')").click())
    act(lambda: root.locator("button:has-text('next expert')").click())
    assert root.locator(".read").inner_text().startswith("The turn of expert 1: it searches all 28 choices")
    assert root.locator("[data-row]").count() == int(routed(n_experts, 2).load[1])
    assert lab.errors == [] and lab.error_outputs() == []
