"""Expert choice: experts choose tokens, not tokens experts (Zhou et al. 2022, arXiv 2202.09368)."""

import torch
from torch import Tensor

from moe_lite.model.balance import expert_capacity
from moe_lite.model.routing import SCORE_FUNCTIONS, Router, Routing, best_of


class ExpertChoiceRouter(Router):
    """Every expert takes the same number of tokens of each row: those that score it highest.

    Loads are even by construction. A token gets 0 to E experts, K on average, and which ones depends on the whole row,
    also on the tokens that follow: a language model so built looks at what it should predict.
    """

    def choose_experts(self, flat: Tensor, k: int, generator, shape: dict, **_) -> Routing:
        """An expert takes ceil(T·K/E) of a row's T tokens, padding not counted; among equal scores the earlier token.

        Its weight for a token is the score.
        """
        logits = self.logits(flat)  # (N, E)
        scores = SCORE_FUNCTIONS[self.options.get("score", "softmax")](logits)  # (N, E)
        rows, mask = shape["batch_shape"], shape["token_mask"]
        token_mask = None if mask is None else mask.view(rows)  # (B, T)
        token_ids, expert_ids = choose(scores.detach().view(*rows, -1), k, token_mask)  # (A,), (A,)
        return Routing(
            token_ids=token_ids, expert_ids=expert_ids, weights=scores[token_ids, expert_ids],
            kept=torch.ones_like(token_ids, dtype=torch.bool), logits=logits, scores=scores, n_tokens=len(flat),
            n_experts=logits.shape[-1], **shape,
        )  # fmt: skip


def choose(scores: Tensor, k: int, token_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """scores (B, T, E), token_mask (B, T) -> token_ids (A,), expert_ids (A,): who takes whom, by expert, then token."""
    rows, length, n_experts = scores.shape
    wanted = scores.transpose(1, 2)  # (B, E, T)
    n_real = [length] * rows
    if token_mask is not None:
        wanted, n_real = wanted.masked_fill(~token_mask[:, None], float("-inf")), token_mask.sum(dim=1).tolist()
    room = torch.tensor([expert_capacity(n, k, n_experts, 1.0) for n in n_real], device=scores.device)  # (B,)
    most = int(room.max())
    places = best_of(wanted.flatten(0, 1), most).view(rows, n_experts, most)  # (B, E, C)
    taken = torch.zeros_like(wanted, dtype=torch.bool)  # (B, E, T)
    rank = torch.arange(most, device=scores.device).expand_as(places)  # (B, E, C)
    taken.scatter_(2, places, rank < room[:, None, None])
    expert_ids, token_ids = taken.transpose(0, 1).flatten(1).nonzero(as_tuple=True)  # (A,), (A,)
    return token_ids, expert_ids
