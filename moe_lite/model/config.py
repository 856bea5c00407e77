"""Settings of a model: flat, frozen, and checked where they are made."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

SCORES = ("softmax", "sigmoid", "sqrtsoftplus")
ORDERS = ("score_first", "topk_first")
SELECT_ON = ("score", "logit")
GROUP_SCORES = ("max", "top2sum")
GROUP_FILLS = ("-inf", "zero")
EXPERTS = ("swiglu", "geglu", "quick_geglu", "relu2")
GATES = ("output", "input")
QK_NORMS = ("none", "head", "full")
IMPLEMENTATIONS = ("sorted", "loop")
ROUTERS = (
    "top_k", "noisy_top_k", "expert_choice", "expert_threshold", "hash", "sparse_mixer", "normed", "competing_shared",
    "mlp",
)  # fmt: skip
VARYING = ("expert_choice", "expert_threshold")  # routers that give one token more experts than another
BALANCES = ("switch", "pooled", "gshard", "sequence", "importance", "importance_and_load")
PRIORITIES = ("position", "score", "first_choice")
CHOICES = {
    "score": SCORES, "order": ORDERS, "select_on": SELECT_ON, "group_score": GROUP_SCORES, "group_fill": GROUP_FILLS,
    "gate_on": GATES, "implementation": IMPLEMENTATIONS, "router": ROUTERS, "balance": BALANCES, "priority": PRIORITIES,
    "qk_norm": QK_NORMS, "expert": EXPERTS,
}  # fmt: skip


def to_route(default):
    """A setting that `routing.route` takes under the same name; routers hand it on without a look."""
    return field(default=default, metadata={"to_route": True})


@dataclass(frozen=True)
class ModelConfig:
    """A mixture-of-experts language model; `n_experts=1` is a plain dense transformer without a router.

    The defaults train in seconds. Raises ValueError that names the field when a value does not fit.
    """

    vocab_size: int = 2048
    n_layers: int = 4
    d_model: int = 128
    n_heads: int = 4
    n_kv_heads: int = 2  # fewer than n_heads: grouped-query attention, as in Mixtral
    context_length: int = 256
    # experts
    n_experts: int = 8
    top_k: int = 2  # not used by a dense model
    d_expert: int = 64
    expert: str = "swiglu"  # and every other feed-forward network; Grok-1: "geglu", Nemotron-H: "relu2", no gate
    expert_clamp: float | None = None  # its gate stays below, its up within ± this (gpt-oss: 7, DeepSeek-V4: 10)
    expert_bias: bool = False  # in both products of the experts that are chosen (gpt-oss)
    d_latent: int | None = None  # width at which they work, between two matrices (Nemotron-H); None: d_model
    n_shared_experts: int = 0  # run for every token, beside the chosen ones
    shared_gate: bool = False  # their answer times sigmoid(w · x), one number per token (Qwen2-MoE)
    shared_average: bool = False  # their answer and the others' are averaged instead of added (Cohere2-MoE)
    n_dense_layers: int = 0  # so many first layers have no experts (DeepSeek-V3: 3 of 61)
    d_dense: int | None = None  # width of those; None: what a token activates in a sparse layer
    n_zero_experts: int = 0  # can be chosen like the others and return the token as it is (LongCat-Flash)
    implementation: str = "sorted"
    # router
    router: str = "top_k"
    router_width: int = 32  # of the state of router="mlp"; not used by others
    threshold_memory: float = 0.99  # router="expert_threshold": share of the old threshold that each batch leaves
    threshold_warmup: int = 30  # and for how many batches of training experts choose instead (the paper: 4,000)
    score: str = to_route("softmax")  # DeepSeek-V3: "sigmoid", DeepSeek-V4: "sqrtsoftplus"
    order: str = to_route("score_first")
    renorm: bool = to_route(True)
    renorm_eps: float = to_route(0.0)  # added to the sum that renorm divides by; LFM2: 1e-6
    routed_scale: float = to_route(1.0)
    logit_scale: float = to_route(1.0)  # multiplies the logits before they are scored (Muse Spark)
    logit_softcap: float | None = to_route(None)  # bends the logits so that none is larger than this (Laguna)
    select_on: str = to_route("score")  # what selection bias and groups work on; Kolibri 1: "logit"
    n_groups: int = to_route(1)
    topk_groups: int = to_route(1)
    group_score: str = to_route("top2sum")  # what a group is worth; DeepSeek-V2: "max", DeepSeek-V3: "top2sum"
    group_fill: str = to_route("-inf")  # what experts of closed groups are worth; "zero" can beat negatives (A.X K2)
    jitter: float = 0.0  # training only; for router="sparse_mixer" how near to the best an expert must be
    selection_bias: bool = False  # chooses, never weighs; moved by a rule in the trainer
    router_bias: bool = False  # trained, part of the logits (gpt-oss)
    gate_on: str = "output"
    capacity_factor: float | None = None  # training only; None drops nothing
    priority: str = "position"  # which tokens find room first
    allow_lookahead: bool = False  # expert choice: a token's experts depend on the tokens that follow it
    # loss = cross-entropy + balance_coef · balancing loss + z_coef · router z-loss
    balance: str = "switch"  # which balancing loss (balance.BALANCE_LOSSES)
    balance_coef: float = 0.01
    balance_batches: int = 1  # balance="switch": over how many batches, up to this one, choices are counted
    z_coef: float = 0.001
    # the rest of the transformer
    qk_norm: str = "none"  # RMSNorm of queries and keys, per "head" (Qwen3) or over the "full" width (OLMoE)
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts"):
            require(self, name, is_positive_int, "a whole number of at least 1")
        for name in (
            "top_k",
            "d_expert",
            "n_groups",
            "topk_groups",
            "router_width",
            "threshold_warmup",
            "balance_batches",
        ):
            require(self, name, is_positive_int, "a whole number of at least 1")
        for name in ("n_shared_experts", "n_zero_experts", "n_dense_layers"):
            require(self, name, is_whole, "a whole number of at least 0")
        require(self, "n_dense_layers", lambda n: n < self.n_layers, f"fewer than n_layers={self.n_layers}")
        width = "None (what a token activates in a sparse layer) or a whole number of at least 1"
        require(self, "d_dense", lambda d: d is None or is_positive_int(d), width)
        require(self, "d_dense", lambda d: d is None or self.n_dense_layers, "None, because n_dense_layers is 0")
        require(self, "n_heads", lambda n: self.d_model % n == 0, f"a divisor of d_model={self.d_model}")
        require(self, "n_kv_heads", lambda n: self.n_heads % n == 0, f"a divisor of n_heads={self.n_heads}")
        require(self, "d_model", lambda d: d // self.n_heads % 2 == 0, "even per head (rotary positions pair them)")
        for name, known in CHOICES.items():
            require(self, name, known.__contains__, f"one of {known}")
        for name in (
            "renorm",
            "selection_bias",
            "router_bias",
            "allow_lookahead",
            "shared_gate",
            "expert_bias",
            "shared_average",
        ):
            require(self, name, lambda v: isinstance(v, bool), "True or False")
        for name in ("jitter", "renorm_eps", "balance_coef", "z_coef"):
            require(self, name, is_not_negative, "a number of at least 0")
        require(self, "threshold_memory", lambda m: is_not_negative(m) and m < 1, "a number from 0 to below 1")
        for name in ("routed_scale", "logit_scale", "rope_theta", "norm_eps", "init_std"):
            require(self, name, is_positive, "a number above 0")
        latent = "None (as wide as the model) or a whole number of at least 1"
        require(self, "d_latent", lambda d: d is None or is_positive_int(d), latent)
        clamp = "None (nothing is clamped) or a number above 0"
        require(self, "expert_clamp", lambda c: c is None or is_positive(c), clamp)
        no_gate = "None, because expert='relu2' has no gate"
        require(self, "expert_clamp", lambda c: c is None or self.expert != "relu2", no_gate)
        softcap = "None (logits as they are) or a number above 0"
        require(self, "logit_softcap", lambda c: c is None or is_positive(c), softcap)
        require(
            self, "capacity_factor", lambda c: c is None or is_positive(c), "None (drop nothing) or a number above 0"
        )
        if self.n_experts > 1:
            self._check_routing()

    def _check_routing(self) -> None:
        require(self, "top_k", lambda k: k <= self.n_experts, f"at most n_experts={self.n_experts}")
        require(self, "n_groups", lambda g: self.n_experts % g == 0, f"a divisor of n_experts={self.n_experts}")
        require(self, "topk_groups", lambda g: g <= self.n_groups, f"at most n_groups={self.n_groups}")
        allowed = self.topk_groups * (self.n_experts // self.n_groups)
        require(self, "top_k", lambda k: k <= allowed, f"at most {allowed}, the experts in {self.topk_groups} group(s)")
        for conflict in conflicts(self):
            raise ValueError(f"ModelConfig: {conflict}")
        if self.router_without_gradient:
            warnings.warn(f"ModelConfig: {self.router_without_gradient}", stacklevel=4)

    @property
    def router_without_gradient(self) -> str:
        """Why the cross-entropy has no gradient for the router, and the way out; empty where it has one."""
        chosen_sum_to_1 = self.renorm or self.order == "topk_first" and self.score == "softmax"
        if self.is_dense or self.top_k > 1 or not chosen_sum_to_1:
            return ""
        if self.router in ("hash", "sparse_mixer", "competing_shared"):
            return ""  # nothing is to be learned; the draw has a gradient; the shared experts stand in the sum
        told = "top_k=1 with renormalised weights makes every weight 1, whatever the scores"
        way_out = "top_k=2" if self.router == "noisy_top_k" else "renorm=False, with order='score_first'"
        return f"{told}: the cross-entropy has no gradient for the router. Set {way_out}."

    def routing_options(self) -> dict[str, object]:
        """The settings that go to `routing.route`, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata.get("to_route")}

    @property
    def is_dense(self) -> bool:
        return self.n_experts == 1

    def dense_width(self, layer: int) -> int | None:
        """How wide the one feed-forward network of this layer is, counted from 0; None where the layer is sparse."""
        if layer >= self.n_dense_layers:
            return self.d_expert if self.is_dense else None
        active = 1 if self.is_dense else self.top_k + self.n_shared_experts
        return self.d_dense or active * self.d_expert

    @property
    def n_sparse_layers(self) -> int:
        return 0 if self.is_dense else self.n_layers - self.n_dense_layers

    @property
    def n_choices(self) -> int:
        """What a token chooses among: the experts, and those that compute nothing."""
        return self.n_experts + self.n_zero_experts + (self.router == "mlp")

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


