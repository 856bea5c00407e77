"""The parts of a model and their sizes: one function for each part. No model is built.

Each part is a `Size`, which keeps apart what is multiplied with a token's vector and what is not.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from moe_lite.families.published_models import PublishedModel

PARTS = ("embedding", "attention", "router", "experts", "shared", "dense", "norms", "head")


@dataclass(frozen=True)
class Size:
    """Parameters: `matrices` multiply a token's vector, at 2 FLOPs per entry; `vectors` are looked up or added."""

    matrices: int = 0
    vectors: int = 0

    @property
    def parameters(self) -> int:
        return self.matrices + self.vectors

    def __add__(self, other: "Size") -> "Size":
        return Size(self.matrices + other.matrices, self.vectors + other.vectors)

    def __mul__(self, times: int) -> "Size":
        return Size(times * self.matrices, times * self.vectors)


class Kind(NamedTuple):
    """What tells the layers of a model apart."""

    stack: str  # "encoder" or "decoder"
    softmax: bool  # or linear
    sparse: bool


def embedding(m: PublishedModel) -> Size:
    return Size(vectors=(m.vocab_size + m.n_positions) * m.d_model)


def head(m: PublishedModel) -> Size:
    return Size(0 if m.tied else m.vocab_size * m.d_model, m.vocab_size * m.head_bias)


def norm(m: PublishedModel) -> Size:
    return Size(vectors=m.d_model * (2 if m.norm_bias else 1))


def softmax_attention(m: PublishedModel) -> Size:
    """Queries, keys, values and the way back; also T5's cross-attention."""
    queries, keys = m.n_heads * m.d_head, m.n_kv_heads * m.d_head
    outputs = (2 if m.output_gate else 1) * queries + 2 * keys
    norms = {"": 0, "head": 2 * m.d_head, "full": queries + keys}[m.qk_norm]
    biases = outputs * m.qkv_bias + m.d_model * m.out_bias
    return Size(m.d_model * (outputs + queries), biases + norms + m.n_heads * m.sinks)


def latent_attention(m: PublishedModel) -> Size:
    """DeepSeek-V2's: a token is compressed to kv_rank + d_rope numbers, from which all heads make keys and values."""
    queries = m.n_heads * (m.d_head + m.d_rope)
    down = m.kv_rank + m.d_rope + m.q_rank  # what is compressed to
    query = m.q_rank * queries if m.q_rank else m.d_model * queries
    up, back = m.kv_rank * m.n_heads * (m.d_head + m.d_value), m.n_heads * m.d_value * m.d_model
    biases = down * m.qkv_bias + m.d_model * m.out_bias
    return Size(m.d_model * down + query + up + back, biases + m.q_rank + m.kv_rank)


def deltanet(m: PublishedModel) -> Size:
    """Gated DeltaNet (Qwen3-Next): queries, keys, values and their gate, two numbers per value head, a convolution."""
    keys, values = m.n_key_heads * m.d_key_head, m.n_value_heads * m.d_value_head
    inward = m.d_model * (2 * keys + 2 * values + 2 * m.n_value_heads)
    convolution = m.conv_width * (2 * keys + values)
    return Size(inward + convolution + values * m.d_model, 2 * m.n_value_heads + m.d_value_head)


def lightning(m: PublishedModel) -> Size:
    """MiniMax-01's linear attention: queries, keys, values, a gate, the way back, and a norm over all heads."""
    width = m.n_heads * m.d_head
    return Size(5 * m.d_model * width, width)


def mamba(m: PublishedModel) -> Size:
    """Jamba's Mamba: in and gate, a convolution, then step, B and C from each token; decay and skip are learned."""
    inward, step = 2 * m.d_model * m.d_inner, m.d_inner * (m.d_step + 2 * m.d_state) + m.d_step * m.d_inner
    decay_and_skip, step_bias = m.d_inner * (m.d_state + 1), m.d_inner
    biases = m.d_inner * m.conv_bias + (2 * m.d_inner + m.d_model) * m.linear_bias
    norms = m.d_step + 2 * m.d_state
    matrices = inward + m.conv_width * m.d_inner + step + m.d_inner * m.d_model
    return Size(matrices, decay_and_skip + step_bias + biases + norms)


def network(m: PublishedModel, width: int, bias: bool, d: int = 0) -> Size:
    """One feed-forward network. d: the width that it reads and writes, if it is not the model's."""
    inward, d = 2 if m.gated else 1, d or m.d_model
    return Size((inward + 1) * d * width, (inward * width + d) * bias)


def router(m: PublishedModel) -> Size:
    choices = m.n_experts + m.zero_experts
    weights = m.d_model * choices if m.router_weights is None else m.router_weights
    return Size(weights, choices * m.router_bias + m.router_vectors)


def shared(m: PublishedModel) -> Size:
    return network(m, m.d_shared, m.dense_bias and m.d_shared > 0) + Size(m.d_model * m.shared_gate)


ATTENTIONS = {"softmax": softmax_attention, "latent": latent_attention}
LINEAR = {"deltanet": deltanet, "lightning": lightning, "mamba": mamba}


def layer(m: PublishedModel, kind: Kind, n_experts: int) -> dict[str, Size]:
    """One layer by part, with `n_experts` of its experts: all of them, or those that work on one token."""
    crossing = 1 if m.n_encoder_layers and kind.stack == "decoder" else 0
    attention = ATTENTIONS[m.attention] if kind.softmax else LINEAR[m.linear]
    parts = {
        "attention": attention(m) * (m.attentions_per_layer + crossing),
        "norms": norm(m) * (m.norms_per_layer + crossing),
    }
    if kind.sparse:
        experts = network(m, m.d_expert, m.expert_bias, m.d_latent) * n_experts + Size(2 * m.d_model * m.d_latent)
        parts |= {"router": router(m), "experts": experts}
        parts |= {"shared": shared(m), "dense": network(m, m.d_dense, m.dense_bias) * m.dense_beside}
    else:
        parts |= {"dense": network(m, m.d_dense, m.dense_bias)}
    return parts


def kinds(m: PublishedModel) -> Counter[Kind]:
    """How many layers there are of each kind, in the order in which a token meets them."""
    encoder = (Kind("encoder", True, i in m.sparse_encoder_layers) for i in range(m.n_encoder_layers))
    decoder = (Kind("decoder", is_softmax(m, i), i in m.sparse_layers) for i in range(m.n_layers))
    return Counter([*encoder, *decoder])


def is_softmax(m: PublishedModel, i: int) -> bool:
    return not m.linear or i in m.softmax_layers


def model_parts(m: PublishedModel, n_experts: int) -> dict[str, Size]:
    """A whole model by part, each of its sparse layers with `n_experts` experts."""
    parts = dict.fromkeys(PARTS, Size()) | {"embedding": embedding(m), "head": head(m)}
    stacks = 2 if m.n_encoder_layers else 1
    parts["norms"] += norm(m) * stacks
    parts["attention"] += Size(vectors=m.position_buckets * m.n_heads) * stacks
    for kind, n in kinds(m).items():
        for part, size in layer(m, kind, n_experts).items():
            parts[part] += size * n
    return parts


def mtp(m: PublishedModel) -> Size:
    """Layers that predict a later token (DeepSeek-V3): a matrix from two vectors to one, a layer, and three norms."""
    one = Size(2 * m.d_model * m.d_model) + norm(m) * 3
    for size in layer(m, Kind("decoder", True, bool(m.sparse_layers)), m.n_experts).values():
        one += size
    return one * m.mtp_layers
