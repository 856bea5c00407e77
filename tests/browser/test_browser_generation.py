"""A real browser: while a model writes, the page shows the experts that made each token, and Stop stops it."""

import torch

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.look.words import percent
from moe_lite.widgets import GenerationViewer

PROMPT = "def area(r):\n    return"
CELLS = [
    f"""
from moe_lite.checkpoint import pretrained
from moe_lite.widgets import GenerationViewer
viewer = GenerationViewer(pretrained(8), {PROMPT!r}, n_tokens=30, layer=1)
viewer
""",
    "viewer",
    "viewer._pause = 1.0 if viewer._pause < 1 else 0.02  # seconds a token: slow at first, so that Stop comes in time",
]
ROOT = ".jp-OutputArea .mx.generation_viewer:not(.twin)"
SHOWN = """(root) => ({
  experts: [...root.querySelectorAll("[data-i]")].map((e) => Number(e.dataset.expert)),
  numerals: [...root.querySelectorAll("[data-i] b")].map((e) => Number(e.textContent)),
  shares: [...root.querySelectorAll(".rail [data-expert] .r")].map((e) => e.textContent),
  reading: root.querySelector(".read").textContent.replaceAll("\u00a0", " "),
})"""
COUNT = "([at, i]) => document.querySelectorAll(at)[i].querySelectorAll('[data-i]').length"


def forward(ids: list[int], n_new: int, layer: int) -> torch.Tensor:
    """(n_new, K): the experts at the positions that predicted the last n_new of ids, from one plain forward pass."""
    with torch.no_grad():
        record = pretrained(8)(torch.tensor([ids])).routing[layer - 1]
    return record.top_k[1][-n_new - 1 : -1]


def test_generating_in_jupyterlab(lab):
    python = GenerationViewer(pretrained(8), PROMPT, n_tokens=30).run()  # the same seed, so the same text
    ids = [*python.generation.prompt, *(made.token for made in python.generation.made)]
    assert ids[: -len(python.generation.made)] == data.encode(PROMPT)
    lab.write("generation.ipynb", *CELLS)
    lab.open("generation.ipynb")
    lab.run_all()
    page, root = lab.page, lab.page.locator(ROOT).first

    def shows(n: int, which: int = 0) -> None:
        """The first n tokens, with the experts of a forward pass, and these experts' shares."""
        page.wait_for_function(f"([at, i, n]) => ({COUNT})([at, i]) === n", arg=[ROOT, which, n])
        shown, chosen = lab.page.locator(ROOT).nth(which).evaluate(SHOWN), forward(ids[: len(ids) - 30 + n], n, at)
        assert shown["experts"] == shown["numerals"] == chosen[:, 0].tolist()
        load = torch.bincount(chosen.flatten(), minlength=8)
        assert shown["shares"] == [percent(count / (2 * n)) for count in load.tolist()]
        assert f"Layer {at}: of the {2 * n} assignments that made {n} token" in shown["reading"]

    at = 1
    root.get_by_role("button", name="Generate").click()
    grown = page.wait_for_function(f"([at, i]) => {{ const n = ({COUNT})([at, i]); return n > 2 && n }}", arg=[ROOT, 0])
    assert grown.json_value() < 25, "tokens appear one after the other"
    root.locator("input[type=range]").last.press("ArrowRight")
    at = 2
    root.get_by_role("button", name="Stop").click()
    page.wait_for_function(
        "at => document.querySelector(at + ' .read').textContent.includes('Stopped after')", arg=ROOT
    )
    stopped = page.evaluate(COUNT, [ROOT, 0])
    assert 2 < stopped < 30 and root.get_by_role("button", name="Stop").is_disabled()
    shows(stopped)
    page.locator(".jp-CodeCell .jp-InputPrompt").nth(2).click()
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")
    lab.wait_idle()
    root.locator("textarea").press("Control+Enter")
    shows(30)
    page.locator(".jp-CodeCell .jp-InputPrompt").nth(1).click()
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")  # a view that is opened late
    lab.wait_idle()
    shows(30, which=1)
    root.locator("[data-i='3']").click()
    python.layer, python.pinned = 2, 3
    assert root.evaluate(SHOWN)["reading"] == python.reading
    assert lab.errors == [] and lab.error_outputs() == []
