"""Answers to exercise 4.2, dispatch_order: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def one_hot(expert_ids, n_experts):
    chosen = F.one_hot(expert_ids.flatten(), n_experts).T
    return chosen.nonzero()[:, 1], chosen.sum(dim=1)


@right
def python(expert_ids, n_experts):
    flat = expert_ids.flatten().tolist()
    order = sorted(range(len(flat)), key=lambda place: (flat[place], place))
    return torch.tensor(order), torch.tensor([flat.count(e) for e in range(n_experts)])


@right
def unique_keys(expert_ids, n_experts):
    flat = expert_ids.reshape(-1)
    order = (flat * len(flat) + torch.arange(len(flat))).sort().indices
    return order, (flat[:, None] == torch.arange(n_experts)).sum(dim=0)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Places are counted choice by choice")
def choice_by_choice(expert_ids, n_experts):
    flat = expert_ids.T.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


@wrong("The number of the choice, not the place")
def columns(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True) % expert_ids.shape[1], torch.bincount(flat, minlength=n_experts)


@wrong("Each expert counts at most once")
def counts_once(expert_ids, n_experts):
    flat = expert_ids.flatten()
    counts = torch.zeros(n_experts, dtype=torch.int64)
    counts[flat] += 1
    return flat.argsort(stable=True), counts


@wrong("The last expert comes first")
def descending(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(descending=True, stable=True), torch.bincount(flat, minlength=n_experts)


@wrong("Within an expert, places do not rise")
def descending_turned(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(descending=True, stable=True).flip(0), torch.bincount(flat, minlength=n_experts)


@wrong("Only the first choices are sorted")
def first_choices(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return expert_ids[:, 0].argsort(stable=True), torch.bincount(flat, minlength=n_experts)


@wrong("`counts` has the wrong type")
def float_counts(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), F.one_hot(flat, n_experts).float().sum(dim=0)


@wrong("The permutation the wrong way round")
def inverse(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True).argsort(), torch.bincount(flat, minlength=n_experts)


@wrong("The last experts are cut off")
def no_minlength(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat)


@wrong("Each token was sorted by itself")
def not_flattened(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return expert_ids.argsort(dim=-1, stable=True), torch.bincount(flat, minlength=n_experts)


@wrong("Nothing is sorted")
def not_sorted(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return torch.arange(len(flat)), torch.bincount(flat, minlength=n_experts)


@wrong("Only the first choices are counted")
def one_a_token(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(expert_ids[:, 0], minlength=n_experts)


@wrong("Wrong number of results")
def order_only(expert_ids, n_experts):
    return expert_ids.flatten().argsort(stable=True)


@wrong("Choices of a token, not of an expert")
def per_token(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.full((len(expert_ids),), expert_ids.shape[1])


@wrong("Running sums, not counts")
def running_sums(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts).cumsum(0)


@wrong("Shares, not counts")
def shares(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts).double() / len(flat)


@wrong("Sorted by size")
def sorted_counts(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts).sort(descending=True).values


@wrong("Experts, not places")
def sorted_numbers(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.sort(stable=True).values, torch.bincount(flat, minlength=n_experts)


@wrong("Your function changed its input")
def sorts_in_place(expert_ids, n_experts):
    flat = expert_ids.view(-1)
    order = flat.argsort(stable=True)
    flat.copy_(flat[order])
    return order, torch.bincount(flat, minlength=n_experts)


@wrong("Starts, not counts")
def starts(expert_ids, n_experts):
    flat = expert_ids.flatten()
    counts = torch.bincount(flat, minlength=n_experts)
    return flat.argsort(stable=True), counts.cumsum(0) - counts


@wrong("`order` and `counts` have changed places")
def swapped(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return torch.bincount(flat, minlength=n_experts), flat.argsort(stable=True)


@wrong("Tokens, not places")
def tokens(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True) // expert_ids.shape[1], torch.bincount(flat, minlength=n_experts)


@wrong("One dimension is expected", ANY)
def two_dimensions(expert_ids, n_experts):
    return expert_ids.flatten().argsort(stable=True), torch.bincount(expert_ids, minlength=n_experts)


@wrong("Silent experts are missing")
def unique(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), flat.unique(return_counts=True)[1]


@wrong("Within an expert, places do not rise")
def unstable_top_k(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.topk(len(flat), largest=False).indices, torch.bincount(flat, minlength=n_experts)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Places are counted choice by choice", ANY)  # all first choices, then all second ones
def blind_choice_by_choice(expert_ids, n_experts):
    flat = expert_ids.t().reshape(-1)
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts)


@blind("Silent experts are missing", ANY)  # counts only of experts that occur
def counts_of_unique(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), flat.unique(return_counts=True)[1]


@blind("The last expert comes first", ANY)  # sorted from the highest expert down
def default_argsort_descending(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(descending=True, stable=True), torch.bincount(flat, minlength=n_experts)


@blind("`order` is not right yet", ANY)  # every token sorts its own choices
def each_row_sorted(expert_ids, n_experts):
    flat = expert_ids.flatten()
    order = expert_ids.argsort(dim=1, stable=True) + torch.arange(len(expert_ids))[:, None] * expert_ids.shape[1]
    return order.flatten(), torch.bincount(flat, minlength=n_experts)


@blind("Shares, not counts", ANY)  # counts as float shares
def blind_float_counts(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts) / flat.numel()


@blind("`order` has the wrong type", ANY)  # order in int32
def int32_order(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True).int(), torch.bincount(flat, minlength=n_experts)


@blind("The last experts are cut off", ANY)  # bincount without minlength
def blind_no_minlength(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat)


@blind("Wrong shape", ANY)  # counts have a column for "none"
def one_expert_too_many(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(flat, minlength=n_experts + 1)


@blind("The permutation the wrong way round", ANY)  # the inverse: where each place went
def rank_of_place(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True).argsort(), torch.bincount(flat, minlength=n_experts)


@blind("Within an expert, places do not rise", ANY)  # within an expert the last place comes first
def reversed_within_expert(expert_ids, n_experts):
    flat = expert_ids.flatten()
    order = (flat * flat.numel() - torch.arange(flat.numel())).argsort()
    return order, torch.bincount(flat, minlength=n_experts)


@blind("Experts, not places", ANY)  # returns the sorted expert ids, not the places
def sorted_ids_returned(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.sort(stable=True).values, torch.bincount(flat, minlength=n_experts)


@blind("Starts, not counts", ANY)  # where each slice begins, not how long it is
def blind_starts(expert_ids, n_experts):
    flat = expert_ids.flatten()
    counts = torch.bincount(flat, minlength=n_experts)
    return flat.argsort(stable=True), counts.cumsum(0) - counts


@blind("Only the first choices are counted", ANY)  # counts tokens of first choices only
def tokens_counted_once(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True), torch.bincount(expert_ids[:, 0], minlength=n_experts)


@blind("Tokens, not places", ANY)  # tokens instead of places
def tokens_returned(expert_ids, n_experts):
    flat = expert_ids.flatten()
    return flat.argsort(stable=True) // expert_ids.shape[1], torch.bincount(flat, minlength=n_experts)
