"""Answers to exercise 9.3, group_limited_top_k: right ones, and wrong ones with the message that they must get."""

import torch
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.sort(dim=-1, descending=True).values[..., :2].sum(dim=-1)
    best_groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    is_open = torch.zeros_like(worth, dtype=torch.bool).scatter(1, best_groups, True)
    allowed = grouped.masked_fill(~is_open[:, :, None], float("-inf")).flatten(1)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@right
def token_by_token(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    chosen = []
    for row in values.tolist():
        worth = [sum(sorted(row[g * size : (g + 1) * size])[-2:]) for g in range(n_groups)]
        groups = sorted(range(n_groups), key=lambda g: (-worth[g], g))[:topk_groups]
        experts = [e for e in range(len(row)) if e // size in groups]
        chosen.append(sorted(experts, key=lambda e: (-row[e], e))[:k])
    return torch.tensor(chosen)


@right
def by_gather(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    worth = values.reshape(-1, n_groups, size).topk(2, dim=-1).values.sum(dim=-1)
    groups = torch.argsort(-worth, dim=1, stable=True)[:, :topk_groups].sort(dim=1).values
    experts = (groups[:, :, None] * size + torch.arange(size)).flatten(1)
    order = torch.argsort(-values.gather(1, experts), dim=1, stable=True)[:, :k]
    return experts.gather(1, order)


@right
def below_the_smallest(values, k, n_groups, topk_groups):
    worth = values.reshape(len(values), n_groups, -1).topk(2, dim=-1).values.sum(dim=-1)
    rank = worth.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    is_open = (rank < topk_groups).repeat_interleave(values.shape[1] // n_groups, dim=1)
    return torch.where(is_open, values, -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :k]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Your function changed its input")
def closed_in_place(values, k, n_groups, topk_groups):
    grouped = values.view(len(values), n_groups, -1)
    worth = grouped.topk(2, dim=-1).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, topk_groups:]
    for token, closed in enumerate(groups):
        grouped[token, closed] = float("-inf")
    return values.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@wrong("The best of all first, the groups afterwards")
def filtered_and_filled_up(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    allowed = as_asked(values, k, n_groups, topk_groups) // size
    ids = values.sort(dim=-1, descending=True, stable=True).indices[:, :k]
    rows = []
    for token, row in enumerate(ids.tolist()):
        worth = values[token].view(n_groups, -1).topk(2).values.sum(dim=-1)
        groups = worth.sort(descending=True, stable=True).indices[:topk_groups].tolist()
        rows.append([e for e in row if e // size in groups] + [e for e in row if e // size not in groups])
    return torch.tensor(rows) if allowed is not None else ids


@wrong("No expert has this number")
def filled_up_with_minus_one(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    ids = values.sort(dim=-1, descending=True, stable=True).indices[:, :k]
    worth = values.unflatten(1, (n_groups, -1)).topk(2).values.sum(dim=-1)
    groups = worth.sort(descending=True, stable=True).indices[:, :topk_groups]
    is_open = ((ids // size)[:, :, None] == groups[:, None]).any(dim=-1)
    return torch.where(is_open, ids, -1)


@wrong("Rows of different length")
def fewer_remain(values, k, n_groups, topk_groups):
    ids = filled_up_with_minus_one(values, k, n_groups, topk_groups)
    return torch.tensor([[e for e in row if e >= 0] for row in ids.tolist()])


@wrong("Each open group gives as many")
def some_of_each(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.topk(2, dim=-1).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    each = -(-k // topk_groups)
    order = grouped.sort(dim=-1, descending=True, stable=True).indices[..., :each]
    experts = order + torch.arange(n_groups)[:, None] * grouped.shape[2]
    picked = experts.gather(1, groups[:, :, None].expand(-1, -1, each)).flatten(1).sort(dim=1).values
    return picked.gather(1, values.gather(1, picked).sort(dim=1, descending=True, stable=True).indices[:, :k])


@wrong("Listed group by group")
def group_after_group(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    ids = as_asked(values, k, n_groups, topk_groups)
    worth = values.unflatten(1, (n_groups, -1)).topk(2).values.sum(dim=-1)
    place = worth.sort(dim=1, descending=True, stable=True).indices.argsort(dim=1)
    return ids.gather(1, place.gather(1, ids // size).argsort(dim=1, stable=True))


@wrong("Values, not experts")
def values_returned(values, k, n_groups, topk_groups):
    return values.gather(1, as_asked(values, k, n_groups, topk_groups))


@wrong("Groups, not experts")
def groups_returned(values, k, n_groups, topk_groups):
    worth = values.unflatten(1, (n_groups, -1)).topk(2).values.sum(dim=-1)
    return worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]


@wrong("Not a tensor")
def both(values, k, n_groups, topk_groups):
    return values, as_asked(values, k, n_groups, topk_groups)


@wrong("`expert_ids` has the wrong type")
def short_type(values, k, n_groups, topk_groups):
    return as_asked(values, k, n_groups, topk_groups).int()


@wrong("Every token gets the same experts")
def of_the_first_token(values, k, n_groups, topk_groups):
    return as_asked(values[:1], k, n_groups, topk_groups).expand(len(values), k)


@wrong("The best groups of the whole batch")
def one_set_of_groups(values, k, n_groups, topk_groups):
    worth = values.unflatten(1, (n_groups, -1)).topk(2).values.sum(dim=-1).mean(dim=0)
    groups = worth.sort(descending=True, stable=True).indices[:topk_groups]
    is_open = torch.zeros(n_groups, dtype=torch.bool)
    is_open[groups] = True
    allowed = values.masked_fill(~is_open.repeat_interleave(values.shape[1] // n_groups), float("-inf"))
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@wrong("The groups are interleaved")
def every_nth(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (-1, n_groups))
    worth = grouped.topk(2, dim=1).values.sum(dim=1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    is_open = torch.zeros_like(worth, dtype=torch.bool).scatter(1, groups, True)
    allowed = grouped.masked_fill(~is_open[:, None], float("-inf")).flatten(1)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@wrong("Equal groups are all open")
def threshold(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.topk(2).values.sum(dim=-1)
    least = worth.topk(topk_groups).values[:, -1:]
    allowed = grouped.masked_fill((worth < least)[:, :, None], float("-inf")).flatten(1)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@wrong("Closed experts become 0")
def times_the_mask(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.topk(2).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    mask = torch.zeros_like(worth).scatter(1, groups, 1.0)
    return (grouped * mask[:, :, None]).flatten(1).sort(dim=-1, descending=True, stable=True).indices[:, :k]


@wrong("An expert is chosen twice")
def the_best_one_repeated(values, k, n_groups, topk_groups):
    return as_asked(values, 1, n_groups, topk_groups).expand(len(values), k)


@wrong("Places, not experts")
def sorted_twice(values, k, n_groups, topk_groups):
    ids = as_asked(values, values.shape[1] // n_groups * topk_groups, n_groups, topk_groups)
    return values.gather(1, ids).sort(dim=1, descending=True, stable=True).indices[:, :k]


WORTH = "grouped.sort(dim=-1, descending=True).values[..., :2].sum(dim=-1)"
LAST = "allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]"
GROUPS = "worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]"
for name, title, put in (
    ("maximum", "A group is worth its best expert", {WORTH: "grouped.amax(dim=-1)"}),
    ("mean", "A group is worth all its experts", {WORTH: "grouped.mean(dim=-1)"}),
    ("sum_of_all", "A group is worth all its experts", {WORTH: "grouped.sum(dim=-1)"}),
    ("k_largest", "More than two count", {"[..., :2]": "[..., :k]"}),
    ("as_many_as_groups", "As many count as groups are open", {"[..., :2]": "[..., :topk_groups]"}),
    ("unsorted", "The first two, not the two largest", {".sort(dim=-1, descending=True).values[..., :2]": "[..., :2]"}),
    ("not_enough", "Closed experts are not shut out", {'float("-inf")': "-1e9"}),
    ("minus_one", "Closed experts are not shut out", {'float("-inf")': "-1.0"}),
    ("zero", "Closed experts become 0", {'float("-inf")': "0.0"}),
    ("ignored", "The groups are ignored", {"allowed.sort": "values.sort"}),
    ("worst_groups", "The worst groups are open", {GROUPS: "worth.sort(dim=-1, stable=True).indices[:, :topk_groups]"}),
    ("one_group", "Only the best group is open", {"indices[:, :topk_groups]": "indices[:, :1]"}),
    ("one_more", "One group too many is open", {"indices[:, :topk_groups]": "indices[:, : topk_groups + 1]"}),
    ("within_groups", "The numbers count within a group", {LAST: LAST + " % grouped.shape[2]"}),
    ("not_cut", "All E columns come back", {LAST: LAST.replace("[:, :k]", "")}),
    ("by_number", "The order is by expert number", {LAST: LAST + ".sort(dim=-1).values"}),
    ("worst_first", "The order is worst first", {LAST: LAST + ".flip(-1)"}),
    ("ascending", "The smallest are kept", {LAST: LAST.replace("descending=True, ", "")}),
    ("ties_of_groups", "Equal groups in the wrong order",
     {GROUPS: "n_groups - 1 - " + GROUPS.replace("worth", "worth.flip(1)")}),
    ("ties_of_experts", "Ties are broken the wrong way",
     {LAST: "values.shape[1] - 1 - " + LAST.replace("allowed", "allowed.flip(1)")}),
    ("plain_topk", "Ties are broken the wrong way", {LAST: "allowed.topk(k, dim=-1).indices"}),
    ("plain_topk_of_groups", "Equal groups in the wrong order", {GROUPS: "worth.topk(topk_groups, dim=-1).indices"}),
    ("size_of_a_group", "`n_groups` is taken for the size of a group", {
        "(n_groups, -1)": "(-1, n_groups)", "[:, :topk_groups]": "[:, : min(topk_groups, values.shape[1] // n_groups)]"}),
    ("rounded", "Nearly equal values are taken for equal", {"grouped = values": "grouped = values.half()"}),
):  # fmt: skip
    wrong(name, title, of=as_asked, put=put)

# ---- by readers of the text alone -----------------------------------------------------------------------------------


@right
def ahead_of_how_many(values, k, n_groups, topk_groups):
    n, e = values.shape
    size = e // n_groups
    worth = values.reshape(n, n_groups, size).topk(2, dim=-1).values.sum(-1)
    number = torch.arange(n_groups)
    higher, equal = worth[:, None, :] > worth[:, :, None], worth[:, None, :] == worth[:, :, None]
    ahead = higher | (equal & (number[None, :] < number[:, None]))
    best = (ahead.sum(-1) < topk_groups).nonzero()[:, 1].view(n, topk_groups)
    ids = (best[..., None] * size + torch.arange(size)).reshape(n, -1)
    return ids.gather(1, (-values.gather(1, ids)).argsort(dim=1, stable=True)[:, :k])


@right
def best_group_popped(values, k, n_groups, topk_groups):
    out, size = [], values.shape[1] // n_groups
    for row in values.tolist():
        groups, allowed = list(range(n_groups)), []
        for _ in range(topk_groups):
            best = max(groups, key=lambda g: sum(sorted(row[g * size : (g + 1) * size])[-2:]))
            groups.remove(best)
            allowed += range(best * size, (best + 1) * size)
        out.append(sorted(sorted(allowed), key=lambda e: -row[e])[:k])
    return torch.tensor(out)


@blind("The numbers count among the open experts")
def not_mapped_back(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.topk(2, dim=-1).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups].sort(dim=-1).values
    allowed = grouped.gather(1, groups[..., None].expand(-1, -1, grouped.shape[2])).flatten(1)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


@blind("Ties are broken the wrong way")
def ties_by_rank_of_groups(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    worth = values.unflatten(1, (n_groups, -1)).topk(2, dim=-1).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    ids = (groups[..., None] * size + torch.arange(size)).flatten(1)
    return ids.gather(1, values.gather(1, ids).sort(dim=-1, descending=True, stable=True).indices[:, :k])


@blind("Each open group gives as many")
def some_of_each_in_turn(values, k, n_groups, topk_groups):
    size = values.shape[1] // n_groups
    grouped = values.unflatten(1, (n_groups, -1))
    worth = grouped.topk(2, dim=-1).values.sum(dim=-1)
    groups = worth.sort(dim=-1, descending=True, stable=True).indices[:, :topk_groups]
    each = -(-k // topk_groups)
    order = grouped.sort(dim=-1, descending=True, stable=True).indices[..., :each]
    experts = order + size * torch.arange(n_groups)[:, None]
    return experts.gather(1, groups[..., None].expand(-1, -1, each)).flatten(1)[:, :k]


@blind("Experts of closed groups are chosen")
def columns_for_groups(values, k, n_groups, topk_groups):
    grouped = values.unflatten(1, (-1, n_groups)).transpose(1, 2)
    groups = grouped.topk(2, dim=-1).values.sum(dim=-1).sort(dim=-1, descending=True, stable=True).indices
    mask = torch.zeros(len(values), n_groups, dtype=torch.bool).scatter(1, groups[:, :topk_groups], True)
    allowed = values.unflatten(1, (n_groups, -1)).masked_fill(~mask[..., None], float("-inf")).flatten(1)
    return allowed.sort(dim=-1, descending=True, stable=True).indices[:, :k]


for name, title, put in (
    ("far", "Closed experts are not shut out", {'float("-inf")': "-1e18"}),
    ("farther", "Closed experts are not shut out", {'float("-inf")': "-1e30"}),
    ("one_below_the_smallest", "Closed experts are not shut out", {'float("-inf")': "values.min().item() - 1"}),
    ("topk_twice", "Equal groups and equal experts in the wrong order", {
        GROUPS: "worth.topk(topk_groups, dim=-1).indices", LAST: "allowed.topk(k, dim=-1).indices"}),
    ("flipped_twice", "Equal groups and equal experts in the wrong order", {
        GROUPS: "worth.argsort(dim=-1, stable=True).flip(-1)[:, :topk_groups]",
        LAST: "allowed.argsort(dim=-1, stable=True).flip(-1)[:, :k]"}),
    ("positive_parts", "Experts of closed groups are chosen", {"worth = grouped.": "worth = grouped.relu()."}),
    ("absolute_values", "Experts of closed groups are chosen", {"worth = grouped.": "worth = grouped.abs()."}),
):  # fmt: skip
    blind(name, title, of=as_asked, put=put)
