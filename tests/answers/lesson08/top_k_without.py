"""Answers to exercise 8.4, top_k_without: right ones, and wrong ones with the message that they must get."""

import torch
from answers import right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def minus_infinity(scores, k, muted):
    allowed = scores.clone()
    allowed[:, muted] = float("-inf")
    values, ids = allowed.topk(k, dim=-1)
    return values / values.sum(dim=-1, keepdim=True), ids


@right
def a_mask(scores, k, muted):
    mask = torch.zeros(scores.shape[1], dtype=torch.bool)
    mask[muted] = True
    ids = scores.masked_fill(mask, -torch.inf).sort(dim=-1, descending=True, stable=True).indices[:, :k]
    weights = scores.gather(1, ids)
    return weights / weights.sum(1, keepdim=True), ids


@right
def numbers_kept(scores, k, muted):
    left = torch.tensor([e for e in range(scores.shape[1]) if e not in muted])
    weights, places = scores[:, left].topk(k)
    return weights / weights.sum(1, True), left[places]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The experts were numbered anew")
def columns_cut(scores, k, muted):
    left = [e for e in range(scores.shape[1]) if e not in muted]
    weights, ids = scores[:, left].topk(k)
    return weights / weights.sum(1, True), ids


@wrong("Muted after the choice", "A muted expert is chosen")
def weight_zero(scores, k, muted):
    weights, ids = scores.topk(k)
    weights = torch.where(torch.isin(ids, torch.tensor(muted)), 0.0, weights)
    return weights / weights.sum(1, True), ids


@wrong("A score of 0 can be chosen")
def zero_score(scores, k, muted):
    s = scores.clone()
    s[:, muted] = 0
    values, ids = s.sort(dim=1, descending=True, stable=True)
    return values[:, :k] / values[:, :k].sum(1, True), ids[:, :k]


@wrong("Your function changed its input")
def in_place(scores, k, muted):
    scores[:, muted] = float("-inf")
    values, ids = scores.topk(k)
    return values / values.sum(1, True), ids


@wrong("The weights are not renormalised")
def as_they_are(scores, k, muted):
    s = scores.clone()
    s[:, muted] = float("-inf")
    return tuple(s.topk(k))


@wrong("Weights that are no numbers")
def all_muted(scores, k, muted):
    s = torch.full_like(scores, float("-inf"))
    values, ids = s.topk(k)
    return values / values.sum(1, True), ids


@wrong("Fewer than k experts")
def taken_out(scores, k, muted):
    weights, ids = scores.topk(k)
    return weights[:, : k - 1], ids[:, : k - 1]


@wrong("A muted expert is chosen")
def half_hearted(scores, k, muted):
    s = scores.clone()
    s[1:, muted] = float("-inf")
    ids = s.topk(k).indices
    ids[0, 0] = muted[0] if muted else ids[0, 0]
    w = scores.gather(1, ids)
    return w / w.sum(1, True), ids
