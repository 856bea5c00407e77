"""Each new token is shown with the experts that made it, their shares build up, and what was generated is kept."""

import html
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SMALL, model_with_opinions
from waiting import LONG, until

from moe_lite import MoELanguageModel, data, routing
from moe_lite.checkpoint import pretrained
from moe_lite.model.transformer import sample_token
from moe_lite.widgets import GenerationViewer
from moe_lite.widgets.generation_viewer.view import make_tokens
from moe_lite.widgets.generation_viewer.words import EMPTY, HOW
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.token_viewer import words as token_words

PROMPT = "Are we all met? def"
MIB = "ç"  # two tokens, one byte each


def opinionated(model: MoELanguageModel) -> MoELanguageModel:
    """A fresh model finds all tokens equally probable; this one does not."""
    with torch.no_grad():
        model.head.weight.mul_(25)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return opinionated(model_with_opinions())


@pytest.fixture(scope="module")
def dense() -> MoELanguageModel:
    return opinionated(MoELanguageModel(replace(SMALL, n_experts=1, top_k=1), seed=3))


def ids_of(viewer: GenerationViewer) -> list[int]:
    return [made.token for made in viewer.generation.made]


def writes(text: str):
    """A sampler that draws the tokens of `text`, one after the other, then starts again."""
    ids, drawn = data.encode(text), []

    def sample(logits, temperature, generator):
        drawn.append(ids[len(drawn) % len(ids)])
        return torch.tensor(drawn[-1:])

    return sample


def messages(viewer: GenerationViewer) -> list[dict]:
    """All that the page is sent from now on."""
    sent = []
    viewer.observe(lambda change: sent.append(change["new"]), names="news")
    return sent


# ---- which experts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"top_k": 1}, {"n_experts": 16, "top_k": 3}])
def test_experts_of_a_new_token_are_those_of_the_position_that_predicted_it(settings):
    model = opinionated(model_with_opinions(**settings))
    viewer = GenerationViewer(model, PROMPT, n_tokens=24).run()
    prompt, new = data.encode(PROMPT), ids_of(viewer)
    assert len(new) == 24 and viewer.state == "finished"
    with torch.no_grad():
        records = model(torch.tensor([prompt + new])).routing
    made_at = slice(len(prompt) - 1, len(prompt) + 23)  # the last token has made nothing yet
    for layer, record in enumerate(records):
        weights, experts = record.top_k
        np.testing.assert_array_equal(viewer.generation.routing.experts[layer], experts[made_at].numpy())
        np.testing.assert_allclose(viewer.generation.routing.weights[layer], weights[made_at].numpy(), atol=1e-5)
        np.testing.assert_array_equal(
            viewer.generation.prompt_load[layer],
            np.bincount(experts[: len(prompt)].ravel(), minlength=record.n_experts),
        )
    assert (experts[made_at] != experts[len(prompt) :][:24].new_tensor(0)).any()


def test_what_a_new_token_passes_through_itself_makes_the_next_one(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=6).run()
    with torch.no_grad():
        read = model(torch.tensor([data.encode(PROMPT) + ids_of(viewer)])).routing[0].top_k[1]  # (P + 6, K)
    shown = viewer.generation.routing.experts[0]  # (6, K)
    np.testing.assert_array_equal(shown[1:], read[-6:-1].numpy())
    assert (shown != read[-6:].numpy()).any()


def test_shares_are_of_the_assignments_that_made_the_tokens_so_far(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=9)
    sent = messages(viewer)
    viewer.run()
    loads = [np.array(news["load"]) for news in sent if news["tokens"]]
    assert [load.sum(axis=1).tolist() for load in loads] == [[2 * n] * 3 for n in range(1, 10)]
    experts = viewer.generation.routing.experts  # (L, 9, K)
    for n, load in enumerate(loads, 1):
        assert load.tolist() == [np.bincount(experts[layer, :n].ravel(), minlength=8).tolist() for layer in range(3)]
    assert viewer.prompted["fair"] == "12.5 %" and viewer.prompted["full"] == 1 / 2


