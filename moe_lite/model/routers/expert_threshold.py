"""Expert threshold: a token goes to every expert that scores it high enough (Sun et al. 2026, arXiv 2603.11535)."""

import torch
from torch import Tensor

from moe_lite.model.balance import move_threshold_
from moe_lite.model.routing import SCORE_FUNCTIONS, Router, Routing


class ExpertThresholdRouter(Router):
    """An expert takes the tokens whose logit is above its threshold: what let the fair share pass in recent batches.

    So loads are even on average, a token gets 0 to E experts, K on average, and which ones depends on no other token.
    In the first `threshold_warmup` batches of a training the thresholds are not known yet: there each expert takes the
    fair share of the batch, its best tokens, which looks ahead. A model that was never trained has thresholds of 0.
    """

    takes = ("threshold_memory", "threshold_warmup")
    steered = ("bias", "threshold")

    def __init__(
        self, d_model: int, n_experts: int, top_k: int, *, threshold_memory: float, threshold_warmup: int, **options
    ):
        super().__init__(d_model, n_experts, top_k, **options)
        self.memory, self.warmup = threshold_memory, threshold_warmup
        self.register_buffer("threshold", torch.zeros(n_experts))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))  # that the thresholds were estimated from

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """As `Router.choose_experts`. The weight is the score. ValueError for another k than that of the thresholds."""
        if k != self.k:
            raise ValueError(f"top_k is {k}, but the thresholds of router='expert_threshold' let {self.k} pass.")
        logits = self.logits(flat)  # (N, E)
        scores = SCORE_FUNCTIONS[self.options.get("score", "softmax")](logits)  # (N, E)
        z = logits.detach()
        taken = z > self.threshold  # (N, E)
        if self.training and self.batches < self.warmup:
            real = z if shape["token_mask"] is None else z[shape["token_mask"]]  # (n, E)
            taken = z >= move_threshold_(torch.zeros_like(self.threshold), real, k, 1.0)  # (N, E)
        expert_ids, token_ids = taken.T.nonzero(as_tuple=True)  # (A,), (A,)
        return Routing(
            token_ids=token_ids, expert_ids=expert_ids, weights=scores[token_ids, expert_ids],
            kept=torch.ones_like(token_ids, dtype=torch.bool), logits=logits, scores=scores, n_tokens=len(flat),
            n_experts=logits.shape[-1], **shape,
        )  # fmt: skip

    @torch.no_grad()
    def move(self, logits: Tensor) -> None:
        """Let the thresholds follow a batch of logits (N, E): an average over all batches at first, so that they do not
        start from 0, and a moving one that keeps `threshold_memory` later."""
        self.batches += 1
        weight = (1 - self.memory) / (1 - self.memory ** int(self.batches))
        move_threshold_(self.threshold, logits, self.k, weight)
