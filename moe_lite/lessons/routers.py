"""Lesson 03's look at a trained router: how differently two kinds of text use the experts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def load_to_move(record: Mapping[str, Any], one: str, other: str) -> Tensor:
    """The share of one domain's load that would have to go to other experts to match the other's, by layer -> (L,).

    0: both spread over the experts alike; 1: they have no expert in common. record: as `pretrained_record` gives it.
    """
    loads = torch.tensor([record["load_by_domain"][domain] for domain in (one, other)]).double()  # (2, L, E)
    shares = loads / loads.sum(dim=-1, keepdim=True)  # (2, L, E)
    return (shares[0] - shares[1]).clamp(min=0).sum(dim=-1)  # (L,) what `one` has more than `other`
