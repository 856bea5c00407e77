"""Answers to exercise 8.4, top_k_without: right ones, and wrong ones with the message that they must get."""

import math

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

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


@right
def sort(scores, k, muted):
    mute = torch.zeros(scores.shape[1])
    for e in muted:
        mute[e] = 1
    ids = (scores - 1e9 * mute).argsort(dim=1, descending=True)[:, :k]
    top = torch.gather(scores, 1, ids)
    return F.normalize(top, p=1, dim=1), ids


@right
def minus_one(scores, k, muted):
    s = scores.clone()
    for e in muted:
        s[:, e] = -1
    top, ids = s.topk(k)
    return top / top.sum(1)[:, None], ids


@right
def rounds(scores, k, muted):
    s = scores.index_fill(1, torch.tensor(muted, dtype=torch.long), -1.0)
    ids = []
    for _ in range(k):
        best = s.argmax(1, keepdim=True)
        ids.append(best)
        s = s.scatter(1, best, -2.0)
    ids = torch.cat(ids, 1)
    top = scores.gather(1, ids)
    return top / top.sum(1, keepdim=True), ids


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


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("No gradient reaches `scores`")
def in_python(scores, k, muted):
    weights, ids = [], []
    for row in scores.tolist():
        best = sorted((e for e in range(len(row)) if e not in set(muted)), key=lambda e: -row[e])[:k]
        total = sum(row[e] for e in best)
        ids.append(best)
        weights.append([row[e] / total for e in best])
    return torch.tensor(weights, dtype=scores.dtype).reshape(-1, k), torch.tensor(ids).reshape(-1, k)


@blind("Muted after the choice")
def after(scores, k, muted):
    top, ids = scores.topk(k)
    gone = torch.isin(ids, torch.tensor(muted, dtype=torch.long))
    top = top.masked_fill(gone, 0)
    return top / top.sum(-1, keepdim=True), ids


@blind("A score of 0 can be chosen")
def zero(scores, k, muted):
    s = scores.clone()
    s[:, muted] = 0
    top, ids = s.topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind("A score of 0 can be chosen")
def times(scores, k, muted):
    keep = torch.ones(scores.shape[1])
    keep[muted] = 0
    top, ids = (scores * keep).topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind("A score of 0 can be chosen")
def small(scores, k, muted):
    s = scores.clone()
    s[:, muted] = 1e-9
    top, ids = s.topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind("The muted ones are not low enough")
def minus_ten(scores, k, muted):
    mute = torch.zeros(scores.shape[1], dtype=scores.dtype)
    mute[muted] = 10
    ids = (scores - mute).topk(k).indices
    top = scores.gather(1, ids)
    return top / top.sum(1, keepdim=True), ids


@blind("Divided by the sum of all that are not muted")
def all_kept(scores, k, muted):
    s = scores.clone()
    s[:, muted] = -math.inf
    top, ids = s.topk(k)
    return top / s.clamp(min=0).sum(-1, keepdim=True), ids


@blind("Divided down the columns")
def dim(scores, k, muted):
    s = scores.clone()
    s[:, muted] = -math.inf
    top, ids = s.topk(k)
    return top / top.sum(0, keepdim=True), ids


@blind("Sorted by number, not best first")
def by_number(scores, k, muted):
    w, i = minus_infinity(scores, k, muted)
    i, order = i.sort(dim=1)
    return w.gather(1, order), i


@blind("`expert_ids` is not right yet")
def ids_sorted(scores, k, muted):
    w, i = minus_infinity(scores, k, muted)
    return w, i.sort(dim=1).values


@blind("Rows were muted, not columns")
def rows_inf(scores, k, muted):
    s = scores.clone()
    s[[e for e in muted if e < len(s)]] = -math.inf
    top, ids = s.topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind("An index must be int64")
def empty(scores, k, muted):
    s = scores.clone()
    s[:, torch.tensor(muted)] = -math.inf
    top, ids = s.topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind("A muted expert is chosen")
def from_one(scores, k, muted):
    return minus_infinity(scores, k, [e - 1 for e in muted])


@blind("Wrong shape")
def wide(scores, k, muted):
    s = scores.clone()
    s[:, muted] = -math.inf
    top, ids = s.topk(min(k + len(muted), s.shape[1]))
    return top / top.sum(-1, keepdim=True), ids


@blind("Softmax over the kept scores")
def softmax_all(scores, k, muted):
    s = scores.clone()
    s[:, muted] = -math.inf
    top, ids = s.softmax(-1).topk(k)
    return top / top.sum(-1, keepdim=True), ids


@blind(ANY)
def eps(scores, k, muted):
    s = scores.clone()
    s[:, muted] = -math.inf
    top, ids = s.topk(k)
    return top / (top.sum(-1, keepdim=True) + 1e-3), ids
