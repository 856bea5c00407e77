"""Settings of a model and of a training run: flat, frozen, and checked where they are made."""

from dataclasses import dataclass, replace

from moe_lite.conflicts import conflicts
from moe_lite.fields import is_not_negative, is_positive, is_positive_int, is_whole, require

SCORES = ("softmax", "sigmoid")
ORDERS = ("score_first", "topk_first")
GATES = ("output", "input")
IMPLEMENTATIONS = ("sorted", "loop")
ROUTERS = ("top_k", "noisy_top_k", "expert_choice")
BALANCES = ("switch", "pooled", "gshard", "sequence", "importance", "importance_and_load")
PRIORITIES = ("position", "score", "first_choice")
CHOICES = {
    "score": SCORES, "order": ORDERS, "gate_on": GATES, "implementation": IMPLEMENTATIONS,
    "router": ROUTERS, "balance": BALANCES, "priority": PRIORITIES,
}  # fmt: skip


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
    n_shared_experts: int = 0  # run for every token, beside the chosen ones
    implementation: str = "sorted"
    # router
    router: str = "top_k"
    score: str = "softmax"
    order: str = "score_first"
    renorm: bool = True
    routed_scale: float = 1.0
    n_groups: int = 1
    topk_groups: int = 1
    jitter: float = 0.0  # training only
    selection_bias: bool = False
    gate_on: str = "output"
    capacity_factor: float | None = None  # training only; None drops nothing
    priority: str = "position"  # which tokens find room first
    allow_lookahead: bool = False  # expert choice: a token's experts depend on the tokens that follow it
    # loss = cross-entropy + balance_coef · balancing loss + z_coef · router z-loss
    balance: str = "switch"  # which balancing loss (moe_lite.balancing)
    balance_coef: float = 0.01
    z_coef: float = 0.001
    # the rest of the transformer
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts"):
            require(self, name, is_positive_int, "a whole number of at least 1")
        for name in ("top_k", "d_expert", "n_groups", "topk_groups"):
            require(self, name, is_positive_int, "a whole number of at least 1")
        require(self, "n_shared_experts", is_whole, "a whole number of at least 0")
        require(self, "n_heads", lambda n: self.d_model % n == 0, f"a divisor of d_model={self.d_model}")
        require(self, "n_kv_heads", lambda n: self.n_heads % n == 0, f"a divisor of n_heads={self.n_heads}")
        require(self, "d_model", lambda d: d // self.n_heads % 2 == 0, "even per head (rotary positions pair them)")
        for name, known in CHOICES.items():
            require(self, name, known.__contains__, f"one of {known}")
        for name in ("renorm", "selection_bias", "allow_lookahead"):
            require(self, name, lambda v: isinstance(v, bool), "True or False")
        for name in ("jitter", "balance_coef", "z_coef"):
            require(self, name, is_not_negative, "a number of at least 0")
        for name in ("routed_scale", "rope_theta", "norm_eps", "init_std"):
            require(self, name, is_positive, "a number above 0")
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

    @property
    def is_dense(self) -> bool:
        return self.n_experts == 1

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


def dense_twin(config: ModelConfig) -> ModelConfig:
    """The dense model that spends as many FLOPs in its feed-forward as `config` activates (router aside)."""
    active = config.top_k + config.n_shared_experts
    return replace(config, n_experts=1, top_k=1, n_shared_experts=0, d_expert=active * config.d_expert)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Learning rate: linear warm-up, then cosine that would reach `min_lr_ratio · lr` at `steps`."""

    steps: int = 400
    batch_size: int = 16
    length: int = 128  # tokens a row
    lr: float = 2e-3
    warmup_steps: int = 40
    min_lr_ratio: float = 0.1
    weight_decay: float = 0.1  # matrices only
    clip_norm: float = 1.0
    bias_step: float = 0.0  # for models with a selection bias; DeepSeek-V3 uses 0.001
    bias_until: int | None = None  # the step after which the bias stands still; None: it never does
    seed: int = 0
    validate_every: int = 0  # 0: never during training
    validation_windows: int = 4  # a domain, while training

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "length"):
            require(self, name, is_positive_int, "a whole number of at least 1")
        for name in ("warmup_steps", "validate_every", "validation_windows", "seed"):
            require(self, name, is_whole, "a whole number of at least 0")
        require(self, "bias_until", lambda n: n is None or is_whole(n), "None or a whole number of at least 0")
        for name in ("lr", "clip_norm"):
            require(self, name, is_positive, "a number above 0")
        for name in ("weight_decay", "bias_step"):
            require(self, name, is_not_negative, "a number of at least 0")
        require(self, "min_lr_ratio", lambda r: 0 <= r <= 1, "a number from 0 to 1")
