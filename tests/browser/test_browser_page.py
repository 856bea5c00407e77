"""How a lesson's page is set: a measure that can be read, one left edge, an exercise as one block."""

import sys
from collections.abc import Iterator

import nbformat
import pytest
from lab import Driver, Lab, Server, open_lab, serve

from moe_lite.look import page

TEXT = "Each token keeps its best two experts, and the weights of the two sum to one. " * 6
CELLS = [
    ("markdown", f"## 3.2 A section\n\n{TEXT}\n\n<details><summary>Answer</summary>\n\n{TEXT}\n\n</details>"),
    ("code", "from moe_lite import plots\nimport torch\nprint('a line ' * 60)\nplots.table(torch.eye(3), 'a table')"),
    ("code", "from moe_lite.widgets import RouterStepper\nRouterStepper()"),
    ("markdown", f"### Exercise 3.2 — renormalised top-k\n\n{TEXT}"),
    ("code", "def route(): ..."),
    ("code", "route()"),
    ("code", f"1 + 1  # {'x' * 111}"),  # as long as a line of code may be
]
PLACES = """() => {
  const cells = [...document.querySelectorAll('.jp-NotebookPanel .jp-Cell')];
  const box = (css) => [...document.querySelectorAll(`.jp-NotebookPanel ${css}`)].filter((e) => e.checkVisibility())
    .map((e) => e.getBoundingClientRect()).map(({ left, width }) => [left, width]);
  return { prose: box('.jp-MarkdownOutput :is(p, details)'), code: box('.jp-InputArea-editor'),
           shown: box('.jp-OutputArea-output :is(pre, table, .hd)'),
           ruled: cells.map((cell) => /3px 0px 0px 0px inset/.test(getComputedStyle(cell).boxShadow)) };
}"""


SEEN = "() => [...document.querySelectorAll('.cm-scroller')].every((e) => e.scrollWidth === e.clientWidth)"
# how many lines of the page each line of code takes
LINES = """() => [...document.querySelectorAll('.jp-CodeCell .cm-line')]
  .map((line) => Math.round(line.getBoundingClientRect().height / parseFloat(getComputedStyle(line).lineHeight)))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A JupyterLab whose kernels start as a learner's do, from nothing: the other journeys' kernels are forks."""
    with serve(tmp_path_factory.mktemp("server"), [sys.executable]) as server:
        yield server


@pytest.fixture(scope="module")
def lab(server: Server, browser: Driver) -> Iterator[Lab]:
    """The notebook once it has run."""
    made = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    with open_lab(server, browser) as lab:
        lab.write("page.ipynb", *(made[kind](text) for kind, text in CELLS))
        lab.open("page.ipynb")
        lab.run_all()
        lab.page.wait_for_selector(".mx.router_stepper:not(.twin) .hd")
        yield lab


@pytest.mark.parametrize("width", [1360, 900])
def test_prose_keeps_its_measure_and_all_stands_on_one_left_edge(lab: Lab, width: int):
    lab.page.set_viewport_size({"width": width, "height": 900})
    lab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    places = lab.page.evaluate(PLACES)
    em = 14  # px of JupyterLab's prose
    assert all(wide <= 46 * em for _, wide in places["prose"])
    assert all(wide <= 964 for _, wide in places["code"]) and all(wide <= 906 for _, wide in places["shown"])
    lefts = [left for kind in ("prose", "code", "shown") for left, _ in places[kind]]
    assert len(lefts) >= 12 and max(lefts) - min(lefts) <= 2
    assert lab.page.evaluate(SEEN), "a line of code is cut"
    assert width > 900 or lab.page.evaluate(LINES)[-1] > 1  # the longest that a line may be
    lab.page.set_viewport_size({"width": 1440, "height": 900})
    lab.page.wait_for_function(f"() => ({LINES})().at(-1) === 1")
    assert places["ruled"] == [False, False, False, True, True, True, False]


@pytest.mark.slow
def test_a_style_is_written_into_the_environment_only(tmp_path):
    inside, outside = tmp_path / "env" / "static" / "custom.css", tmp_path / "other" / "custom.css"
    for path in (inside, outside):
        path.parent.mkdir(parents=True)
    page.install(inside, tmp_path / "env")
    assert inside.read_text(encoding="utf-8") == page.STYLE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="custom.css is not inside the environment"):
        page.install(outside, tmp_path / "env")
    assert not outside.exists()
