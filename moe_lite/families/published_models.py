"""Published language models as one record each: every size that a parameter count needs, and what was published.

`published()` lists the names, `published(name)` is the record. The sizes and their sources are in
published_models.toml; `counting.count` turns a record into numbers.
"""

import tomllib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from moe_lite.families.published_closed import CLOSED
from moe_lite.metrics import budget
from moe_lite.model.config import ModelConfig, is_positive_int, is_whole, require

TABLE = Path(__file__).with_name("published_models.toml")
CONVENTIONS = ("all", "without_embedding", "body")
CHOICES = {
    "attention": ("softmax", "latent"),
    "linear": ("", "deltanet", "lightning", "mamba"),
    "qk_norm": ("", "head", "full"),
    "total_as": CONVENTIONS,
    "total_with": ("", "vision", "mtp"),
    "active_as": CONVENTIONS,
}
LAYERS = ("sparse_layers", "softmax_layers", "window_layers", "sparse_encoder_layers")
SIZES = ("vocab_size", "d_model", "n_layers", "n_heads", "d_head", "norms_per_layer", "attentions_per_layer")


@dataclass(frozen=True)
class PublishedModel:
    """One model. What a model does not have is 0, False, "" or (); layers are numbered from 0.

    Raises ValueError that names the field when a value does not fit.
    """

    name: str
    vocab_size: int
    d_model: int
    n_layers: int  # with an encoder: the decoder's
    tied: bool = False  # the head is the input embedding's matrix, stored once
    head_bias: bool = False
    n_positions: int = 0  # learned position vectors; rotary positions have none
    # norms: one in front of attention and one in front of the feed-forward is usual, and a final one
    norms_per_layer: int = 2
    norm_bias: bool = False
    # attention
    attention: str = "softmax"
    n_heads: int = 1
    n_kv_heads: int = 0  # softmax attention: at least 1
    d_head: int = 1  # latent attention: the part of a query without position
    qkv_bias: bool = False  # latent attention: on the two matrices that compress
    out_bias: bool = False
    qk_norm: str = ""  # one vector of d_head for all heads ("head"), or one over all heads ("full")
    output_gate: bool = False  # as many outputs again as the query has
    sinks: bool = False  # a number for each head, beside its scores
    attentions_per_layer: int = 1
    window: int = 0  # the tokens that a layer of window_layers sees
    window_layers: tuple[int, ...] = ()
    # latent attention (DeepSeek-V2): keys and values from one small vector
    q_rank: int = 0  # 0: queries are not compressed
    kv_rank: int = 0
    d_rope: int = 0
    d_value: int = 0
    # layers that keep a state of fixed size instead of keys and values; softmax_layers are the others
    linear: str = ""
    softmax_layers: tuple[int, ...] = ()  # without linear layers: all, not listed
    conv_width: int = 0  # deltanet, mamba
    n_key_heads: int = 0  # deltanet
    n_value_heads: int = 0
    d_key_head: int = 0
    d_value_head: int = 0
    d_inner: int = 0  # mamba
    d_state: int = 0
    d_step: int = 0  # the rank of its step size
    conv_bias: bool = False
    linear_bias: bool = False
    # feed-forward
    gated: bool = True  # SwiGLU or GEGLU: gate, up and down; else two matrices
    d_dense: int = 0  # width in the layers that are not sparse
    dense_bias: bool = False  # also in shared experts
    dense_beside: int = 0  # dense networks in each sparse layer, beside its experts
    sparse_layers: tuple[int, ...] = ()
    n_experts: int = 0
    top_k: int = 0
    d_expert: int = 0
    expert_bias: bool = False
    d_latent: int = 0  # experts read and write at this width, between two matrices; 0: at d_model
    zero_experts: int = 0  # experts without parameters that a token may choose: they return it unchanged
    d_shared: int = 0  # width of all shared experts together
    shared_gate: bool = False  # one number for each token
    router_bias: bool = False  # trained, in the logits
    router_weights: int | None = None  # of its matrices; None: d_model for each expert that can be chosen
    router_vectors: int = 0  # what else it holds, beside that bias
    # encoder and decoder (T5)
    n_encoder_layers: int = 0
    sparse_encoder_layers: tuple[int, ...] = ()
    position_buckets: int = 0  # a number for each distance and head, once in the encoder and once in the decoder
    # beside the language model
    vision: int = 0  # parameters
    mtp_layers: int = 0  # layers that predict a token further on (DeepSeek-V3)
    # what was published, in billions, and what it counts
    published_total: float | None = None
    total_as: str = "all"
    total_with: str = ""
    published_active: float | None = None
    active_as: str = "all"
    source: str = ""  # of the sizes and figures
    note: str = ""  # what does not add up, or is not counted

    def __post_init__(self) -> None:
        for name in SIZES:
            require(self, name, is_positive_int, "a whole number of at least 1")
        for f in fields(self):
            if f.type is int and f.name not in SIZES:
                require(self, f.name, is_whole, "a whole number of at least 0")
            elif f.type is bool:
                require(self, f.name, lambda v: isinstance(v, bool), "True or False")
        for name, known in CHOICES.items():
            require(self, name, known.__contains__, f"one of {known}")
        for name in LAYERS:
            n = self.n_encoder_layers if name == "sparse_encoder_layers" else self.n_layers
            require(self, name, lambda layers, n=n: layers == tuple(sorted({*layers} & {*range(n)})),
                    f"a tuple of different layers, in order, of {n}")  # fmt: skip
        for name, reason in _needed(self):
            require(self, name, lambda v: v > 0, f"at least 1: {reason}")
        if self.n_kv_heads:
            require(self, "n_kv_heads", lambda n: self.n_heads % n == 0, f"a divisor of n_heads={self.n_heads}")
        choosable = self.n_experts + self.zero_experts
        require(self, "top_k", lambda k: k <= choosable, f"at most {choosable}, the experts that can be chosen")

    @property
    def dense_layers(self) -> tuple[int, ...]:
        """The layers whose feed-forward works on every token; of an encoder and decoder, the decoder's."""
        return tuple(sorted({*range(self.n_layers)} - {*self.sparse_layers}))


