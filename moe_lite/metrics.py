"""What is measured: how evenly experts are used, and what a model holds and activates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import MoELanguageModel

DEAD_BELOW = 0.01  # of the mean load


def load_cv(load: Tensor) -> Tensor:
    """Coefficient of variation of the load over experts, population form.

    load (..., E), assignments an expert -> (...). 0 is even; full collapse onto K experts gives sqrt(E/K − 1).
    """
    load = load.double()
    return load.std(dim=-1, correction=0) / load.mean(dim=-1)


def max_violation(load: Tensor) -> Tensor:
    """How far the busiest expert is above the mean, as a share of the mean: 0 is even. (..., E) -> (...)."""
    load = load.double()
    return load.amax(dim=-1) / load.mean(dim=-1) - 1


def load_entropy(load: Tensor) -> Tensor:
    """Entropy of the load over log E: 1 is even, 0 is one expert. (..., E) -> (...)."""
    share = load.double() / load.double().sum(dim=-1, keepdim=True)
    return torch.special.entr(share).sum(dim=-1) / torch.tensor(float(load.shape[-1])).log()


def dead_experts(load: Tensor) -> Tensor:
    """How many experts get less than 1 % of the mean load. (..., E) -> (...) int64."""
    load = load.double()
    return (load < DEAD_BELOW * load.mean(dim=-1, keepdim=True)).sum(dim=-1)


def fair_multiples(load: Tensor) -> Tensor:
    """Each load as a multiple of the fair share, 0 where nothing was assigned. (..., E) -> (..., E) float64."""
    load = load.double()
    return load / load.mean(dim=-1, keepdim=True).clamp(min=torch.finfo(load.dtype).tiny)


class LoadStatistics(NamedTuple):
    """How evenly one layer's experts are used."""

    entropy: float  # over log E: 1 is even
    cv: float  # 0 is even
    max_violation: float  # 0 is even
    dead: int


