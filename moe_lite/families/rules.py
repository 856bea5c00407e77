"""From a class of `transformers` to our settings: what its configuration says, and the few that it leaves open."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from torch import Tensor

from moe_lite.families.build import Built
from moe_lite.model.config import GROUP_FILLS, GROUP_SCORES, ORDERS, SCORES, SELECT_ON

# settings of the classes -> the field of ModelConfig that means the same
SAME = {
    "norm_topk_prob": "renorm", "routed_scaling_factor": "routed_scale", "router_scaling_factor": "routed_scale",
    "route_scale": "routed_scale", "scoring_func": "score", "expert_selection_fn": "score", "n_group": "n_groups",
    "topk_group": "topk_groups", "moe_router_logit_softcapping": "logit_softcap", "output_multiplier": "logit_scale",
    "use_expert_bias": "selection_bias", "moe_normalize_expert_weights": "renorm", "router_jitter_noise": "jitter",
}  # fmt: skip
# other values for them; a class is tried with these, too
MOVED = {
    "routed_scaling_factor": 1.7, "router_scaling_factor": 1.7, "route_scale": 1.7, "n_group": 4, "topk_group": 2,
    "topk_method": "group_limited_greedy", "moe_router_logit_softcapping": 2.0, "output_multiplier": 0.5,
    "use_expert_bias": False, "moe_normalize_expert_weights": None, "router_jitter_noise": 0.2,
}  # fmt: skip
# numbers that a class may have written into its code
EPSILONS, OVER_K = (0.0, 1e-6), "1/k"
# names of what is added for choosing only, and of what is added to the logits
CHOOSES, IN_LOGITS = ("correction", "balanc", "expert_bias"), ("bias",)


@dataclass(frozen=True)
class Rule:
    """One of our routers: its fields of ModelConfig, its tensors by our names, and what a call of it needs."""

    fields: dict[str, object]
    tensors: dict[str, Tensor]
    call: dict[str, object] = field(default_factory=dict)
    tried: dict[str, object] = field(default_factory=dict)  # those of the fields that no configuration said


def moves(read: dict[str, object], only: tuple[str, ...] | None = None) -> dict[str, object]:
    """The class's own settings, or `only` some of them, at other values than their defaults."""
    moved = {name: MOVED[name] for name in read if name in MOVED}
    if only is not None:
        return {name: value for name, value in moved.items() if name in only}
    if "norm_topk_prob" in read:
        moved["norm_topk_prob"] = not read["norm_topk_prob"]
    if "scoring_func" in read:
        moved["scoring_func"] = "sqrtsoftplus" if read["scoring_func"] == "sigmoid" else "sigmoid"
    if "expert_selection_fn" in read:
        moved["expert_selection_fn"] = "sigmoid" if read["expert_selection_fn"] == "softmax" else "softmax"
    return moved


def said(read: dict[str, object]) -> dict[str, object]:
    """What the configuration that a class read says of our fields."""
    fields = {SAME[name]: value for name, value in read.items() if name in SAME}
    if read.get("topk_method") == "greedy":
        fields |= {"n_groups": 1, "topk_groups": 1}
    if "renorm" in fields:
        fields["renorm"] = fields["renorm"] not in (None, False)  # an order of the norm, 1, or none
    if "logit_softcap" in fields:
        fields["logit_softcap"] = fields["logit_softcap"] or None
    return {name: 1 if value is None and "group" in name else value for name, value in fields.items()}


def candidates(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """Rules that the class could follow, simple ones first. `fixed`: what was tried and fits another probe of it."""
    yield from _top_k(built, fixed)


def _top_k(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """The usual router: one matrix, perhaps a bias for choosing or one in the logits."""
    tensors, d_model, n_experts = built.tensors, built.probe.d_model, built.probe.n_experts
    matrix = next((t for t in tensors.values() if t.dim() == 2 and t.shape[1] == d_model and len(t) >= n_experts), None)
    if matrix is None:
        return
    own = {"weight": matrix} | _biases(tensors, len(matrix))
    told = said(built.read) | {"n_experts": len(matrix)}
    told.pop("jitter", None)  # for training
    if told.pop("selection_bias", True) and "bias" in own:
        told["selection_bias"] = True
    else:
        own.pop("bias", None)
    if "logit_bias" in own:
        told["router_bias"] = True
    for open_fields in _open(told, fixed):
        fields = told | open_fields
        if fields.get("routed_scale") == OVER_K:
            fields["routed_scale"] = 1.0 / built.top_k
        if not fields["renorm"]:
            fields["renorm_eps"] = 0.0  # there is no sum that it could go into
        yield Rule(fields, own, tried=open_fields)


def _biases(tensors: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
    """Vectors with a number for each expert, by what their names say they are for."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() == rows and tensor.squeeze().dim() == 1:
            if any(word in name for word in CHOOSES):
                found["bias"] = tensor.flatten()
            elif any(word in name for word in IN_LOGITS):
                found["logit_bias"] = tensor.flatten()
    return found


def _open(told: dict[str, object], fixed: dict[str, object]) -> Iterator[dict[str, object]]:
    """What the configuration leaves open, all combinations, our defaults first."""
    grouped = told.get("n_groups", 1) > 1
    choices = {"score": SCORES, "order": ORDERS, "renorm": (True, False), "routed_scale": (1.0, OVER_K)}
    choices = {name: values for name, values in choices.items() if name not in told}
    if told.get("selection_bias") or grouped:
        choices["select_on"] = SELECT_ON
    if grouped:
        choices |= {"group_fill": GROUP_FILLS, "group_score": GROUP_SCORES[::-1]}
    choices["renorm_eps"] = EPSILONS
    choices = {name: (fixed[name],) if name in fixed else values for name, values in choices.items()}
    combinations = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    defaults = {name: values[0] for name, values in choices.items()}
    yield from sorted(combinations, key=lambda c: sum(c[name] != defaults[name] for name in c))
