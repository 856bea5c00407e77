"""How many parameters a model holds, how many of them work on a token, and what that costs. No model is built.

`count` takes a published model, by name or as a record, or a `ModelConfig` of ours; `from_hf_config` makes a record of
a config.json.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from moe_lite.families import counting_text
from moe_lite.families.counting_parts import Kind, Size, is_softmax, kinds, layer, model_parts, mtp
from moe_lite.families.published_models import PublishedModel, of_config, published
from moe_lite.metrics import budget
from moe_lite.model.config import ModelConfig, is_positive, is_positive_int, is_whole

BITS = (32, 16, 8, 4)


class LayerKind(NamedTuple):
    name: str
    layers: int
    parameters: int  # of one layer
    active: int


class Conventions(NamedTuple):
    """The same model in the three ways in which totals are published.

    A tied matrix is stored once, and it works as the head: only `body` leaves it out.
    """

    all: int
    without_embedding: int  # the input embedding is a lookup
    body: int  # without the head, too


@dataclass(frozen=True, repr=False)
class Count:
    """What `count` found. In Jupyter it shows as a table; printed, as text."""

    model: PublishedModel
    held: dict[str, Size]  # by part, in the order of PARTS
    worked: dict[str, Size]  # what of it works on one token
    layers: tuple[LayerKind, ...]
    mtp: int  # beside the rest, not part of the total

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters by part, parts that the model does not have left out."""
        return {part: size.parameters for part, size in self.held.items() if size.parameters}

    @property
    def active_parameters(self) -> dict[str, int]:
        """Those that work on one token, by part."""
        return {part: self.worked[part].parameters for part in self.parameters}

    @property
    def total(self) -> Conventions:
        return _conventions(self.model, self.held)

    @property
    def active(self) -> Conventions:
        """For one token: everything but the experts that it did not choose."""
        return _conventions(self.model, self.worked)

    @property
    def published_errors(self) -> tuple[float | None, float | None]:
        """How far total and active are above the published figures, each counted as the figure is; None without one."""
        m = self.model
        beside = {"": 0, "vision": m.vision, "mtp": self.mtp}[m.total_with]
        total, active = getattr(self.total, m.total_as) + beside, getattr(self.active, m.active_as)
        figures = ((total, m.published_total), (active, m.published_active))
        return tuple(None if figure is None else n / 1e9 / figure - 1 for n, figure in figures)

    def flops_per_token(self, context: int) -> int:
        """FLOPs of the forward pass for one token with `context` tokens to attend to, 2 for each multiply-add.

        Counted: the active matrices, router, head and convolutions among them; the attention's scores and its mix of
        values, with the whole context or window for every token, latent attention with its keys and values unpacked;
        the products with a linear layer's state, as a recurrence. Not counted: lookups, norms, biases, activations,
        rotary positions, softmax.
        """
        _check("context", context)
        m = self.model
        if m.n_encoder_layers:
            raise ValueError(f"{m.name}: a token passes the encoder or the decoder, so there is no one cost per token.")
        matrices = sum(size.matrices for size in self.worked.values()) + (m.vocab_size * m.d_model if m.tied else 0)
        return 2 * (matrices + _attended(m, context) * _products_per_pair(m) + _state_products(m))

    def weights_bytes(
        self, bits: int = 16, *, expert_bits: int | None = None, group: int | None = None, scale_bits: int = 16
    ) -> int:
        """Bytes of all weights (without MTP and vision): bits=32 fp32, 16 bf16, 8 int8, 4 int4.

        expert_bits: for the matrices of the routed experts only. group: one scale of `scale_bits` for so many weights,
        where these have 8 bits or fewer; MXFP4 is 4 bits with group=32, scale_bits=8.
        """
        of_experts = self.held["experts"].matrices
        split = [(self.total.all - of_experts, bits), (of_experts, bits if expert_bits is None else expert_bits)]
        for _, b in split:
            if b not in BITS or not isinstance(b, int):
                raise ValueError(f"bits is {b!r}, expected 32 (fp32), 16 (bf16), 8 (int8) or 4 (int4).")
        stored = sum(parameters * b for parameters, b in split)
        if group is not None:
            _check("group", group)
            _check("scale_bits", scale_bits)
            scaled = [parameters for parameters, b in split if b <= 8]
            if not scaled:
                raise ValueError(f"group={group} gives scales to weights of 8 bits or fewer; here all have {bits}.")
            stored += sum(-(-parameters // group) for parameters in scaled) * scale_bits
        return -(-stored // 8)

    def kv_cache_bytes(self, context: int, batch: int = 1, bytes_per_value: float = 2) -> int:
        """Bytes that generating keeps between tokens, for `batch` texts of `context` tokens.

        Keys and values; of latent attention the compressed vector, with its rotary part; of layers with a window only
        so many tokens; of linear layers their state, which does not grow with the context.
        """
        _check("context", context)
        _check("batch", batch)
        if not is_positive(bytes_per_value):
            raise ValueError(
                f"bytes_per_value is {bytes_per_value!r}, expected a number above 0: 2 for bf16, 1 for int8."
            )
        m = self.model
        if m.n_encoder_layers:
            raise ValueError(f"{m.name}: what is cached depends on two lengths, the encoder's text and the decoder's.")
        per_token = 2 * m.n_kv_heads * m.d_head if m.attention == "softmax" else m.kv_rank + m.d_rope
        values = _attended(m, context) * per_token + (m.n_layers - _softmax_layers(m)) * _state(m)
        return int(batch * values * bytes_per_value)

    def __repr__(self) -> str:
        return counting_text.as_text(*counting_text.of_count(self))

    def _repr_html_(self) -> str:
        return counting_text.as_html(*counting_text.of_count(self))


def count(model: PublishedModel | ModelConfig | str, *, zero_chosen: int = 0) -> Count:
    """Parameters by part and by kind of layer, in total and active; FLOPs and bytes are methods of what comes back.

    model: a record, the name of a published model, or a `ModelConfig`. zero_chosen: how many of a token's top_k choices
    are zero experts (LongCat-Flash), which cost nothing. ValueError for what is not one of these or cannot be counted.
    """
    if isinstance(model, str):
        if model not in published() and ("/" in model or model.endswith(".json") or Path(model).is_dir()):
            raise ValueError(
                f"count takes the name of a published model; {model!r} looks like a path. "
                f"families.count(families.from_hf_config({model!r})) counts a config.json."
            )
        model = published(model)
    elif isinstance(model, ModelConfig):
        found = count(of_config(model), zero_chosen=zero_chosen)
        _agrees(found, model)
        return found
    if not isinstance(model, PublishedModel):
        raise ValueError(
            f"count takes a PublishedModel, its name or a ModelConfig; {type(model).__name__} came. "
            "A config.json is read by families.from_hf_config."
        )
    if not is_whole(zero_chosen) or zero_chosen > min(model.top_k, model.zero_experts):
        most = min(model.top_k, model.zero_experts)
        raise ValueError(f"zero_chosen is {zero_chosen!r}; {model.name} can choose 0 to {most} zero experts per token.")
    works = min(model.top_k - zero_chosen, model.n_experts)
    layers = []
    for kind, n in kinds(model).items():
        sizes = [layer(model, kind, experts).values() for experts in (model.n_experts, works)]
        held, active = (sum(size.parameters for size in of_layer) for of_layer in sizes)
        layers.append(LayerKind(_name(model, kind), n, held, active))
    parts, active = model_parts(model, model.n_experts), model_parts(model, works)
    return Count(model, parts, active, tuple(layers), mtp(model).parameters)


def _agrees(found: Count, config: ModelConfig) -> None:
    """ValueError if a setting of `config` brings parameters or FLOPs of which families does not know."""
    parts = budget(config, 1)
    known, measured = (found.total.all, found.flops_per_token(1)), (parts.total_parameters, parts.total_flops)
    if known != measured:
        raise ValueError(
            f"families counts {known[0]:,} parameters and {known[1]:,} FLOPs, metrics.budget {measured[0]:,} and "
            f"{measured[1]:,}: a setting of this ModelConfig is not known to families."
        )


def _name(m: PublishedModel, kind: Kind) -> str:
    attention = {"softmax": "attention", "latent": "latent attention"}[m.attention] if kind.softmax else m.linear
    stack = f"{kind.stack}: " if m.n_encoder_layers else ""
    return f"{stack}{attention}, {'experts' if kind.sparse else 'dense'}"


def _conventions(m: PublishedModel, parts: dict[str, Size]) -> Conventions:
    everything = sum(size.parameters for size in parts.values())
    lookups = (m.n_positions + (0 if m.tied else m.vocab_size)) * m.d_model
    vocabulary = parts["embedding"].parameters + parts["head"].parameters
    return Conventions(everything, everything - lookups, everything - vocabulary)


def _softmax_layers(m: PublishedModel) -> int:
    return sum(is_softmax(m, i) for i in range(m.n_layers))


def _attended(m: PublishedModel, context: int) -> int:
    """Tokens that one token attends to, summed over all attentions."""
    spans = (min(context, m.window) if i in m.window_layers else context
             for i in range(m.n_layers) if is_softmax(m, i))  # fmt: skip
    return m.attentions_per_layer * sum(spans)


def _products_per_pair(m: PublishedModel) -> int:
    """Multiply-adds for a token and one that it attends to, in one attention: the scores, and the mix of values."""
    return m.n_heads * (2 * m.d_head if m.attention == "softmax" else m.d_head + m.d_rope + m.d_value)


def _state_products(m: PublishedModel) -> int:
    """Multiply-adds with the states of all linear layers for one token: write and read; deltanet also recalls."""
    one = {
        "": 0,
        "deltanet": 3 * m.n_value_heads * m.d_key_head * m.d_value_head,
        "lightning": 2 * m.n_heads * m.d_head * m.d_head,
        "mamba": 2 * m.d_inner * m.d_state,
    }[m.linear]
    return (m.n_layers - _softmax_layers(m)) * one


def _state(m: PublishedModel) -> int:
    """Values that one linear layer keeps for one text: its state, and the inputs that its convolution looks back on."""
    back = m.conv_width - 1
    return {
        "": 0,
        "deltanet": m.n_value_heads * m.d_key_head * m.d_value_head
        + back * (2 * m.n_key_heads * m.d_key_head + m.n_value_heads * m.d_value_head),
        "lightning": m.n_heads * m.d_head * m.d_head,
        "mamba": m.d_inner * m.d_state + back * m.d_inner,
    }[m.linear]


def _check(name: str, value: object) -> None:
    if not is_positive_int(value):
        raise ValueError(f"{name} is {value!r}, expected a whole number of at least 1.")
