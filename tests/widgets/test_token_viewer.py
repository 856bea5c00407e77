"""The token viewer's controls, what it does when a function fails, and its script."""

import base64
import html
import json
from dataclasses import replace

import pytest
import torch
from small import SENTENCE, SMALL, model_with_opinions
from widget_page import render_all, script_page

from moe_lite import MoELanguageModel, data, routing
from moe_lite.widgets import TokenViewer
from moe_lite.widgets.token_viewer import words as token_words
from moe_lite.widgets.token_viewer.page import loss_text


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return model_with_opinions()


def test_experts_that_are_not_there_are_not_picked(model):
    viewer = TokenViewer(model, SENTENCE)
    viewer.picked = [99, 3, -1]
    assert viewer.picked == [3] and viewer.error == {} and 'class="mx' in viewer.static_html()


def test_setting_traits_from_python_routes_again_and_sends_it(model):
    viewer = TokenViewer({4: model_with_opinions(4), 8: model}, SENTENCE)
    sent = []
    viewer.observe(lambda change: sent.append(change["new"]), names="routed")
    viewer.top_k = 3
    viewer.n_experts = 4
    viewer.text = "Are we?"
    assert [(s["experts"], s["top_k"], len(s["choice"])) for s in sent] == [
        (8, 3, 3 * len(data.encode(SENTENCE)) * 3),
        (4, 3, 3 * len(data.encode(SENTENCE)) * 3),
        (4, 3, 3 * len(data.encode("Are we?")) * 3),
    ]
    viewer.layer = 2  # the page has all layers already
    assert len(sent) == 3 and viewer.reading.startswith("Layer 2")


def test_contradicting_sliders_are_clamped_and_it_is_said(model):
    viewer = TokenViewer({4: model_with_opinions(4), 8: model}, SENTENCE, top_k=6)
    viewer.n_experts = 4
    assert (viewer.top_k, viewer.note) == (4, "top-k was 6; with 4 experts it is 4.")
    viewer.muted = [0, 2]
    assert (viewer.top_k, viewer.note) == (2, "top-k was 4; with 2 experts that are not muted it is 2.")
    viewer.muted = [0, 1, 2, 3]
    assert viewer.muted == [0, 1, 2] and "One expert must stay" in viewer.note
    viewer.muted, viewer.top_k = [], 2
    assert viewer.note == ""
    viewer.n_experts = 5
    assert viewer.n_experts == 4 and "No model with 5 experts was passed; there are 4, 8." in viewer.note


def test_layer_that_does_not_exist_is_named_and_the_nearest_shown(model):
    viewer = TokenViewer(model, SENTENCE)
    viewer.layer = 9
    assert viewer.layer == 3
    assert viewer.error == {"what": "This model has no layer 9.", "instead": "It has layers 1 to 3. Showing 3."}
    viewer.layer = 1
    assert viewer.error == {}


def test_choice_that_does_not_exist_at_this_top_k_falls_back(model):
    viewer = TokenViewer(model, SENTENCE)
    viewer.choice = 1
    assert viewer.choice == 1
    viewer.top_k = 1
    assert viewer.choice == 0


def test_domains_put_samples_into_the_text_and_typing_ends_them(model):
    viewer = TokenViewer(model, domains=["python", "math"])
    assert viewer.text == data.SAMPLES["python"] + "\n\n" + data.SAMPLES["math"]
    assert [name for name, _, _ in viewer.page["sections"]] == ["python", "math"]
    viewer.text = "my own"
    assert viewer.domains == [] and [name for name, _, _ in viewer.page["sections"]] == [""]
    viewer.domains = ["french"]
    assert viewer.text == data.SAMPLES["french"]
    viewer.domains = ["klingon"]
    assert "No such domain: klingon" in viewer.error["what"]


