"""Lesson 07's rules on plain tables: the check's reference, written by hand, gives the same."""

import pytest
import torch

from moe_lite import choices
from moe_lite.checks import lesson07_bias, lesson07_capacity, lesson07_experts
from moe_lite.checks.grade import grade
from moe_lite.checks.registry import exercises


@pytest.mark.parametrize("id", ["7.1", "7.2", "7.3", "7.4", "7.5"])
def test_the_packages_function_passes_the_check(id):
    exercise = exercises()[id]
    result = grade(exercise, getattr(choices, exercise.name))
    assert result.status == "pass", f"{result}: {result.mistake}"


@pytest.mark.parametrize("name", lesson07_experts.RULES)
def test_references_know_which_rules_look_ahead(name):
    rule, expected = lesson07_experts.RULES[name]
    for n_tokens, n_experts in ((12, 4), (14, 5)):
        trial = lesson07_experts._asked(name, n_tokens, n_experts)
        assert lesson07_experts.leaks(*trial.args) is expected
        assert choices.looks_ahead(*trial.args) is expected
    assert torch.equal(rule(trial.args[1]), rule(trial.args[1].clone()))


def test_capacity_trials_drop_some_and_keep_some():
    for case in exercises()["7.1"].cases()[4:5]:
        for trial in case.trials:
            capacity, kept = lesson07_capacity.within(*trial.args)
            assert 0 < kept.sum() < kept.numel() and capacity > 1
            for order in (lesson07_capacity.by_choice(trial.args[0]), [*reversed(range(kept.numel()))]):
                assert not torch.equal(kept, lesson07_capacity.room(trial.args[0], capacity, order))


def test_bias_changes_the_choice_and_moves_both_ways():
    for trial in exercises()["7.3"].cases()[2].trials:
        scores, bias, k, step = trial.args
        _, ids, moved = lesson07_bias.reference(*trial.args)
        assert not torch.equal(ids, lesson07_bias.chosen(scores, torch.zeros_like(bias), k)[1])
        assert {*((moved - bias) / step).round().int().tolist()} >= {-1, 1}


def test_a_rule_without_a_past_or_a_future_cannot_look_ahead():
    scores = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    for n_past in (0, 6):
        assert not choices.looks_ahead(lambda s: s / s.sum(), scores, n_past)
    assert choices.looks_ahead(lambda s: s / s.sum(), scores, 3)
