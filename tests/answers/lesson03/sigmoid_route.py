"""Answers to exercise 3.5, sigmoid_route: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@right
def put_another_way(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@right
def loop_over_tokens(logits, k, bias):
    weights, expert_ids = [], []
    for row in logits:
        scores = torch.sigmoid(row)
        order = sorted(range(len(row)), key=lambda e: (-float((scores[e] + bias[e]).detach()), e))[:k]
        kept = torch.stack([scores[e] for e in order])
        weights.append(kept / kept.sum())
        expert_ids.append(torch.tensor(order))
    return torch.stack(weights), torch.stack(expert_ids)


@right
def sort_and_take(logits, k, bias):
    scores = 1 / (1 + torch.exp(-logits))
    _, ids = torch.sort(scores + bias, dim=1, descending=True, stable=True)
    ids = ids[:, :k]
    kept = torch.take_along_dim(scores, ids, dim=1)
    return F.normalize(kept, p=1, dim=1), ids


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The bias is added before the sigmoid")
def bias_before_sigmoid(logits, k, bias):
    weights, expert_ids = torch.sigmoid(logits + bias).sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("The bias is ignored")
def bias_ignored(logits, k, bias):
    weights, expert_ids = logits.sigmoid().sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("The bias leaks into the weights")
def bias_leaks(logits, k, bias):
    scores = logits.sigmoid() + bias
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights = weights[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids[:, :k]


@wrong("The bias is added before the sigmoid")
def chosen_by_biased_logits(logits, k, bias):
    expert_ids = (logits + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = logits.sigmoid().gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("No gradient reaches `logits`")
@torch.no_grad()
def detached(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("Divided by the sum over all experts")
def divided_by_all(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids) / scores.sum(dim=-1, keepdim=True), expert_ids


@wrong("The bias is in the sum")
def divided_by_biased_sum(logits, k, bias):
    scores = logits.sigmoid()
    biased, expert_ids = (scores + bias).sort(dim=-1, descending=True, stable=True)
    biased, expert_ids = biased[:, :k], expert_ids[:, :k]
    return scores.gather(1, expert_ids) / biased.sum(dim=-1, keepdim=True), expert_ids


@wrong("The order is worst first")
def last_k_of_ascending(logits, k, bias):
    scores = torch.sigmoid(logits)
    expert_ids = (scores + bias).argsort(dim=-1, stable=True)[:, -k:]
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("All E columns come back")
def never_cut(logits, k, bias):
    scores = torch.sigmoid(logits)
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)
    weights = scores.gather(1, expert_ids)
    return weights / weights[:, :k].sum(dim=-1, keepdim=True), expert_ids


@wrong("The sigmoid is missing")
def no_sigmoid(logits, k, bias):
    expert_ids = (logits + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = logits.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


@wrong("The weights are not renormalised")
def not_renormalised(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids), expert_ids


@wrong("Ordered by weight")
def ordered_by_weight(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights, order = scores.gather(1, expert_ids).sort(dim=-1, descending=True, stable=True)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids.gather(1, order)


@wrong("Softmax over the kept scores")
def softmax_over_kept(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    return scores.gather(1, expert_ids).softmax(dim=-1), expert_ids


wrong(
    "bias_added_to_the_weights",
    "The bias leaks into the weights",
    of=put_another_way,
    put={"weights.sum(dim=-1, keepdim=True)": "weights.sum(dim=-1, keepdim=True) + bias[expert_ids]"},
)
wrong("bias_subtracted", "The bias is subtracted", of=put_another_way, put={"scores + bias": "scores - bias"})
wrong(
    "logits_changed", "Your function changed its input", of=put_another_way, put={"logits.sigmoid": "logits.sigmoid_"}
)
wrong(
    "smallest_kept",
    "The smallest are kept",
    of=put_another_way,
    put={
        "(scores + bias).argsort(dim=-1, descending=True, stable=True)": "(scores + bias).argsort(dim=-1, stable=True)"
    },
)
wrong("softmax", "Softmax, not sigmoid", of=put_another_way, put={"logits.sigmoid()": "logits.softmax(dim=-1)"})
wrong(
    "topk_ties",
    "Ties are broken the wrong way",
    of=put_another_way,
    put={
        "(scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]": "(scores + bias).topk(k, dim=-1).indices"
    },
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The bias leaks into the weights", ANY)  # the weights include the bias
def bias_weighs(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits) + bias
    values, order = torch.sort(s, dim=-1, descending=True, stable=True)
    w = values[:, :k]
    return w / w.sum(dim=-1, keepdim=True), order[:, :k]


@blind("The bias is ignored", ANY)  # chooses by the score alone, bias is never used
def blind_bias_ignored(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, order = torch.sort(s, dim=-1, descending=True, stable=True)
    w = values[:, :k]
    return w / w.sum(dim=-1, keepdim=True), order[:, :k]


@blind("`weights` is not right yet", ANY)
# takes the bias off again after choosing: with a large bias the score is lost to rounding
def subtracts_bias_again(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    biased = torch.sigmoid(logits) + bias
    values, order = torch.sort(biased, dim=-1, descending=True, stable=True)
    order = order[:, :k]
    w = values[:, :k] - bias[order]
    return w / w.sum(dim=-1, keepdim=True), order


@blind("Ordered by weight", ANY)  # right k experts, but reordered by their score without the bias
def ordered_by_score(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w, again = torch.sort(s.gather(1, order), dim=-1, descending=True, stable=True)
    return w / w.sum(dim=-1, keepdim=True), order.gather(1, again)


@blind("Ties are broken the wrong way", ANY)
# among equal score + bias the larger score goes first, instead of the lower expert number
def ties_by_score(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    by_score = torch.argsort(s, dim=-1, descending=True, stable=True)
    biased = (s + bias).gather(1, by_score)
    again = torch.argsort(biased, dim=-1, descending=True, stable=True)[:, :k]
    order = by_score.gather(1, again)
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@blind("An expert is chosen twice", ANY)
# k times argmax, the chosen struck out with 0: names an expert again when score + bias is negative
def masked_with_zero(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    left = s + bias
    ids = []
    for _ in range(k):
        best = left.argmax(dim=-1, keepdim=True)
        ids.append(best)
        left = left.scatter(1, best, 0.0)
    order = torch.cat(ids, dim=1)
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@blind("An expert is chosen twice", ANY)
# k times argmax, struck out with -1: right until a bias pushes scores below -1
def masked_with_minus_one(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    left = s + bias
    ids = []
    for _ in range(k):
        best = left.argmax(dim=-1, keepdim=True)
        ids.append(best)
        left = left.scatter(1, best, -1.0)
    order = torch.cat(ids, dim=1)
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@blind("The weights are not renormalised", ANY)  # forgets the division by the sum
def no_renorm(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return s.gather(1, order), order


@blind("`weights` is not right yet", ANY)  # skips the division for k = 1, where the weight should be 1
def no_renorm_for_one(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    if k > 1:
        w = w / w.sum(dim=-1, keepdim=True)
    return w, order


@blind("Divided by the sum over all experts", ANY)  # divides by the sum of all E scores instead of the chosen ones'
def divides_by_all(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return s.gather(1, order) / s.sum(dim=-1, keepdim=True), order


@blind("The bias is in the sum", ANY)  # scores without the bias, but divided by the sum with the bias
def divides_by_biased_sum(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, order = torch.sort(s + bias, dim=-1, descending=True, stable=True)
    w = s.gather(1, order[:, :k])
    return w / values[:, :k].sum(dim=-1, keepdim=True), order[:, :k]


@blind("Softmax, not sigmoid", ANY)  # chooses rightly, weighs by a softmax over the chosen logits
def softmax_weights(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    return torch.softmax(logits.gather(1, order), dim=-1), order


@blind("`exp` overflows", ANY)  # exp(x) / (1 + exp(x)): nan for logits above 88
def naive_sigmoid(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    e = torch.exp(logits)
    s = e / (1 + e)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@blind("`weights` is not right yet", ANY)
# sorts the scores first and adds the bias to the sorted columns: the bias goes by rank, not by expert
def bias_by_rank(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, by_score = torch.sort(s, dim=-1, descending=True, stable=True)
    again = torch.argsort(values + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = values.gather(1, again)
    return w / w.sum(dim=-1, keepdim=True), by_score.gather(1, again)


@blind("Your function changed its input", ANY)
# right result, but also runs the load-balancing update on the caller's bias in place
def updates_bias(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    order = torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    load = torch.bincount(order.flatten(), minlength=logits.shape[1]).to(bias.dtype)
    bias.data.add_(0.001 * torch.sign(load.mean() - load))
    return w / w.sum(dim=-1, keepdim=True), order


@blind("`weights` is not right yet", ANY)
# the bias only picks among the 2k best by score, so an expert with a low score and a large bias never gets in
def bias_within_pool(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    pool = torch.argsort(s, dim=-1, descending=True, stable=True)[:, : 2 * k].sort(dim=-1).values
    biased = (s + bias).gather(1, pool)
    order = pool.gather(1, torch.argsort(biased, dim=-1, descending=True, stable=True)[:, :k])
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order


@blind("Not a tensor", ANY)  # goes through numpy and returns arrays instead of tensors (the gradient is gone as well)
def numpy_out(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits).detach()
    order = torch.argsort(s + bias.detach(), dim=-1, descending=True, stable=True)[:, :k]
    w = s.gather(1, order)
    return (w / w.sum(dim=-1, keepdim=True)).numpy(), order.numpy()


# adds the bias to the logits: chooses by sigmoid(logits + bias)
blind(
    "bias_inside_sigmoid",
    "The bias is added before the sigmoid",
    ANY,
    of=as_asked,
    put={"s + bias": "torch.sigmoid(logits + bias)"},
)
# chooses by logit + bias without the sigmoid
blind(
    "logits_plus_bias",
    "The bias is added before the sigmoid",
    "`weights` is not right yet",
    "`expert_ids` is not right yet",
    ANY,
    of=as_asked,
    put={"s + bias": "logits + bias"},
)
# sorts the weights descending but leaves the ids in the biased order
blind(
    "weights_sorted_ids_not",
    "`weights` is not right yet",
    ANY,
    of=as_asked,
    put={"s.gather(1, order)": "s.gather(1, order).sort(dim=-1, descending=True).values"},
)
# weights are the k largest scores of the row, not the scores of the chosen experts
blind(
    "top_scores_as_weights",
    "`weights` is not right yet",
    ANY,
    of=as_asked,
    put={"s.gather(1, order)": "s.sort(dim=-1, descending=True).values[:, :k]"},
)
# torch.topk promises no order among equals
blind(
    "plain_topk",
    "Ties are broken the wrong way",
    ANY,
    of=as_asked,
    put={
        "torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]": "torch.topk(s + bias, k, dim=-1).indices"
    },
)
# ascending sort flipped: among equals the higher expert number first
blind(
    "flipped_ties",
    "Ties are broken the wrong way",
    ANY,
    of=as_asked,
    put={
        "torch.argsort(s + bias, dim=-1, descending=True, stable=True)": "torch.argsort(s + bias, dim=-1, stable=True).flip(-1)"
    },
)
# clamps score + bias to [0, 1] before choosing, which makes ties at both ends
blind("clamped_at_zero", "`weights` is not right yet", ANY, of=as_asked, put={"s + bias": "(s + bias).clamp(0, 1)"})
# softmax instead of sigmoid for the scores
blind(
    "softmax_scores",
    "Softmax, not sigmoid",
    ANY,
    of=as_asked,
    put={"torch.sigmoid(logits)": "torch.softmax(logits, dim=-1)"},
)
# adds 1e-6 to the sum: rows of very negative logits do not sum to 1
blind(
    "eps_in_sum",
    "A small number is added to the sum",
    of=as_asked,
    put={"w.sum(dim=-1, keepdim=True)": "(w.sum(dim=-1, keepdim=True) + 1e-6)"},
)
# subtracts the bias (takes it for a penalty on busy experts)
blind("minus_bias", "The bias is subtracted", ANY, of=as_asked, put={"s + bias": "s - bias"})
# scales the scores by (1 + bias) instead of adding the bias
blind("multiplies_bias", "`weights` is not right yet", ANY, of=as_asked, put={"s + bias": "s * (1 + bias)"})
# the right experts with the right weights, listed by expert number
blind(
    "ids_by_number",
    "The order is by expert number",
    ANY,
    of=as_asked,
    put={
        "torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k]": "torch.argsort(s + bias, dim=-1, descending=True, stable=True)[:, :k].sort(dim=-1).values"
    },
)
# adds the bias as a column (one value a token): crashes unless N == E, wrong when N == E
blind("bias_as_column", "Two shapes do not fit", ANY, of=as_asked, put={"s + bias": "s + bias.unsqueeze(1)"})


@wrong("Nearly equal scores are taken for equal")
def ties_by_a_millionth(logits, k, bias):
    scores = logits.sigmoid()
    expert_ids = (scores + bias - 1e-6 * torch.arange(scores.shape[1])).topk(k).indices
    weights = scores.gather(1, expert_ids)
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


wrong(
    "small_eps",
    "A small number is added to the sum",
    of=as_asked,
    put={"keepdim=True)": "keepdim=True) + 1e-9)", "w / w.sum": "w / (w.sum"},
)