def _needed(m: PublishedModel) -> Iterable[tuple[str, str]]:
    """Sizes that may be 0 in general, but not in this model: the field, and why."""
    if m.attention == "softmax":
        yield "n_kv_heads", "attention='softmax' has keys and values"
    else:
        yield from ((name, "attention='latent' has it") for name in ("kv_rank", "d_rope", "d_value"))
    parts = {"deltanet": ("conv_width", "n_key_heads", "n_value_heads", "d_key_head", "d_value_head"),
             "mamba": ("conv_width", "d_inner", "d_state", "d_step")}  # fmt: skip
    yield from ((name, f"linear={m.linear!r} has it") for name in parts.get(m.linear, ()))
    if m.sparse_layers or m.sparse_encoder_layers:
        yield from ((name, "there are sparse layers") for name in ("n_experts", "top_k", "d_expert"))
    if m.dense_layers or m.dense_beside:
        yield "d_dense", "there are dense layers"
    if m.window_layers:
        yield "window", "window_layers see only so many tokens"


@cache
def _table() -> dict[str, PublishedModel]:
    """Rows by name; one that others extend is no model by itself."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    bases = {row["extends"] for row in rows.values() if "extends" in row}
    models = {name: rows.get(row.get("extends"), {}) | row for name, row in rows.items() if name not in bases}
    return {name: _record(name, row) for name, row in models.items()}


def _record(name: str, row: dict) -> PublishedModel:
    row.pop("extends", None)
    for layers in LAYERS:
        if layers in row:
            n = row["n_encoder_layers" if layers == "sparse_encoder_layers" else "n_layers"]
            row[layers] = layers_of(row[layers], n)
    return PublishedModel(name, **row)


def layers_of(text: str, n: int) -> tuple[int, ...]:
    """ "3:" -> all of n layers from 3 on; "1::2" -> every second one; "!3::4" -> all but every fourth."""
    named = range(n)[slice(*(int(part) if part else None for part in text.removeprefix("!").split(":")))]
    return tuple(i for i in range(n) if (i in named) != text.startswith("!"))


def published(name: str | None = None) -> PublishedModel | list[str]:
    """The record of a published model, or, without a name, the names. ValueError for an unknown one lists near ones."""
    if name is None:
        return list(_table())
    closed = {model.name.lower() for model in CLOSED}
    if name.lower() in closed:
        raise ValueError(f"the sizes of {name} are not published. families.closed_models() says what is known.")
    if name not in _table():
        raise ValueError(unknown("published model", name, _table(), "families.published() lists all"))
    return _table()[name]


def unknown(what: str, name: object, known: Iterable[str], hint: str) -> str:
    """A sentence for a name that is not known, with those that are written like it."""
    by_small = {k.lower(): k for k in known}
    near = [by_small[k] for k in get_close_matches(str(name).lower(), by_small, n=4, cutoff=0.5)]
    return f"no {what} {name!r}" + (f"; near: {', '.join(near)}" if near else "") + f". {hint}."


def of_config(config: ModelConfig) -> PublishedModel:
    """A model of ours as the same record. What its routers hold is taken from `metrics.budget`.

    ValueError if they differ from layer to layer, or dense layers in width, which a record cannot say.
    """
    sizes = {name: getattr(config, name) for name in ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads")}
    if config.is_dense:
        mixture = {"d_dense": config.d_expert}
        if len({config.dense_width(layer) for layer in range(config.n_layers)}) > 1:
            raise ValueError("the dense layers of this model differ in width; see metrics.budget.")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there is to warn of was said where `config` was made
            one = _router(replace(config, n_layers=1, n_dense_layers=0, d_dense=None))
        if _router(config) != (config.n_sparse_layers * one[0], config.n_sparse_layers * one[1]):
            raise ValueError(f"router={config.router!r} holds more in one layer than in another; see metrics.budget.")
        mixture = {
            "sparse_layers": tuple(range(config.n_dense_layers, config.n_layers)),
            "d_dense": config.dense_width(0) or 0, "n_experts": config.n_experts, "top_k": config.top_k,
            "d_expert": config.d_expert, "d_shared": config.n_shared_experts * config.d_expert,
            "shared_gate": config.shared_gate,
            "d_latent": config.d_latent or 0,
            "expert_bias": config.expert_bias,
            "router_weights": one[0], "router_vectors": one[1], "zero_experts": config.n_zero_experts,
        }  # fmt: skip
    norms = "" if config.qk_norm == "none" else config.qk_norm
    return PublishedModel(
        "ModelConfig", **sizes, d_head=config.d_head, qk_norm=norms, gated=config.expert != "relu2", **mixture
    )


def _router(config: ModelConfig) -> tuple[int, int]:
    """Parameters of all routers: in matrices, and others."""
    found = budget(config, 1)
    matrices = found.flops["router"] // 2
    return matrices, found.parameters["router"] - matrices
