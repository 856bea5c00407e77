"""The router stepper's sentences: they are true of the numbers that are shown."""

import math
import re
from dataclasses import replace

import pytest
import torch
from steppers import ONE, noise, say

from moe_lite.look.words import number
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.router_stepper.view import RULES, step_view
from moe_lite.widgets.router_stepper.words import notes, reading_parts


def test_reading_line_states_the_routing_when_nothing_moved():
    assert say(step_view(ONE, k=2, text="return")) == (
        "The router sends return to experts 3 and 6 with weights 0.57 and 0.43."  # 1/(1+e^-0.3) = 0.574
    )
    assert "to all 8 experts with weights from 0.35 down to 0.01." in say(step_view(ONE, k=8))


def test_reading_line_compares_only_settings_of_one_token():
    other = step_view(ONE.flip(0), k=3, token=1, text="def")
    assert say(other, step_view(ONE, k=2)) == say(other)
    assert say(other).startswith("The router sends def to experts 4, 1 and 7 with weights 0.43,")


def test_reading_line_tells_temperature():
    before, now = step_view(ONE, k=2), step_view(ONE, k=2, temperature=0.7)  # 1/(1+e^(-0.3/0.7)) = 0.606
    expected = "T from 1.0 to 0.7: the choice stays 3 6, and the first weight grows from 0.57 to 0.61."
    assert say(now, before) == f"{expected} The weights changed, the choice did not."
    assert "the first weight shrinks from 0.61 to 0.57" in say(before, now)


def test_reading_line_tells_who_joins_and_leaves():
    two, three = step_view(ONE, k=2), step_view(ONE, k=3)
    assert say(three, two).startswith("Top-k from 2 to 3: 0 joins, the choice is 3 6 0, and the first weight shrinks")
    assert say(two, three).startswith("Top-k from 3 to 2: 0 leaves, the choice is 3 6, and the first weight grows")
    moved = ONE.clone()
    moved[0] = 2.2
    assert say(step_view(moved, k=2), two) == (
        "Logit of 0 from 1.90 to 2.20: 6 leaves and 0 joins, the choice is 3 0, "
        "and the first weight shrinks from 0.57 to 0.55."  # 1/(1+e^-0.2) = 0.550
    )
    moved[0] = 3.0
    now = say(step_view(moved, k=2), two)
    assert "the choice is 0 3" in now
    assert "the choice stays 6 3, now with 6 first" in say(step_view(ONE + torch.eye(8)[6], k=2), two)


def test_reading_line_tells_experts_added_and_taken_away():
    wide = torch.cat([ONE, torch.full((8,), 2.2)])
    eight, sixteen = step_view(ONE, k=2), step_view(wide, k=2)
    assert say(sixteen, eight).startswith("E from 8 to 16: 6 leaves and 8 joins, the choice is 3 8,")
    back = reading_parts(eight, sixteen)
    assert plain(back).startswith("E from 16 to 8: 8 leaves and 6 joins, the choice is 3 6,")
    assert {"expert": 8} not in back and "8" in back  # an expert that is no longer shown has no colour


def test_reading_line_tells_rule_and_renormalising():
    first = step_view(ONE, k=2)
    same = say(step_view(ONE, k=2, rule="topk"), first)
    assert same.startswith("“top-k, then softmax” instead of “softmax, then top-k”: the choice stays 3 6,")
    assert same.endswith(", and every weight stays.")
    raw = step_view(ONE, k=2, renorm=False)
    text = say(raw, first)
    assert "not who" not in text
    assert text.startswith("No longer renormalised: the choice stays 3 6, and the first weight shrinks from 0.57 to")
    assert text.endswith(f" The weights sum to {sum(raw.scores[e] for e in (3, 6)):.2f}.")
    both = step_view(ONE, k=2, rule="topk", renorm=False)
    assert say(both, step_view(ONE, k=2, rule="topk")).endswith("the choice stays 3 6, and every weight stays.")


@pytest.mark.parametrize("seed", range(60))
def test_reading_line_never_claims_what_did_not_happen(seed):
    chance = torch.Generator().manual_seed(seed)

    def one(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=chance))

    def any_step():
        n = one(2, 16)
        return step_view(
            noise(16, one(0, 1))[:n],
            k=one(1, n),
            temperature=(0.2, 1.0, 3.0)[one(0, 2)],
            rule=list(RULES)[one(0, 2)],
            renorm=bool(one(0, 1)),
        )

    before, now = any_step(), any_step()
    text = say(now, before)
    a, b = max(before.weights), max(now.weights)
    assert ("grows" in text) <= (b > a) and ("shrinks" in text) <= (b < a)
    assert ("the choice stays" in text) <= (set(now.chosen) == set(before.chosen))
    assert ("every weight stays" in text) <= (now.weights == pytest.approx(before.weights, abs=1e-6))
    assert ("joins" in text or "join," in text) <= bool(set(now.chosen) - set(before.chosen))
    for first, second in re.findall(r"weight \w+ from ([\d.]+) to ([\d.]+)\.", text):
        assert first != second
        assert float(first) == pytest.approx(a, abs=0.006) and float(second) == pytest.approx(b, abs=0.006)
    only_t = replace(now, temperature=1, weights=(), scores=()) == replace(before, temperature=1, weights=(), scores=())
    assert ("The weights changed, the choice did not." in text) <= (only_t and now.chosen == before.chosen)
    total = re.findall(r"weights sum to ([\d.]+)\.", text)
    assert total == ([] if number(sum(now.weights)) == "1.00" else [number(sum(now.weights))])


# ---- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "constant"),
    [
        ({"renorm": True}, True),
        ({"rule": "sigmoid"}, True),
        ({"rule": "topk", "renorm": False}, True),
        ({"renorm": False}, False),
        ({"rule": "sigmoid", "renorm": False}, False),
    ],
)
def test_one_expert_whose_weight_is_constant_is_noted(settings, constant):
    step = step_view(ONE, k=1, **settings)
    note = "The weight is 1.00 whatever the logits are: the task loss sends no gradient to the router."
    assert notes(step) == (note if constant else "")
    assert "no gradient" not in notes(step_view(ONE, k=2, **settings))


def test_all_experts_chosen_is_noted_and_nothing_crossed_out():
    step = step_view(ONE, k=8)
    assert step.threshold is None
    assert notes(step).endswith("The weights are the scores: a soft mixture of all experts.")
    assert "weights are the scores" not in notes(step_view(ONE, k=8, rule="sigmoid"))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [1, 8])
def test_logit_that_is_not_a_number_stops_the_choice(rule, k):
    logits = ONE.clone()
    logits[5] = math.nan
    step = step_view(logits, k=k, rule=rule, top_k_fn=lambda scores, k: pytest.fail("asked with NaN"))
    assert step.stopped and step.chosen == () and set(step.weights) == {0}
    assert say(step, step_view(ONE, k=k)) == (
        "The logit of expert 5 is not a number, so the scores are not either: choosing stops here."
    )
    assert "Top-k" not in say(step_view(ONE, k=2), step)
    assert notes(step) == ""
