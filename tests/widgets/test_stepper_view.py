"""The numbers of the router stepper for one token: ties, and functions that were passed in."""

import itertools

import pytest
import torch
from steppers import ONE, noise, say
from torch import Tensor

from moe_lite.model.routing import route, top_k_route
from moe_lite.widgets.kit.widget import CallbackError
from moe_lite.widgets.router_stepper.view import RULES, step_view
from moe_lite.widgets.router_stepper.words import notes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("renorm", [True, False])
@pytest.mark.parametrize(("n_experts", "k"), [(2, 1), (8, 2), (8, 8), (16, 5)])
def test_view_is_the_routing(rule, renorm, n_experts, k):
    for seed, temperature in itertools.product(range(3), (0.2, 1.0, 3.0)):
        logits = noise(n_experts, seed)
        step = step_view(logits, k=k, temperature=temperature, rule=rule, renorm=renorm)
        options = {"score": RULES[rule].score, "order": RULES[rule].order, "renorm": renorm}
        routing = route(logits[None] / temperature, k, **options)
        assert step.weights == tuple(routing.combine[0].tolist())
        assert step.chosen == tuple(routing.top_k[1][0].tolist())
        assert step.logits == tuple(logits.tolist())
        # softmax of the kept logits alone: these scores are the weights, whether renormalised or not
        expected = routing.combine if rule == "topk" else routing.scores
        assert step.scores == tuple(expected[0].tolist())
        assert step.kept == pytest.approx(sum(step.scores[e] for e in routing.expert_ids.tolist()))


@pytest.mark.parametrize("rule", RULES)
def test_temperature_alone_never_changes_who_is_chosen_or_in_what_order(rule):
    for seed in range(40):
        logits = noise(16, seed) / 2  # a sigmoid of 17 and one of 18 are the same float32
        choices = {step_view(logits, k=5, temperature=t, rule=rule).chosen for t in (0.2, 0.5, 1.0, 1.8, 3.0)}
        assert len(choices) == 1


# ---- ties ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_tie_at_the_border_goes_to_the_lower_number_and_is_told(rule):
    for n_experts in range(3, 17):
        logits = torch.linspace(-2, 0, n_experts)
        logits[0] = logits[-1] = 1.5
        step = step_view(logits, k=1, rule=rule)
        assert step.tied == ((0,), (n_experts - 1,))
        what = "logit" if rule == "topk" else "score"
        assert f"0 and {n_experts - 1} have the same {what}: the lower number passes, every time." in say(step)


def test_equal_scores_away_from_the_border_are_no_tie():
    logits = torch.tensor([2.0, 2.0, 1.0, 0.0, 0.0])
    assert step_view(logits, k=2).tied == ((), ())
    assert "same score" not in say(step_view(logits, k=3))
    assert step_view(logits, k=5).tied == ((), ())


def test_tie_that_a_function_breaks_the_other_way_is_told_as_it_is():
    def higher_first(scores, k):
        ids = scores.flip(-1).sort(dim=-1, descending=True, stable=True).indices[:, :k]
        return torch.full((1, k), 1 / k), scores.shape[-1] - 1 - ids

    step = step_view(torch.tensor([1.0, 0.0, 1.0]), k=1, top_k_fn=higher_first)
    assert say(step).endswith("0 and 2 have the same score: the lower number should pass, here expert 2 did.")


# ---- a function that was passed in -----------------------------------------------------------------------------------


def top_1_heavy(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Like `top_k_route`, with the first choice at 0.9: a different but valid function."""
    _, ids = top_k_route(scores, k)
    return torch.tensor([[0.9, *[0.1 / (k - 1)] * (k - 1)]]), ids


def test_function_decides_where_scores_come_first_and_are_renormalised():
    for rule, renorm in itertools.product(RULES, (True, False)):
        step = step_view(ONE, k=3, rule=rule, renorm=renorm, top_k_fn=top_1_heavy)
        asked = renorm and rule != "topk"
        assert step.chooser == ("top_1_heavy" if asked else "")
        assert (max(step.weights) == pytest.approx(0.9)) is asked
        assert ("package's rule does the work" in notes(step, function="top_1_heavy")) is not asked
    assert step_view(ONE, k=3, top_k_fn=top_k_route).chooser == ""


def test_function_that_changes_its_input_does_not_change_the_scores_shown():
    def spoil(scores, k):
        result = top_k_route(scores.clone(), k)
        scores.zero_()
        return result

    assert step_view(ONE, k=2, top_k_fn=spoil).scores == step_view(ONE, k=2).scores


WRONG = {
    "raises": (lambda s, k: 1 / 0, CallbackError, "raised ZeroDivisionError: division by zero"),
    "one tensor": (lambda s, k: s.topk(k).values, TypeError, "must return two tensors"),
    "a list": (lambda s, k: ([0.5] * k, [0] * k), TypeError, "must return two tensors"),
    "shape": (lambda s, k: s.topk(k + 1), (TypeError, ValueError), "expected (N, k) = (1, 2)|must return two tensors"),
    "float ids": (lambda s, k: (s[:, :k], s[:, :k]), TypeError, "expert_ids are torch.float32"),
    "no such expert": (lambda s, k: (s[:, :k], torch.tensor([[8, 0]])), ValueError, "run from 0 to 8"),
    "same twice": (lambda s, k: (s[:, :k], torch.tensor([[4, 4]])), ValueError, "got expert 4 twice"),
    "not a number": (lambda s, k: (s[:, :k] / 0 * 0, torch.tensor([[1, 2]])), ValueError, "the weight nan"),
    "negative": (lambda s, k: (-s[:, :k], torch.tensor([[1, 2]])), ValueError, "the weight -0."),
    "whole weights": (lambda s, k: (torch.ones(1, k).long(), torch.tensor([[1, 2]])), TypeError, "are torch.int64"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_function_is_told_under_its_own_name(mistake):
    function, error, message = WRONG[mistake]
    function.__name__ = "my_route"
    with pytest.raises(error) as caught:
        step_view(ONE, k=2, top_k_fn=function)
    assert any(part in str(caught.value) for part in message.split("|"))
    assert "my_route" in str(caught.value) and "top_k_fn" not in str(caught.value)
