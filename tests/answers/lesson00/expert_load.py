"""Answers to exercise 0.1, expert_load: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def comparison(expert_ids, n_experts):
    return torch.stack([(expert_ids == expert).sum() for expert in range(n_experts)])


@right
def one_hot(expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts).sum(dim=(0, 1))


@right
def scatter_add(expert_ids, n_experts):
    flat = expert_ids.reshape(-1)
    return torch.zeros(n_experts, dtype=torch.int64).scatter_add_(0, flat, torch.ones_like(flat))


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("One dimension is expected")
def bincount_of_a_table(expert_ids, n_experts):
    return torch.bincount(expert_ids, minlength=n_experts)


@wrong("The last experts are cut off")
def bincount_without_minlength(expert_ids, n_experts):
    return torch.bincount(expert_ids.flatten())


@wrong("Each expert counts at most once")
def fancy_assignment_counts_once(expert_ids, n_experts):
    load = torch.zeros(n_experts, dtype=torch.int64)
    load[expert_ids.flatten()] += 1
    return load


@wrong("Only the first choices are counted")
def first_choices_only(expert_ids, n_experts):
    return torch.bincount(expert_ids[:, 0], minlength=n_experts)


@wrong("`load` has the wrong type")
def float_counts(expert_ids, n_experts):
    load = torch.zeros(n_experts)
    for expert in expert_ids.flatten():
        load[expert] += 1
    return load


@wrong("Only the last choices are counted")
def last_choice_overwrites(expert_ids, n_experts):
    for column in expert_ids.unbind(dim=1):
        load = torch.bincount(column, minlength=n_experts)
    return load


@wrong("Divided by the number of tokens")
def mean_over_tokens(expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts).sum(dim=1).float().mean(dim=0)


@wrong("One sum is missing")
def one_hot_not_summed_over_tokens(expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts).sum(dim=1)


@wrong("Not a tensor")
def python_list(expert_ids, n_experts):
    flat = expert_ids.flatten().tolist()
    return [flat.count(expert) for expert in range(n_experts)]


@wrong("Shares, not counts")
def shares(expert_ids, n_experts):
    load = torch.bincount(expert_ids.flatten(), minlength=n_experts)
    return load / load.sum()


@wrong("Sorted by size")
def sorted_by_size(expert_ids, n_experts):
    return torch.bincount(expert_ids.flatten(), minlength=n_experts).sort(descending=True).values


@wrong("Silent experts are missing")
def unique_drops_silent_experts(expert_ids, n_experts):
    return expert_ids.unique(return_counts=True)[1]


@wrong("The zeros stand at the end")
def zeros_at_the_end(expert_ids, n_experts):
    load = torch.zeros(n_experts, dtype=torch.int64)
    counts = expert_ids.unique(return_counts=True)[1]
    load[: len(counts)] = counts
    return load


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The last experts are cut off", ANY)
# bincount without minlength: the trailing experts that got nothing are missing
def no_minlength(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten())


@blind("The zeros stand at the end", ANY)
# the counts of unique, padded with zeros at the end, so counts slide to lower experts when a middle one is empty
def counts_padded_at_end(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    counts = expert_ids.unique(return_counts=True)[1]
    load = torch.zeros(n_experts, dtype=torch.int64)
    load[: len(counts)] = counts
    return load


@blind("`load` is not right yet", ANY)  # load[ids] += 1 counts a repeated expert once only
def plus_equals_index(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.int64)
    for row in range(expert_ids.shape[1]):
        load[expert_ids[:, row]] += 1
    return load


@blind("Only the first choices are counted", ANY)
# counts only every token's first choice, the other K-1 columns are ignored
def first_choice_only(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids[:, 0], minlength=n_experts)


@blind("`load` is not right yet", ANY)  # hard-codes K: adds the first and the last column, right for K=2 only
def two_columns_only(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.bincount(expert_ids[:, 0], minlength=n_experts)
    load = load + torch.bincount(expert_ids[:, -1], minlength=n_experts)
    return load


@blind("`load` is not right yet", ANY)
# histc over the data's own range: right only if experts 0 and E-1 were both chosen
def histc_data_range(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.histc(expert_ids.float(), bins=n_experts).long()


@blind("`load` has the wrong type", ANY)  # right numbers, returned as float32 instead of int64
def float_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return F.one_hot(expert_ids, n_experts).float().sum(dim=(0, 1))


@blind("`load` has the wrong type", ANY)  # right numbers in int32 instead of int64
def int32_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.int32)
    flat = expert_ids.reshape(-1)
    return load.scatter_add(0, flat, torch.ones_like(flat, dtype=torch.int32))


@blind("`load` is not right yet", ANY)  # counts in uint8, which wraps around above 255 assignments for one expert
def uint8_wraps(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.uint8)
    flat = expert_ids.reshape(-1)
    load.scatter_add_(0, flat, torch.ones_like(flat, dtype=torch.uint8))
    return load.to(torch.int64)


@blind("`load` is not right yet", ANY)  # counts in float16, where 2048 + 1 is 2048, so a busy expert stops at 2048
def half_saturates(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    load = torch.zeros(n_experts, dtype=torch.float16)
    flat = expert_ids.reshape(-1)
    load.index_add_(0, flat, torch.ones(flat.shape[0], dtype=torch.float16))
    return load.long()


@blind("`load` is not right yet", ANY)  # takes expert 0 for padding and never counts it
def zero_is_padding(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    flat = expert_ids[expert_ids > 0]
    return torch.bincount(flat, minlength=n_experts)


@blind("`load` is not right yet", ANY)  # numbers the experts from 1 to E, so expert 0 is lost and the list ends in a 0
def experts_from_one(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.stack([(expert_ids == e).sum() for e in range(1, n_experts + 1)])


@blind("Wrong shape", ANY)  # minlength one too large: returns E + 1 entries
def one_too_long(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=n_experts + 1)


@blind("`load` is not right yet", ANY)
# gives 1 instead of 0 to an expert that got nothing (clamped against a division by zero)
def at_least_one(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return torch.bincount(expert_ids.flatten(), minlength=n_experts).clamp(min=1)


@blind("One sum is missing", ANY)  # sums over the tokens only: (K, E) instead of (E,), squeezed so that K=1 looks right
def per_slot_load(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return F.one_hot(expert_ids, n_experts).sum(dim=0).squeeze(0)


LOADS = {}


@blind("`load` is not right yet", ANY)  # keeps the counts in a global, so the second call adds to the first
def global_accumulates(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    if n_experts not in LOADS:
        LOADS[n_experts] = torch.zeros(n_experts, dtype=torch.int64)
    LOADS[n_experts] += torch.bincount(expert_ids.flatten(), minlength=n_experts)
    return LOADS[n_experts].clone()


@blind("Not a tensor", ANY)  # returns a Python list instead of a tensor
def list_of_ints(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    return [int((expert_ids == e).sum()) for e in range(n_experts)]


@blind("`load` is not right yet", ANY)  # divides by K: tokens-worth of load instead of assignments
def per_token_average(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = expert_ids.shape
    return torch.bincount(expert_ids.flatten(), minlength=n_experts) // k


@blind("Your function changed its input", ANY)  # right counts, but sorts the caller's expert_ids in place on the way
def sorts_input(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    flat = expert_ids.view(-1)
    flat.copy_(flat.sort().values)
    edges = torch.searchsorted(flat, torch.arange(n_experts + 1))
    return edges[1:] - edges[:-1]


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("Wrong for extreme values")
def blind_short_counts(expert_ids, n_experts):
    counts = torch.zeros(n_experts, dtype=torch.int16)
    return counts.index_add(0, expert_ids.flatten(), torch.ones(expert_ids.numel(), dtype=torch.int16)).long()


@blind("Wrong for thousands of rows")
def blind_equal_parts(expert_ids, n_experts):
    parts = max(1, len(expert_ids) // 1024)
    size = len(expert_ids) // parts
    return torch.bincount(expert_ids[: parts * size].flatten(), minlength=n_experts)