def dense_twin(config: ModelConfig) -> ModelConfig:
    """The dense model that spends as many FLOPs in its feed-forward as `config` activates (router aside)."""
    if config.d_latent:
        raise ValueError(f"d_latent is {config.d_latent}: no width of a dense network costs what these experts do.")
    active = config.top_k + config.n_shared_experts
    sizes = {"n_experts": 1, "top_k": 1, "n_shared_experts": 0, "d_expert": active * config.d_expert}
    same = {} if config.d_dense else {"n_dense_layers": 0}  # layers that are dense already, and as wide as the others
    return replace(config, **sizes, **same, shared_gate=False, shared_average=False)


def conflicts(c) -> Iterator[str]:
    """One sentence for each contradiction in the ModelConfig `c`: what is set against what, and the way out."""
    if c.order == "topk_first" and (c.selection_bias or c.n_groups > 1):
        yield (
            "order='topk_first' chooses among logits; selection_bias and n_groups are defined on scores, so they need "
            "order='score_first'."
        )
    if c.priority != "position" and c.capacity_factor is None:
        yield f"priority={c.priority!r} says who finds room at a full expert; with capacity_factor=None none is full."
    if c.group_score != "top2sum" and c.n_groups == 1:
        yield f"group_score={c.group_score!r} says what a group of experts is worth; with n_groups=1 there is only one."
    if c.shared_gate and (not c.n_shared_experts or c.router == "competing_shared"):
        yield (
            "shared_gate=True weighs the answer of the shared experts: it needs n_shared_experts of at least 1, and a "
            "router that does not weigh them itself (router='competing_shared' does)."
        )
    if c.shared_average and not c.n_shared_experts:
        yield "shared_average=True averages with the answer of shared experts: it needs n_shared_experts of at least 1."
    if c.balance == "importance_and_load" and c.router != "noisy_top_k":
        yield "balance='importance_and_load' needs the noise of router='noisy_top_k': the load is smooth through it."
    if c.balance_batches > 1 and c.balance != "switch":
        yield f"balance_batches={c.balance_batches} counts choices for balance='switch'; balance is {c.balance!r}."
    yield from _without_effect(c)
    if c.router == "noisy_top_k":
        yield from _noisy(c)
    yield from _own_kind(c)
    if c.n_zero_experts:
        yield from _zero_experts(c)
    if c.router == "expert_choice":
        yield from _expert_choice(c)
    elif c.allow_lookahead:
        yield f"allow_lookahead=True is for router='expert_choice'; router={c.router!r} does not look ahead."


