"""The language model around the sparse layer: embeddings, blocks, losses, generation.

A Llama-style decoder (RMSNorm, rotary positions, grouped-query attention, SwiGLU); with experts it is Mixtral's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.attention import Attention, KVCache, RMSNorm, turns
from moe_lite.model.balance import BALANCE_LOSSES, BalanceLoss, z_loss
from moe_lite.model.config import VARYING, ModelConfig
from moe_lite.model.experts import Dispatch, Experts, Form, SwiGLU
from moe_lite.model.fast_decoding import can_decode, decoder
from moe_lite.model.inputs import IGNORED, check_ids, check_padding, check_targets
from moe_lite.model.moe import LayerFn, MoELayer, moe_layer
from moe_lite.model.routers import ROUTERS
from moe_lite.model.routing import Router, Routing, TopK


@dataclass
class LMOutput:
    """What one forward pass gives. `loss = cross_entropy + balance_coef · balance_loss + z_coef · z_loss`.

    The terms are raw, each the mean over MoE layers; None without targets. `routing` has one entry a MoE layer.
    """

    logits: Tensor  # (B, T, V)
    loss: Tensor | None = None
    cross_entropy: Tensor | None = None
    balance_loss: Tensor | None = None
    z_loss: Tensor | None = None
    routing: list[Routing] = field(default_factory=list)


def sample_token(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Draw token ids from softmax(logits / temperature); temperature 0 takes the most probable. (B, V) -> (B,)."""
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}, expected a number of at least 0.")
    if temperature == 0:
        return logits.argmax(dim=-1)  # (B,)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]  # (B,)


Sample = Callable[[Tensor, float, torch.Generator | None], Tensor]


_locks: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()


def one_mode(model: nn.Module) -> RLock:
    """Held by whoever needs the model in one mode: a text written while a training runs must not end its dropping."""
    return _locks.setdefault(model, RLock())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards in the mode it had. Walks through all modules only where it must."""
    with one_mode(model):
        if not model.training:
            yield
            return
        model.eval()
        try:
            yield
        finally:
            model.train()


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); the feed-forward is dense or sparse."""

    def __init__(self, config: ModelConfig, layer: int, **own_parts):
        """own_parts: functions in place of our own, as for `build_moe_layer`."""
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = RMSNorm(config.d_model, config.norm_eps)
        if width := config.dense_width(layer):
            self.feed_forward = SwiGLU(config.d_model, width, form=Form(config.expert, config.expert_clamp))
        else:
            self.feed_forward = build_moe_layer(config, layer, **own_parts)

    def forward(self, x: Tensor, cache, start: int, turn: Tensor, **router_options) -> tuple[Tensor, Routing | None]:
        """x (B, T, D); cache, start and turn as for `Attention`, options for the router."""
        x = x + self.attention(self.attention_norm(x), cache, start, turn)  # (B, T, D)
        h = self.feed_forward_norm(x)  # (B, T, D)
        if isinstance(self.feed_forward, SwiGLU):
            return x + self.feed_forward(h), None
        y, routing = self.feed_forward(h, **router_options)
        return x + y, routing


