"""What tells where a token goes? A guess from one clue, marked on text that it was not made from: lesson 00."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moe_lite.model.transformer import MoELanguageModel

CLUES = ("nothing", "the kind of text", "the token")


@torch.no_grad()
def guess_first_choice(model: MoELanguageModel, batches: Mapping[str, Any]) -> Tensor:
    """How often the expert of a token's first choice is guessed right from each of the CLUES -> (3, L), shares.

    batches: kind of text -> Batch, as `validation_batches` gives them. The even rows of each kind are learned from, the
    odd ones are guessed. Raises ValueError if a kind has fewer than two rows.
    """
    clues, first, learn = [], [], []
    for kind, batch in enumerate(batches.values()):
        rows, length = batch.ids.shape
        if rows < 2:
            raise ValueError(f"{list(batches)[kind]} has {rows} row; expected 2 or more, one to learn from.")
        ids = batch.ids.flatten()  # (N,) with N = rows · length
        clues.append(torch.stack([torch.zeros_like(ids), torch.full_like(ids, kind), ids]))  # (3, N)
        first.append(torch.stack([routing.top_k[1][:, 0] for routing in model(batch.ids).routing]))  # (L, N)
        learn.append((torch.arange(rows) % 2 == 0).repeat_interleave(length))  # (N,)
    clue, expert, known = torch.cat(clues, 1), torch.cat(first, 1), torch.cat(learn)
    return torch.tensor([[share_right(c, e, known) for e in expert] for c in clue])


def share_right(clue: Tensor, expert: Tensor, known: Tensor) -> float:
    """Guess for each clue (N,) int64 the expert (N,) that it met most often among the known (N,) bool; mark the rest.

    A clue that was never met gets the lowest number, 0.
    """
    met = torch.zeros(int(clue.max()) + 1, int(expert.max()) + 1)  # how often each clue met each expert
    met.index_put_((clue[known], expert[known]), torch.ones(int(known.sum())), accumulate=True)
    guess = met.argmax(dim=1)[clue]  # (N,)
    return (guess == expert)[~known].float().mean().item()
