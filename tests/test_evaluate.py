"""Measuring on the validation split (moe_lite/evaluate.py)."""

import pytest
import torch
import torch.nn.functional as F
from small import random_ids, small_corpora, small_model

from moe_lite.data import validation_batches
from moe_lite.evaluate import evaluate, report, tokens_into


@pytest.mark.parametrize("batch_size", [1, 3, 100])  # the last batch is smaller than the others
@torch.no_grad()
def test_loss_is_the_mean_over_all_validation_tokens(batch_size):
    model, corpora = small_model().eval(), small_corpora()
    measured = evaluate(model, corpora, length=10, batch_size=batch_size)
    for domain, batch in validation_batches(corpora, 10).items():
        assert batch.ids.shape == (11, 10)  # 120 tokens: 11 windows with a token after each
        expected = F.cross_entropy(model(batch.ids).logits.flatten(0, 1), batch.targets.flatten()).item()
        assert measured.loss[domain] == pytest.approx(expected, abs=1e-5)
    assert measured.mean_loss == pytest.approx(sum(measured.loss.values()) / 3)


def test_load_counts_every_assignment_of_every_domain():
    model = small_model()
    measured = evaluate(model, small_corpora(), length=10)
    assert [*measured.load_by_domain] == ["up", "threes", "chance"]
    assert all(load.sum(dim=1).tolist() == [110 * 2] * 3 for load in measured.load_by_domain.values())
    assert torch.equal(measured.load, sum(measured.load_by_domain.values()))


def test_top_k_and_windows_can_be_chosen():
    measured = evaluate(small_model(), small_corpora(), length=10, top_k=4, max_windows=2)
    assert measured.load.sum(dim=1).tolist() == [3 * 2 * 10 * 4] * 3


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_changes_no_state(training):
    model = small_model(jitter=0.2, capacity_factor=0.3, selection_bias=True, score="sigmoid").train(training)
    model.embed.weight.grad = torch.ones_like(model.embed.weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chance = torch.get_rng_state()
    first, again = (evaluate(model, small_corpora(), length=10) for _ in range(2))
    assert first.loss == again.loss and torch.equal(first.load, again.load)  # neither noise nor drops
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)
    assert model.training is training and all(module.training is training for module in model.modules())
    assert torch.equal(model.embed.weight.grad, torch.ones_like(model.embed.weight))
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name != "embed.weight")


def test_nothing_is_dropped_while_measuring():
    model = small_model().train()
    free = evaluate(model, small_corpora(), length=10)
    model = small_model(capacity_factor=1e-9).train()
    assert evaluate(model, small_corpora(), length=10).loss == free.loss


def test_failure_leaves_the_mode_as_it_was():
    model = small_model().train()
    with pytest.raises(ValueError, match="top_k is 6"):
        evaluate(model, small_corpora(), length=10, top_k=6)
    assert model.training


def test_dense_model_has_losses_and_no_loads():
    measured = evaluate(small_model(n_experts=1), small_corpora(), length=10)
    assert measured.load.shape == (0, 0) and len(measured.loss) == 3
    text = report(small_model(n_experts=1), measured)
    assert "share of assignments" not in text and f"{measured.loss['up']:6.3f}" in text


def test_layers_without_experts_have_no_load_and_keep_their_number():
    model = small_model(n_dense_layers=1)
    measured = evaluate(model, small_corpora(), length=10)
    assert measured.load.shape == (2, 5)
    lines = [line for line in report(model, measured).splitlines() if line.startswith("  layer")]
    assert [line.split()[1] for line in lines] == ["2", "3"]


def test_report_names_domains_shares_and_dead_experts():
    model = small_model()
    with torch.no_grad():
        model.blocks[1].feed_forward.router.weight.zero_()  # all alike: experts 0 and 1 take everything
    measured = evaluate(model, small_corpora(), length=10)
    lines = report(model, measured).splitlines()
    assert f"  threes       {measured.loss['threes']:6.3f}" in lines
    assert f"  mean         {measured.mean_loss:6.3f}" in lines
    # shares (1/2, 1/2, 0, 0, 0) of mean 1/5: sqrt(5/2 − 1) = 1.22
    assert "  layer 2   50.0  50.0   0.0   0.0   0.0   CV 1.22, dead 3" in lines


def test_measuring_builds_no_graph():
    model, graphs = small_model(), []
    model.head.register_forward_hook(lambda module, inputs, output: graphs.append(output.requires_grad))
    evaluate(model, small_corpora(), length=10)
    assert graphs == [False] * 3  # one pass a domain


def test_what_a_layer_is_given():
    model, ids = small_model().train(), random_ids(2, 7)
    x = tokens_into(model.blocks[0].attention_norm, model, [ids, ids[:1]])
    assert torch.equal(x, model.embed(torch.cat([ids.flatten(), ids[0]])).detach())  # the first block reads embeddings
    assert model.training and not model.blocks[0].attention_norm._forward_pre_hooks and not x.requires_grad


def test_a_part_of_another_model_is_given_nothing():
    with pytest.raises(ValueError, match="RMSNorm was given nothing: is it a part of this model"):
        tokens_into(small_model().norm, small_model(), [random_ids(2, 7)])


def test_tokens_into_a_router_are_those_that_it_decided_by():
    model, texts = small_model(), [random_ids(1, 5), random_ids(2, 3, seed=1)]
    router = model.blocks[-1].feed_forward.router
    x = tokens_into(router, model, texts)  # (11, D)
    logits = torch.cat([model(ids).routing[-1].logits for ids in texts])  # (11, E)
    torch.testing.assert_close(router.project(x, router.weight), logits)
    assert not x.requires_grad and not router._forward_pre_hooks
