"""Lesson 03's looks at a trained router: what it is given, and how differently two kinds of text use the experts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from moe_lite.model.transformer import MoELanguageModel


@torch.no_grad()
def router_inputs(model: MoELanguageModel, texts: Sequence[Sequence[int]], layer: int) -> Tensor:
    """The token vectors that the router of a layer, counted from 1, is given while the model reads `texts` -> (N, D).

    texts: token ids, one list per text. N is the number of their tokens, in their order. Raises ValueError if there is
    no such layer, or if it has no router.
    """
    if not 1 <= layer <= len(model.blocks) or model.config.is_dense:
        raise ValueError(f"layer is {layer}; expected 1 to {len(model.blocks)}, in a model with routers.")
    seen: list[Tensor] = []
    # a hook: PyTorch calls it with the inputs of the module each time before the module runs
    router = model.blocks[layer - 1].feed_forward.router
    hook = router.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten(0, 1)))
    try:
        for ids in texts:
            model(torch.tensor([list(ids)]))
    finally:
        hook.remove()
    return torch.cat(seen)


def load_to_move(record: Mapping[str, Any], one: str, other: str) -> Tensor:
    """The share of one domain's load that would have to go to other experts to match the other's, by layer -> (L,).

    0: both spread over the experts alike; 1: they have no expert in common. record: as `pretrained_record` gives it.
    """
    loads = torch.tensor([record["load_by_domain"][domain] for domain in (one, other)]).double()  # (2, L, E)
    shares = loads / loads.sum(dim=-1, keepdim=True)  # (2, L, E)
    return (shares[0] - shares[1]).clamp(min=0).sum(dim=-1)  # (L,) what `one` has more than `other`