def _without_effect(c) -> Iterator[str]:
    if c.select_on == "logit" and not c.selection_bias and c.n_groups == 1:
        yield (
            "select_on='logit' says what selection_bias and n_groups work on; without them the experts with the best "
            "logits are those with the best scores."
        )
    if c.group_fill != "-inf" and c.n_groups == 1:
        yield f"group_fill={c.group_fill!r} fills closed groups of experts; with n_groups=1 none is closed."
    if c.renorm_eps and not c.renorm:
        yield f"renorm_eps={c.renorm_eps} goes into the sum that renorm divides by; renorm is False."


# What a router of its own kind does with the settings of the usual one; the other kinds take them all.
BENDS = {"logit_scale", "logit_softcap", "router_bias"}
USES = {
    "expert_threshold": {"score", "renorm", "router_bias"},
    "hash": {"score", "renorm", "renorm_eps", "routed_scale", *BENDS},
    "sparse_mixer": {"renorm", "jitter", "router_bias"},
    "competing_shared": {"score", "renorm", "routed_scale", "selection_bias", "select_on", *BENDS},
    "mlp": {"score", "order", "renorm", "renorm_eps", "routed_scale", "selection_bias", "select_on", *BENDS},
}


def _own_kind(c) -> Iterator[str]:
    """Settings that the kind of router would pass over in silence, and what it cannot do without."""
    if c.router in USES:
        names = {f.name for f in fields(c) if f.metadata.get("to_route")} | {"jitter", "selection_bias", "router_bias"}
        for f in fields(c):
            if f.name in names - USES[c.router] and getattr(c, f.name) != f.default:
                yield f"router={c.router!r} does nothing with {f.name}={getattr(c, f.name)!r}."
    if c.router == "sparse_mixer" and c.renorm:
        yield "router='sparse_mixer' weighs each choice on its own: renorm must be False."
    if c.router == "sparse_mixer" and not c.jitter:
        yield "router='sparse_mixer' needs jitter, how near to the best an expert must be: 0.01 in the paper, not 0."
    if c.router == "expert_threshold" and (c.renorm or c.balance not in ("switch", "pooled", "importance")):
        yield (
            "router='expert_threshold' weighs with the score alone and varies the number of experts: renorm must be "
            "False, and balance one of 'switch', 'pooled' and 'importance'."
        )
    if c.router == "competing_shared" and (not c.n_shared_experts or not c.renorm or c.score == "softmax"):
        yield (
            "router='competing_shared' divides by the sum over chosen and shared experts, each scored alone: it needs "
            "n_shared_experts of at least 1, renorm=True and a score other than 'softmax'."
        )
    if c.router == "mlp" and c.n_dense_layers:
        yield "router='mlp' reads the state of the layer before, which a dense layer does not have: n_dense_layers=0."
    if c.router == "mlp" and c.capacity_factor is not None:
        yield "router='mlp' lets tokens skip, so capacity_factor must be None: skipping needs no room."


