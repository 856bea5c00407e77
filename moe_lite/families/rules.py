"""From a class of `transformers` to our settings: what its configuration says, and the few that it leaves open."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from types import SimpleNamespace

from torch import Tensor

from moe_lite.families.build import Built
from moe_lite.model.config import GROUP_FILLS, GROUP_SCORES, ORDERS, SCORES, SELECT_ON

# settings of the classes -> the field of ModelConfig that means the same
SAME = {
    "norm_topk_prob": "renorm", "routed_scaling_factor": "routed_scale", "router_scaling_factor": "routed_scale",
    "route_scale": "routed_scale", "scoring_func": "score", "expert_selection_fn": "score", "n_group": "n_groups",
    "topk_group": "topk_groups", "moe_router_logit_softcapping": "logit_softcap", "output_multiplier": "logit_scale",
    "use_expert_bias": "selection_bias", "moe_normalize_expert_weights": "renorm", "router_jitter_noise": "jitter",
    "zero_expert_num": "n_zero_experts", "rms_norm_eps": "norm_eps",
}  # fmt: skip
# other values for them; a class is tried with these, too
MOVED = {
    "routed_scaling_factor": 0.7, "router_scaling_factor": 0.7, "route_scale": 0.7, "n_group": 4, "topk_group": 2,
    "topk_method": "group_limited_greedy", "moe_router_logit_softcapping": 2.0, "output_multiplier": 0.5,
    "use_expert_bias": False, "moe_normalize_expert_weights": None, "router_jitter_noise": 0.2,
    "rms_norm_eps": 0.01,
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
    kinds = {
        "top_k": _top_k, "hash": _hash, "sparse_mixer": _sparse_mixer, "normed": _normed,
        "competing_shared": _competing_shared, "mlp": _mlp,
    }  # fmt: skip
    for router in (fixed["router"],) if "router" in fixed else kinds:
        for rule in kinds[router](built, fixed):
            yield replace(rule, fields={"router": router} | rule.fields, tried={"router": router} | rule.tried)


def _usual(built: Built) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """What is said of the usual router, and its tensors: one matrix, perhaps a bias for choosing or in the logits."""
    tensors, d_model, n_experts = built.tensors, built.probe.d_model, built.probe.n_experts
    matrix = next((t for t in tensors.values() if t.dim() == 2 and t.shape[1] == d_model and len(t) >= n_experts), None)
    if matrix is None:
        return None
    own, told = {"weight": matrix} | _biases(tensors, len(matrix)), said(built.read)
    told["n_experts"] = len(matrix) - told.get("n_zero_experts", 0)
    told.pop("jitter", None)  # for training
    if told.pop("selection_bias", True) and "bias" in own:
        told["selection_bias"] = True
    else:
        own.pop("bias", None)
    if "logit_bias" in own:
        told["router_bias"] = True
    return told, own


def _top_k(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    if found := _usual(built):
        yield from _completed(*found, {}, built, fixed)


def _hash(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """A table of experts by token id beside the matrix, and ids among the arguments."""
    tables = [t for n, t in built.tensors.items() if not t.is_floating_point() and n not in built.given]
    ids = [t for t in built.given.values() if not t.is_floating_point()]
    if tables and ids and (found := _usual(built)):
        told, own = found
        told |= {"vocab_size": len(tables[0])}
        yield from _completed(told, own | {"table": tables[0]}, {"token_ids": ids[0]}, built, fixed)


def _sparse_mixer(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    jitter = built.read.get("router_jitter_noise")
    if jitter and (found := _usual(built)):
        told, own = found
        yield Rule({"n_experts": told["n_experts"], "renorm": False, "jitter": jitter}, own)


def _normed(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """A vector as long as a token and one with a number for each expert, beside the matrix."""
    vectors = [t for t in built.tensors.values() if t.dim() == 1]
    inputs = [t for t in vectors if len(t) == built.probe.d_model]
    scales = [t for t in vectors if len(t) == built.probe.n_experts]
    if inputs and scales and (found := _usual(built)):
        told, own = found
        own |= {"input_scale": inputs[0], "expert_scale": scales[0]}
        yield from _completed(told, own, {}, built, fixed)


def _competing_shared(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """A matrix with rows for the shared experts behind the others', and one number."""
    n, numbers = built.probe.n_experts, [t for t in built.tensors.values() if t.shape == (1,)]
    if numbers and built.read.get("n_shared_experts") and (found := _usual(built)):
        told, own = found
        n_shared = len(own["weight"]) - n
        own |= {"weight": own["weight"][:n], "shared_weight": own["weight"][n:], "global_scale": numbers[0]}
        own |= _biases(built.tensors, n)
        told |= {"n_experts": n, "n_shared_experts": n_shared, "renorm": True}
        if n_shared:
            yield from _completed(told | {"selection_bias": "bias" in own}, own, {}, built, fixed)


# our names -> how the names of an MLP router's tensors end
MLP = {
    "weight": "out_proj.weight", "narrow": "down_proj.weight", "narrow_bias": "down_proj.bias",
    "norm_scale": "norm.weight", "hidden.0": "fc1.weight", "hidden_bias.0": "fc1.bias", "hidden.1": "fc2.weight",
    "hidden_bias.1": "fc2.bias", "memory_scale": "states_scale", "bias": "balancing_biases",
}  # fmt: skip


def _mlp(built: Built, fixed: dict[str, object]) -> Iterator[Rule]:
    """A state, two layers on it, and one row of scores more than there are experts."""
    found = {own: t for own, end in MLP.items() for name, t in built.tensors.items() if name.endswith(end)}
    states = [t for name, t in built.given.items() if "state" in name]
    if len(found) == len(MLP) and states:
        told = said(built.read) | {"selection_bias": True, "router_width": states[0].shape[-1]}
        before = SimpleNamespace(state=states[0].flatten(0, -2))
        yield from _completed(told | {"n_experts": built.probe.n_experts}, found, {"before": before}, built, fixed)


def _completed(
    told: dict[str, object], own: dict[str, Tensor], call: dict[str, object], built: Built, fixed: dict[str, object]
) -> Iterator[Rule]:
    """One rule for each way to fill in what the configuration leaves open."""
    for open_fields in _open(told, fixed):
        fields = told | open_fields
        if fields.get("routed_scale") == OVER_K:
            fields["routed_scale"] = 1.0 / built.top_k
        if not fields["renorm"]:
            fields["renorm_eps"] = 0.0  # there is no sum that it could go into
        yield Rule(fields, own, call, tried=open_fields)


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
