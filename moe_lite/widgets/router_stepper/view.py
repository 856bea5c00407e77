"""One token on its way through a router, as numbers: logits, scores, choice, weights. `routing.route` computes them."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moe_lite.model.routing import Routing, TopK, route, top_k_route
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.kit.parts import code
from moe_lite.widgets.kit.reading import read
from moe_lite.widgets.kit.text import Face, token_text
from moe_lite.widgets.kit.widget import called, name_of

NEARBY = 32  # characters of the sentence that are shown on each side of the token


@dataclass(frozen=True)
class TokenRows:
    """One row of router logits a token."""

    logits: Tensor  # (N, E) float32, E: all experts there are
    faces: tuple[Face, ...]  # N or more: a text may be longer than what the model reads
    origin: str = ""  # the router they come from; "" for a tensor that was passed in

    @cached_property
    def span(self) -> tuple[float, float]:
        """One scale for the logits of all tokens and experts, so that no bar jumps when another is shown."""
        finite = self.logits[self.logits.isfinite()]
        low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 0.0)
        return float(min(-2, math.floor(low))), float(max(2, math.ceil(high)))

    @property
    def formula(self) -> str:
        return "z = x @ W_r" if self.origin else "z, as given"

    def name(self, token: int) -> str:
        """How a token looks, without the space before it."""
        return code(self.faces[token])["code"]

    def sentence(self, token: int) -> list[str]:
        """The text before the token, the token, the text after it; cut to what fits on a line."""
        pieces = [" " * face.gap + self.name(i) for i, face in enumerate(self.faces)]
        before, after = "".join(pieces[:token]), "".join(pieces[token + 1 :])
        before = before if len(before) <= NEARBY else f"…{before[-NEARBY:]}"
        after = after if len(after) <= NEARBY else f"{after[:NEARBY]}…"
        return [before + " " * self.faces[token].gap, self.name(token), after]

    def badge(self, n_experts: int, moved: bool) -> str:
        """What the figure shows, in a few words: which experts of what, and whether logits were moved by hand."""
        text = self.origin or "logits as given"
        if n_experts < self.logits.shape[1]:
            text = f"experts 0–{n_experts - 1} of " + (f"the {self.origin}" if self.origin else "the logits given")
        return f"{text} · moved by hand" if moved else text

    @property
    def cut(self) -> str:
        """A sentence if the text is longer than what was read."""
        n, total = len(self.logits), len(self.faces)
        return f"The model reads {n} tokens at once: of {total:,} tokens, the first {n} are here." if total > n else ""


def model_rows(model: MoELanguageModel, sentence: str, layer: int) -> TokenRows:
    """What the router of layer `layer`, counted from 1, gives each token of the sentence, as far as the context goes.

    Raises ValueError for a layer that the model does not have, and for a dense model.
    """
    config = model.config
    n_layers = config.n_sparse_layers
    if not 1 <= layer <= n_layers:
        raise ValueError(f"layer is {layer}; this model has {n_layers} sparse layers, counted from 1.")
    origin = f"{config.n_experts}-expert model, layer {layer}"
    text = token_text((("", sentence),))
    ids = list(text.ids[: config.context_length])
    if not ids:
        return TokenRows(torch.zeros(0, config.n_experts), (), origin)
    return TokenRows(read(model, ids).routing[layer - 1].logits.float().cpu(), text.faces, origin)  # (N, E)


def given_rows(logits: Tensor, sentence: str | None) -> TokenRows:
    """Logits (N, E) as they are; rows are called after the sentence's tokens, or "token 0", "token 1", …

    Raises ValueError unless logits are floats with E ≥ 2, and if the sentence has another number of tokens than N.
    """
    if logits.dim() != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
        raise ValueError(f"logits are {tuple(logits.shape)} {logits.dtype}; expected (N, E) floats with E ≥ 2.")
    faces = tuple(Face(f"token {i}", gap=i > 0) for i in range(len(logits)))
    if sentence is not None:
        faces = token_text((("", sentence),)).faces
    if len(faces) != len(logits):
        raise ValueError(f"logits have {len(logits)} rows, but the sentence has {len(faces)} tokens.")
    return TokenRows(logits.detach().float().cpu(), faces)


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
