"""The router stepper's logits, controls and errors, and one journey in a real browser."""

import html
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import torch
from small import SENTENCE, SMALL, model_with_opinions
from steppers import LOGITS, part, rows, stepper, weights_shown

from moe_lite import MoELanguageModel, data, routing
from moe_lite.widgets import RouterStepper


@pytest.fixture(scope="module")
def model():
    return model_with_opinions(16)


# ---- where the logits come from --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [1, 3])
def test_logits_are_those_of_the_models_router(model, layer):
    widget = RouterStepper(SENTENCE, model=model, layer=layer, n_experts=16)
    with torch.no_grad():
        expected = model(torch.tensor([data.encode(SENTENCE)])).routing[layer - 1]
    weights, experts = expected.top_k
    for token in (0, 5, expected.n_tokens - 1):
        widget.token = token
        assert widget.step.logits == tuple(expected.logits[token].tolist())
        assert widget.step.chosen == tuple(experts[token].tolist())
        shown = [widget.step.weights[e] for e in widget.step.chosen]
        torch.testing.assert_close(torch.tensor(shown), weights[token])
    assert widget.source == f"16-expert model, layer {layer}"


def test_badge_says_which_experts_of_what_are_shown(model):
    widget = RouterStepper(SENTENCE, model=model, layer=2)
    assert widget.source == "experts 0–7 of the 16-expert model, layer 2"
    widget.edits = {3: 1.0}
    assert widget.source.endswith(" · moved by hand")
    assert stepper().source == "logits as given"
    assert stepper(n_experts=4).source == "experts 0–3 of the logits given"


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="layer is 4; this model has 3 sparse layers"):
        RouterStepper(SENTENCE, model=model, layer=4)
    with pytest.raises(ValueError, match="has 0 sparse layers"):
        RouterStepper(SENTENCE, model=MoELanguageModel(replace(SMALL, n_experts=1, top_k=1)))
    with pytest.raises(ValueError, match=r"logits are \(8,\) torch.float32; expected \(N, E\)"):
        RouterStepper(logits=LOGITS[0])
    with pytest.raises(ValueError, match="logits have 2 rows, but the sentence has"):
        RouterStepper(SENTENCE, logits=LOGITS)


@pytest.mark.parametrize("text", ["🙂 naïve", "שלום עולם", "\x00\x1b[31m<b>&\"'", " ", "a\n\nb"])
def test_any_sentence_can_be_shown(model, text):
    widget = RouterStepper(text, model=model)
    for token in range(widget.fixed["tokens"]):
        widget.token = token
        assert len(rows(widget)) == 8 and widget.error == {}
        ET.fromstring(re.search(r"<svg.*</svg>", widget.static_html(), re.DOTALL)[0])
    assert widget.fixed["tokens"] == len(data.encode(text))


def test_empty_sentence_says_what_goes_here(model):
    widget = RouterStepper("", model=model)
    assert widget.reading == "No token: give RouterStepper a sentence."
    assert widget.figure == "" and widget.reading in widget.static_html()


def test_long_sentence_is_cut_to_the_context_and_says_so(model):
    widget = RouterStepper("word " * 2000, model=model)
    assert widget.fixed["tokens"] == model.config.context_length == 64
    total = len(data.encode("word " * 2000))
    assert f"The model reads 64 tokens at once: of {total:,} tokens, the first 64 are here." in widget.parts["note"]


# ---- controls --------------------------------------------------------------------------------------------------------


def test_setting_traits_from_python_routes_again():
    widget = stepper()
    for name, value, options in [
        ("top_k", 3, {}),
        ("temperature", 0.5, {}),
        ("rule", "sigmoid", {"score": "sigmoid"}),
        ("renorm", False, {"score": "sigmoid", "renorm": False}),
        ("rule", "topk", {"order": "topk_first", "renorm": False}),
        ("n_experts", 5, {"order": "topk_first", "renorm": False}),
    ]:
        setattr(widget, name, value)
        z = LOGITS[:1, : widget.n_experts] / widget.temperature
        expected = routing.route(z, widget.top_k, **options)
        torch.testing.assert_close(torch.tensor(weights_shown(widget)), expected.combine[0], atol=1e-5, rtol=0)
        assert html.escape(widget.reading) in widget.figure


def test_contradicting_sliders_are_clamped_and_it_is_said():
    widget = stepper(top_k=6)
    widget.n_experts = 4
    assert (widget.n_experts, widget.top_k) == (4, 4)
    assert widget.parts["note"].startswith("top-k was 6, but 4 experts are shown: now it is 4.")
    assert widget.reading.startswith("E from 8 to 4 and top-k from 6 to 4: ")
    widget.n_experts = 40
    assert widget.n_experts == 8 and widget.parts["note"] == "E was 40, but there are 2 to 8 experts: now it is 8."
    widget.top_k, widget.temperature = 0, 99
    assert (widget.top_k, widget.temperature) == (1, 3.0)
    widget.token = 7
    assert widget.token == 1
    widget.temperature = 1.0
    assert "was" not in widget.parts["note"]


