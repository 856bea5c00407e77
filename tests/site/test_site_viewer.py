"""The page's kernel (site/kernel/) beside the notebooks': the same traits from the same hands, for any text."""

import base64
import json
import random
from collections.abc import Iterator
from functools import lru_cache

import build_site
import numpy as np
import pytest
from lab import Driver
from playwright.sync_api import Page

from moe_lite import data
from moe_lite.checkpoint import pretrained, pretrained_record, shipped
from moe_lite.widgets import TokenViewer
from moe_lite.widgets.kit.text import faces_of

COUNTS = build_site.COUNTS
TRAITS = ("text", "domains", "n_experts", "top_k", "muted", "first", "layer", "choice", "pinned", "picked", "note",
          "source", "page")  # fmt: skip
OPEN = """async ([script, tokenizer, models]) => {
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  let last = 0;
  window.ask = (call, args) => new Promise((resolve, reject) => {
    const id = last += 1;
    const take = ({ data }) => {
      if (data.id !== id || data.token !== undefined) return;
      worker.removeEventListener("message", take);
      data.error === undefined ? resolve(data.result) : reject(new Error(data.error));
    };
    worker.addEventListener("message", take);
    worker.postMessage({ id, call, args });
  });
  for (const { name, text } of models) {
    const model = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer;
    await window.ask("load", { name, model, tokenizer });
  }
}"""
FRESH = """async (counts) => {
  window.state = viewerState(window.words, counts);
  await window.ask("open", { words: window.words });
}"""
# follows a state, and gives all of it back; bytes as base64
FOLLOW = """async (hands) => {
  Object.assign(window.state, hands);
  Object.assign(window.state, await window.ask("follow", { state: window.state }));
  const base64 = (view) => btoa(Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join(""));
  return JSON.parse(JSON.stringify(window.state, (_, value) => (value instanceof DataView ? base64(value) : value)));
}"""


@pytest.fixture(scope="module")
def kernel(browser: Driver) -> Iterator[Page]:
    """A page with the kernel's worker, every model loaded, and the script that makes a state."""
    models = [{"name": str(n), "text": base64.b64encode(shipped(n).read_bytes()).decode()} for n in COUNTS]
    tokenizer = json.loads((data.data_dir() / "tokenizer.json").read_text(encoding="utf-8"))
    with browser.page() as page:
        page.add_script_tag(content=(build_site.SITE / "page" / "state.js").read_text(encoding="utf-8"))
        page.evaluate(OPEN, [build_site.kernel_script(), tokenizer, models])
        page.evaluate("(words) => { window.words = words; }", build_site.words() | {"opening": {}})
        yield page


@pytest.fixture
def fresh(kernel: Page) -> Page:
    """The same, with nothing in it from another test."""
    kernel.evaluate(FRESH, list(COUNTS))
    return kernel


@lru_cache(maxsize=1)
def models() -> dict:
    return {n: pretrained(n) for n in COUNTS}


def viewer() -> TokenViewer:
    return TokenViewer(models(), records={n: pretrained_record(n) for n in COUNTS})


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind).astype(int)


TEXTS = [
    "", " ", "The cat sat on the mat.", "Le roi ne dit rien.\n\n\tdef f(x):\n        return x\n",
    "\U0001f389\U0001f469\u200d\U0001f469\u200d\U0001f467 日本語 žluťoučký ｋůň", "مرحبا بالعالم \u202e abc",
    "\x00\x01\x7f\ufeff\u2028\u0301a\u0301", "17 + 25 = 42\n" * 60, "naïve café — “quoted” (it's) [x_1]",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_typed_text_is_shown_as_in_the_notebook(fresh, text):
    same(fresh, viewer(), {"text": text, "domains": []})


@pytest.mark.parametrize("n_experts", COUNTS)
def test_models_choices_muting_and_paging(fresh, n_experts):
    widget = viewer()
    for hands in (
        {"domains": list(data.SAMPLES), "n_experts": n_experts, "first": 0},
        {"first": 512},
        {"first": 0, "top_k": 1, "layer": 3},
        {"muted": [1, 2], "top_k": 4, "choice": 3},
        {"muted": list(range(n_experts))},
        {"top_k": 99, "muted": [0, 77], "picked": [3, 3, 1, 90], "pinned": 4},
        {"layer": 9, "pinned": 5000},
        {"text": "Someone's own text ends the samples.", "layer": 2},
    ):
        same(fresh, widget, hands)


def same(kernel: Page, widget: TokenViewer, hands: dict) -> None:
    """Both follow the same hands from their own state, and show the same."""
    got = kernel.evaluate(FOLLOW, hands)
    with widget.hold_trait_notifications():
        for name, value in hands.items():
            setattr(widget, name, value)
    assert {name: got[name] for name in TRAITS} == {name: jsonable(getattr(widget, name)) for name in TRAITS}
    assert got["error"].get("what") == widget.error.get("what")
    assert got["routed"].keys() == widget.routed.keys()
    for name, value in widget.routed.items():
        if name in ("choice", "moved"):
            assert got["routed"][name] == base64.b64encode(value).decode(), name
        elif name in ("scores", "weight"):  # hundredths: what lies between two may round to either
            kind = "<u2" if name == "weight" else "u1"
            apart = np.abs(numbers(got["routed"][name], kind) - np.frombuffer(value, kind).astype(int))
            assert apart.max(initial=0) <= 1 and apart.sum() <= 1 + len(apart) / 1000, name
        else:
            assert got["routed"][name] == pytest.approx(value) if name == "full" else got["routed"][name] == value, name


def jsonable(value):
    return {k: jsonable(v) for k, v in value.items()} if isinstance(value, dict) else (
        [jsonable(v) for v in value] if isinstance(value, (list, tuple)) else value)  # fmt: skip


def test_faces_of_what_a_model_may_draw(kernel):
    """Ids in any order hold bytes that are no whole character; the page's faces are the package's."""
    draw = random.Random(7)
    rows = [[draw.randrange(draw.choice([256, 2048])) for _ in range(40)] for _ in range(200)]
    script = "rows => rows.map((ids) => facesOf(ids.map((bytes) => Uint8Array.from(bytes))))"
    source = (build_site.SITE / "kernel" / "faces.js").read_text(encoding="utf-8").replace("export ", "")
    kernel.add_script_tag(content=source)
    sent = [[list(piece) for piece in data.token_bytes(ids)] for ids in rows]
    assert kernel.evaluate(script, sent) == [[face.sent() for face in faces_of(ids)] for ids in rows]
