"""How far one option, changed, moves the weights of a router; written without what moe_lite.families does for it."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor

from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import build_router

TOGGLED = {
    "order": ("score_first", "topk_first"), "select_on": ("score", "logit"), "group_score": ("top2sum", "max"),
    "group_fill": ("-inf", "zero"), "renorm": (True, False),
}  # fmt: skip
OFF = {
    "routed_scale": {"routed_scale": 1.0}, "logit_scale": {"logit_scale": 1.0},
    "logit_softcap": {"logit_softcap": None},
    "n_groups": {"n_groups": 1, "topk_groups": 1, "group_score": "top2sum", "group_fill": "-inf"},
    "router": {"router": "top_k", "jitter": 0.0},
    "selection_bias": {"selection_bias": False}, "router_bias": {"router_bias": False},
}  # fmt: skip


@torch.no_grad()
def change_moves(config: ModelConfig, option: str) -> float:
    """The largest difference that `option`, as a table or a description names it, makes for 200 random tokens."""
    generator = torch.Generator().manual_seed(5)
    tensors = {
        name: torch.randn(t.shape, generator=generator) if t.is_floating_point() else t
        for name, t in build_router(config, layer=1).state_dict().items()
    }
    x = torch.randn(200, config.d_model, generator=generator) / config.d_model**0.5  # (N, D)
    given = {}
    if config.router == "hash":
        given["token_ids"] = torch.randint(config.vocab_size, (1, 200), generator=generator)
    if config.router == "mlp":
        given["before"] = SimpleNamespace(state=torch.randn(200, config.router_width, generator=generator))
    before = weights(config, tensors, x, given)
    if option == "before":
        return (weights(config, tensors, x, {}) - before).abs().max().item()
    if option in tensors:
        return (
            (weights(config, tensors | {option: torch.ones_like(tensors[option])}, x, given) - before)
            .abs()
            .max()
            .item()
        )
    if option.startswith("score: "):
        assert option != f"score: {config.score}", "that is the rule itself"
        change = {"score": option.removeprefix("score: ")}
    elif option == "jitter":
        change = {"jitter": 2 * config.jitter}
    elif option in TOGGLED:
        (value,) = set(TOGGLED[option]) - {getattr(config, option)}
        change = {option: value}
    else:
        change = OFF[option]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # top-1 without a gradient: nothing is trained here
        other = replace(config, **change)
    return (weights(other, tensors, x, given) - before).abs().max().item()


def weights(config: ModelConfig, tensors: dict[str, Tensor], x: Tensor, given: dict) -> Tensor:
    """(N, E)"""
    router = build_router(config, layer=1).eval()
    router.load_state_dict({name: tensors[name] for name in router.state_dict()})
    return router(x, **given).combine