def load_statistics(load: Tensor) -> LoadStatistics:
    """All four of one load (E,)."""
    measures = load_entropy(load), load_cv(load), max_violation(load)
    return LoadStatistics(*(measure.item() for measure in measures), int(dead_experts(load)))


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a model. Both vocabulary matrices are counted, in `total` and in `active`."""

    total: int
    active: int  # what works on one token: everything but the experts that were not chosen
    experts: int
    router: int


def count_parameters(model: MoELanguageModel) -> ParameterCount:
    """Counted from the modules themselves."""
    total = _numel(model)
    layers = model.moe_layers
    experts = sum(_numel(layer.experts) for layer in layers)
    router = sum(_numel(layer.router) for layer in layers)
    idle = len(layers) * (model.config.n_experts - model.config.top_k) * _expert(model.config)
    return ParameterCount(total=total, active=total - idle, experts=experts, router=router)


def flops_per_token(model: MoELanguageModel, context: int) -> int:
    """Multiply-adds of the forward pass for one token, times two, with `context` tokens to attend to.

    Matrix products only: 2 for each active weight of a matrix (the input embedding is a lookup, biases are added), and
    attention's scores and mix.
    """
    config = model.config
    vectors = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() == 1)  # norms
    vectors += config.n_sparse_layers * config.top_k * _bias(config)
    weights = count_parameters(model).active - _numel(model.embed) - vectors
    attention = 2 * config.n_layers * config.n_heads * config.d_head * context
    return 2 * (weights + attention)


@dataclass(frozen=True)
class Budget:
    """Parameters, and forward FLOPs for one token, by part of the model, in the order in which a token meets them.

    Parts: embedding, attention, feed-forward, norms, head; a sparse model has router and experts (the shared ones
    among them) in place of feed-forward, or behind it where its first layers are dense, and its FLOPs count the experts
    that work on the token.
    """

    parameters: dict[str, int]
    flops: dict[str, int]

    @property
    def total_parameters(self) -> int:
        return sum(self.parameters.values())

    @property
    def total_flops(self) -> int:
        return sum(self.flops.values())


def budget(config: ModelConfig, context: int) -> Budget:
    """What `count_parameters` and `flops_per_token` count, by part and from the config alone: no model is built.

    `context` tokens to attend to.
    """
    c, layers = config, config.n_layers
    normed = {"none": 0, "head": 2, "full": c.n_heads + c.n_kv_heads}[c.qk_norm] * c.d_head  # queries and keys
    vocabulary, vectors = c.vocab_size * c.d_model, (2 * layers + 1) * c.d_model + layers * normed
    attention = 2 * layers * c.d_model * (c.n_heads + c.n_kv_heads) * c.d_head  # query and out; key and value
    look_back = 2 * layers * c.n_heads * c.d_head * context  # multiply-adds of the scores, and as many of the mix
    held, worked = {}, {}
    if widths := [width for layer in range(layers) if (width := c.dense_width(layer))]:
        dense = _network(c, sum(widths))
        held, worked = {"feed-forward": dense}, {"feed-forward": 2 * dense}
    if not c.is_dense:
        router, vectors_of_routers = _routers(c)
        shared = c.n_shared_experts * _network(c, c.d_expert) + c.d_model * c.shared_gate
        beside = shared + 2 * c.d_model * (c.d_latent or 0)  # the matrices to and from the experts' width
        experts = c.n_sparse_layers * (beside + c.n_experts * _expert(c))
        active = c.n_sparse_layers * (beside + c.top_k * (_expert(c) - _bias(c)))
        held |= {"router": router + vectors_of_routers, "experts": experts}
        worked |= {"router": 2 * router, "experts": 2 * active}
    parameters = {"embedding": vocabulary, "attention": attention, **held, "norms": vectors, "head": vocabulary}
    flops = {"embedding": 0, "attention": 2 * (attention + look_back), **worked, "norms": 0, "head": 2 * vocabulary}
    return Budget(parameters, flops)


def _network(c: ModelConfig, width: int, d: int | None = None) -> int:
    """Parameters in the matrices of a feed-forward network: gate, up and down, or without a gate up and down.

    d: the width of what it reads and writes, the model's unless said otherwise.
    """
    return (2 if c.expert == "relu2" else 3) * (d or c.d_model) * width


def _expert(c: ModelConfig) -> int:
    """Parameters of one expert that is chosen."""
    return _network(c, c.d_expert, c.d_latent) + _bias(c)


def _bias(c: ModelConfig) -> int:
    """Those of them that are in biases."""
    return c.expert_bias * ((1 if c.expert == "relu2" else 2) * c.d_expert + (c.d_latent or c.d_model))


def _routers(c: ModelConfig) -> tuple[int, int]:
    """Parameters of all routers of a sparse model: in matrices, which cost FLOPs, and in vectors."""
    width = c.router_width if c.router == "mlp" else c.d_model  # of what is scored
    matrix, vector = c.n_choices * width, c.n_choices * c.router_bias
    if c.router == "noisy_top_k":
        matrix *= 2  # scores, noise
    elif c.router == "competing_shared":
        matrix, vector = matrix + c.n_shared_experts * width, vector + 1
    elif c.router == "normed":
        vector += c.d_model + c.n_choices  # input scale, expert scale
    elif c.router == "mlp":
        matrix += c.d_model * width + 2 * width**2  # to the state, and two layers on it
        vector += 4 * width  # norm and three biases
    memory = (c.n_layers - 1) * width if c.router == "mlp" else 0
    return c.n_sparse_layers * matrix, c.n_sparse_layers * vector + memory


def count(config: ModelConfig, context: int) -> tuple[int, int, int]:
    """Total and active parameters, and forward FLOPs for one token, from the config alone."""
    found, idle = budget(config, context), 0
    if not config.is_dense:
        idle = config.n_sparse_layers * (config.n_experts - config.top_k) * _expert(config)
    return found.total_parameters, found.total_parameters - idle, found.total_flops


def expert_width(d_model: int, d_dense: int, n_experts: int, top_k: int, n_shared: int) -> tuple[int, float]:
    """The widest SwiGLU experts whose active ones cost no more FLOPs a token than a dense SwiGLU of width d_dense.

    Also what the layer then costs over the dense one, its router included (a dense layer, n_experts=1, has none).
    """
    active = top_k + n_shared
    d_expert, router = d_dense // active, n_experts * d_model if n_experts > 1 else 0
    return d_expert, (3 * active * d_expert * d_model + router) / (3 * d_dense * d_model)


def counted_flops(work: Callable[[], object]) -> int:
    """FLOPs of the matrix products in one call of `work`, as PyTorch's own counter sees them.

    Attention is computed in its plain form meanwhile: its fast forms are not counted on a processor. The counter does
    not know grouped products, so it is told how to count them.
    """
    grouped = getattr(torch.ops.aten, "_grouped_mm", None)  # missing before PyTorch 2.8
    known = {grouped: _grouped_flops} if grouped else {}
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=known) as counter:
        work()
    return counter.get_total_flops()


def _grouped_flops(rows: tuple[int, ...], weights: tuple[int, ...], *_, **__) -> int:
    """Of shapes (A, I) and (E, I, O): every row is multiplied with the matrix of one expert."""
    return 2 * rows[0] * weights[1] * weights[2]


def _numel(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
