"""Noisy top-k gating (Shazeer et al. 2017, arXiv 1701.06538, section 2.1 and appendix A)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.routing import Router, Routing, route


class NoisyTopKRouter(Router):
    """In training each logit gets Gaussian noise whose size the router learns for each token and expert.

    H = x W + noise · softplus(x W_noise); the k largest H are kept and a softmax over them gives the weights. Without
    noise in evaluation. Its Routing carries `smooth_load`, which the load loss needs. The paper starts both matrices at
    zero; here they start like all others.
    """

    def __init__(self, d_model: int, n_experts: int, top_k: int, **options):
        super().__init__(d_model, n_experts, top_k, **options)
        self.noise_weight = nn.Parameter(torch.empty(n_experts, d_model))

    def forward(self, x: Tensor, *, token_ids=None, generator=None, top_k=None, token_mask=None) -> Routing:
        """As `Router.forward`; generator drives the noise."""
        if not self.training:
            return super().forward(x, token_ids=token_ids, top_k=top_k, token_mask=token_mask)
        flat, k = x.flatten(0, -2).float(), top_k or self.k  # (N, D)
        mask = None if token_mask is None else token_mask.flatten()  # (N,)
        with torch.autocast(x.device.type, enabled=False):
            clean = F.linear(flat, self.weight.float())  # (N, E)
            spread = F.softplus(F.linear(flat, self.noise_weight.float()))  # (N, E) standard deviation of the noise
        noisy = clean + spread * torch.randn(clean.shape, generator=generator, device=clean.device)  # (N, E)
        routing = route(
            noisy, k, layer=self.layer, batch_shape=tuple(x.shape[:2]) if x.dim() == 3 else None, token_mask=mask,
            **self.options,
        )  # fmt: skip
        chance = chance_of_choice(clean, noisy, spread, k)  # (N, E)
        return replace(routing, smooth_load=(chance if mask is None else chance[mask]).sum(dim=0))


def chance_of_choice(clean: Tensor, noisy: Tensor, spread: Tensor, k: int) -> Tensor:
    """How likely an expert is among the k best if its own noise is drawn anew and the others' stays, (N, E) -> (N, E).

    Φ((clean_i − the k-th largest of the other noisy logits) / spread_i): eq. 8 and 9 of the paper. 1 for k = E.
    """
    n_experts = clean.shape[-1]
    if k == n_experts:
        return torch.ones_like(clean)
    best = noisy.topk(k + 1, dim=-1).values  # (N, k+1)
    last_in, first_out = best[:, k - 1 : k], best[:, k : k + 1]  # (N, 1), (N, 1)
    others_kth = torch.where(noisy >= last_in, first_out, last_in)  # (N, E) one of the k best leaves k−1 of them
    return torch.special.ndtr((clean - others_kth) / spread)
