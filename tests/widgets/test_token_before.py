"""Before and after in the token viewer: both models are shown as they are, and the page says which is which."""

import copy
import re

import numpy as np
import pytest
import torch
from small import SENTENCE, model_with_opinions

from moe_lite import MoELanguageModel, data, routing
from moe_lite.widgets import TokenViewer
from moe_lite.widgets.token_viewer import words as token_words

NAMES = ("step 0", "step 400")


def other(seed: int = 1, **settings) -> MoELanguageModel:
    """A model of the same shape whose routers differ."""
    model = model_with_opinions(**settings)
    with torch.no_grad():
        for block in model.blocks:
            weight = block.feed_forward.router.weight
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) * weight.std())
    return model


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return model_with_opinions()


@pytest.fixture(scope="module")
def before() -> MoELanguageModel:
    return other()


@torch.no_grad()
def experts(model: MoELanguageModel, text: str = SENTENCE, top_k: int | None = None) -> np.ndarray:
    """(L, N, K)"""
    records = model(torch.tensor([data.encode(text)]), top_k=top_k).routing
    return np.stack([record.top_k[1].numpy() for record in records])


def received(sent: dict) -> np.ndarray:
    """(L, N, K) from the bytes that travel to the page."""
    return np.frombuffer(sent["choice"], np.uint8).reshape(sent["layers"], -1, sent["k"])


def test_each_side_is_sent_the_routing_of_its_own_model(model, before):
    viewer = TokenViewer(model, SENTENCE, before=before)
    assert viewer.shown == "both"
    for top_k in (2, 3):
        viewer.top_k = top_k
        then, now = experts(before, top_k=top_k), experts(model, top_k=top_k)
        np.testing.assert_array_equal(received(viewer.routed_before), then)
        np.testing.assert_array_equal(received(viewer.routed), now)
        np.testing.assert_array_equal(np.frombuffer(viewer.routed["changed"], bool).reshape(now.shape), then != now)
        assert (then != now).any() and (then == now).any()
    shares = [r.load / r.load.sum(axis=1, keepdims=True) for r in (viewer.routing, viewer.routing_before)]
    assert shares[0].max() != shares[1].max()
    for sent in (viewer.routed, viewer.routed_before):  # bars of both sides have one scale
        assert sent["full"] == max(2 / 8, shares[0].max(), shares[1].max())


def test_reading_line_counts_the_tokens_with_another_expert_and_the_share_that_moved_most(model, before):
    viewer = TokenViewer(model, SENTENCE, before=before, layer=2)
    then, now = experts(before)[1], experts(model)[1]  # (N, K)
    n = len(now)
    shares = [np.bincount(table.ravel(), minlength=8) / table.size for table in (then, now)]
    moved = int(np.abs(shares[1] - shares[0]).argmax())
    was, is_now = (token_words.percent(share[moved]) for share in shares)
    assert viewer.reading == (
        f"Layer 2: {(then[:, 0] != now[:, 0]).sum()} of {n} tokens have another first expert than before. "
        f"The share that moved most is that of expert {moved}: {was} before, {is_now} after."
    )
    viewer.choice = 1
    assert f"{(then[:, 1] != now[:, 1]).sum()} of {n} tokens have another second expert" in viewer.reading


def test_reading_line_of_a_token_and_of_picked_experts_tells_both(model, before):
    viewer = TokenViewer(model, SENTENCE, before=before)
    viewer.pinned = 3
    now, then = viewer.routing, viewer.routing_before
    (a, b), (c, d) = now.experts[0, 3], then.experts[0, 3]
    v, w = then.weights[0, 3]
    assert viewer.reading.startswith("Layer 1 sends ") and f"to experts {a} and {b} with" in viewer.reading
    assert viewer.reading.endswith(f" Before: experts {c} and {d} with weights {v:.2f} and {w:.2f}.")
    viewer.pinned, viewer.picked = -1, [2]
    n = now.shape[1]
    counts = [int((r.experts[0, :, 0] == 2).sum()) for r in (now, then)]
    assert viewer.reading == (
        f"Expert 2 is the first choice of {counts[0]} of {n} tokens in layer 1. Before: {counts[1]} of {n}."
    )


def test_equal_models_are_told_to_be_equal(model):
    viewer = TokenViewer(model, SENTENCE, before=copy.deepcopy(model))
    assert viewer.reading == f"Layer 1: all {viewer.routing.shape[1]} tokens have the same first expert as before."


def test_badge_reading_and_picture_name_the_model_that_is_shown(model, before):
    viewer = TokenViewer(model, SENTENCE, before=before, names=NAMES, source="your model · step 400")
    seen = {}
    for shown in ("before", "after", "both"):
        viewer.shown = shown
        tables = [experts(m)[0, :, 0] for m in (before, model)]
        expected = {"before": tables[:1], "after": tables[1:], "both": tables}[shown]
        numerals = re.findall(r"<sub><b>(\d+)</b></sub>", viewer.static_html())
        assert numerals == [str(e) for table in expected for e in table]
        captions = re.findall(r'<p class="cap"><b>(\w+)</b> <span class="dim">([^<]*)</span>', viewer.static_html())
        seen[shown] = viewer.source, captions
        assert f">{viewer.source}</span>" in viewer.static_html()
    assert seen == {
        "before": ("step 0", [("before", "step 0")]),
        "after": ("your model · step 400", [("after", "step 400")]),
        "both": ("step 0 | your model · step 400", [("before", "step 0"), ("after", "step 400")]),
    }
    viewer.shown = "before"
    load = viewer.routing_before.load[0]
    assert f"expert {load.argmax()} takes most" in viewer.reading
    assert viewer.reading.endswith(" This is the model before, step 0.")
    assert TokenViewer(model, SENTENCE, before=before).source == "before | after"


def test_muting_routes_both_again_and_tells_both(model, before):
    viewer = TokenViewer(model, SENTENCE, before=before)
    counts = []
    expert = int(viewer.routing.load[0].argmax())
    for table in (experts(model), experts(before)):
        counts.append(int((table[0, :, 0] == expert).sum()))
    viewer.muted = [expert]
    assert not (received(viewer.routed) == expert).any() and not (received(viewer.routed_before) == expert).any()
    n = viewer.routing.shape[1]
    assert viewer.reading.endswith(
        f" Without expert {expert}, {counts[0]} of {n} tokens have another first choice here. Before: {counts[1]}."
    )


def test_shown_without_a_model_before_is_after_alone(model):
    viewer = TokenViewer(model, SENTENCE)
    assert viewer.shown == "after" and viewer.routed_before == {} and viewer.fixed["names"] == {}
    viewer.shown = "before"
    assert viewer.shown == "after" and viewer.error["what"] == "shown is 'before', expected after."
    assert "cap" not in re.findall(r'class="(\w+)"', viewer.static_html())


def test_models_that_cannot_be_compared_are_refused(model, before):
    with pytest.raises(ValueError, match="before is the model itself. Keep a copy"):
        TokenViewer(model, SENTENCE, before=model)
    with pytest.raises(ValueError, match="before has n_experts 4, the model 8"):
        TokenViewer(model, SENTENCE, before=model_with_opinions(4))
    with pytest.raises(ValueError, match="before has n_layers 2, the model 3"):
        TokenViewer(model, SENTENCE, before=model_with_opinions(n_layers=2))
    with pytest.raises(ValueError, match="before has vocab_size 2,000, the model 2,048"):
        TokenViewer(model, SENTENCE, before=model_with_opinions(vocab_size=2000))
    with pytest.raises(ValueError, match="compared with one model, but models has 2: 4, 8"):
        TokenViewer({8: model, 4: model_with_opinions(4)}, SENTENCE, before=before)
    with pytest.raises(ValueError, match="names is 'step 0'; expected two"):
        TokenViewer(model, SENTENCE, before=before, names="step 0")


def raises(scores, k):
    raise IndexError("index 9 is out of bounds")


def of_nan(scores, k):
    weights, ids = routing.top_k_route(scores, k)
    return weights * float("nan"), ids


@pytest.mark.parametrize(
    ("function", "said"), [(raises, "raises raised IndexError: index 9"), (of_nan, "a token's weight for expert")]
)
@pytest.mark.parametrize("side", ["before", "after"])
def test_failure_is_told_with_the_model_it_happened_in(model, before, function, said, side):
    fails = model_with_opinions(top_k_fn=function)
    models = (model, fails) if side == "before" else (fails, before)
    viewer = TokenViewer(models[0], SENTENCE, before=models[1], names=NAMES)
    assert viewer.error["what"].startswith(f"The model {side} (step {0 if side == 'before' else 400}): ")
    assert said in viewer.error["what"] and "Traceback" in viewer.error["details"]
    assert viewer.routing is None and viewer.reading == token_words.UNROUTED


SHOWN = """() => {
  const seen = (selector, within = document) => [...within.querySelectorAll(selector)].filter((e) => e.offsetParent);
  const sides = seen(".side").map((side) => ({
    caption: seen(".cap > :not(.key)", side).map((e) => e.textContent).join(" "),
    experts: seen("[data-i]", side).map((e) => Number(e.dataset.expert)),
    numerals: seen("[data-i] b", side).map((e) => Number(e.textContent)),
    marked: seen("[data-i].mv", side).map((e) => Number(e.dataset.i)),
    framed: seen("[data-i].at, [data-i].pin", side).map((e) => Number(e.dataset.i)),
    shares: seen(".rail [data-expert] .r:nth-child(3)", side).map((e) => e.textContent),
  }));
  return { sides, badge: document.querySelector(".tag").textContent,
           reading: document.querySelector(".read").textContent.replaceAll("\u00a0", " ") };
}"""


@pytest.mark.browser
def test_page_shows_both_models_as_they_are(model, before, browser):
    page_of = pytest.importorskip("widget_page")
    viewer = TokenViewer(model, SENTENCE, before=before, names=NAMES, source="yours")
    with page_of.script_page(viewer, browser) as page:
        for values in [
            {"layer": 1},
            {"layer": 2, "choice": 1, "pinned": 4},
            {"shown": "before", "pinned": -1},
            {"picked": [2]},
            {"shown": "both", "layer": 3, "choice": 0},
            {"shown": "after", "picked": []},
            {"shown": "both", "muted": [1], "pinned": 6},
        ]:
            for name, value in values.items():
                setattr(viewer, name, value)
            page_of.send(page, viewer)
            shown = page.evaluate(SHOWN)
            layer, choice, both = viewer.layer - 1, viewer.choice, viewer.shown == "both"
            now, then = viewer.routing.experts[layer, :, choice], viewer.routing_before.experts[layer, :, choice]
            tables = {"before": [("before step 0", then)], "after": [("after step 400", now)]}
            expected = tables["before"] + tables["after"] if both else tables[viewer.shown]
            assert shown["badge"] == viewer.source and shown["reading"] == viewer.reading
            assert [(side["caption"], side["experts"]) for side in shown["sides"]] == [
                (name, table.tolist()) for name, table in expected
            ]
            for side, (name, _) in zip(shown["sides"], expected, strict=True):
                load = (viewer.routing_before if "before" in name else viewer.routing).load[layer]
                assert side["numerals"] == side["experts"]
                assert side["shares"] == [token_words.percent(x / load.sum()) for x in load]
                assert side["framed"] == ([viewer.pinned] if viewer.pinned >= 0 else [])
            if both:
                assert [side["marked"] for side in shown["sides"]] == [[], np.flatnonzero(now != then).tolist()]
        page.locator(".side [data-i='2']").nth(0).hover()
        page.evaluate("model.set('pinned', -1)")
        page.wait_for_function("document.querySelectorAll('[data-i].at').length === 2")
        page.get_by_role("button", name="before", exact=True).click()
        assert page.evaluate("model.get('shown')") == "before"
        assert [side["caption"] for side in page.evaluate(SHOWN)["sides"]] == ["before step 0"]
