"""The checks of lesson 10: what they accept and refuse beside the answers on file, and what the package has of them."""

import math

import pytest
import torch

from moe_lite.checks import lesson10
from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson10.equal_cost import touching
from moe_lite.checks.registry import exercises
from moe_lite.lab import comparison

FUNCTIONS = {
    "10.1": comparison.steps_to, "10.2": comparison.paired_interval, "10.3": comparison.loss_at,
    "10.4": comparison.equal_cost,
}  # fmt: skip


@pytest.mark.parametrize("id", FUNCTIONS)
def test_what_the_package_computes_is_what_the_exercise_asks_for(id):
    result = grade(exercises()[id], FUNCTIONS[id])
    assert result.status == "pass", f"{result}: {result.mistake}"
    assert lesson10.EXERCISES[int(id.split(".")[1]) - 1].name == FUNCTIONS[id].__name__ == result.name


def test_a_curve_is_read_on_its_own_line_and_not_on_that_of_the_running_minimum():
    """It falls from 4.0 to 3.0 between steps 20 and 30; the running minimum would begin at 3.6."""
    steps, losses = torch.tensor([0, 10, 20, 30]), torch.tensor([5.0, 3.6, 4.0, 3.0], dtype=torch.float64)
    assert comparison.steps_to(steps, losses, 3.5) == 25.0
    assert comparison.steps_to(steps, losses, 2.9) == math.inf
    assert comparison.steps_to(steps, losses, 5.0) == 0.0


def test_between_two_budgets_the_middle_is_that_of_the_logarithms():
    tokens, losses = torch.tensor([1_000_000, 4_000_000]), torch.tensor([4.0, 3.0], dtype=torch.float64)
    assert comparison.loss_at(tokens, losses, 2e6) == pytest.approx(3.5)  # log 2 is half of log 4
    for outside in (0.9e6, 4.1e6):
        with pytest.raises(ValueError, match="outside of the budgets"):
            comparison.loss_at(tokens, losses, outside)


def test_a_budget_that_rounding_puts_beside_itself_is_still_the_budget():
    """(3 · 0.1) / 0.1 is 3.0000000000000004."""
    tokens = torch.tensor([1, 3])
    losses = torch.tensor([[4.0, 3.0], [4.5, 3.25]], dtype=torch.float64)
    amount, better, mean, low, high = comparison.equal_cost(tokens, losses, losses + 0.5, 0.1, 0.1, 12.706)
    assert 3 * 0.1 / 0.1 > 3 and amount == 3 * 0.1
    assert (better, mean, low, high) == (0, -0.5, -0.5, -0.5)


@pytest.mark.parametrize("id", ["10.3", "10.4"])
def test_every_input_lies_within_the_budgets(id):
    """Also after division: a function that refuses what lies outside is asked there in one case alone, by rounding."""
    exercise = exercises()[id]
    for case in (*exercise.cases(), *sweep.cases(exercise)):
        for trial in case.trials:
            tokens = trial.args[0]
            if id == "10.3":
                asked = [trial.args[2]]
            else:
                costs = trial.args[3:5]
                amount = min(costs) * float(tokens[-1])
                assert all(float(tokens[0]) * cost < amount for cost in costs), trial.note
                asked = [amount / cost for cost in costs]
            last = float(tokens[-1]) + ("above the last" in case.name) * 1e-6
            assert all(float(tokens[0]) <= at <= last for at in asked), trial.note


def test_an_interval_that_should_end_at_0_ends_there_exactly_in_any_order_of_the_seeds():
    for number, place in ((1, 3), (-1, 4)):
        tokens, a, b, cost_a, cost_b, t = touching(16, 4, number).args
        for order in ([0, 1, 2, 3], [3, 0, 1, 2], [1, 3, 2, 0]):
            found = comparison.equal_cost(tokens, a[order], b[order], cost_a, cost_b, t)
            assert found[place] == 0 and found[1] == -1
