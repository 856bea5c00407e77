"""The page in a real Firefox: its models compute there what the package computes, and a visit goes as in Chromium.
Skipped where no Firefox is installed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import build_site
import pytest
from engine_page import Engine, loaded
from firefox import Page, firefox
from test_engine_generate import PROMPTS, compare as compare_texts, write
from test_engine_model import compare, expected, read
from test_engine_tokenizer import a_thousand_texts
from test_site_page import TOKENS, first_choices, losses_of

from moe_lite.checkpoint import pretrained
from moe_lite.data import SAMPLES, encode

PROGRAMS = ("firefox", "firefox-esr")
SHOWN = f"() => [...document.querySelectorAll('{TOKENS}')].map((node) => Number(node.dataset.expert))"
CLICK = "(given) => document.querySelectorAll(given[0])[given[1]].click()"
# as a visitor's input comes: the value, then the event
INPUT = """([css, value]) => {
  const node = document.querySelector(css);
  node.value = value;
  node.dispatchEvent(new Event("input", { bubbles: true }));
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("No Firefox is installed.")
    with firefox(program) as page:
        yield page


@pytest.fixture(scope="module")
def engine(page: Page, tmp_path_factory) -> Iterator[Engine]:
    with loaded(page, tmp_path_factory.mktemp("models")) as engine:
        yield engine


@pytest.mark.browser
@pytest.mark.corpus
def test_a_thousand_texts_have_the_ids_of_the_package_in_firefox(engine: Engine, corpus_folder):
    texts = a_thousand_texts(corpus_folder)
    assert engine.run("return given.texts.map(tokenizer.encode)", texts=texts) == [encode(text) for text in texts]


@pytest.mark.browser
@pytest.mark.parametrize("n_experts", [1, 4, 8, 16, 32])
def test_experts_logits_losses_and_greedy_text_are_those_of_the_package_in_firefox(engine, took, n_experts: int):
    model, ids = pretrained(n_experts), encode(SAMPLES["python"] + SAMPLES["french"])[:200]
    _, n_ties = compare(read(engine, n_experts, ids), expected(model, ids))
    took(f"Firefox, {n_experts} experts: ties that came out otherwise", [n_ties], "")
    prompt = encode(PROMPTS[0])
    compare_texts(write(engine, n_experts, prompt, 40), model, prompt, 40)


@pytest.mark.browser
def test_a_visit_in_firefox(page: Page, tmp_path: Path):
    """From a file: the opening routed, a text typed, another layer, an expert muted, the losses told, text written."""
    build_site.build(tmp_path / "site")
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.wait_for_function("() => document.body.hasAttribute('data-ready')")
    assert page.evaluate(SHOWN) == first_choices(build_site.OPENING, layer=3)
    text = "The doctor asked the lawyer."
    page.evaluate(INPUT, ["#viewer textarea", text])
    wanted = first_choices(text, layer=3)
    page.wait_for_function(f"(given) => JSON.stringify(({SHOWN})()) === JSON.stringify(given)", wanted)
    page.evaluate(INPUT, ["#route-figure input[aria-label=layer]", 0])
    page.wait_for_function(f"(given) => JSON.stringify(({SHOWN})()) === JSON.stringify(given)", first_choices(text, 1))
    page.evaluate(CLICK, ["#viewer .rail button.mute", 5])
    page.wait_for_function("() => location.hash.includes('muted=5')")
    assert page.evaluate("() => location.hash").startswith("#text=The+doctor")
    loss = f"{losses_of(text, [5]).mean():.2f}"
    page.wait_for_function("(given) => document.getElementById('losses').innerText.includes(given)", loss)
    page.evaluate(CLICK, ["#write-figure button.pri", 0])
    page.wait_for_function("() => document.querySelectorAll('#write-figure .written [data-i]').length === 2 * 60")
    assert page.failed == []