def test_text_is_what_generate_draws_with_this_seed(model):
    for seed, temperature in ((0, 0.8), (3, 0.8), (3, 0.0)):
        viewer = GenerationViewer(model, PROMPT, n_tokens=12, seed=seed, temperature=temperature).run()
        steps = model.generate(
            torch.tensor([data.encode(PROMPT)]), 12, temperature=temperature,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        assert ids_of(viewer) == [int(token) for token, _ in steps]
        assert viewer.news["facts"] == f"T {temperature:g} · seed {seed} · 12 of 12 tokens"


# ---- what is sent ----------------------------------------------------------------------------------------------------


def pieces_of(sent: list[dict], layers: int = 3, k: int = 2) -> tuple[list, np.ndarray]:
    """The page's work: tokens and choices (N, L, K) put together from the messages."""
    tokens, choices = [], np.zeros((0, layers, k), dtype=np.uint8)
    for news in sent:
        assert news["first"] <= len(tokens), "a gap"
        fresh = np.frombuffer(news["choice"], np.uint8).reshape(-1, layers, k)
        tokens = tokens[: news["first"]] + news["tokens"]
        choices = np.concatenate([choices[: news["first"]], fresh])
    return tokens, choices


def test_each_message_holds_only_what_is_new(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=10, sample=writes("def area of it"))
    sent = messages(viewer)
    viewer.run()
    assert [len(news["tokens"]) for news in sent if news["tokens"]] == [1] * 10
    tokens, choices = pieces_of(sent)
    assert [token[0] for token in tokens] == [face.text for face in viewer.generation.faces]
    np.testing.assert_array_equal(choices.swapaxes(0, 1), viewer.generation.routing.experts)


def test_character_of_two_tokens_is_named_as_soon_as_it_is_whole(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=3, sample=writes(MIB + "a"))
    sent = messages(viewer)
    viewer.run()
    written = [(news["first"], [(token[0], token[3]) for token in news["tokens"]]) for news in sent if news["tokens"]]
    assert written == [
        (0, [("⟨c3⟩", "")]),
        (0, [("⟨c3⟩", "ç"), ("⟨a7⟩", "ç")]),
        (2, [("a", "")]),
    ]
    assert viewer.generation.text == "ça"


def test_bytes_that_are_no_character_are_shown_as_bytes(model):
    half = data.encode(MIB)[1]
    viewer = GenerationViewer(model, PROMPT, n_tokens=2, sample=lambda *_: torch.tensor([half])).run()
    assert viewer.error == {} and [face.text for face in viewer.generation.faces] == ["⟨a7⟩", "⟨a7⟩"]
    assert viewer.generation.text == "" and "⟨a7⟩" in viewer.static_html()


def test_page_that_missed_a_message_gets_all_again(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=5).run()
    assert viewer.news["first"] == 5 and viewer.news["tokens"] == []
    viewer.lacking += 1
    assert viewer.news["first"] == 0 and len(viewer.news["tokens"]) == 5


def test_at_most_fifteen_messages_a_second(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=5)
    begun, sent = [], []  # each token, and the message with it
    hook = model.register_forward_pre_hook(lambda *_: begun.append(time.monotonic()))
    viewer.observe(lambda change: change["new"]["tokens"] and sent.append(time.monotonic()), names="news")
    viewer.start().wait(LONG)
    hook.remove()
    pauses = [later - before for before, later in zip(begun[-5:], sent[1:], strict=False)]
    assert len(sent) == 5 and len(pauses) == 4 and min(pauses) >= 1 / 15 - 1e-3  # a busy machine makes them longer


# ---- start, stop, settings -------------------------------------------------------------------------------------------


def test_stop_ends_it_and_keeps_the_text(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=40)
    run = viewer.start()
    assert viewer.state == "running"
    until(lambda: len(viewer.generation.made) >= 3)
    viewer.stops += 1  # as the button does
    asked = len(viewer.generation.made)
    run.wait(LONG)
    until(lambda: viewer.state == "stopped")
    n = len(viewer.generation.made)
    assert 3 <= n <= asked + 1 and n < 40 and viewer.reading.endswith(f" Stopped after {n} of 40 tokens.")
    time.sleep(0.2)
    assert len(viewer.generation.made) == n
    viewer.layer = 2
    assert viewer.reading.startswith("Layer 2: of the ")


def test_new_start_replaces_the_run_before(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=40)
    old, before = viewer.start(), viewer.generation
    until(lambda: len(before.made) >= 2)
    viewer.seed = 5
    viewer.run()
    old.wait(LONG)
    alone = GenerationViewer(model, PROMPT, n_tokens=40, seed=5).run()
    assert ids_of(viewer) == ids_of(alone) and viewer.state == "finished"
    n = len(before.made)
    assert n < 40
    viewer._take(before, before.made[0])  # the last token of the run before comes late
    assert len(before.made) == n and ids_of(viewer) == ids_of(alone)


def test_settings_hold_from_the_next_start_on(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=8).run()
    text, facts = viewer.generation.text, viewer.news["facts"]
    viewer.temperature, viewer.seed, viewer.prompt = 0.0, 2, "def area("
    assert (viewer.generation.text, viewer.news["facts"]) == (text, facts) and viewer.prompted["text"] == PROMPT
    viewer.run()
    assert viewer.prompted["text"] == "def area(" and viewer.news["facts"] == "T 0 · seed 2 · 8 of 8 tokens"


def test_prompt_is_followed_until_something_is_written(model):
    viewer = GenerationViewer(model, "", layer=1)
    assert viewer.reading == EMPTY and viewer.prompted == {}
    with pytest.raises(ValueError, match="Type the beginning of a text"):
        viewer.start()
    viewer.prompt = "def area("
    n = len(data.encode("def area("))
    load = viewer.generation.prompt_load[0]
    assert load.sum() == 2 * n
    assert viewer.reading == (
        f"The prompt has {n} tokens. In layer 1 most of its assignments go to expert {load.argmax()}, "
        f"{token_words.percent(load.max() / load.sum())}; a fair share is 12.5 %."
    )


def test_long_prompt_is_cut_to_the_tokens_that_leave_room(model):
    long = "the quick brown fox " * 40
    viewer = GenerationViewer(model, long, n_tokens=24).run()
    assert viewer.generation.prompt == tuple(data.encode(long)[-40:]) and len(ids_of(viewer)) == 24
    assert "64 tokens at once, 24 of them new" in viewer.note and viewer.prompted["text"].startswith("…")


def test_values_out_of_range_are_clamped_and_it_is_said(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=9)
    viewer.layer = 9
    assert (viewer.layer, viewer.note) == (3, "layer was 9; it goes from 1 to 3.")
    viewer.temperature = -1
    assert viewer.temperature == 0 and "temperature was -1" in viewer.note
    viewer.choice, viewer.pinned = 4, 7
    assert (viewer.choice, viewer.pinned) == (1, -1)


def test_wrong_arguments_are_refused_with_what_came_and_what_fits(model, dense):
    with pytest.raises(ValueError, match="A model with 1 experts: the viewer needs 2"):
        GenerationViewer(dense, PROMPT)
    with pytest.raises(ValueError, match="dense has 8 experts, expected a model with 1"):
        GenerationViewer(model, PROMPT, dense=model)
    with pytest.raises(ValueError, match="n_tokens is 64, expected 1 to 63"):
        GenerationViewer(model, PROMPT, n_tokens=64)
    with pytest.raises(ValueError, match="vocab_size 2,000; the course’s tokenizer knows 2,048"):
        GenerationViewer(model_with_opinions(vocab_size=2000), PROMPT)


def test_model_in_training_is_left_in_training(model):
    training = opinionated(model_with_opinions(jitter=0.5)).train()
    viewer = GenerationViewer(training, PROMPT, n_tokens=6).run()
    assert training.training and all(block.training for block in training.blocks)
    quiet = GenerationViewer(opinionated(model_with_opinions(jitter=0.5)), PROMPT, n_tokens=6).run()
    assert ids_of(viewer) == ids_of(quiet)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def failing_after(n: int, what):
    calls = []

    def mine(logits, temperature, generator):
        calls.append(1)
        return what(logits) if len(calls) > n else sample_token(logits, temperature, generator)

    return mine


def boom(logits):
    raise IndexError("index 9 is out of bounds")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (boom, "mine raised IndexError: index 9 is out of bounds"),
        (lambda logits: None, "mine returned NoneType; expected a tensor (1,)"),
        (lambda logits: torch.tensor([5000]), "mine returned the id 5000; the vocabulary has the ids 0 to 2,047"),
    ],
)
def test_failing_sampler_is_named_and_what_was_generated_stays(model, what, said):
    viewer = GenerationViewer(model, PROMPT, n_tokens=9, sample=failing_after(4, what)).run()
    assert viewer.state == "failed" and said in viewer.error["what"] and "Traceback" in viewer.error["details"]
    assert viewer.error["instead"] == "What was generated stays."
    assert len(ids_of(viewer)) == 4 and viewer.reading.endswith(" It ended after 4 of 9 tokens.")
    viewer.layer = 2
    assert said in viewer.error["what"], "another layer does not make it right"
    assert html.escape(said) in viewer.static_html()
    viewer.sample = sample_token
    viewer.run()
    assert viewer.error == {} and viewer.state == "finished"