def build_moe_layer(
    config: ModelConfig, layer: int = 0, top_k_fn: TopK | None = None, dispatch_fn: Dispatch | None = None,
    layer_fn: LayerFn | None = None,
) -> MoELayer:  # fmt: skip
    """The sparse layer that `config` describes, with parameters not yet initialised."""
    if top_k_fn is not None and config.router != "top_k":
        raise ValueError(f"top_k_fn replaces the choice of router='top_k'; this model has router={config.router!r}.")
    if top_k_fn is not None and (config.selection_bias or config.n_groups > 1):
        raise ValueError("top_k_fn replaces the whole choice, so selection_bias and n_groups would have no effect.")
    if dispatch_fn is not None:
        usual_values = {"capacity_factor": None, "gate_on": "output", "expert": "swiglu"}
        for name, usual in (usual_values | {"expert_clamp": None, "expert_bias": False}).items():
            if getattr(config, name) != usual:
                raise ValueError(f"dispatch_fn knows nothing of {name}={getattr(config, name)!r}; expected {usual!r}.")
        if config.router in VARYING:
            raise ValueError(f"dispatch_fn needs K experts for every token; router={config.router!r} varies them.")
        if config.n_choices != config.n_experts:
            raise ValueError("dispatch_fn knows no experts that compute nothing (n_zero_experts, router='mlp').")
    if layer_fn is not None and config.router == "competing_shared":
        raise ValueError("layer_fn knows nothing of the weights that router='competing_shared' gives shared experts.")
    if layer_fn is not None and config.shared_average:
        raise ValueError("layer_fn adds the shared experts' answer or not as it likes; expected shared_average=False.")
    router = build_router(config, layer, top_k_fn)
    usual = partial(moe_layer, average=True) if config.shared_average else moe_layer
    form = Form(config.expert, config.expert_clamp)
    experts = Experts(
        config.n_experts, config.d_model, config.d_expert, config.implementation, dispatch_fn, form, config.expert_bias,
        config.d_latent,
    )  # fmt: skip
    width = config.n_shared_experts * config.d_expert
    shared = SwiGLU(config.d_model, width, config.shared_gate, form) if width else None
    return MoELayer(
        router, experts, shared, capacity=config.capacity_factor, priority=config.priority, gate_on=config.gate_on,
        layer_fn=usual if layer_fn is None else layer_fn,
    )  # fmt: skip


def build_router(config: ModelConfig, layer: int = 0, top_k_fn: TopK | None = None) -> Router:
    """The router that `config` describes, with parameters not yet initialised."""
    kind, n_rows = ROUTERS[config.router], config.n_experts + config.n_zero_experts
    return kind(
        config.d_model, n_rows, config.top_k, jitter=config.jitter, selection_bias=config.selection_bias,
        router_bias=config.router_bias, balance_batches=config.balance_batches, layer=layer, top_k_fn=top_k_fn,
        **{name: getattr(config, name) for name in kind.takes}, **config.routing_options(),
    )  # fmt: skip


