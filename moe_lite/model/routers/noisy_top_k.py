"""Noisy top-k gating (Shazeer et al. 2017, arXiv 1701.06538, section 2.1 and appendix A)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moe_lite.model.routing import Router, Routing, route


class NoisyTopKRouter(Router):
    """In training each logit gets Gaussian noise whose size the router learns for each token and expert.

    H = x W + noise · softplus(x W_noise); the k largest H are kept and a softmax over them gives the weights. Without
    noise in evaluation. Its Routing carries `smooth_load`, which the load loss needs. The paper starts both matrices at
    zero; here they start like all others.
    """

    def __init__(self, d_model: int, n_experts: int, top_k: int, **options):
        super().__init__(d_model, n_experts, top_k, **options)
        self.noise_weight = nn.Parameter(torch.empty(n_experts, d_model))

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """As `Router.choose_experts`; generator drives the noise."""
        if not self.training:
            return super().choose_experts(flat, k, generator, shape)
        clean = self.logits(flat)  # (N, E)
        spread = F.softplus(self.project(flat, self.noise_weight))  # (N, E) standard deviation of the noise
        noisy = clean + spread * torch.randn(clean.shape, generator=generator, device=clean.device)  # (N, E)
        routing = route(noisy, k, **shape, **self.options)
        chance = chance_of_choice(clean, noisy, spread, k)  # (N, E)
        if routing.token_mask is not None:
            chance = chance[routing.token_mask]
        return replace(routing, smooth_load=chance.sum(dim=0))


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
