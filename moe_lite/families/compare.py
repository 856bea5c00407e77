"""One of our rules beside a class of `transformers`, or beside itself with one option changed: the largest difference
of all weights of all tokens."""

import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor

from moe_lite.families.build import N_TOKENS, Built
from moe_lite.families.rules import Rule
from moe_lite.model.config import CHOICES, ModelConfig
from moe_lite.model.routing import Router, Routing
from moe_lite.model.transformer import build_router

SAME, DIFFERENT = 1e-6, 1e-3  # up to here rounding; from here on another rule
EDGE = 1e-5  # a token whose choice changes with its input by this share stands at a tie
MOST_AT_EDGE = 0.1
FEW = 0.05  # share of the tokens
SCALES = {"input_scale", "expert_scale", "global_scale", "memory_scale"}  # learned; 1 leaves them out


def settings(rule: Rule, built: Built) -> ModelConfig:
    """The rule as settings of a model. ValueError where it contradicts itself."""
    sizes = {"n_heads": 1, "n_kv_heads": 1, "d_expert": 1, "n_layers": 1}
    sizes |= {"d_model": built.probe.d_model, "top_k": built.top_k, "n_experts": built.probe.n_experts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # top-1 without a gradient: nothing is trained here
        return ModelConfig(**(sizes | rule.fields))


@torch.no_grad()
def difference(rule: Rule, built: Built) -> float:
    """The largest difference over all tokens and experts; inf where the rule cannot be what the class computes.

    Tokens at a tie are left out, since there rounding decides; more than a tenth of such tokens is no match.
    """
    try:
        router = our_router(rule, built)
        routing = router(built.x, **rule.call)
        clear = _clear(router, routing, built, rule)
    except (ValueError, RuntimeError):
        return float("inf")
    theirs = built.answer.dense(routing.n_experts)
    if theirs is None or clear.float().mean() < 1 - MOST_AT_EDGE:
        return float("inf")
    gaps = [(routing.combine - theirs)[clear].abs().max().item(), *_others(built, routing, clear)]
    return max(gap if gap == gap else float("inf") for gap in gaps)


def our_router(rule: Rule, built: Built) -> Router:
    """Our router with the class's tensors. RuntimeError where they do not fit."""
    return _router(settings(rule, built), rule.tensors)


def _router(config: ModelConfig, tensors: dict[str, Tensor]) -> Router:
    router = build_router(config, layer=1).eval()
    router.load_state_dict(tensors, strict=True)
    return router


def _clear(router: Router, routing: Routing, built: Built, rule: Rule) -> Tensor:
    """(N,) bool: tokens that keep their experts when their input is a little longer or shorter."""
    chosen, clear = routing.combine != 0, torch.ones(routing.n_tokens, dtype=torch.bool)
    for factor in (1 + EDGE, 1 - EDGE):
        clear &= ((router(built.x * factor, **rule.call).combine != 0) == chosen).all(dim=1)
    return clear


def _others(built: Built, routing: Routing, clear: Tensor) -> Iterator[float]:
    """How far everything else that the class returned is from ours; a number for each expert is a logit or a score."""
    for theirs in built.answer.others:
        if theirs.shape[-1] not in (routing.n_experts, built.probe.n_experts):
            ours = next((t for t in (routing.shared_weights, routing.state) if t is not None), None)
            fits = ours is not None and ours.shape == theirs.shape
            yield (ours - theirs)[clear].abs().max().item() if fits else float("inf")


@torch.no_grad()
def effects(config: ModelConfig) -> dict[str, float]:
    """How far one changed option moves the weights of this model's router, by the option; those that do not left out.

    Random tensors and N_TOKENS random tokens with logits around 1, the largest difference over all tokens and experts.
    An option that acts only on few tokens is left out, too.
    """
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: 0.5 * torch.randn(t.shape, generator=generator) if t.is_floating_point() else t
        for name, t in build_router(config, layer=1).state_dict().items()
    }
    x = 2 * torch.randn(N_TOKENS, config.d_model, generator=generator) / config.d_model**0.5  # (N, D)
    call: dict[str, object] = {}
    if config.router == "hash":
        call["token_ids"] = torch.randint(0, config.vocab_size, (1, N_TOKENS), generator=generator)
    if config.router == "mlp":
        call["before"] = SimpleNamespace(state=torch.randn(N_TOKENS, config.router_width, generator=generator))
    rule = Rule(vars(config), tensors, call)
    ours, moved = _router(config, tensors)(x, **call).combine, {}
    for name, other in changed(rule, config).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = _router(ModelConfig(**other.fields), other.tensors)(x, **other.call).combine
        except (ValueError, RuntimeError):  # an option that this rule cannot have
            continue
        width = min(ours.shape[1], theirs.shape[1])  # a router that can skip has a column more
        gaps = (ours[:, :width] - theirs[:, :width]).abs().amax(dim=1)  # (N,)
        if (gaps > DIFFERENT).float().mean() > FEW:
            moved[name] = gaps.max().item()
    return moved


def changed(rule: Rule, fields: ModelConfig) -> dict[str, Rule]:
    """The rule, whose settings are `fields`, with one option changed, by the option: what must not fit as well."""
    other = {f"score: {value}": {"score": value} for value in CHOICES["score"] if value != fields.score}
    for name in ("order", "select_on", "group_score", "group_fill"):
        (value,) = set(CHOICES[name]) - {getattr(fields, name)}
        other[name] = {name: value}
    other["renorm"] = {"renorm": not fields.renorm, "renorm_eps": 0.0}
    for name, off in (("routed_scale", 1.0), ("logit_scale", 1.0), ("logit_softcap", None), ("renorm_eps", 0.0)):
        if getattr(fields, name) != off:
            other[name] = {name: off}
    if fields.n_groups > 1:
        other["n_groups"] = {"n_groups": 1, "topk_groups": 1, "group_score": "top2sum", "group_fill": "-inf"}
    if fields.router == "sparse_mixer":
        other["jitter"] = {"jitter": 2 * fields.jitter}
    rules = {name: Rule(rule.fields | change, rule.tensors, rule.call) for name, change in other.items()}
    for name in SCALES & rule.tensors.keys():
        rules[name] = Rule(rule.fields, rule.tensors | {name: torch.ones_like(rule.tensors[name])}, rule.call)
    if "before" in rule.call:
        rules["before"] = Rule(rule.fields, rule.tensors)
    if fields.router != "top_k":
        usual = {name: t for name, t in rule.tensors.items() if name in ("weight", "bias", "logit_bias")}
        rules["router"] = Rule(rule.fields | {"router": "top_k", "jitter": 0.0}, usual)
    for name, tensor in (("selection_bias", "bias"), ("router_bias", "logit_bias")):
        if getattr(fields, name):
            without = {key: value for key, value in rule.tensors.items() if key != tensor}
            rules[name] = Rule(rule.fields | {name: False, "select_on": "score"}, without, rule.call)
    return rules
