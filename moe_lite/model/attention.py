"""What tokens learn from each other: causal self-attention with rotary positions, its norm, and its cache."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.config import ModelConfig


class KVCache:
    """Keys and values of the tokens seen so far, one pair a layer."""

    def __init__(self, n_layers: int):
        self.layers: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    def __len__(self) -> int:
        """Tokens that all layers hold: a pass that was broken off leaves some layers with more, and is forgotten."""
        return min(0 if pair is None else pair[0].shape[2] for pair in self.layers)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """k, v (B, H_kv, T_new, S) -> all keys and values of this layer so far (B, H_kv, T, S)."""
        if self.layers[layer] is not None:
            past_k, past_v = (past[:, :, : len(self)] for past in self.layers[layer])
            k, v = torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2)
        self.layers[layer] = (k, v)
        return k, v


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) · weight, in float32 (Zhang & Sennrich 2019). (..., D) -> (..., D)."""

    def __init__(self, d_model: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d_model)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def turns(n_tokens: int, d_head: int, theta: float) -> Tensor:
    """(2, T, S): cosines and sines for `rotate`, of the positions 0, 1, …

    Pair i of a head turns by position · theta^(-2i/S); pairs are (i, i + S/2), as in Llama.
    """
    speed = theta ** (-torch.arange(0, d_head, 2).float() / d_head)  # (S/2,)
    angle = torch.arange(n_tokens).float()[:, None] * speed  # (T, S/2)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)])


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotary positions (RoFormer, arXiv 2104.09864). x (B, H, T, S), the `turns` of its tokens (2, T, S) -> like x.

    For a pair (a, b): a · cos − b · sin and b · cos + a · sin.
    """
    cos, sin = turn.to(x.dtype)  # (T, S), (T, S) the sine of a first half is negative
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin


class Attention(nn.Module):
    """Causal self-attention; groups of query heads share a key and value head (arXiv 2305.13245)."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        d, s = config.d_model, config.d_head
        self.config, self.layer = config, layer
        self.query = nn.Linear(d, config.n_heads * s, bias=False)
        self.key = nn.Linear(d, config.n_kv_heads * s, bias=False)
        self.value = nn.Linear(d, config.n_kv_heads * s, bias=False)
        self.out = nn.Linear(config.n_heads * s, d, bias=False)
        if config.qk_norm != "none":
            widths = {"head": (s, s), "full": (config.n_heads * s, config.n_kv_heads * s)}[config.qk_norm]
            self.query_norm, self.key_norm = (RMSNorm(width, config.norm_eps) for width in widths)

    def forward(self, x: Tensor, cache: KVCache | None, start: int, turn: Tensor) -> Tensor:
        """x (B, T, D) at positions start, start + 1, …, whose `turns` are `turn` (2, T, S) -> (B, T, D)."""
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, H·S or H_kv·S)
        if self.config.qk_norm == "full":
            q, k = self.query_norm(q), self.key_norm(k)
        q, k, v = (t.unflatten(-1, (-1, self.config.d_head)).transpose(1, 2) for t in (q, k, v))  # (B, H or H_kv, T, S)
        if self.config.qk_norm == "head":
            q, k = self.query_norm(q), self.key_norm(k)
        q, k = rotate(q, turn), rotate(k, turn)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)  # (B, H_kv, T_past + T, S)
        mask = None
        if start and x.shape[1] > 1:  # several new tokens after cached ones: token i sees start + i + 1 keys
            mask = torch.ones(x.shape[1], k.shape[2], dtype=torch.bool, device=x.device).tril(start)  # (T, T_past + T)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=start == 0, enable_gqa=True)
        return self.out(y.transpose(1, 2).flatten(2))  # (B, T, D)
