"""One token on its way through a router, as numbers: logits, scores, choice, weights. `routing.route` computes them."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moe_lite.model.routing import Routing, TopK, route, top_k_route
from moe_lite.widgets.kit.widget import called, name_of


@dataclass(frozen=True)
class ScoringRule:
    """A way from logits to weights, as options of `route`."""

    label: str
    score: str
    order: str


RULES = {
    "softmax": ScoringRule("softmax, then top-k", "softmax", "score_first"),
    "topk": ScoringRule("top-k, then softmax", "softmax", "topk_first"),
    "sigmoid": ScoringRule("sigmoid, then top-k", "sigmoid", "score_first"),
}


@dataclass(frozen=True)
class Step:
    """What becomes of one token's logits under one setting. Values are those of a `Routing` with N = 1."""

    logits: tuple[float, ...]  # (E,) z, before the temperature
    scores: tuple[float, ...]  # (E,) in the order top-k first only the chosen have one, the others 0
    weights: tuple[float, ...]  # (E,) 0 where not chosen
    chosen: tuple[int, ...]  # largest weight first; empty where scores are not numbers and choosing stops
    k: int
    temperature: float
    rule: str  # a key of RULES
    renorm: bool
    token: int = 0  # its place in the sentence
    text: str = ""  # how it looks
    chooser: str = ""  # the name of the learner's function that chose and weighed, "" for the package's rule
    flat: bool = False  # no logit moves any weight: no gradient reaches the router through them

    @property
    def n_experts(self) -> int:
        return len(self.logits)

    @property
    def stopped(self) -> bool:
        return not self.chosen

    @property
    def compared(self) -> tuple[float, ...]:
        """(E,): the values among which the k largest are kept."""
        return self.logits if self.rule == "topk" else self.scores

    @cached_property
    def threshold(self) -> float | None:
        """The k-th largest of the compared values; None where all pass or none can."""
        return None if self.stopped or self.k == self.n_experts else sorted(self.compared)[-self.k]

    @cached_property
    def tied(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Experts with equal values at the border: those that passed and those that did not; both empty without tie."""
        if self.threshold is None:
            return (), ()
        border = min(self.compared[e] for e in self.chosen)
        equal = [e for e in range(self.n_experts) if self.compared[e] == border]
        passed = tuple(e for e in equal if e in self.chosen)
        out = tuple(e for e in equal if e not in self.chosen)
        return (passed, out) if out else ((), ())

    @property
    def kept(self) -> float:
        """The sum of the chosen experts' scores."""
        return sum(self.scores[e] for e in self.chosen)


def uses(top_k_fn: TopK | None, rule: str, renorm: bool) -> bool:
    """Whether a learner's function takes part: it stands for `top_k_route`, so only where scores come first and the
    kept ones are renormalised. Elsewhere the package's rule chooses and weighs."""
    return top_k_fn not in (None, top_k_route) and RULES[rule].order == "score_first" and renorm


def step_view(
    logits: Tensor,
    *,
    k: int,
    temperature: float = 1.0,
    rule: str = "softmax",
    renorm: bool = True,
    top_k_fn: TopK | None = None,
    token: int = 0,
    text: str = "",
) -> Step:
    """Route one token: logits (E,) float -> Step.

    top_k_fn has the signature of `routing.top_k_route` and is asked where `uses` says so. Raises CallbackError if it
    fails, TypeError or ValueError if it returns something else than weights (1, k) and k different experts.
    """
    logits = logits.detach().float()  # (E,)
    z = (logits / temperature)[None].requires_grad_(True)  # (1, E)
    options = {"score": RULES[rule].score, "order": RULES[rule].order, "renorm": renorm}
    with torch.enable_grad():
        routing = route(z, k, **options)
        stopped = not routing.scores.isfinite().all()
        mine = uses(top_k_fn, rule, renorm) and not stopped
        if mine:
            routing = _route_by(top_k_fn, z, k, options)
        chosen = () if stopped else tuple(routing.top_k[1][0].tolist())
        weights = (0.0,) * len(logits) if stopped else tuple(routing.combine[0].tolist())
        flat = not stopped and _is_flat(routing, z)
    scores = tuple(routing.scores[0].tolist())
    if rule == "topk" and not stopped:
        scores = weights  # the softmax of the kept logits
    return Step(
        logits=tuple(logits.tolist()), scores=scores, weights=weights, chosen=chosen, k=k, temperature=temperature,
        rule=rule, renorm=renorm, token=token, text=text, chooser=name_of(top_k_fn) if mine else "", flat=flat,
    )  # fmt: skip


def _is_flat(routing: Routing, z: Tensor) -> bool:
    """Whether no weight depends on any logit, measured by backpropagation."""
    if not routing.weights.requires_grad:
        return True
    for weight in routing.weights:
        (slope,) = torch.autograd.grad(weight, z, retain_graph=True, allow_unused=True)  # (1, E)
        if slope is not None and slope.abs().max() > 1e-6:  # rounding of s/s leaves less
            return False
    return True


def _route_by(function: TopK, z: Tensor, k: int, options: dict) -> Routing:
    """Route with a learner's function; what is wrong with it is told under its own name."""
    name = name_of(function)

    def call(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return called(function, scores, k)

    try:
        routing = route(z, k, **options, top_k_fn=call)
    except (TypeError, ValueError) as problem:
        raise type(problem)(str(problem).replace("top_k_fn", name)) from problem
    _check(name, routing)
    return routing


def _check(name: str, routing: Routing) -> None:
    """Refuse weights that cannot be drawn."""
    for expert, weight in zip(routing.expert_ids.tolist(), routing.weights.tolist(), strict=True):
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(f"{name} gave expert {expert} the weight {weight:.2f}; expected a number of at least 0.")
