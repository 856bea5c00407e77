"""One token under the rules of two families: what each takes, and which options of the rules make the difference."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations

import torch
from torch import Tensor

from moe_lite.families import names, preset
from moe_lite.families.presets import around, family
from moe_lite.families.words import in_symbols, in_words
from moe_lite.lab import runs
from moe_lite.model.config import ModelConfig
from moe_lite.model.routing import SCORE_FUNCTIONS, Routing, route, top_k_stable

# One number per expert, made up: rules with a bias need some to show what it does. A trained one is moved until all
# experts have the same load.
EXAMPLE_BIAS = (0.08, -0.12, 0.16, -0.06, 0.02, -0.18, 0.12, 0.06, -0.14, 0.04, -0.20, 0.18, -0.04, 0.10, -0.08, 0.14)
MOST_EXPERTS = 32  # with more, columns are too narrow for their numbers
RECORDED = {"mixtral": "moe-8-top2"}  # recordings that do not have their family's name
SAME = 1e-6  # weights closer than this differ by rounding
# what can differ between two rules, and the fields of ModelConfig behind it
CHOICE = {
    "score": ("score",), "order": ("order",), "groups": ("n_groups", "topk_groups", "group_score", "group_fill"),
    "group_score": ("group_score",), "group_fill": ("group_fill",), "selection_bias": ("selection_bias",),
    "router_bias": ("router_bias",), "select_on": ("select_on",), "logit_scale": ("logit_scale",),
    "logit_softcap": ("logit_softcap",),
}  # fmt: skip
WEIGHT = {"renorm": ("renorm",), "renorm_eps": ("renorm_eps",), "routed_scale": ("routed_scale",)}
ASPECTS = CHOICE | WEIGHT


@cache
def offered() -> tuple[str, ...]:
    """The families that `route` alone computes, oldest first, those without a date last."""
    plain = [name for name in names() if (c := preset(name)).router == "top_k" and not c.n_zero_experts]
    return tuple(sorted(plain, key=lambda name: family(name).when or "9999"))


@cache
def others() -> tuple[str, ...]:
    """The families whose router is one of its own."""
    return tuple(name for name in names() if name not in offered())


@dataclass(frozen=True)
class Rule:
    """A family's rule at E experts and k per token. ValueError for a name that is not offered, and for other sizes."""

    name: str
    config: ModelConfig

    @classmethod
    def of(cls, name: str, n_experts: int, k: int) -> "Rule":
        if name not in offered():
            title = family(name).title  # ValueError for a name that does not exist
            raise ValueError(f"{title} has a router of its own: families.describe({name!r}) tells it.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one expert with weight 1 learns nothing; nothing is trained here
            scale = {"routed_scale": 1 / k} if name == "openai_privacy_filter" else {}  # its class divides by k
            return cls(name, preset(name, n_experts=n_experts, top_k=k, **scale))

    @property
    def options(self) -> dict[str, object]:
        """The options of `route`, and which of the two biases there is."""
        c = self.config
        return c.routing_options() | {"selection_bias": c.selection_bias, "router_bias": c.router_bias}

    @property
    def has_bias(self) -> bool:
        return self.config.selection_bias or self.config.router_bias

    @property
    def described(self) -> dict[str, str]:
        """Rows of `families.describe`, at these sizes. (Its comparison with transformers would take long.)"""
        rows = {"rule": in_words(self.config), "in symbols": in_symbols(self.config)}
        return rows | {"around it": around(family(self.name), self.config)}


def most_chosen(name: str, n_experts: int) -> tuple[int, int, int]:
    """The most experts that the rule can take per token, the groups that it opens, and the experts in each."""
    c = preset(name)
    size = n_experts // c.n_groups
    return c.topk_groups * size, c.topk_groups, size


def routed(logits: Tensor, k: int, options: dict[str, object], bias: Tensor) -> Routing:
    """logits (E,), bias (E,) -> the Routing of one token under `Rule.options`."""
    options = dict(options)
    chooses, trained = options.pop("selection_bias"), options.pop("router_bias")
    z = logits + bias if trained else logits  # (E,)
    return route(z[None], k, bias=bias if chooses else None, **options)


@dataclass(frozen=True)
class Band:
    """One rule at work on the token. All values (E,) unless told otherwise."""

    rule: Rule
    chosen: tuple[int, ...]  # ascending
    weights: tuple[float, ...]  # 0 where not chosen
    scores: tuple[float, ...]  # where the choice comes first, 0 for those that are not chosen
    plain: tuple[float, ...]  # what is compared, before a bias
    compared: tuple[float, ...]  # with it
    worth: tuple[float, ...]  # (G,) of each group; () without groups
    open_groups: tuple[int, ...]  # () without groups

    @property
    def on_logits(self) -> bool:
        c = self.rule.config
        return c.order == "topk_first" or c.select_on == "logit"

    @property
    def total(self) -> float:
        return sum(self.weights)

    def is_open(self, expert: int) -> bool:
        return not self.worth or expert * len(self.worth) // len(self.weights) in self.open_groups

    @cached_property
    def threshold(self) -> float:
        """The smallest of the compared values that passed."""
        return min(self.compared[e] for e in self.chosen)

    @property
    def best_out(self) -> float | None:
        """The largest of the compared values that could have passed and did not; None if all did."""
        out = [v for e, v in enumerate(self.compared) if e not in self.chosen and self.is_open(e)]
        return max(out, default=None)


def band_of(rule: Rule, logits: Tensor, k: int, bias: Tensor) -> Band:
    """logits (E,), bias (E,): example numbers -> what the rule makes of them. Choice and weights are `route`'s."""
    c, routing = rule.config, routed(logits, k, rule.options, bias)
    chosen = tuple(sorted(routing.expert_ids.tolist()))
    scores, z = routing.scores[0], bent(logits + bias * c.router_bias, c)  # (E,), (E,)
    if c.order == "topk_first":
        own = torch.tensor(chosen)
        scores = torch.zeros_like(scores).index_put((own,), SCORE_FUNCTIONS[c.score](z[None, own])[0])
    on_logits = c.order == "topk_first" or c.select_on == "logit"
    plain, compared = (bent(logits, c), z) if on_logits else (scores, scores)  # (E,), (E,)
    compared = compared + bias * c.selection_bias
    worth, best = _groups(compared, c)
    return Band(
        rule, chosen, tuple(routing.combine[0].tolist()), tuple(scores.tolist()), tuple(plain.tolist()),
        tuple(compared.tolist()), worth, best,
    )  # fmt: skip


def bent(z: Tensor, c: ModelConfig) -> Tensor:
    """Logits (E,) as `route` scores them."""
    z = z * c.logit_scale
    return z if c.logit_softcap is None else (z / c.logit_softcap).tanh() * c.logit_softcap


def _groups(compared: Tensor, c: ModelConfig) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """compared (E,) -> what each group is worth, and which are open."""
    if c.n_groups == 1:
        return (), ()
    grouped = compared.view(c.n_groups, -1)  # (G, E/G)
    best = 1 if c.group_score == "max" else min(2, grouped.shape[1])
    worth = grouped.topk(best, dim=-1).values.sum(dim=-1)  # (G,)
    open_ = top_k_stable(worth[None], c.topk_groups)[1][0]  # (topk_groups,)
    return tuple(worth.tolist()), tuple(sorted(open_.tolist()))


@dataclass(frozen=True)
class Comparison:
    """One token's logits, and both rules at work on them."""

    logits: tuple[float, ...]  # (E,)
    left: Band
    right: Band
    k: int
    strength: float  # the example bias is multiplied by it
    token: int = 0
    text: str = ""  # how the token looks
    causes: tuple[tuple[str, ...], ...] = ()  # smallest sets of ASPECTS that make right do what left does

    @property
    def n_experts(self) -> int:
        return len(self.logits)

    @property
    def bands(self) -> tuple[Band, Band]:
        return self.left, self.right

    @property
    def same_experts(self) -> bool:
        return self.left.chosen == self.right.chosen

    @property
    def same_weights(self) -> bool:
        pairs = zip(self.left.weights, self.right.weights, strict=True)
        return all(abs(a - b) < SAME for a, b in pairs)

    @property
    def both(self) -> tuple[int, ...]:
        return tuple(e for e in self.left.chosen if e in self.right.chosen)

    @property
    def left_only(self) -> tuple[int, ...]:
        return tuple(e for e in self.left.chosen if e not in self.right.chosen)

    @property
    def right_only(self) -> tuple[int, ...]:
        return tuple(e for e in self.right.chosen if e not in self.left.chosen)


def compare(
    logits: Tensor, left: Rule, right: Rule, k: int, strength: float, *, token: int = 0, text: str = ""
) -> Comparison:
    """logits (E,) float under both rules. ValueError where they are no numbers."""
    if not logits.isfinite().all():
        raise ValueError(f"The router gives {text!r} logits that are not numbers, so no rule can choose by them.")
    bias = strength * example_bias(len(logits))
    bands = [band_of(rule, logits, k, bias) for rule in (left, right)]
    found = Comparison(tuple(logits.tolist()), *bands, k, strength, token, text)
    causes = ()
    if not found.same_experts:
        causes = smallest(left, right, lambda options: _experts(routed(logits, k, options, bias)) == bands[0].chosen)
    elif not found.same_weights:
        wanted = torch.tensor(bands[0].weights)  # (E,)
        causes = smallest(
            left, right,
            lambda options: bool((routed(logits, k, options, bias).combine[0] - wanted).abs().max() < SAME),
        )  # fmt: skip
    return Comparison(found.logits, *bands, k, strength, token, text, causes)


def example_bias(n_experts: int) -> Tensor:
    """(E,)"""
    return torch.tensor([EXAMPLE_BIAS[e % len(EXAMPLE_BIAS)] for e in range(n_experts)])


def _experts(routing: Routing) -> tuple[int, ...]:
    return tuple(sorted(routing.expert_ids.tolist()))


def smallest(left: Rule, right: Rule, alike: Callable[[dict[str, object]], bool]) -> tuple[tuple[str, ...], ...]:
    """The smallest sets of aspects, taken over from `left`, under which `alike` holds for the options of `right`.

    Options that contradict each other (a choice before the score, with a bias on scores) are no rule: passed over.
    """
    aspects = differing(left, right)
    for size in range(1, len(aspects) + 1):
        found = []
        for taken in combinations(aspects, size):
            options = dict(right.options)
            options |= {name: left.options[name] for aspect in taken for name in ASPECTS[aspect]}
            try:
                if alike(options):
                    found.append(taken)
            except ValueError:
                continue
        if found:
            return tuple(found)
    return ()


def differing(left: Rule, right: Rule) -> tuple[str, ...]:
    """The aspects in which the two rules differ."""
    return tuple(_differing(left.options, right.options))


def _differing(a: dict[str, object], b: dict[str, object]) -> Iterator[str]:
    grouped = a["n_groups"] > 1 and b["n_groups"] > 1
    for aspect, fields in ASPECTS.items():
        if aspect == "groups":
            fields = ("n_groups", "topk_groups")
        if aspect in ("group_score", "group_fill") and not grouped:
            continue  # part of having groups
        if any(a[name] != b[name] for name in fields):
            yield aspect


@cache
def recorded_loss(name: str) -> tuple[str, int, str] | None:
    """The validation loss of the family's recorded training as an interval over seeds, their number, and what was
    trained; None where there is none."""
    recording = RECORDED.get(name, name)
    if recording not in runs.names():
        return None
    found = runs.recording(recording)
    if len(found.losses) < 2:
        return None  # being recorded: one seed has no interval
    sizes = f"{found.model.n_experts} experts, top-{found.model.top_k}"
    return str(runs.interval(found.losses)), len(found.losses), sizes