def test_failing_router_is_named(model):
    calls = []

    def choose(scores, k):
        calls.append(len(scores))
        if len(calls) > 3 * 4:  # three layers: the prompt once to show it and once to go on, then two tokens
            raise KeyError("lost")
        return routing.top_k_route(scores, k)

    viewer = GenerationViewer(opinionated(model_with_opinions(top_k_fn=choose)), PROMPT, n_tokens=9)
    viewer.run()
    assert "choose raised KeyError: 'lost'" in viewer.error["what"] and viewer.state == "failed"
    assert len(ids_of(viewer)) >= 1


def test_router_of_nan_is_told_before_anything_is_drawn():
    def nan(scores, k):
        weights, ids = routing.top_k_route(scores, k)
        return weights * float("nan"), ids

    viewer = GenerationViewer(model_with_opinions(top_k_fn=nan), PROMPT)
    assert "a token's weight for expert" in viewer.error["what"]
    with pytest.raises(ValueError, match="a token's weight for expert"):
        viewer.start()


def test_logits_of_nan_are_told(model):
    diverged = model_with_opinions()
    with torch.no_grad():
        diverged.head.weight.fill_(float("nan"))
    viewer = GenerationViewer(diverged, PROMPT, n_tokens=3).run()
    assert "logits are not all numbers" in viewer.error["what"] and ids_of(viewer) == []


