"""Experts that are muted, and layers whose experts another rule chooses, on models where the answer is known."""

import pytest
import torch
from small import random_ids, small_corpora, small_model

from moe_lite import MoELanguageModel, evaluate
from moe_lite.lessons import interventions as act

IDS = random_ids(3, 20)


@torch.no_grad()
def chosen(model, layer: int):
    """expert_ids (N, K)."""
    return model(IDS).routing[layer].top_k[1]


def only_expert_works(model: MoELanguageModel, expert: int) -> MoELanguageModel:
    """All others answer with zeros."""
    with torch.no_grad():
        for layer in model.moe_layers:
            others = [e for e in range(model.config.n_experts) if e != expert]
            layer.experts.down[others] = 0
    return model


def without_layers(model: MoELanguageModel, layers) -> MoELanguageModel:
    """The same with all experts of these layers answering zeros."""
    twin = MoELanguageModel(model.config)
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for layer in layers:
            twin.blocks[layer].feed_forward.experts.down.zero_()
    return twin.eval()


def test_muting_the_one_expert_that_works_leaves_the_residual_stream_alone():
    model = only_expert_works(small_model().eval(), 3)
    with torch.no_grad():
        for layers in ([0], [2], [0, 2], None):
            quiet = act.without_experts(model, [3], layers)
            expected = without_layers(model, range(3) if layers is None else layers)
            torch.testing.assert_close(quiet(IDS).logits, expected(IDS).logits)
            assert not torch.allclose(quiet(IDS).logits, model(IDS).logits, atol=1e-3)
        silent = act.without_experts(model, [0, 1, 2])  # the worker always is one of the two that are left
        assert all((chosen(silent, layer) == 3).any(dim=1).all() for layer in range(3))


def test_the_next_best_expert_takes_over_in_that_layer_only():
    model = small_model().eval()
    quiet = act.without_experts(model, [1], [1])
    with torch.no_grad():
        before, after = model(IDS).routing, quiet(IDS).routing
    torch.testing.assert_close(before[1].scores, after[1].scores)
    scores = before[1].scores.clone()
    scores[:, 1] = -1
    assert torch.equal(after[1].top_k[1], scores.topk(2).indices) and (before[1].load[1] > 0).item()
    assert torch.equal(before[0].top_k[1], after[0].top_k[1])
    assert (after[2].load[1] > 0).item()


def test_muting_leaves_the_model_as_it_was_and_shares_its_weights():
    model = small_model().train()
    quiet = act.without_experts(model, [0], [2])
    assert model.training and not quiet.training
    assert all(not router.options["top_k_fn"] for router in act.routers_of(model).values())
    assert all(a is b for a, b in zip(model.parameters(), quiet.parameters(), strict=True))
    assert act.without_experts(model.eval()) is model


def test_loss_by_domain_of_a_muted_model_is_an_evaluation():
    model = only_expert_works(small_model(), 3)
    muted = evaluate.evaluate(act.without_experts(model, [3], [1]), small_corpora())
    expected = evaluate.evaluate(without_layers(model, [1]), small_corpora())
    assert muted.loss == pytest.approx(expected.loss)
    assert muted.load[1, 3] == 0 and muted.load[0, 3] > 0


def test_muting_is_refused_in_words():
    with pytest.raises(ValueError, match=r"experts are \[5, 9\], but this model has the experts 0 to 4"):
        act.without_experts(small_model(), [0, 5, 9])
    with pytest.raises(ValueError, match=r"layers \[0, 3\] have no router; sparse layers of this model: \[1, 2\]"):
        act.without_experts(small_model(n_dense_layers=1), [0], [0, 1, 3])
    with pytest.raises(ValueError, match="the model is dense"):
        act.without_experts(small_model(n_experts=1), [0])
    with pytest.raises(ValueError, match="Muting is not possible with router='hash'"):
        act.without_experts(small_model(router="hash"), [0])
