"""Expert choice: experts choose tokens, not tokens experts (Zhou et al. 2022, arXiv 2202.09368)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.balance import expert_capacity
from moe_lite.routing import Router, Routing
from moe_lite.top_k import best_of


class ExpertChoiceRouter(Router):
    """Every expert takes the same number of tokens of each row: those that score it highest.

    Loads are even by construction. A token gets 0 to E experts, K on average, and which ones depends on the whole row,
    also on the tokens that follow: a language model so built looks at what it should predict.
    """

    def forward(self, x: Tensor, *, token_ids=None, generator=None, top_k=None, token_mask=None) -> Routing:
        """As `Router.forward`. An expert takes ceil(T·K/E) of a row's T tokens, padding not counted; among equal scores
        the earlier token. Its weight for a token is the score."""
        flat = x.flatten(0, -2).float()  # (N, D)
        rows, length = x.shape[:2] if x.dim() == 3 else (1, len(flat))
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(flat, self.weight.float())  # (N, E)
        scores = logits.sigmoid() if self.options.get("score") == "sigmoid" else logits.softmax(dim=-1)  # (N, E)
        mask = None if token_mask is None else token_mask.flatten()  # (N,)
        token_ids, expert_ids = choose(scores.detach().view(rows, length, -1), top_k or self.k, token_mask)
        return Routing(
            token_ids=token_ids, expert_ids=expert_ids, weights=scores[token_ids, expert_ids],
            kept=torch.ones_like(token_ids, dtype=torch.bool), logits=logits, scores=scores, n_tokens=len(flat),
            n_experts=logits.shape[-1], layer=self.layer, batch_shape=(rows, length), token_mask=mask,
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
