"""Lesson 07's rules on plain tables: the check's reference, written by hand, gives the same."""

import pytest
import torch
from small import small_config

from moe_lite import MoELanguageModel
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson07.choose_and_move import chosen
from moe_lite.checks.lesson07.keep_within_capacity import by_choice, room, within
from moe_lite.checks.lesson07.looks_ahead import RULES, asked, leaks
from moe_lite.checks.registry import exercises
from moe_lite.lessons import admission


@pytest.mark.parametrize("id", ["7.1", "7.2", "7.3", "7.4", "7.5"])
def test_the_packages_function_passes_the_check(id):
    exercise = exercises()[id]
    result = grade(exercise, getattr(admission, exercise.name))
    assert result.status == "pass", f"{result}: {result.mistake}"


@pytest.mark.parametrize("name", RULES)
def test_references_know_which_rules_look_ahead(name):
    rule, expected = RULES[name]
    for n_tokens, n_experts in ((12, 4), (14, 5)):
        trial = asked(name, n_tokens, n_experts)
        assert leaks(*trial.args) is expected
        assert admission.looks_ahead(*trial.args) is expected
    assert torch.equal(rule(trial.args[1]), rule(trial.args[1].clone()))


def test_capacity_trials_drop_some_and_keep_some():
    for case in exercises()["7.1"].cases()[4:5]:
        for trial in case.trials:
            capacity, kept = within(*trial.args)
            assert 0 < kept.sum() < kept.numel() and capacity > 1
            for order in (by_choice(trial.args[0]), [*reversed(range(kept.numel()))]):
                assert not torch.equal(kept, room(trial.args[0], capacity, order))


def test_bias_changes_the_choice_and_moves_both_ways():
    for trial in exercises()["7.3"].cases()[2].trials:
        scores, bias, k, step = trial.args
        _, ids, moved = exercises()["7.3"].reference(*trial.args)
        assert not torch.equal(ids, chosen(scores, torch.zeros_like(bias), k)[1])
        assert {*((moved - bias) / step).round().int().tolist()} >= {-1, 1}


def test_a_rule_without_a_past_or_a_future_cannot_look_ahead():
    scores = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    for n_past in (0, 6):
        assert not admission.looks_ahead(lambda s: s / s.sum(), scores, n_past)
    assert admission.looks_ahead(lambda s: s / s.sum(), scores, 3)


def small_model(**settings):
    return MoELanguageModel(small_config(n_layers=2, **settings), seed=0)


def test_limited_drops_within_and_leaves_the_model_as_it_was():
    model, ids = small_model(capacity_factor=4.0).eval(), torch.arange(24).view(2, 12)
    with admission.limited(model, 0.5), torch.no_grad():
        kept = torch.stack([routing.kept.float().mean() for routing in model(ids).routing])
    assert kept.max() < 0.7
    assert not model.training and [block.feed_forward.capacity for block in model.blocks] == [4.0, 4.0]
    with pytest.raises(KeyError), admission.limited(model.train(), None):
        raise KeyError
    assert model.training and model.blocks[0].feed_forward.capacity == 4.0


def test_steered_layers_have_biases_of_their_own_that_stand_still_in_evaluation():
    model, ids = small_model(score="sigmoid"), torch.arange(24).view(2, 12)
    admission.steer(model, admission.choose_and_move, 0.1)
    model(ids)
    biases = [block.feed_forward.router.options["top_k_fn"].bias for block in model.blocks]
    assert all(bias.abs().max() == pytest.approx(0.1) for bias in biases) and not torch.equal(*biases)
    with torch.no_grad():
        model(ids)
    assert all(
        torch.equal(block.feed_forward.router.options["top_k_fn"].bias, bias)
        for block, bias in zip(model.blocks, biases, strict=True)
    )