# ---- dense beside, words, picture ------------------------------------------------------------------------------------


def test_dense_model_goes_on_from_the_same_prompt_beside(model, dense):
    viewer = GenerationViewer(model, PROMPT, n_tokens=10, dense=dense)
    sent = messages(viewer)
    viewer.run()
    steps = dense.generate(
        torch.tensor([data.encode(PROMPT)]), 10, temperature=0.8, generator=torch.Generator().manual_seed(0)
    )
    expected = b"".join(data.token_bytes([int(token) for token, _ in steps])).decode(errors="ignore")
    assert viewer.generation.beside == expected
    text = ""
    for news in sent:
        text = text[: news["beside"][0]] + news["beside"][1]
    assert text == expected and html.escape(expected) in viewer.static_html()
    assert ids_of(viewer) == ids_of(GenerationViewer(model, PROMPT, n_tokens=10).run())


def test_reading_line_equals_the_loads(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=20, layer=2).run()
    load, prompt = viewer.generation.routing.load[1], viewer.generation.prompt_load[1]
    (high, was), (low, low_was) = (
        [token_words.percent(x[e] / x.sum()) for x in (load, prompt)] for e in (load.argmax(), load.argmin())
    )
    assert load.sum() == 40
    assert viewer.reading == (
        f"Layer 2: of the 40 assignments that made 20 tokens, expert {load.argmax()} took most, {high} ({was} in the "
        f"prompt), and expert {load.argmin()} least, {low} ({low_was} in the prompt)."
    )
    everyone = GenerationViewer(opinionated(model_with_opinions(4, top_k=4)), PROMPT, n_tokens=1, layer=1).run()
    assert everyone.reading == (
        "Layer 1: all 4 experts took the same share, 25 %, of the 4 assignments that made 1 token."
    )