class MoELanguageModel(nn.Module):
    """Token ids in, logits of the next token out, and a Routing for each sparse layer on the way."""

    def __init__(
        self, config: ModelConfig, *, top_k_fn: TopK | None = None, balance_loss: BalanceLoss | None = None,
        dispatch_fn: Dispatch | None = None, layer_fn: LayerFn | None = None, seed: int = 0,
    ):  # fmt: skip
        """Functions that replace our own: top_k_fn (as `routing.top_k_route`), balance_loss (Routing of each layer ->
        scalar), and in every sparse layer dispatch_fn (as `lessons.dispatch.sparse_forward`) and layer_fn (as
        `moe.moe_layer`)."""
        super().__init__()
        for name, fn in (("dispatch_fn", dispatch_fn), ("layer_fn", layer_fn)):
            if fn is not None and config.is_dense:
                raise ValueError(f"{name} needs experts, but this model is dense (n_experts=1): it has none.")
        self.config = config
        self.balance_loss = balance_loss or BALANCE_LOSSES[config.balance]
        self.embed = nn.Embedding(config.vocab_size, config.d_model)
        own_parts = {"top_k_fn": top_k_fn, "dispatch_fn": dispatch_fn, "layer_fn": layer_fn}
        self.blocks = nn.ModuleList(Block(config, layer, **own_parts) for layer in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.register_buffer("turns", self._turns(), persistent=False)  # (2, context_length, S)
        self._initialise(torch.Generator().manual_seed(seed))

    @property
    def moe_layers(self) -> list[MoELayer]:
        """The sparse layers, first to last; a dense model has none."""
        layers = [block.feed_forward for block in self.blocks]
        return [layer for layer in layers if not isinstance(layer, SwiGLU)]

    def _turns(self) -> Tensor:
        return turns(self.config.context_length, self.config.d_head, self.config.rope_theta)

    def _apply(self, fn, recurse=True):
        """No checkpoint holds the turns: a model that leaves the meta device makes them anew."""
        was_meta = self.turns.is_meta
        super()._apply(fn, recurse)
        if was_meta and not self.turns.is_meta:
            self.turns = self._turns().to(self.turns)
        return self

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal(0, init_std), biases 0; what writes to the residual stream is smaller by sqrt(2L), as in GPT-2."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and not name.endswith("_bias"):
                writes = name.endswith(("attention.out.weight", "down"))
                std = self.config.init_std / ((2 * self.config.n_layers) ** 0.5 if writes else 1)
                parameter.normal_(0, std, generator=generator)

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        *,
        top_k: int | None = None,
        cache: KVCache | None = None,
        token_mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> LMOutput:
        """ids (B, T) int64 or int32 -> LMOutput. What cannot be read so raises ValueError.

        targets     (B, T), already shifted: targets[b, t] follows ids[b, t]; −100 is not counted
        top_k       experts per token for this call instead of the configured number
        cache       filled and read in place; ids are then the tokens that follow what it holds
        token_mask  (B, T) bool or 0 and 1, False for padding on the right: left out of loads and balancing
        generator   for router jitter in training
        """
        start = 0 if cache is None else len(cache)
        self._check(ids, start, top_k)
        if targets is not None:
            check_targets(targets, ids, self.config.vocab_size)
        if token_mask is not None:
            check_padding(token_mask, ids)
        x = self.embed(ids)  # (B, T, D)
        turn = self.turns[:, start : start + ids.shape[1]]  # (2, T, S)
        routings = []
        for block in self.blocks:
            x, routing = block(
                x, cache, start, turn, token_ids=ids, top_k=top_k, token_mask=token_mask, generator=generator,
                before=routings[-1] if routings else None,
            )  # fmt: skip
            if routing is not None:
                routings.append(routing)
        logits = self.head(self.norm(x))  # (B, T, V)
        if targets is None:
            return LMOutput(logits, routing=routings)
        return self._losses(logits, targets, routings)

    def _losses(self, logits: Tensor, targets: Tensor, routings: list[Routing]) -> LMOutput:
        cross_entropy = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten().long(), ignore_index=IGNORED)
        if not routings:
            zero = cross_entropy.new_zeros(())
            return LMOutput(logits, cross_entropy, cross_entropy, zero, zero, [])
        balance, z = self.balance_loss(routings), z_loss(routings)
        loss = cross_entropy + self.config.balance_coef * balance + self.config.z_coef * z
        return LMOutput(logits, loss, cross_entropy, balance, z, routings)

    def _check(self, ids: Tensor, start: int, top_k: int | None) -> None:
        check_ids(ids, self.config.vocab_size)
        if start + ids.shape[1] > self.config.context_length:
            raise ValueError(f"{start + ids.shape[1]} tokens, but context_length is {self.config.context_length}.")
        if top_k is not None and not 1 <= top_k <= self.config.n_experts:
            raise ValueError(f"top_k is {top_k}, expected a number from 1 to n_experts={self.config.n_experts}.")

    @torch.no_grad()
    def generate(
        self, ids: Tensor, n_tokens: int, *, temperature: float = 1.0, generator: torch.Generator | None = None,
        sample: Sample = sample_token, routing: bool = True,
    ) -> Iterator[tuple[Tensor, LMOutput]]:  # fmt: skip
        """Yield one new token at a time: its id (B,) and the LMOutput that `sample` drew it from.

        ids (B, T) is the prompt. Runs in evaluation mode and leaves the mode as it was. routing=False: none for new
        tokens, for speed; a text is written in half the time where `fast_decoding` knows the model. The first token
        raises ValueError when prompt and new tokens do not fit into context_length, or where experts choose tokens.
        """
        if self.config.router == "expert_choice":
            raise ValueError("router='expert_choice' needs the whole text, so it cannot generate token by token.")
        check_ids(ids, self.config.vocab_size)
        if ids.shape[1] + n_tokens > self.config.context_length:
            raise ValueError(
                f"{ids.shape[1]} tokens of prompt + {n_tokens} new, but context_length is {self.config.context_length}."
            )
        cache, decode = KVCache(self.config.n_layers), None
        for n_left in range(n_tokens, 0, -1):
            if decode is not None:
                output = LMOutput(decode(ids[:, 0]))
            else:
                with evaluating(self):  # not around the yield: who draws a token may do with the model what they like
                    output = self(ids, cache=cache)
            token = sample(output.logits[:, -1].float(), temperature, generator)  # (B,)
            yield token, output
            if not routing and n_left == n_tokens > 1 and can_decode(self, (MoELanguageModel, Block)):
                decode = decoder(self, cache, n_tokens - 1)
            ids = token[:, None]  # (B, 1)
