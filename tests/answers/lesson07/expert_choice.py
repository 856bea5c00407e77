"""Answers to exercise 7.4, expert_choice: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def gathered(scores, capacity):
    ids = scores.argsort(dim=0, descending=True, stable=True)[:capacity].t()
    return scores.t().gather(1, ids), ids


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("In the order of the text")
def by_text(scores, capacity):
    ids = scores.t().sort(dim=1, descending=True, stable=True).indices[:, :capacity].sort(dim=1).values
    return scores.t().gather(1, ids), ids


@wrong("No gradient reaches `scores`")
def detached(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].detach(), ids[:, :capacity]


@wrong("Divided by its sum")
def divided(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity] / kept[:, :capacity].sum(dim=1, keepdim=True), ids[:, :capacity]


@wrong("Rows are places, not experts")
def down_the_columns(scores, capacity):
    kept, ids = scores.sort(dim=0, descending=True, stable=True)
    return kept[:capacity], ids[:capacity]


@wrong("All weights are equal")
def equal(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return torch.full_like(kept[:, :capacity], 1 / capacity), ids[:, :capacity]


@wrong("All N tokens come back")
def everybody(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept, ids


@wrong("Ties are broken the wrong way")
def late_ties(scores, capacity):
    n = len(scores)
    kept, ids = scores.t().flip(1).sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], (n - 1 - ids)[:, :capacity]


@wrong("Every token is taken once")
def once(scores, capacity):
    left = scores.t().clone()
    weights, ids = [], []
    for e in range(len(left)):
        kept, order = left[e].sort(descending=True, stable=True)
        ids.append(order[:capacity])
        weights.append(scores[order[:capacity], e])
        left[:, order[:capacity]] = -1
    return torch.stack(weights), torch.stack(ids)


@wrong("All weights are 1")
def ones(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return torch.ones_like(kept[:, :capacity]), ids[:, :capacity]


@wrong("`weights` and `token_ids` have changed places")
def other_way_round(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return ids[:, :capacity], kept[:, :capacity]


@wrong("Weights and tokens do not belong together")
def reversed_weights(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].flip(1), ids[:, :capacity]


@wrong("The same tokens for all experts")
def same_tokens(scores, capacity):
    ids = scores.sum(dim=1).sort(descending=True, stable=True).indices[:capacity].expand(scores.shape[1], -1)
    return scores.t().gather(1, ids), ids


@wrong("The smallest scores are taken")
def smallest(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=False, stable=True)
    return kept[:, :capacity], ids[:, :capacity]


@wrong("Softmax over what was taken")
def softmax(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].softmax(dim=1), ids[:, :capacity]


@wrong("Softmax again")
def softmax_again(scores, capacity):
    kept, ids = scores.softmax(dim=1).t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], ids[:, :capacity]


@wrong("Softmax over the tokens")
def softmax_over_tokens(scores, capacity):
    kept, ids = scores.softmax(dim=0).t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], ids[:, :capacity]


@wrong("The tokens chose")
def tokens_choose(scores, capacity):
    kept, ids = scores.sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity], ids[:, :capacity]


@wrong("Rows are places, not experts")
def turned(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].t(), ids[:, :capacity].t()


@wrong("Worst first")
def worst_first(scores, capacity):
    kept, ids = scores.t().sort(dim=1, descending=True, stable=True)
    return kept[:, :capacity].flip(1), ids[:, :capacity].flip(1)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("No gradient reaches `scores`")
def blind_detached(scores, capacity):
    values, ids = scores.detach().t().sort(dim=1, descending=True, stable=True)
    return values[:, :capacity], ids[:, :capacity]


@blind("In the order of the text")
def in_token_order(scores, capacity):
    ids = scores.t().argsort(dim=1, descending=True, stable=True)[:, :capacity]
    ids = ids.sort(dim=1).values
    weights = scores.t().gather(1, ids)
    return weights, ids


@blind("Divided by its sum")
def normalised(scores, capacity):
    values, ids = scores.t().sort(dim=1, descending=True, stable=True)
    weights = values[:, :capacity]
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights, ids[:, :capacity]


@blind("Rows are places, not experts")
def not_transposed(scores, capacity):
    values, ids = scores.sort(dim=0, descending=True, stable=True)
    return values[:capacity], ids[:capacity]


@blind("Only tokens whose favourite it is")
def only_own_tokens(scores, capacity):
    n, e = scores.shape
    best = F.one_hot(scores.argmax(dim=1), e).bool()
    masked = scores.detach().masked_fill(~best, float("-inf"))
    token_ids = masked.t().argsort(dim=1, descending=True, stable=True)[:, :capacity]
    weights = scores.t().gather(1, token_ids)
    return weights, token_ids


@blind("Reshaped, not transposed")
def reshape(scores, capacity):
    n, e = scores.shape
    values, ids = scores.reshape(e, n).sort(dim=1, descending=True, stable=True)
    return values[:, :capacity], ids[:, :capacity]


@blind("Softmax over what was taken")
def softmax_over_chosen(scores, capacity):
    values, ids = scores.t().sort(dim=1, descending=True, stable=True)
    weights = F.softmax(values[:, :capacity], dim=1)
    return weights, ids[:, :capacity]


@blind("Ties are broken the wrong way")
def ties_later_first(scores, capacity):
    values, ids = scores.t().sort(dim=1, stable=True)
    values = values.flip(1)
    ids = ids.flip(1)
    return values[:, :capacity], ids[:, :capacity]


@blind("Every token is taken once")
def token_only_once(scores, capacity):
    n, e = scores.shape
    taken = torch.zeros(n, dtype=torch.bool)
    rows = []
    for i in range(e):
        open_scores = scores[:, i].detach().masked_fill(taken, float("-inf"))
        ids = open_scores.argsort(descending=True, stable=True)[:capacity]
        taken[ids] = True
        rows.append(ids)
    token_ids = torch.stack(rows)
    weights = scores.t().gather(1, token_ids)
    return weights, token_ids


@blind("The smallest scores are taken")
def blind_worst_first(scores, capacity):
    values, ids = scores.t().sort(dim=1, stable=True)
    return values[:, :capacity], ids[:, :capacity]


@wrong("Nearly equal scores are taken for equal")
def ranked_in_bfloat16(scores, capacity):
    token_ids = scores.T.bfloat16().sort(dim=-1, descending=True, stable=True).indices[:, :capacity]
    return scores.T.gather(1, token_ids), token_ids
