"""Hash routing: the token itself says which experts, a table looks them up (Roller et al. 2021, arXiv 2106.04426)."""

import torch
from torch import Tensor

from moe_lite.model.routing import Router, Routing, route


class HashRouter(Router):
    """A token's experts follow from its id alone, wherever it stands; the learned matrix only weighs them.

    So DeepSeek-V4 does it in its first layers. With one expert per token and renormalising every weight is 1, and
    nothing is learned: that is the paper's rule. The table is random, another one in each layer, and never trained.
    """

    takes = ("vocab_size",)

    def __init__(self, d_model: int, n_experts: int, top_k: int, *, vocab_size: int, layer: int = 0, **options):
        super().__init__(d_model, n_experts, top_k, layer=layer, **options)
        generator = torch.Generator().manual_seed(layer)
        order = torch.rand(vocab_size, n_experts, generator=generator, device="cpu").argsort(dim=1)  # (V, E)
        self.register_buffer("table", order[:, :top_k].contiguous())  # (V, K), the K of a row all different

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, *, token_ids=None, **_) -> Routing:
        """As `Router.choose_experts`. ValueError without token_ids, or for more experts than the table has."""
        if token_ids is None:
            raise ValueError("router='hash' chooses by the token itself: call it with token_ids (B, T).")
        if k > self.table.shape[1]:
            raise ValueError(f"top_k is {k}, but the table of router='hash' has {self.table.shape[1]} experts a token.")
        chosen = self.table[token_ids.flatten(), :k]  # (N, K)
        return route(self.logits(flat), k, chosen=chosen, **shape, **self.options)
