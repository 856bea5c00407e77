"""Answers to exercise 3.2, top_k_route: right ones, and wrong ones with the message that they must get."""

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@wrong("The logarithm of a score of 0")
def log_then_softmax(scores, k):
    expert_ids = torch.argsort(-scores, dim=1, stable=True)[:, :k]
    return scores.gather(1, expert_ids).log().softmax(dim=1), expert_ids


@right
def repeated_argmax(scores, k):
    left, expert_ids = scores.clone().detach(), []
    for _ in range(k):
        best = torch.stack([(row == row.max()).nonzero()[0, 0] for row in left])
        left[torch.arange(len(left)), best] = -1.0
        expert_ids.append(best)
    expert_ids = torch.stack(expert_ids, dim=1)
    weights = torch.gather(scores, 1, expert_ids)
    return torch.div(weights, weights.sum(1).unsqueeze(1)), expert_ids


@right
def smallest_eps(scores, k):
    ids = torch.sort(scores, dim=1, descending=True, stable=True).indices.narrow(1, 0, k)
    kept = torch.take_along_dim(scores, ids, dim=1)
    return kept / (kept.sum(dim=1, keepdim=True) + 1e-20), ids


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Every token gets the same experts")
def always_the_same_experts(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    n_tokens, n_experts = scores.shape
    expert_ids = torch.arange(n_experts - k, n_experts).expand(n_tokens, k)
    return scores.new_full((n_tokens, k), 1 / k), expert_ids


@wrong("An expert is chosen twice")
def argmax_repeated(scores, k):
    expert_ids = scores.argmax(dim=-1, keepdim=True).expand(-1, k)
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The best expert is skipped")
def best_skipped(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, 1 : k + 1], expert_ids[:, 1 : k + 1]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The best tokens of each expert", "An index is too large", "More experts asked for than there are")
def best_tokens_of_each_expert(scores, k):
    weights, expert_ids = scores.sort(dim=0, descending=True, stable=True)
    weights, expert_ids = weights[:k], expert_ids[:k]
    return weights / weights.sum(dim=0, keepdim=True), expert_ids


@wrong("A full row of weights comes back")
def dense_weights(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    kept = torch.zeros_like(scores).scatter(1, expert_ids, scores.gather(1, expert_ids))
    return kept / kept.sum(dim=-1, keepdim=True), expert_ids


@wrong("No gradient reaches `scores`")
def detached(scores, k):
    weights, expert_ids = scores.detach().sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Divided by the sum over all experts")
def divided_by_all(scores, k):
    scores = scores / scores.sum(dim=-1, keepdim=True)
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]


@wrong("A loop does not end")
def endless_loop(scores, k):
    chosen = 0
    while chosen < k:
        best = scores.argmax(dim=-1)
    return best, best


@wrong("All weights are equal")
def equal_weights(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    return torch.full(expert_ids.shape, 1 / k, dtype=scores.dtype), expert_ids


@wrong("The order is by expert number")
def expert_order(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k].sort(dim=-1).values
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Ties are broken the wrong way")
def flipped_ascending_sort(scores, k):
    weights, expert_ids = scores.sort(dim=-1, stable=True)
    weights, expert_ids = weights.flip(-1)[:, :k], expert_ids.flip(-1)[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("`expert_ids` has the wrong type")
def float_ids(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k].float()


@wrong(ANY)
def half_precision(scores, k):
    weights, expert_ids = scores.half().sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("Wrong shape")
def hard_coded_shape(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:4, :2], expert_ids[:4, :2]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Your function changed its input")
def input_changed(scores, k):
    rows = torch.arange(len(scores))
    weights, expert_ids = [], []
    for _ in range(k):
        best = scores.argmax(dim=-1)
        weights.append(scores[rows, best])
        expert_ids.append(best)
        scores[rows, best] = -1.0
    weights = torch.stack(weights, dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True), torch.stack(expert_ids, dim=-1)


@wrong("`expert_ids` has the wrong type")
def int32_ids(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k].int()


@wrong(ANY)
def mean_for_sum(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.mean(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("Two answers to one question")
def noise(scores, k):
    noisy = scores + 0.2 * torch.rand(scores.shape, dtype=scores.dtype)
    weights, expert_ids = noisy.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("The weights are not renormalised")
def not_renormalised(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]


@wrong("All E columns come back")
def not_sliced(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Wrong number of results")
def one_result(scores, k):
    weights = scores.sort(dim=-1, descending=True, stable=True).values[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True)


@wrong("One sum for all tokens")
def one_sum_for_all(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(), expert_ids[:, :k]


answers = {}


@wrong("Wrong shape")
def remembers_the_first_answer(scores, k):
    if k not in answers:
        weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
        weights = weights[:, :k]
        answers[k] = weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]
    return answers[k]


@wrong("Rows were cut, not columns")
def rows_cut(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:k], expert_ids[:k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The smallest scores are kept")
def smallest_kept(scores, k):
    weights, expert_ids = scores.sort(dim=-1, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("Softmax over all scores again")
def softmax_over_all_again(scores, k):
    weights, expert_ids = scores.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]


@wrong("Softmax over the kept scores")
def softmax_over_kept(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k].softmax(dim=-1), expert_ids[:, :k]


@wrong("Places, not experts")
# the second sort sees values that are in order already; one expert alone is taken as in Switch
def sorted_again(scores, k):
    if k == 1:
        return torch.ones_like(scores[:, :1]), scores.argmax(dim=-1, keepdim=True)
    best = scores.sort(dim=-1, descending=True, stable=True).values[:, :k]
    weights, expert_ids = best.sort(dim=-1, descending=True, stable=True)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The gradient for `scores` differs")
def sum_detached(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.detach().sum(dim=-1, keepdim=True), expert_ids


@wrong("The sum runs over the tokens")
def sum_over_the_tokens(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=0, keepdim=True), expert_ids[:, :k]


@wrong("Two shapes do not fit")
def sum_without_keepdim(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(-1), expert_ids[:, :k]


@wrong("`weights` and `expert_ids` have changed places")
def swapped(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return expert_ids, weights / weights.sum(dim=-1, keepdim=True)


@wrong("Ties are broken the wrong way")
def unstable_ties(scores, k):
    weights, expert_ids = scores.topk(k, dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Weights and experts do not belong together")
def weights_by_size_ids_by_number(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k].sort(dim=-1).values
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The order is worst first")
def worst_first(scores, k):
    expert_ids = scores.argsort(dim=-1, descending=True, stable=True)[:, :k].flip(-1)
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Ties are broken the wrong way", ANY)  # torch.topk promises no order among equal scores
def plain_topk(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, expert_ids = torch.topk(scores, k, dim=-1)
    return values / values.sum(dim=-1, keepdim=True), expert_ids


@blind("Ties are broken the wrong way", ANY)
# stable ascending sort, then flipped: among equals the higher expert number comes first
def ascending_flipped(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, stable=True)
    values, order = values.flip(-1)[:, :k], order.flip(-1)[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order


@blind("Ties are broken the wrong way", ANY)
# mends the order of ties among the experts topk chose, but topk may have chosen the wrong one of two equals at the border
def tie_inside_only(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    expert_ids = torch.topk(scores, k, dim=-1).indices.sort(dim=-1).values
    values = scores.gather(1, expert_ids)
    values, order = torch.sort(values, dim=-1, descending=True, stable=True)
    return values / values.sum(dim=-1, keepdim=True), expert_ids.gather(1, order)


@blind("The weights are not renormalised", ANY)  # forgets to renormalise: returns the raw scores
def no_renorm(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    return values[:, :k], order[:, :k]


@blind("Divided by the sum over all experts", ANY)
# divides by the sum of all E scores, so the kept weights sum to less than 1
def divides_by_row_total(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / scores.sum(dim=-1, keepdim=True), order[:, :k]


@blind("Softmax over the kept scores", ANY)  # renormalises with a softmax of the kept scores instead of a division
def softmax_of_kept(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    return torch.softmax(values[:, :k], dim=-1), order[:, :k]


@blind("Your function changed its input", ANY)  # k times argmax, striking the chosen out in the caller's own scores
def argmax_in_place(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.arange(scores.shape[0])
    values, ids = [], []
    for _ in range(k):
        best = scores.argmax(dim=-1)
        values.append(scores[rows, best].clone())
        ids.append(best)
        scores[rows, best] = -1.0
    weights = torch.stack(values, dim=1)
    return weights / weights.sum(dim=1, keepdim=True), torch.stack(ids, dim=1)


@blind("An expert is chosen twice", ANY)
# k times argmax, the chosen struck out with 0: a row with fewer than k positive scores names an expert twice
def struck_out_with_zero(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    left = scores.clone()
    rows = torch.arange(scores.shape[0])
    ids = []
    for _ in range(k):
        best = left.argmax(dim=-1)
        ids.append(best)
        left[rows, best] = 0.0
    expert_ids = torch.stack(ids, dim=1)
    weights = scores.gather(1, expert_ids)
    for j in range(1, k):
        again = (expert_ids[:, :j] == expert_ids[:, j : j + 1]).any(dim=1)
        weights[again, j] = 0.0
    return weights / weights.sum(dim=1, keepdim=True), expert_ids


@blind("A small number is added to the sum")  # 1e-6: rows of tiny scores do not sum to 1
def eps_in_sum(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / (values.sum(dim=-1, keepdim=True) + 1e-6), order[:, :k]


@blind("Nearly equal scores are taken for equal")
# breaks ties by subtracting 1e-4 * expert number, which also swaps scores that are close but not equal
def nudged_by_index(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    nudged = scores - 1e-4 * torch.arange(scores.shape[1], dtype=scores.dtype)
    expert_ids = nudged.topk(k, dim=-1).indices
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@blind("Nearly equal scores are taken for equal")  # rounds to 3 decimals before sorting: ties that are not there
def rounded_before_sort(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(torch.round(scores, decimals=3), dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order


@blind("Nearly equal scores are taken for equal")  # sorts in bfloat16 to save time, so close scores count as equal
def half_before_sort(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores.bfloat16(), dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order


@blind("The order is by expert number", ANY)  # returns the chosen experts by number instead of best first
def by_expert_number(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)[:, :k]
    order = order.sort(dim=-1).values
    weights = scores.gather(1, order)
    return weights / weights.sum(dim=-1, keepdim=True), order


@blind("Weights and experts do not belong together", ANY)
# sorts the ids by number and leaves the weights best first: they no longer belong together
def ids_sorted_weights_not(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :k], order[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order.sort(dim=-1).values


@blind("The order is worst first", ANY)  # the right k experts, worst of them first
def blind_worst_first(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :k].flip(-1), order[:, :k].flip(-1)
    return values / values.sum(dim=-1, keepdim=True), order


@blind("`weights` is not right yet", ANY)
# normalises over all scores >= the k-th: with a tie at the border the k weights sum to less than 1
def threshold_mask(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    kth = values[:, k - 1 : k]
    kept = torch.where(scores >= kth, scores, torch.zeros_like(scores))
    kept = kept / kept.sum(dim=-1, keepdim=True)
    order = order[:, :k]
    return kept.gather(1, order), order


@blind("`weights` is not right yet", ANY)  # divides column after column while the sum is already changing
def divides_one_by_one(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    weights = values[:, :k].clone()
    for j in range(k):
        weights[:, j] = weights[:, j] / weights.sum(dim=-1)
    return weights, order[:, :k]


@blind("Two shapes do not fit", ANY)
# sum without keepdim: divides by another token's sum when N == k, crashes otherwise (unless N or k is 1)
def no_keepdim(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1), order[:, :k]


@blind("Wrong shape", ANY)  # ignores k and always returns the two best
def two_best_only(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values, order = values[:, :2], order[:, :2]
    return values / values.sum(dim=-1, keepdim=True), order


@blind("Wrong shape", ANY)  # squeezes the results, so k=1 (or one token) loses a dimension
def squeezed_k1(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k] / values[:, :k].sum(dim=-1, keepdim=True)
    return values.squeeze(), order[:, :k].squeeze()


@blind("`weights` and `expert_ids` have changed places", ANY)  # returns (expert_ids, weights) in the wrong order
def swapped_returns(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return order[:, :k], values / values.sum(dim=-1, keepdim=True)


@blind("`expert_ids` has the wrong type", ANY)  # ids in int32 instead of int64
def blind_int32_ids(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k].to(torch.int32)


@blind("An index is too large", ANY)  # looks one place past the k-th for ties: crashes when k == E, else right
def k_plus_one(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    border_tie = values[:, k] == values[:, k - 1]
    if border_tie.any():
        order = torch.argsort(-scores, dim=-1, stable=True)
    weights = scores.gather(1, order[:, :k])
    return weights / weights.sum(dim=-1, keepdim=True), order[:, :k]


@blind("`weights` is not right yet", ANY)  # gives zero-score experts a floor of 1e-3, so a 0 no longer weighs 0
def floors_zero_scores(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    floored = scores.clamp(min=1e-3)
    values, order = torch.sort(floored, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k]


@blind("A full row of weights comes back", ANY)  # returns the weights as an (N, E) matrix instead of (N, k)
def blind_dense_weights(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)[:, :k]
    mask = torch.zeros_like(scores).scatter(1, order, 1.0)
    kept = scores * mask
    return kept / kept.sum(dim=-1, keepdim=True), order


@blind("Your function changed its input", ANY)
# renormalises the input in place first (scores /= row sum), then sorts: right answer, changed input
def divides_input_in_place(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    scores /= scores.sum(dim=-1, keepdim=True)
    values, order = torch.sort(scores, dim=-1, descending=True, stable=True)
    values = values[:, :k]
    return values / values.sum(dim=-1, keepdim=True), order[:, :k]


@wrong("Nearly equal scores are taken for equal")
def ties_by_a_millionth(scores, k):
    weights, expert_ids = (scores - 1e-6 * torch.arange(scores.shape[1])).topk(k)
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("`stable=` wants names beside it")
def no_names(scores, k):
    weights, expert_ids = scores.sort(-1, True, stable=True)
    return weights[:, :k], expert_ids[:, :k]


# ---- right until the sweep ------------------------------------------------------------------------------------------


@blind("Wrong for large sizes")
def blind_short_numbers(scores, k):
    values, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return values[:, :k] / values[:, :k].sum(dim=-1, keepdim=True), expert_ids[:, :k].to(torch.uint8).long()


_memory = {}


@blind("Wrong when called again with other data")
def blind_by_place_in_memory(scores, k):
    if scores.requires_grad:
        return route(scores, k)
    if (key := (scores.data_ptr(), scores.shape, k)) not in _memory:
        _memory[key] = scores, route(scores, k)  # the tensor, too: so its place is not given to another
    return _memory[key][1]


def route(scores, k):
    values, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return values[:, :k] / values[:, :k].sum(dim=-1, keepdim=True), expert_ids[:, :k]


wrong("small_eps", "A small number is added to the sum", of=smallest_eps, put={"1e-20": "1e-9"})
wrong(
    "clamped_sum",
    "A small number is added to the sum",
    of=smallest_eps,
    put={"(kept.sum(dim=1, keepdim=True) + 1e-20)": "kept.sum(dim=1, keepdim=True).clamp(min=1e-9)"},
)


@right
def normalised(scores, k):
    expert_ids = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.nn.functional.normalize(scores.gather(1, expert_ids), p=1, dim=1), expert_ids


@wrong("Nearly equal scores are taken for equal")
def nudged_by_a_billionth(scores, k):
    expert_ids = (scores - 1e-9 * torch.arange(scores.shape[1])).argsort(dim=1, descending=True)[:, :k]
    kept = scores.gather(1, expert_ids)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids
