"""The token viewer shows what the model's routers chose, page by page, and what muting an expert changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SENTENCE, model_with_opinions

from moe_lite import MoELanguageModel, data, routing
from moe_lite.lessons.interventions import without_experts
from moe_lite.widgets import TokenViewer
from moe_lite.widgets.kit import text as token_text
from moe_lite.widgets.token_viewer.view import NONE, assignment_table, route_tokens


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return model_with_opinions()


@pytest.mark.parametrize("top_k", [1, 2, 5, 8])
def test_arrays_equal_the_routing_of_the_model(model, top_k):
    viewer = TokenViewer(model, SENTENCE, top_k=top_k)
    with torch.no_grad():
        records = model(torch.tensor([data.encode(SENTENCE)]), top_k=top_k).routing
    assert len(records) == 3
    for layer, record in enumerate(records):
        weights, experts = record.top_k
        np.testing.assert_array_equal(viewer.routing.experts[layer], experts.numpy())
        np.testing.assert_array_equal(viewer.routing.weights[layer], weights.numpy())
        np.testing.assert_array_equal(viewer.routing.scores[layer], record.scores.numpy())
        np.testing.assert_array_equal(viewer.routing.load[layer], record.load.numpy())


def test_script_is_sent_the_same_arrays_as_bytes(model):
    viewer = TokenViewer(model, SENTENCE)
    sent, (n_layers, n, k, n_experts) = viewer.routed, viewer.routing.shape
    choice = np.frombuffer(sent["choice"], np.uint8).reshape(n_layers, n, k)
    np.testing.assert_array_equal(choice, viewer.routing.experts)
    weights = np.frombuffer(sent["weight"], "<u2").reshape(n_layers, n, k) / 100
    np.testing.assert_allclose(weights, viewer.routing.weights, atol=0.005001)
    scores = np.frombuffer(sent["scores"], np.uint8).reshape(n_layers, n, n_experts) / 100
    np.testing.assert_allclose(scores, viewer.routing.scores, atol=0.005001)
    assert len(viewer.page["tokens"]) == n == len(data.encode(SENTENCE))


def test_tokens_with_fewer_experts_are_padded(model):
    record = model(torch.tensor([data.encode("a b c")])).routing[0]
    keep = torch.ones_like(record.token_ids, dtype=torch.bool)
    keep[0] = False  # one token loses one of its experts, as in top-p routing
    fewer = replace(
        record, token_ids=record.token_ids[keep], expert_ids=record.expert_ids[keep], weights=record.weights[keep]
    )
    experts, weights = assignment_table(fewer)
    lost = int(record.token_ids[0])
    assert experts[lost, 1] == NONE and weights[lost, 1] == 0
    assert (experts[[i for i in range(len(experts)) if i != lost]] != NONE).all()


def test_text_longer_than_the_context_is_read_in_windows_from_empty_context(model):
    ids = data.encode("the quick brown fox " * 60)
    viewer = TokenViewer(model, "the quick brown fox " * 60)
    assert len(ids) > 2 * 64
    for start in (0, 64, 128):
        with torch.no_grad():
            record = model(torch.tensor([ids[start : start + 64]])).routing[2]
        stop = start + record.n_tokens
        np.testing.assert_array_equal(viewer.routing.experts[2, start:stop], record.top_k[1].numpy())
    assert "64 tokens at once" in viewer.page["cut"]


def test_named_texts_are_read_each_by_itself(model):
    both = TokenViewer(model, {"one": "Are we all met?", "two": "def area(r):"})
    n = len(data.encode("Are we all met?"))
    alone = TokenViewer(model, "def area(r):")
    np.testing.assert_array_equal(both.routing.experts[:, n:], alone.routing.experts)
    assert both.page["sections"] == [("one", 0, n), ("two", n, both.routing.shape[1])]
    assert ">one</span>" in both.static_html() and ">two</span>" in both.static_html()


def test_only_the_page_is_routed(model):
    text = token_text.token_text((("", "to be or not to be " * 400),))
    everything = route_tokens(model, text, count=len(text.ids))
    for first, count in ((0, 512), (512, 512), (100, 30)):
        page = route_tokens(model, text, first=first, count=count)
        np.testing.assert_array_equal(page.experts, everything.experts[:, first : first + count])
        np.testing.assert_allclose(page.scores, everything.scores[:, first : first + count], atol=1e-5)


def test_paging_shows_512_tokens_at_a_time_and_stays_inside_the_text(model):
    viewer = TokenViewer(model, "to be or not to be " * 400)
    total = viewer.page["total"]
    assert total == len(data.encode(viewer.text)) > 1024
    assert (viewer.page["first"], len(viewer.page["tokens"])) == (0, 512)
    viewer.pinned = 3
    viewer.first = 512
    assert (viewer.page["first"], viewer.pinned) == (512, -1)
    viewer.first = 10**6
    assert viewer.first == viewer.page["first"] == (total - 1) // 512 * 512
    viewer.text = "short"
    assert (viewer.first, viewer.page["total"]) == (0, len(data.encode("short")))


def test_muted_experts_are_chosen_by_no_token_in_no_layer_and_weights_still_sum_to_one(model):
    viewer = TokenViewer(model, SENTENCE)
    busy = [int(load.argmax()) for load in viewer.routing.load]
    viewer.muted = sorted(set(busy))
    assert not np.isin(viewer.routing.experts, busy).any()
    np.testing.assert_allclose(viewer.routing.weights.sum(axis=-1), 1, atol=1e-6)


def test_muting_in_the_first_layer_moves_up_the_next_best_and_marks_exactly_the_moved(model):
    viewer = TokenViewer(model, SENTENCE)
    before = viewer.routing
    expert = int(before.load[0].argmax())
    viewer.muted = [expert]
    scores = before.scores[0].copy()  # the first layer's scores do not depend on later experts
    scores[:, expert] = -1
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(viewer.routing.experts[0], expected)
    moved = np.frombuffer(viewer.routed["moved"], bool).reshape(before.experts.shape)
    np.testing.assert_array_equal(moved, viewer.routing.experts != before.experts)
    assert moved.any()
    assert f"Without expert {expert}, {moved[0, :, 0].sum()} of {moved.shape[1]} tokens" in viewer.reading
    viewer.muted = []
    np.testing.assert_array_equal(viewer.routing.experts, before.experts)
    assert "Without" not in viewer.reading


def test_muting_leaves_the_model_alone_and_follows_its_training():
    model = model_with_opinions()
    model.train()
    quiet = without_experts(model, [0])
    assert model.training and not quiet.training
    assert all("top_k_fn" not in m.options or m.options["top_k_fn"] is None for m in routers(model))
    assert all(a is b for a, b in zip(model.parameters(), quiet.parameters(), strict=True))


def routers(model):
    return [module for module in model.modules() if isinstance(module, routing.Router)]


@pytest.mark.parametrize(("renorm", "order"), [(True, "score_first"), (False, "score_first"), (False, "topk_first")])
def test_muting_a_silent_expert_changes_nothing_whatever_the_rule(renorm, order):
    model = model_with_opinions(n_experts=4, renorm=renorm, order=order)
    with torch.no_grad():
        for block in model.blocks:
            block.feed_forward.router.weight[3] = 0
            block.feed_forward.router.weight[2] = -block.feed_forward.router.weight[1]  # one of the two beats expert 3
            block.feed_forward.router.weight[0] = block.feed_forward.router.weight[1] * 0.5
    text = token_text.token_text((("", SENTENCE),))
    plain, muted = route_tokens(model, text, top_k=1), route_tokens(model, text, top_k=1, muted=[3])
    assert not (plain.experts == 3).any()
    np.testing.assert_array_equal(plain.experts, muted.experts)
    np.testing.assert_allclose(plain.weights, muted.weights, atol=1e-6)


def test_function_of_the_learner_chooses_also_when_experts_are_muted():
    def worst_first(scores, k):
        order = scores.argsort(dim=-1, stable=True)[:, :k]
        return torch.full(order.shape, 1 / k), order

    viewer = TokenViewer(model_with_opinions(top_k_fn=worst_first), SENTENCE, top_k=1)
    np.testing.assert_array_equal(viewer.routing.experts[0, :, 0], viewer.routing.scores[0].argmin(axis=1))
    worst = int(viewer.routing.experts[0, 0, 0])
    viewer.muted = [worst]
    assert viewer.error == {}
    scores = viewer.routing.scores[0].copy()
    scores[:, worst] = 2
    np.testing.assert_array_equal(viewer.routing.experts[0, :, 0], scores.argmin(axis=1))


def test_muting_is_refused_where_a_table_chooses():
    viewer = TokenViewer(model_with_opinions(router="hash"), SENTENCE)
    viewer.muted = [1]
    assert "Muting is not possible with router='hash'" in str(viewer.error)


def test_muting_with_a_selection_bias_is_refused_in_words():
    viewer = TokenViewer(model_with_opinions(selection_bias=True), SENTENCE)
    shown = viewer.routing
    viewer.muted = [1]
    assert "Muting is not possible" in viewer.error["what"]
    assert viewer.routing is shown
