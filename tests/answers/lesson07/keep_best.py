"""Answers to exercise 7.2, keep_best: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(weights, expert_ids, capacity):
    flat = expert_ids.flatten()
    order = weights.flatten().argsort(descending=True, stable=True)
    count = F.one_hot(flat[order]).cumsum(dim=0).gather(1, flat[order][:, None])[:, 0]
    kept = torch.empty_like(flat, dtype=torch.bool)
    kept[order] = count <= capacity
    return weights * kept.view_as(weights)


@right
def by_expert(weights, expert_ids, capacity):
    kept = torch.zeros_like(weights)
    for e in expert_ids.unique():
        token, choice = (expert_ids == e).nonzero(as_tuple=True)
        best = weights[token, choice].argsort(descending=True, stable=True)[:capacity]
        kept[token[best], choice[best]] = 1
    return weights * kept


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Each column has a count of its own")
def columns(weights, expert_ids, capacity):
    kept = torch.zeros_like(weights)
    for j in range(weights.shape[1]):
        order = weights[:, j].argsort(descending=True, stable=True)
        ids = expert_ids[order, j]
        count = F.one_hot(ids).cumsum(dim=0).gather(1, ids[:, None])[:, 0]
        kept[order, j] = (count <= capacity).to(weights.dtype)
    return weights * kept


@wrong("Nothing is dropped")
def nothing(weights, expert_ids, capacity):
    return weights.clone()


wrong(
    "all_experts",
    "The largest of all experts together",
    of=as_asked,
    put={"count <= capacity": "torch.arange(len(flat)) < capacity"},
)
wrong(
    "any_of_token",
    "A token with one place keeps all",
    of=as_asked,
    put={"kept.view_as(weights)": "kept.view_as(weights).any(dim=1, keepdim=True)"},
)
wrong(
    "by_place",
    "By place, not by weight",
    of=as_asked,
    put={"weights.flatten().argsort(descending=True, stable=True)": "torch.arange(len(flat))"},
)
wrong(
    "detached",
    "No gradient reaches `weights`",
    of=as_asked,
    put={"weights * kept.view_as(weights)": "weights.detach() * kept.view_as(weights)"},
)
wrong("dropped_kept", "Kept and dropped have changed places", of=as_asked, put={"kept.view_as": "~kept.view_as"})
wrong(
    "first_choices",
    "First choices came first",
    of=as_asked,
    put={
        "weights.flatten().argsort(descending=True, stable=True)": "torch.arange(len(flat)).view_as(expert_ids).t().flatten()"
    },
)
wrong(
    "in_place",
    "Your function changed its input",
    of=as_asked,
    put={"weights * kept.view_as(weights)": "weights.data.mul_(kept.view_as(weights))"},
)
wrong(
    "late_ties",
    "Equal weights: the earlier one comes first",
    of=as_asked,
    put={"weights.flatten()": "len(flat) - 1 - weights.flatten().flip(0)"},
)
wrong(
    "mask",
    "A mask, not weights",
    of=as_asked,
    put={"weights * kept.view_as(weights)": "kept.view_as(weights).to(weights.dtype)"},
)
wrong("not_put_back", "The mask stays in sorted order", of=as_asked, put={"kept[order]": "kept"})
wrong("one_too_few", "One too few finds room", of=as_asked, put={"count <= capacity": "count < capacity"})
wrong("one_too_many", "One too many finds room", of=as_asked, put={"count <= capacity": "count - 1 <= capacity"})
wrong(
    "only_first",
    "Only the first choice can find room",
    of=as_asked,
    put={"kept.view_as(weights)": "kept.view_as(weights) * (torch.arange(weights.shape[1]) == 0)"},
)
wrong(
    "renormalised",
    "What was kept is divided by its sum",
    of=as_asked,
    put={"weights * kept.view_as(weights)": "F.normalize(weights * kept.view_as(weights), p=1, dim=1)"},
)
wrong(
    "scaled_up",
    "What was kept is scaled up",
    of=as_asked,
    put={"kept.view_as(weights)": "kept.view_as(weights) * (kept.numel() / kept.sum())"},
)
wrong(
    "smallest",
    "The smallest weights are kept",
    of=as_asked,
    put={"weights.flatten().argsort(descending=True, stable=True)": "weights.flatten().argsort(stable=True)"},
)
wrong(
    "whole_token",
    "A token loses all its choices at once",
    of=as_asked,
    put={"kept.view_as(weights)": "kept.view_as(weights).all(dim=1, keepdim=True)"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("By place, not by weight")
def arrival_order(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat = expert_ids.reshape(-1)
    onehot = F.one_hot(flat, int(flat.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = (place < capacity).view(n, k)
    return weights * keep.to(weights.dtype)


@blind("The smallest weights are kept")
def ascending_sort(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    keep[order] = place < capacity
    return weights * keep.view(n, k).to(weights.dtype)


@blind("No gradient reaches `weights`")
def blind_detached(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.detach().reshape(-1)
    flat_e = expert_ids.reshape(-1)
    out = torch.zeros_like(flat_w)
    order = torch.argsort(flat_w, descending=True, stable=True)
    used = {}
    for i in order.tolist():
        e = int(flat_e[i])
        if used.get(e, 0) < capacity:
            out[i] = flat_w[i]
            used[e] = used.get(e, 0) + 1
    return out.view(n, k)


@blind(ANY)
def first_choices_first(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    used = {}
    mask = torch.zeros_like(weights, requires_grad=False)
    for j in range(k):
        order = torch.argsort(weights[:, j].detach(), descending=True, stable=True)
        for i in order.tolist():
            e = int(expert_ids[i, j])
            if used.get(e, 0) < capacity:
                mask[i, j] = 1.0
                used[e] = used.get(e, 0) + 1
    return weights * mask


@blind(ANY)
def k_as_expert_count(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    flat_e = expert_ids.reshape(-1)
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    for e in range(k):
        where = (flat_e == e).nonzero(as_tuple=True)[0]
        order = torch.argsort(flat_w[where].detach(), descending=True, stable=True)
        keep[where[order[:capacity]]] = True
    return weights * keep.view(n, k).to(weights.dtype)


@blind("The mask stays in sorted order")
def mask_left_sorted(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = place < capacity
    return weights * keep.view(n, k).to(weights.dtype)


@blind("One too many finds room")
def blind_one_too_many(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    keep[order] = place <= capacity
    return weights * keep.view(n, k).to(weights.dtype)


@blind("Each column has a count of its own")
def per_slot_capacity(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    num = int(expert_ids.max()) + 1
    cols = []
    for j in range(k):
        order = torch.argsort(weights[:, j].detach(), descending=True, stable=True)
        onehot = F.one_hot(expert_ids[:, j][order], num)
        place = (onehot.cumsum(0) * onehot).sum(1) - 1
        keep = torch.zeros(n, dtype=torch.bool, device=weights.device)
        keep[order] = place < capacity
        cols.append(weights[:, j] * keep.to(weights.dtype))
    return torch.stack(cols, dim=1)


@blind("What was kept is divided by its sum")
def blind_renormalised(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    keep[order] = place < capacity
    out = weights * keep.view(n, k).to(weights.dtype)
    return out / out.sum(dim=-1, keepdim=True).clamp_min(1e-9)


@blind("Equals at the limit all stay")
def threshold_ties(weights, expert_ids, capacity):
    out = torch.zeros_like(weights)
    if capacity <= 0:
        return weights * 0
    for e in expert_ids.unique().tolist():
        mine = expert_ids == e
        vals = weights[mine]
        c = min(capacity, vals.numel())
        threshold = vals.detach().topk(c).values[-1]
        out = torch.where(mine & (weights >= threshold), weights, out)
    return out


@blind(ANY)
def token_priority(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    best = weights.detach().max(dim=1).values
    order = torch.argsort(best, descending=True, stable=True)
    ids = expert_ids[order].reshape(-1)
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n, k, dtype=torch.bool, device=weights.device)
    keep[order] = (place < capacity).view(n, k)
    return weights * keep.to(weights.dtype)


@blind("A token loses all its choices at once")
def whole_token_dropped(weights, expert_ids, capacity):
    n, k = expert_ids.shape
    flat_w = weights.reshape(-1)
    order = torch.argsort(flat_w.detach(), descending=True, stable=True)
    ids = expert_ids.reshape(-1)[order]
    onehot = F.one_hot(ids, int(ids.max()) + 1)
    place = (onehot.cumsum(0) * onehot).sum(1) - 1
    keep = torch.zeros(n * k, dtype=torch.bool, device=weights.device)
    keep[order] = place < capacity
    token_ok = keep.view(n, k).all(dim=1, keepdim=True)
    return weights * token_ok.to(weights.dtype)


@wrong("Nearly equal weights are taken for equal")
def ranked_in_bfloat16(weights, expert_ids, capacity):
    flat, ids = weights.flatten(), expert_ids.flatten()
    kept = torch.zeros_like(flat)
    for e in ids.unique():
        places = (ids == e).nonzero().flatten()
        first = places[flat[places].bfloat16().sort(descending=True, stable=True).indices[:capacity]]
        kept[first] = 1
    return weights * kept.view_as(weights)


@wrong("The answer is the input itself")
def nothing_to_drop(weights, expert_ids, capacity):
    return weights if capacity >= weights.numel() else as_asked(weights, expert_ids, capacity)


wrong(
    "divided_before",
    "Divided by their sum before they are compared",
    of=as_asked,
    put={"order = weights.flatten()": "order = (weights / weights.sum(dim=1, keepdim=True)).flatten()"},
)
wrong(
    "softmax_before",
    "A softmax before they are compared",
    of=as_asked,
    put={"order = weights.flatten()": "order = weights.softmax(dim=1).flatten()"},
)