def test_wrong_arguments_are_refused_with_what_came_and_what_fits(model):
    with pytest.raises(ValueError, match="models\\[4\\] has 8 experts"):
        TokenViewer({4: model}, SENTENCE)
    with pytest.raises(ValueError, match="at least one model"):
        TokenViewer({}, SENTENCE)
    with pytest.raises(ValueError, match="text and domains were both given"):
        TokenViewer(model, SENTENCE, domains=["math"])
    with pytest.raises(ValueError, match="No such domain: klingon. There are shakespeare"):
        TokenViewer(model, domains=["klingon"])
    with pytest.raises(ValueError, match="1 experts: the viewer needs 2"):
        TokenViewer(MoELanguageModel(replace(SMALL, n_experts=1, top_k=1)), SENTENCE)


def test_measured_loss_stands_beside_top_k_only_with_a_record(model):
    record = {"step": 3000, "val_loss_by_top_k": {"1": 3.352, "2": 3.117}}
    viewer = TokenViewer(model, SENTENCE, records={8: record})
    assert viewer.routed["loss"] == "validation loss 3.12 at top-2 (trained so)"
    assert viewer.source == "recorded · step 3,000"
    viewer.top_k = 1
    assert viewer.routed["loss"] == "validation loss 3.35 at top-1 · 3.12 at top-2 (trained so)"
    viewer.top_k = 5
    assert viewer.routed["loss"].startswith("validation loss not measured at top-5 · ")
    assert loss_text({}, 2, 2) == TokenViewer(model, SENTENCE).routed["loss"] == ""
    assert TokenViewer(model, SENTENCE, records={8: record}, source="mine").source == "mine"


def bad_functions():
    def raises(scores, k):
        if k == 1:
            raise IndexError("index 9 is out of bounds")
        return routing.top_k_route(scores, k)

    def nan(scores, k):
        weights, experts = routing.top_k_route(scores, k)
        return weights / 0 * 0 if k == 1 else weights, experts

    def nothing(scores, k):
        return None if k == 1 else routing.top_k_route(scores, k)

    return [
        (raises, 1, "raises raised IndexError: index 9 is out of bounds"),
        (nan, 1, "a token's weight for expert"),
        (nothing, 1, "must return two tensors, weights and expert_ids; it returned NoneType"),
    ]


@pytest.mark.parametrize(("function", "top_k", "said"), bad_functions())
def test_failing_function_is_named_and_the_last_figure_stays(function, top_k, said):
    viewer = TokenViewer(model_with_opinions(top_k_fn=function), SENTENCE)
    assert viewer.error == {}
    shown, sent, reading = viewer.routing, viewer.routed, viewer.reading
    viewer.top_k = top_k
    assert said in viewer.error["what"] and "Traceback" in viewer.error["details"]
    assert viewer.routing is shown and viewer.routed is sent and viewer.reading == reading
    viewer.layer = 2
    assert said in viewer.error["what"], "moving the layer must not hide what is wrong"
    assert html.escape(viewer.error["what"]) in viewer.static_html() and "Traceback" not in viewer.static_html()
    viewer.top_k = 2  # what is shown is right again
    assert viewer.error == {} and viewer.routing is shown and viewer.reading.startswith("Layer 2")


def test_same_expert_twice_is_refused():
    def twice(scores, k):
        return torch.full((len(scores), 2), 0.5), torch.zeros(len(scores), 2, dtype=torch.int64)

    viewer = TokenViewer(model_with_opinions(top_k_fn=twice), SENTENCE)
    assert "got expert 0 twice" in viewer.error["what"]
    assert viewer.routing is None and viewer.reading == token_words.UNROUTED


