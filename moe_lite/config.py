"""Settings of a model and of a training run: flat, frozen, and checked where they are made."""

from dataclasses import dataclass, fields, replace

SCORES = ("softmax", "sigmoid")
ORDERS = ("score_first", "topk_first")
GATES = ("output", "input")
IMPLEMENTATIONS = ("sorted", "loop")


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
    # loss = cross-entropy + balance_coef · balancing loss + z_coef · router z-loss
    balance_coef: float = 0.01
    z_coef: float = 0.001
    # the rest of the transformer
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts"):
            _require(self, name, _is_positive_int, "a whole number of at least 1")
        for name in ("top_k", "d_expert", "n_groups", "topk_groups"):
            _require(self, name, _is_positive_int, "a whole number of at least 1")
        _require(self, "n_shared_experts", _is_whole, "a whole number of at least 0")
        _require(self, "n_heads", lambda n: self.d_model % n == 0, f"a divisor of d_model={self.d_model}")
        _require(self, "n_kv_heads", lambda n: self.n_heads % n == 0, f"a divisor of n_heads={self.n_heads}")
        _require(self, "d_model", lambda d: d // self.n_heads % 2 == 0, "even per head (rotary positions pair them)")
        _require(self, "score", SCORES.__contains__, f"one of {SCORES}")
        _require(self, "order", ORDERS.__contains__, f"one of {ORDERS}")
        _require(self, "gate_on", GATES.__contains__, f"one of {GATES}")
        _require(self, "implementation", IMPLEMENTATIONS.__contains__, f"one of {IMPLEMENTATIONS}")
        for name in ("renorm", "selection_bias"):
            _require(self, name, lambda v: isinstance(v, bool), "True or False")
        for name in ("jitter", "balance_coef", "z_coef"):
            _require(self, name, _is_not_negative, "a number of at least 0")
        for name in ("routed_scale", "rope_theta", "norm_eps", "init_std"):
            _require(self, name, _is_positive, "a number above 0")
        _require(
            self, "capacity_factor", lambda c: c is None or _is_positive(c), "None (drop nothing) or a number above 0"
        )
        if self.n_experts > 1:
            self._check_routing()

    def _check_routing(self) -> None:
        _require(self, "top_k", lambda k: k <= self.n_experts, f"at most n_experts={self.n_experts}")
        _require(self, "n_groups", lambda g: self.n_experts % g == 0, f"a divisor of n_experts={self.n_experts}")
        _require(self, "topk_groups", lambda g: g <= self.n_groups, f"at most n_groups={self.n_groups}")
        allowed = self.topk_groups * (self.n_experts // self.n_groups)
        _require(
            self, "top_k", lambda k: k <= allowed, f"at most {allowed}, the experts in {self.topk_groups} group(s)"
        )
        if self.order == "topk_first" and (self.selection_bias or self.n_groups > 1):
            raise ValueError(
                "ModelConfig: order='topk_first' chooses among logits; selection_bias and n_groups are defined on "
                "scores, so they need order='score_first'."
            )

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
    seed: int = 0
    validate_every: int = 0  # 0: never during training
    validation_windows: int = 4  # a domain, while training

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "length"):
            _require(self, name, _is_positive_int, "a whole number of at least 1")
        for name in ("warmup_steps", "validate_every", "validation_windows", "seed"):
            _require(self, name, _is_whole, "a whole number of at least 0")
        for name in ("lr", "clip_norm"):
            _require(self, name, _is_positive, "a number above 0")
        for name in ("weight_decay", "bias_step"):
            _require(self, name, _is_not_negative, "a number of at least 0")
        _require(self, "min_lr_ratio", lambda r: 0 <= r <= 1, "a number from 0 to 1")


def from_dict(kind: type, values: dict):
    """`kind(**values)`, refusing names that `kind` does not have (a checkpoint of another version)."""
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return kind(**values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive_int(value: object) -> bool:
    return _is_whole(value) and value >= 1


def _is_positive(value: float) -> bool:
    return 0 < value < float("inf")


def _is_not_negative(value: float) -> bool:
    return 0 <= value < float("inf")


def _require(config: object, name: str, fits, expected: str) -> None:
    value = getattr(config, name)
    try:
        good = fits(value)
    except TypeError:
        good = False
    if not good:
        raise ValueError(f"{type(config).__name__}: {name} is {value!r}, expected {expected}.")