def test_logits_can_be_moved_into_a_tie_and_the_next_token_forgets_it():
    widget = stepper()
    widget.edits = {0: 2.1}
    assert widget.step.tied == ((0,), (6,))
    marks = {e: part(row, "tse").text for e, row in rows(widget).items() if part(row, "tse") is not None}
    assert marks == {0: "= in", 6: "= out"}
    assert "have the same score: the lower number passes, every time." in widget.reading
    widget.rule = "topk"
    marks = {e: part(row, "tze").text for e, row in rows(widget).items() if part(row, "tze") is not None}
    assert marks == {0: "= in", 6: "= out"}
    widget.token = 1
    widget.token = 0
    assert widget.edits == {} and widget.step.logits == tuple(LOGITS[0].tolist())


def test_values_that_differ_do_not_print_alike_at_the_border():
    widget = RouterStepper(logits=torch.tensor([[1.0, 1.004, 0.0, -1.0]]), top_k=1)
    scores = {e: part(row, "ts").text for e, row in rows(widget).items()}
    assert scores[0] != scores[1] and part(rows(widget)[0], "tse") is None
    assert len({len(text) for text in scores.values()}) == 1  # one count of decimals a column


# ---- a function that was passed in -----------------------------------------------------------------------------------


def test_wrong_function_is_told_and_the_last_good_figure_stays():
    def only_two(scores, k):
        if k != 2:
            raise IndexError("list index out of range")
        return routing.top_k_route(scores, k)

    widget = stepper(route=only_two)
    assert widget.error == {} and ">only_two<" in widget.figure
    good = widget.figure
    widget.top_k = 3
    assert widget.error["what"] == "only_two raised IndexError: list index out of range"
    assert widget.error["instead"] == "The last good figure stays." and "only_two" in widget.error["details"]
    assert widget.figure == good and widget.reading in good
    assert "only_two raised" in widget.static_html()
    widget.renorm = False
    assert widget.error == {} and len(widget.step.chosen) == 3


def test_function_that_is_wrong_from_the_start_leaves_the_packages_figure():
    widget = stepper(route=lambda scores, k: scores)
    assert "must return two tensors" in widget.error["what"]
    assert widget.step.chosen == (3, 6) and "Shown instead: the package's rule." in widget.parts["note"]


def test_the_packages_own_function_is_no_learners_function():
    widget = stepper(route=routing.top_k_route)
    assert widget.step.chooser == ""
    widget.renorm = False
    assert widget.parts["note"] == ""


# ---- in a browser ----------------------------------------------------------------------------------------------------

CELL = """
from moe_lite.widgets import RouterStepper
RouterStepper(layer=2, n_experts=8, top_k=2)
"""
SHOWN = """() => [...document.querySelectorAll('.mx.router_stepper:not(.twin) svg [data-expert]')]
  .map(row => [row.dataset.weight, ...['.tw', '.rank'].map(part => row.querySelector(part)?.textContent)])"""


def test_page_follows_the_keyboard_and_shows_the_routing(lab):
    python = RouterStepper(layer=2)
    lab.write("stepper.ipynb", CELL)
    lab.open("stepper.ipynb")
    lab.run_all()
    root = lab.page.locator(".mx.router_stepper:not(.twin)")
    root.locator("svg").wait_for()

    def press(control: str, key: str, times: int, **settings) -> None:
        root.locator(control).first.focus()
        for _ in range(times):
            version = root.get_attribute("data-version")
            lab.page.keyboard.press(key)
            lab.page.wait_for_function(
                "v => document.querySelector('.mx.router_stepper:not(.twin)').dataset.version !== v", arg=version
            )
        for name, value in settings.items():
            setattr(python, name, value)
        shown = lab.page.evaluate(SHOWN)
        assert [float(weight) for weight, _, _ in shown] == weights_shown(python)
        assert [text for _, text, _ in shown] == [part(row, "tw").text for row in rows(python).values()]
        assert sum(rank is not None for _, _, rank in shown) == python.top_k

    press("label:has-text('top-k') input", "ArrowRight", 4, top_k=6)
    press("label:has-text('experts E') input", "ArrowLeft", 4, n_experts=4)
    assert root.locator(".note").inner_text().startswith("top-k was")
    assert root.locator("label:has-text('top-k') input").get_attribute("aria-valuetext") == "4"
    press("label:has-text('top-k') input", "ArrowLeft", 2, top_k=2)
    press("label:has-text('temperature') input", "ArrowLeft", 3, temperature=0.7)
    assert "T from 0.8 to 0.7: " in root.locator(".read").inner_text()
    press("button:has-text('sigmoid')", "Enter", 1, rule="sigmoid")
    press("[type=checkbox]", "Space", 1, renorm=False)
    logit = python.step.logits[0]
    press("[aria-label='logit of expert 0']", "ArrowUp", 1, edits={0: (math.floor(logit * 10 + 0.5) + 1) / 10})
    assert root.locator("svg").get_attribute("aria-label") == python.reading
    press("button:has-text('next token')", "Enter", 1, token=0)
    assert lab.errors == []
