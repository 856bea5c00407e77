"""Answers to exercise 3.4, combine_matrix: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def loop(weights, expert_ids, n_experts):
    combine = torch.zeros((weights.shape[0], n_experts), dtype=weights.dtype)
    for n in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            combine[n, expert_ids[n, j]] += weights[n, j]
    return combine


@right
def one_hot(weights, expert_ids, n_experts):
    return torch.einsum("nk,nke->ne", weights, F.one_hot(expert_ids, n_experts).to(weights.dtype))


@right
def scatter_in_place(weights, expert_ids, n_experts):
    return torch.zeros(len(weights), n_experts, dtype=weights.dtype).scatter_add_(1, expert_ids, weights)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The last experts have no column")
def columns_from_the_highest_number(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), int(expert_ids.max()) + 1)
    return combine.scatter(1, expert_ids, weights)


@wrong("No gradient reaches `weights`")
def detached(weights, expert_ids, n_experts):
    combine = torch.zeros(len(weights), n_experts, dtype=weights.dtype)
    for n, (row, ids) in enumerate(zip(weights.tolist(), expert_ids.tolist(), strict=True)):
        for weight, expert in zip(row, ids, strict=True):
            combine[n, expert] = weight
    return combine


@wrong("Rows and columns have changed places")
def experts_by_tokens(weights, expert_ids, n_experts):
    return weights.new_zeros(len(weights), n_experts).scatter(1, expert_ids, weights).T


@wrong("Only the first choice is put in")
def first_choice_only(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    rows = torch.arange(len(weights))
    return combine.index_put((rows, expert_ids[:, 0]), weights[:, 0])


@wrong("Place j instead of expert `expert_ids[:, j]`")
def first_columns(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    combine[:, : weights.shape[1]] = weights
    return combine


@wrong("`combine` has the wrong type")
def float32_zeros_loop(weights, expert_ids, n_experts):
    combine = torch.zeros(len(weights), n_experts)
    for n in range(len(weights)):
        for j in range(weights.shape[1]):
            combine[n, expert_ids[n, j]] = weights[n, j]
    return combine


@wrong("Two types do not fit")
def float32_zeros_scatter(weights, expert_ids, n_experts):
    return torch.zeros(len(weights), n_experts).scatter(1, expert_ids, weights)


@wrong("An index must be int64")
def ids_as_float_index(weights, expert_ids, n_experts):
    return weights.new_zeros(len(weights), n_experts).scatter(1, expert_ids.float(), weights)


@wrong("The last choice is left out")
def loop_ends_early(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    for n in range(len(weights)):
        for j in range(weights.shape[1] - 1):
            combine[n, expert_ids[n, j]] = weights[n, j]
    return combine


@wrong("Only the last choice is put in")
def made_anew_for_each_choice(weights, expert_ids, n_experts):
    rows = torch.arange(len(weights))
    for j in range(weights.shape[1]):
        combine = weights.new_zeros(len(weights), n_experts)
        combine[rows, expert_ids[:, j]] = weights[:, j]
    return combine


@wrong(ANY)
def maximum_over_choices(weights, expert_ids, n_experts):
    return (F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)).max(dim=1).values


@wrong("Divided by the number of choices")
def mean_over_choices(weights, expert_ids, n_experts):
    return (F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)).mean(dim=1)


@wrong("One sum is missing")
def not_summed(weights, expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)


@wrong("Ones instead of weights")
def ones(weights, expert_ids, n_experts):
    return F.one_hot(expert_ids, n_experts).sum(dim=1).to(weights.dtype)


@wrong("Not 0 where nothing was chosen")
def ones_for_zeros(weights, expert_ids, n_experts):
    return weights.new_ones(len(weights), n_experts).scatter(1, expert_ids, weights)


@wrong("The rows were normalised")
def rows_normalised(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts).scatter(1, expert_ids, weights)
    return combine / combine.sum(dim=1, keepdim=True)


@wrong("Nothing was written")
def scatter_thrown_away(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    combine.scatter(1, expert_ids, weights)
    return combine


@wrong("Scattered down the rows", "An index is too large")
def scattered_down_the_rows(weights, expert_ids, n_experts):
    return weights.new_zeros(len(weights), n_experts).scatter(0, expert_ids, weights)


@wrong("Wrong shape")
def summed_over_tokens(weights, expert_ids, n_experts):
    return (F.one_hot(expert_ids, n_experts) * weights.unsqueeze(-1)).sum(dim=(0, 1))


@wrong("Whole columns are filled")
def whole_columns(weights, expert_ids, n_experts):
    combine = weights.new_zeros(len(weights), n_experts)
    for n in range(len(weights)):
        combine[:, expert_ids[n]] = weights[n]
    return combine


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("No gradient reaches `weights`", ANY)  # right values, but the weights are detached: no gradient reaches them
def blind_detached(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.scatter(1, expert_ids, weights.detach())


@blind("No gradient reaches `weights`", ANY)
# asks for requires_grad on the result: it looks trainable, but is a new leaf that never reaches weights
def new_leaf(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    combine = torch.zeros(n, n_experts, dtype=weights.dtype)
    for i in range(n):
        for j in range(k):
            combine[i, expert_ids[i, j]] = weights[i, j].item()
    return combine.requires_grad_()


@blind("The gradient for `weights` differs", ANY)
# only the first choice carries a gradient, the others are written through .data
def gradient_to_best_only(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    rows = torch.arange(weights.shape[0])
    combine = weights.new_zeros(weights.shape[0], n_experts)
    combine = combine.scatter(1, expert_ids[:, 1:], weights[:, 1:].data)
    return combine.scatter(1, expert_ids[:, :1], weights[:, :1])


@blind("`combine` has the wrong type", ANY)  # always float32, whatever the dtype of weights
def always_float32(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).float()
    return (one_hot * weights.float().unsqueeze(-1)).sum(dim=1)


@blind("`combine` has the wrong type", ANY)
# float32 one-hots promote float16 and bfloat16 weights to float32; float64 comes out right
def promoted_dtype(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).float()
    return torch.einsum(
        "nk,nke->ne",
        weights.to(torch.promote_types(weights.dtype, torch.float32)),
        one_hot.to(torch.promote_types(weights.dtype, torch.float32)),
    )


@blind("`combine` is not right yet", ANY)  # passes through bfloat16 on the way, so the weights come back rounded
def through_half(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(torch.bfloat16)
    return (one_hot * weights.to(torch.bfloat16).unsqueeze(-1)).sum(dim=1).to(weights.dtype)


@blind("The last experts have no column", ANY)
# takes the number of columns from the largest id: too narrow when the last expert is not chosen
def width_from_ids(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids)
    return (one_hot * weights.unsqueeze(-1)).sum(dim=1)


@blind("`combine` is not right yet", ANY)
# fills a boolean mask row by row: the weights land by expert number, not with their own expert
def mask_order(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    mask = F.one_hot(expert_ids, n_experts).sum(dim=1).bool()
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.masked_scatter(mask, weights)


@blind("`combine` is not right yet", ANY)
# row numbers with repeat instead of repeat_interleave: weights land in other tokens' rows
def repeat_rows(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    rows = torch.arange(n).repeat(k)
    combine = weights.new_zeros(n, n_experts)
    return combine.index_put((rows, expert_ids.flatten()), weights.flatten(), accumulate=True)


@blind("Rows and columns have changed places", ANY)  # one row an expert: (E, N) instead of (N, E)
def transposed(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(n_experts, weights.shape[0])
    return combine.scatter(0, expert_ids.T, weights.T)


@blind("`combine` is not right yet", ANY)
# writes 1 where chosen instead of the weight (times a sum that is 1, so a gradient exists)
def ones_not_weights(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    mask = F.one_hot(expert_ids, n_experts).sum(dim=1).to(weights.dtype)
    return mask * weights.sum(dim=-1, keepdim=True)


@blind("`combine` is not right yet", ANY)  # writes the first two choices only: right for k <= 2
def two_choices_only(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts)
    for j in range(min(2, weights.shape[1])):
        combine = combine.scatter(1, expert_ids[:, j : j + 1], weights[:, j : j + 1])
    return combine


@blind("The rows were normalised", ANY)
# divides the weights by their row sum first: changes weights that do not sum to 1
def renormalises(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    w = weights / weights.sum(dim=-1, keepdim=True)
    return weights.new_zeros(weights.shape[0], n_experts).scatter(1, expert_ids, w)


@blind("Divided by the number of choices", ANY)  # averages over the k one-hot rows instead of adding them
def blind_mean_over_choices(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(weights.dtype)
    return (one_hot * weights.unsqueeze(-1)).mean(dim=1)


@blind("`combine` is not right yet", ANY)
# takes the ids for 1-based: every weight one column too far left, expert 0 wraps to the last column
def one_based(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    rows = torch.arange(weights.shape[0]).unsqueeze(1)
    combine = weights.new_zeros(weights.shape[0], n_experts)
    return combine.index_put((rows, expert_ids - 1), weights)


@blind("`combine` is not right yet", ANY)  # takes expert 0 for padding and leaves its column empty
def expert_zero_is_padding(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    kept = weights * (expert_ids > 0)
    return weights.new_zeros(weights.shape[0], n_experts).scatter(1, expert_ids, kept)


@blind("Not 0 where nothing was chosen", ANY)  # fills the other columns with 1e-6 instead of 0
def not_quite_zero(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_full((weights.shape[0], n_experts), 1e-6)
    return combine.scatter(1, expert_ids, weights)


BUFFERS = {}


@blind("Not 0 where nothing was chosen", ANY)
# reuses a global buffer: a second call of the same shape still holds the first call's weights
def stale_buffer(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    key = (weights.shape[0], n_experts, weights.dtype)
    if key not in BUFFERS:
        BUFFERS[key] = weights.new_zeros(weights.shape[0], n_experts)
    combine = BUFFERS[key].scatter(1, expert_ids, weights)
    BUFFERS[key] = combine.detach()
    return combine


@blind("Scattered down the rows", ANY)
# scatters along dim 0 into a square of the larger side and cuts it: tokens and experts mixed up
def wrong_scatter_dim(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    n, k = weights.shape
    m = max(n, n_experts, k)
    return weights.new_zeros(m, m).scatter(0, expert_ids, weights)[:n, :n_experts]


@blind("One sum is missing", ANY)
# returns (N, k, E), the sum over the k choices is forgotten (squeezed, so k=1 looks right)
def keeps_slots(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    one_hot = F.one_hot(expert_ids, n_experts).to(weights.dtype)
    return (one_hot * weights.unsqueeze(-1)).squeeze(1)


@blind("Wrong shape", ANY)  # hard-codes eight experts and ignores n_experts: crashes or has the wrong width elsewhere
def eight_experts(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], 8)
    return combine.scatter(1, expert_ids, weights)


@blind("Your function changed its input", ANY)
# sets weights to zero after use: right result, the caller's weights are gone
def zeroes_weights_after(weights: torch.Tensor, expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    combine = weights.new_zeros(weights.shape[0], n_experts).scatter(1, expert_ids, weights)
    weights.data.zero_()
    return combine
