"""From what a dashboard shows to what is wrong: one rule a failure, of at most three numbers.

diagnose(symptoms(model, logs, corpora))            # "bfloat16"

The bounds were written from the recorded trainings of DESIGN_SEEDS and hold for that model and its length of training:
another model needs its own. On UNSEEN_SEEDS, recorded afterwards, exactly the right rule fits every training, so none
of the eight failures had to be merged with another. The closest call: a highest score of 0.195 without renormalising,
where "softmax twice" asks for less than 0.18. No rule uses the loss: every failure has seeds whose loss lies among the
healthy ones.
"""

from dataclasses import dataclass

from moe_lite.lab.failures import HEALTHY
from moe_lite.lab.symptoms import Symptoms


@dataclass(frozen=True)
class Clue:
    """One number of the dashboard, above or below a bound."""

    symptom: str  # a field of Symptoms
    side: str  # "above" or "below"
    bound: float

    def fits(self, shown: Symptoms) -> bool:
        value = getattr(shown, self.symptom)
        return value > self.bound if self.side == "above" else value < self.bound


@dataclass(frozen=True)
class Rule:
    """All clues must fit. `why` says how the failure makes them."""

    clues: tuple[Clue, ...]
    why: str

    def fits(self, shown: Symptoms) -> bool:
        return all(clue.fits(shown) for clue in self.clues)


def above(symptom: str, bound: float) -> Clue:
    return Clue(symptom, "above", bound)


def below(symptom: str, bound: float) -> Clue:
    return Clue(symptom, "below", bound)


RULES: dict[str, Rule] = {
    "no_balancing": Rule(
        (above("load_cv", 0.7), above("balance_term", 1.5)),
        "The load is uneven and the balancing term says so, but nothing acts on it.",
    ),
    "coefficient_too_large": Rule(
        (below("top_score", 0.18), below("logit_spread", 0.2)),
        "The router gives every expert nearly the same logit: any opinion would cost more than it earns.",
    ),
    "bias_in_weights": Rule(
        (above("weight_gap", 0.01),),
        "A token's weights are not in the proportion of its scores: something was added on the way.",
    ),
    "softmax_twice": Rule(
        (below("top_score", 0.18), above("logit_spread", 0.2)),
        "The logits differ, the scores hardly: a softmax of numbers from 0 to 1 cannot favour any of them by more than "
        "a factor of e.",
    ),
    "not_renormalised": Rule(
        (below("weight_sum", 0.9),),
        "The weights of a token should sum to 1.",
    ),
    "capacity_half": Rule(
        (above("dropped", 0.45), below("load_cv", 0.7)),
        "Assignments are dropped although the load is far from collapse: there is too little room.",
    ),
    "noise_in_evaluation": Rule(
        (above("loss_difference", 1e-6),),
        "The same text, evaluated twice, has two losses: chance is at work where there should be none.",
    ),
    "bfloat16": Rule(
        (above("tied", 0.01),),
        "Float32 logits are hardly ever equal; with eight significant bits many are.",
    ),
}


def suspects(shown: Symptoms) -> list[str]:
    """The failures whose rule fits, in the order of RULES. More than one, if several things are wrong."""
    return [name for name, rule in RULES.items() if rule.fits(shown)]


def diagnose(shown: Symptoms) -> str:
    """The first failure whose rule fits, a name of FAILURES; "healthy" if none does."""
    return next(iter(suspects(shown)), HEALTHY)