def _zero_experts(c) -> Iterator[str]:
    if c.router not in ("top_k", "noisy_top_k", "normed") or c.n_groups > 1 or c.capacity_factor is not None:
        yield (
            f"n_zero_experts={c.n_zero_experts} needs a router that takes the best of all: 'top_k', 'noisy_top_k' or "
            "'normed', with n_groups=1 and capacity_factor=None."
        )
    if c.d_latent:
        yield f"d_latent={c.d_latent}: what n_zero_experts return would not be the token, but what is left of it."


def _noisy(c) -> Iterator[str]:
    if c.score != "softmax" or not c.renorm:
        yield "router='noisy_top_k' takes a softmax over the chosen logits: score must be 'softmax' and renorm True."
    if c.selection_bias or c.n_groups > 1:
        yield "router='noisy_top_k' chooses by noisy logits: selection_bias and n_groups are not defined for it."
    if c.jitter:
        yield f"router='noisy_top_k' brings its own noise: jitter={c.jitter} would be a second one."


def _expert_choice(c) -> Iterator[str]:
    if not c.allow_lookahead:
        yield (
            "with router='expert_choice' a token's experts depend on the tokens that follow it, so a language model "
            "learns to look at what it should predict. Set allow_lookahead=True to build it all the same."
        )
    if c.renorm:
        yield "router='expert_choice' weighs an expert's answer with its score alone: renorm must be False."
    if c.capacity_factor is not None:
        yield "router='expert_choice' fills every expert to the same number: capacity_factor must be None."
    if c.selection_bias or c.n_groups > 1 or c.order == "topk_first":
        yield "router='expert_choice' lets experts choose: selection_bias, n_groups and order do not apply to it."
    if c.logit_scale != 1 or c.logit_softcap is not None:
        yield "router='expert_choice' scores the logits as they are: logit_scale and logit_softcap do not apply to it."
    if c.balance != "switch":
        yield f"router='expert_choice' is balanced by construction: balance={c.balance!r} has nothing to do."
    if c.jitter:
        yield f"router='expert_choice' has no jitter, jitter={c.jitter} was asked for."


def from_dict(kind: type, values: dict):
    """`kind(**values)`, refusing names that `kind` does not have (a checkpoint of another version)."""
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return kind(**values)


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_positive_int(value: object) -> bool:
    return is_whole(value) and value >= 1


def is_number(value: object) -> bool:
    """A plain one: what NumPy or PyTorch make cannot be written into a checkpoint's header."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_positive(value: object) -> bool:
    return is_number(value) and 0 < value < float("inf")


def is_not_negative(value: object) -> bool:
    return is_number(value) and 0 <= value < float("inf")


def require(config: object, name: str, fits, expected: str) -> None:
    value = getattr(config, name)
    try:
        good = fits(value)
    except TypeError:
        good = False
    if not good:
        raise ValueError(f"{type(config).__name__}: {name} is {value!r}, expected {expected}.")