PAGE = """<!doctype html><meta charset="utf-8"><body><script type="module">
const listeners = {}, state = STATE;
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
for (const name of ["choice", "weight", "scores", "moved"]) state.routed[name] = bytes(state.routed[name]);
const model = {
  get: (name) => state[name], save_changes() {}, off() {},
  on: (events, call) => events.split(" ").forEach((event) => (listeners[event] ??= []).push(call)),
  set: (name, value) => { state[name] = value; (listeners[`change:${name}`] ?? []).forEach((call) => call()); },
};
const source = new Blob([SCRIPT], { type: "text/javascript" });
const widget = await import(URL.createObjectURL(source));
widget.default.render({ model, el: document.body });
window.model = model;
</script>"""
SHOW = """async (values) => {
  for (const [name, value] of Object.entries(values)) window.model.set(name, value);
  await new Promise((done) => setTimeout(done, 0));
  return { reading: document.querySelector(".read").textContent.replaceAll("\u00a0", " "),
           experts: [...document.querySelectorAll(".tk")].map((e) => Number(e.dataset.expert)),
           numerals: [...document.querySelectorAll(".tk b")].map((e) => Number(e.textContent)) };
}"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 440, 900])
def test_a_word_is_on_one_line_and_no_line_is_too_long(model, browser, width):
    """Live and as a twin, whatever the room."""
    viewer = TokenViewer(
        model, "def average_total(values):\n    return sum(values) / len(values)\n" + "unseparated" * 9
    )
    with browser.page(width, 800) as page:
        render_all(page, {"token_viewer": viewer})
        for kind in ("live", "twin"):
            tiles = page.locator(f"#token_viewer-{kind} .tx > .tk").evaluate_all(
                "all => all.map((tile) => [tile.getBoundingClientRect().top, tile.getBoundingClientRect().right])"
            )
            faces = viewer.shown_text.faces
            assert len(tiles) == len(faces), kind
            assert all(tiles[i][0] == tiles[i - 1][0] for i, face in enumerate(faces) if face.stays), kind
            assert max(right for _, right in tiles) <= width, kind
            assert len({top for top, _ in tiles}) > 2


@pytest.mark.browser
def test_script_shows_and_says_what_python_computed(model, browser):
    viewer = TokenViewer(model, {"python": data.SAMPLES["python"], "own": "a😀 <script>b</script>\n\n c"})
    viewer.muted = [3]
    with browser.page() as page:
        page.set_content(PAGE.replace("STATE", state_of(viewer)).replace("SCRIPT", as_literal(viewer._esm)))
        page.wait_for_selector(".mx[data-version]:not([data-version='0'])")
        for layer, choice, pinned, picked in [
            (1, 0, -1, []),
            (2, 1, -1, [2]),
            (3, 0, -1, [0, 5]),
            (2, 0, 70, []),
            (1, 1, 4, [1]),
        ]:
            values = {"layer": layer, "choice": choice, "pinned": pinned, "picked": picked}
            for name, value in values.items():
                setattr(viewer, name, value)
            shown = page.evaluate(SHOW, values)
            expected = viewer.routing.experts[layer - 1, :, choice].tolist()
            assert shown == {"reading": viewer.reading, "experts": expected, "numerals": expected}
        assert page.locator(".mx script").count() == 0


@pytest.mark.browser
def test_a_choice_that_is_not_there_stays_closed_when_another_is_pressed(model, browser):
    with script_page(TokenViewer(model, SENTENCE, top_k=1), browser) as page:
        first, second = (page.get_by_role("button", name=f"{which} choice") for which in ("first", "second"))
        assert second.is_disabled()
        page.evaluate("window.model.changed = () => {}")  # what was chosen already is no change, and draws nothing
        first.click()
        assert second.is_disabled() and first.get_attribute("aria-pressed") == "true"


def state_of(viewer: TokenViewer) -> str:
    state = {name: getattr(viewer, name) for name in viewer.keys if name.islower() and not name.startswith("_")}
    state = {name: value for name, value in state.items() if isinstance(value, (str, int, list, dict))}
    return as_literal(state | {"routed": {k: as_text(v) for k, v in viewer.routed.items()}})


def as_text(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def as_literal(value: object) -> str:
    """A JavaScript literal that may stand inside a script element."""
    return json.dumps(value).replace("<", "\\u003c")