def test_the_first_picture_shows_several_experts():
    viewer = GenerationViewer(pretrained(8), "The", n_tokens=40).run()
    first = np.bincount(viewer.generation.routing.experts[viewer.layer - 1, :, 0], minlength=8)
    assert viewer.layer == 2 and (first > 0).sum() >= 4 and first.max() < 20, "no expert has half of the tokens"
    single = opinionated(model_with_opinions(n_layers=1))
    assert GenerationViewer(single, PROMPT, n_tokens=3).layer == 1


def test_reading_line_of_a_token_names_what_was_read_when_it_was_made(model):
    viewer = GenerationViewer(model, PROMPT, n_tokens=3, layer=1, sample=writes("area of it")).run()
    routed = viewer.generation.routing
    for i, (token, read) in enumerate([("area", "def"), ("of", "area"), ("it", "of")][:1]):
        viewer.pinned = i
        (a, b), (v, w) = routed.experts[0, i], routed.weights[0, i]
        token = viewer.generation.faces[i].text
        assert viewer.reading == (
            f"{token} was made while {read} passed through experts {a} and {b} of layer 1, "
            f"with weights {v:.2f} and {w:.2f}."
        )
    viewer.pinned = 2
    assert f"was made while {viewer.generation.faces[1].text} passed through" in viewer.reading


def test_twin_shows_the_text_so_far_with_its_experts_and_shares(model):
    viewer = GenerationViewer(model, "<b>def</b> area(", n_tokens=12, source="your model · step 400").run()
    viewer.layer, viewer.choice = 2, 1
    twin = viewer.static_html()
    numerals = re.findall(r"<sub><b>(\d+)</b></sub>", twin)
    assert numerals == [str(e) for e in viewer.generation.routing.experts[1, :, 1]]
    rail = twin[twin.index('class="rail"') :]
    rows = re.findall(
        r'<span class="n e(\d)".*?<u style="left:([\d.]+)%"></u></span> <span class="r">([^<]+)</span>', rail
    )
    load, prompt = viewer.generation.routing.load[1], viewer.generation.prompt_load[1]
    assert [(int(e), share) for e, _, share in rows] == [
        (e, token_words.percent(load[e] / load.sum())) for e in range(8)
    ]
    ticks = 100 * np.minimum(1, 2 * prompt / prompt.sum())
    np.testing.assert_allclose([float(at) for _, at, _ in rows], ticks, atol=0.06)
    assert HOW in html.unescape(twin) and KERNEL_GONE in twin and "your model · step 400" in twin
    assert "&lt;b&gt;def" in twin and "<b>def" not in twin
    assert "<script" not in twin and "<button" not in twin
    assert viewer.twin_bundle()["text/plain"] == viewer.reading


# ---- the script ------------------------------------------------------------------------------------------------------

