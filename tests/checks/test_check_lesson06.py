"""Lesson 06's references: equal to the package's functions and to the library that they speak of."""

import pytest
import torch
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from moe_lite import metrics, sweeps
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson06.mixtral_loss import mixtral
from moe_lite.checks.registry import exercises
from moe_lite.model import balance

PACKAGE = {
    "6.1": metrics.load_statistics,
    "6.2": balance.load_balancing_loss,
    "6.3": sweeps.smallest_coefficient,
    "6.4": balance.router_z_loss,
}


@pytest.mark.parametrize("id", PACKAGE)
def test_the_packages_function_passes(id):
    result = grade(exercises()[id], PACKAGE[id])
    assert result.status == "pass", f"{result}: {result.mistake}"


def test_pooled_loss_is_the_one_of_transformers():
    """Theirs takes logits and chooses itself; so the reference gets the choice that they make."""
    for trial in exercises()["6.5"].cases()[2].trials:
        logits = [scores.float().log() for scores in trial.args[0]]
        k, n_experts = trial.args[1][0].shape[1], logits[0].shape[1]
        scores = [z.softmax(dim=1) for z in logits]
        chosen = [s.topk(k).indices for s in scores]
        theirs = load_balancing_loss_func(tuple(logits), n_experts, k)
        torch.testing.assert_close(mixtral(scores, chosen), theirs)
        assert balance.BALANCE_LOSSES.keys() >= {"pooled"}


def test_limits_are_met_exactly_and_seeds_differ():
    """Else a comparison with < instead of <=, or of the first seed alone, would pass."""
    cases = {case.name: case for case in exercises()["6.3"].cases()}
    answers = {t.note: exercises()["6.3"].reference(*t.args) for case in cases.values() for t in case.trials}
    assert answers["a violation of exactly the limit"] == 0.1 and answers["no coefficient is enough"] == float("inf")
    assert len({*answers.values()}) >= 4
