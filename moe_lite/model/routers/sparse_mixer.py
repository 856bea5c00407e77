"""SparseMixer: experts are drawn one after the other, and the draw has a gradient (Liu et al. 2024, arXiv 2409.12136).

Phi-3.5-MoE routes so, with two experts per token.
"""

import torch
from torch import Tensor

from moe_lite.model.routing import Router, Routing, assignments


class SparseMixerRouter(Router):
    """Each choice is made among the experts that are nearly as good as the best one left; its weight is its probability
    among those. So the weights of a token sum to at most K, not to 1. `jitter` is how near, the paper's ε."""

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """As `Router.choose_experts`; generator drives the draws, which exist in training only."""
        logits = left = self.logits(flat)  # (N, E)
        weights, expert_ids = [], []
        for _ in range(k):
            near = nearly_best(logits, left, self.jitter)  # (N, E)
            weight, expert = draw(near, generator) if self.training else best(near)  # (N, 1), (N, 1)
            left = left.scatter(1, expert, float("-inf"))
            weights.append(weight)
            expert_ids.append(expert)
        scores = logits.softmax(dim=-1)  # (N, E) what balancing losses see
        return assignments(torch.cat(weights, dim=1), torch.cat(expert_ids, dim=1), logits, scores, **shape)


def nearly_best(logits: Tensor, left: Tensor, epsilon: float) -> Tensor:
    """`left`, with −inf for all that fall short of its best by more than 2ε of the larger size. (N, E) each -> (N, E).

    left: the logits, −inf where an expert was chosen before.
    """
    top = left.detach().amax(dim=-1, keepdim=True)  # (N, 1)
    z = logits.detach()
    too_far = (top - z) / torch.maximum(z.abs(), top) > 2 * epsilon  # (N, E)
    return left.masked_fill(too_far, float("-inf"))


def best(near: Tensor) -> tuple[Tensor, Tensor]:
    """The best expert and its probability, (N, E) -> (N, 1), (N, 1)."""
    return near.softmax(dim=-1).max(dim=-1, keepdim=True)


def draw(near: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """An expert drawn by its probability p, and its weight, (N, E) -> (N, 1), (N, 1).

    The gradient is that of p. The value is p as well if the expert is the best one; else it is p once in four draws and
    p/3 otherwise: so the gradient is that of the expectation to third order (Heun's method; appendix of the paper).
    """
    p = near.softmax(dim=-1)  # (N, E)
    waits = torch.empty_like(near).exponential_(generator=generator)  # (N, E)
    expert = (near.detach() - waits.log()).argmax(dim=-1, keepdim=True)  # (N, 1) the Gumbel way to draw
    weight = p.gather(1, expert)  # (N, 1)
    whole = torch.rand(weight.shape, generator=generator, device=p.device) > 0.75  # (N, 1)
    whole |= expert == p.argmax(dim=-1, keepdim=True)
    return weight + torch.where(whole, 0.0, -2 / 3 * weight.detach()), expert