PAGE_SHOWS = """() => ({
  experts: [...document.querySelectorAll("[data-i]")].map((e) => Number(e.dataset.expert)),
  numerals: [...document.querySelectorAll("[data-i] b")].map((e) => Number(e.textContent)),
  places: [...document.querySelectorAll("[data-i]")].map((e) => Number(e.dataset.i)),
  titles: [...document.querySelectorAll("[data-i]")].map((e) => e.title),
  shares: [...document.querySelectorAll(".rail [data-expert] .r")].map((e) => e.textContent),
  ticks: [...document.querySelectorAll(".rail [data-expert] u")].map((e) => parseFloat(e.style.left)),
  reading: document.querySelector(".read").textContent.replaceAll("\u00a0", " "),
  beside: document.querySelector(".beside").textContent,
  asks: window.model.saved.filter(([name]) => name === "lacking").length,
})"""


def expected_page(viewer: GenerationViewer) -> dict:
    layer, choice = viewer.layer - 1, viewer.choice
    experts = viewer.generation.routing.experts[layer, :, choice].tolist()
    load, prompt = viewer.generation.routing.load[layer], viewer.generation.prompt_load[layer]
    return {
        "experts": experts,
        "numerals": experts,
        "places": list(range(len(experts))),
        "titles": [f"a part of {face.part_of}" if face.part_of else "" for face in viewer.generation.faces],
        "shares": [token_words.percent(n / max(1, load.sum())) for n in load],
        "ticks": pytest.approx((100 * np.minimum(1, 2 * prompt / prompt.sum())).tolist(), abs=0.01),
        "reading": viewer.reading,
        "beside": viewer.generation.beside,
    }


@pytest.mark.browser
def test_page_adds_each_message_to_what_it_has(model, dense, browser):
    page_of = pytest.importorskip("widget_page")
    viewer = GenerationViewer(model, PROMPT, n_tokens=14, dense=dense, sample=writes("ça\n\n <b>x</b> 😀"))
    prompt, steps = data.encode(PROMPT), []
    with page_of.script_page(viewer, browser) as page:
        assert page.evaluate(PAGE_SHOWS)["shares"] == ["0 %"] * 8
        viewer._read()  # as a start does, with the tokens given by hand
        page_of.send(page, viewer)
        made = make_tokens(model, prompt, 14, temperature=0.8, seed=0, sample=viewer.sample, dense=dense)
        for i, token in enumerate(made):
            viewer._take(viewer.generation, token)
            steps.append(token)
            if i == 6:
                continue  # a message that never arrives
            viewer.layer, viewer.choice = 1 + i % 3, i % 2
            page_of.send(page, viewer)
            shown = page.evaluate(PAGE_SHOWS)
            if i == 7:
                assert shown["asks"] == 1 and len(shown["experts"]) == 6
                viewer.lacking += 1
                page_of.send(page, viewer)
                shown = page.evaluate(PAGE_SHOWS)
            shown.pop("asks")
            assert shown == expected_page(viewer), i
        for layer, choice, pinned in [(2, 1, 0), (3, 0, 5), (1, 0, -1)]:
            viewer.layer, viewer.choice, viewer.pinned = layer, choice, pinned
            page_of.send(page, viewer)
            shown = page.evaluate(PAGE_SHOWS)
            assert (shown["reading"], shown["experts"]) == (viewer.reading, expected_page(viewer)["experts"])
        assert page.locator(".mx script, .mx .tx b b").count() == 0
        answer = "model.set('answered', model.get('asked'))"
        page.evaluate(answer)
        page.locator("textarea").press("Control+Enter")
        assert page.evaluate("[model.get('starts'), model.get('stops')]") == [1, 0]
        page.evaluate(answer)
        page.evaluate("model.set('state', 'running')")
        page.locator("textarea").press("Escape")
        assert page.evaluate("[model.get('starts'), model.get('stops')]") == [1, 1]
