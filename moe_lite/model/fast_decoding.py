"""Writing texts, token by token, without the modules around the arithmetic: the numbers of the model, no Routing.

Skip this file at first: it says again, in one loop, what `transformer`, `attention`, `routing` and `experts` say. With
few tokens, most of the time goes into calling modules and recording who went where, not into arithmetic.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.attention import Attention, KVCache, RMSNorm, rotate
from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import Experts, SwiGLU, swiglu
from moe_lite.model.fast import best_of, each_expert
from moe_lite.model.moe import MoELayer, moe_layer
from moe_lite.model.routing import Router

SIZES = (  # and what matters in training only. Where any other setting is not the usual one, the model itself writes
    "vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts", "top_k", "d_expert",
    "n_shared_experts", "implementation", "jitter", "capacity_factor", "priority", "balance", "balance_coef",
    "balance_batches", "z_coef", "rope_theta", "norm_eps", "init_std",
)  # fmt: skip
PARTS = (nn.Embedding, nn.Linear, nn.ModuleList, RMSNorm, Attention, SwiGLU, MoELayer, Router, Experts)


def can_decode(model: nn.Module, own: tuple[type, ...]) -> bool:
    """Whether `decoder` computes what this model computes: usual settings, no part replaced, nobody listening in.

    own: the classes of the model itself and of its blocks, which are built from the parts known here.
    """
    usual = ModelConfig()
    if any(getattr(model.config, f.name) != getattr(usual, f.name) for f in fields(usual) if f.name not in SIZES):
        return False
    for module in model.modules():
        if type(module) not in (*own, *PARTS) or module._forward_hooks or module._forward_pre_hooks:
            return False
        if isinstance(module, MoELayer) and module.layer_fn is not moe_layer:
            return False
        if isinstance(module, Experts) and module.dispatch_fn is not None:
            return False
        if isinstance(module, Router) and module.options.get("top_k_fn") is not None:
            return False
    weight = model.embed.weight
    return weight.dtype == torch.float32 and not torch.is_autocast_enabled(weight.device.type)


def decoder(model: nn.Module, cache: KVCache, n_tokens: int) -> Callable[[Tensor], Tensor]:
    """A function: the ids of the next tokens (B,) -> the logits of those after them (B, 1, V), for `n_tokens` calls.

    cache: of the texts that the model has read; it is copied, and does not grow. Weights are looked up once: who
    exchanges a parameter meanwhile, instead of changing it in place, needs a new decoder.
    """
    layers = [_layer(block, *pair, n_tokens) for block, pair in zip(model.blocks, cache.layers, strict=True)]
    embed, last, head, n_heads = model.embed.weight, _norm(model.norm), model.head.weight, model.config.n_heads
    position, d_head = len(cache), model.config.d_head

    @torch.no_grad()
    def step(tokens: Tensor) -> Tensor:
        nonlocal position
        here, position, n = position, position + 1, len(tokens)
        turn = model.turns[:, here:position]  # (2, 1, S)
        x = F.embedding(tokens, embed)  # (B, D)
        for norm, (query, key, value, out), keys, values, second_norm, feed_forward in layers:
            h = F.rms_norm(x, *norm)
            qk = torch.cat([F.linear(h, query), F.linear(h, key)], dim=1)  # (B, (H + H_kv)·S)
            qk = rotate(qk.view(n, -1, 1, d_head), turn)  # (B, H + H_kv, 1, S)
            keys[:, :, here:position] = qk[:, n_heads:]
            values[:, :, here:position] = F.linear(h, value).view(n, -1, 1, d_head)
            y = F.scaled_dot_product_attention(
                qk[:, :n_heads], keys[:, :, :position], values[:, :, :position], enable_gqa=True
            )
            x = x + F.linear(y.reshape(n, -1), out)
            x = x + feed_forward(F.rms_norm(x, *second_norm))
        return F.linear(F.rms_norm(x, *last), head).unsqueeze(1)

    return step


def _layer(block: nn.Module, k: Tensor, v: Tensor, n_tokens: int) -> tuple:
    """The tensors of a block, the cached keys and values (1, H_kv, T, S) with room for more, and its network."""
    a, f = block.attention, block.feed_forward
    keys, values = (torch.cat([t, t.new_empty(*t.shape[:2], n_tokens, t.shape[3])], dim=2) for t in (k, v))
    weights = tuple(part.weight for part in (a.query, a.key, a.value, a.out))
    network = _dense(f) if isinstance(f, SwiGLU) else _sparse(f)
    return _norm(block.attention_norm), weights, keys, values, _norm(block.feed_forward_norm), network


def _norm(norm: RMSNorm) -> tuple:
    """What `F.rms_norm` takes after x."""
    return norm.weight.shape, norm.weight, norm.eps


def _dense(network: SwiGLU) -> Callable[[Tensor], Tensor]:
    return partial(swiglu, gate_up=network.gate_up, down=network.down)


def _sparse(layer: MoELayer) -> Callable[[Tensor], Tensor]:
    """h (B, D) -> (B, D): the chosen experts, their weights renormalised, and the shared one."""
    router, k, experts = layer.router.weight, layer.router.k, layer.experts
    gate_up, down = experts.gate_up.unbind(0), experts.down.unbind(0)
    shared = torch.zeros_like if layer.shared is None else _dense(layer.shared)

    def answer(h: Tensor) -> Tensor:
        scores = F.linear(h, router).softmax(dim=1)  # (B, E)
        chosen = best_of(scores, k)  # (B, K)
        weights = scores.gather(1, chosen)  # (B, K)
        weights = weights / weights.sum(dim=1, keepdim=True)
        y = shared(h)
        if len(h) == 1:
            for e, weight in zip(chosen[0].tolist(), weights[0].tolist(), strict=True):
                y.add_(swiglu(h, gate_up[e], down[e]), alpha=weight)
            return y
        expert_ids, order = chosen.flatten().sort(stable=True)  # (A,), (A,)
        tokens, load = order // k, torch.bincount(expert_ids, minlength=len(down))  # (A,), (E,)
        out = each_expert(h.index_select(0, tokens), experts.gate_up, experts.down, load)  # (A, D)
        return y.index_add_(0, tokens, out.mul_(weights.flatten().index_select(0, order).unsqueeze(1)))

    return answer
