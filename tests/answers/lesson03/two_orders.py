"""Answers to exercise 3.3, two_orders: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.topk(k).values.softmax(dim=-1)


@right
def put_another_way(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)


@right
def by_index(logits, k, renorm):
    ids = logits.argsort(dim=1, descending=True)[:, :k]
    kept = logits.gather(1, ids)
    first = (kept - logits.logsumexp(dim=1, keepdim=True)).exp()
    return first / first.sum(1, keepdim=True) if renorm else first, F.softmax(kept, dim=1)


@right
def minus_infinity(logits, k, renorm):
    values, ids = torch.topk(logits, k, dim=-1)
    masked = torch.full_like(logits, -torch.inf).scatter(-1, ids, values)
    topk_first = torch.softmax(masked, dim=-1).gather(-1, ids)
    score_first = topk_first if renorm else torch.softmax(logits, dim=-1).gather(-1, ids)
    return score_first, topk_first


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("`score_first` is always renormalised")
def always_renormalised(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    return score_first / score_first.sum(dim=-1, keepdim=True), logits.topk(k).values.softmax(dim=-1)


@wrong("Expert numbers, not weights")
def expert_numbers(logits, k, renorm):
    return logits.softmax(dim=-1).topk(k).indices, logits.topk(k).indices


def softmax(z):
    return z.exp() / z.exp().sum(dim=-1, keepdim=True)


@wrong("`exp` overflows")
def hand_made_softmax_overflows(logits, k, renorm):
    score_first = softmax(logits).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, softmax(logits.topk(k).values)


@wrong("All E columns come back")
def masked_rows_not_cut(logits, k, renorm):
    kept, ids = logits.topk(k)
    score_first = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, torch.full_like(logits, float("-inf")).scatter(1, ids, kept).softmax(dim=-1)


@wrong("Dropped logits were set to 0")
def masked_with_zero(logits, k, renorm):
    kept, ids = logits.topk(k)
    score_first = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    masked = torch.zeros_like(logits).scatter(1, ids, kept)
    return score_first, masked.softmax(dim=-1).gather(1, ids)


@wrong("One sum for all tokens")
def one_sum_for_all(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        score_first = score_first / score_first.sum()
    return score_first, logits.topk(k, dim=-1).values.softmax(dim=-1)


@wrong("`renorm` is ignored")
def renorm_ignored(logits, k, renorm):
    return logits.softmax(dim=-1).topk(k).values, logits.topk(k).values.softmax(dim=-1)


@wrong("The smallest logits are kept")
def smallest_kept(logits, k, renorm):
    score_first = logits.softmax(dim=-1).sort(dim=-1).values[:, :k]
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.sort(dim=-1).values[:, :k].softmax(dim=-1)


@wrong("`topk_first` takes the softmax of scores")
def softmax_of_scores(logits, k, renorm):
    scores = logits.softmax(dim=-1)
    score_first = scores.topk(k).values
    topk_first = scores.topk(k).values.softmax(dim=-1)
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, topk_first


@wrong("`renorm` belongs to `score_first` only")
def topk_first_follows_renorm(logits, k, renorm):
    scores = logits.softmax(dim=-1).topk(k).values
    if renorm:
        scores = scores / scores.sum(dim=-1, keepdim=True)
    return scores, scores


@wrong("`topk_first` takes its softmax over all experts")
def topk_first_over_all(logits, k, renorm):
    scores = logits.softmax(dim=-1).topk(k).values
    score_first = scores / scores.sum(dim=-1, keepdim=True) if renorm else scores
    return score_first, logits.softmax(dim=-1).gather(1, logits.topk(k).indices)


@wrong("Two results in one name")
def topk_not_taken_apart(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k)
    topk_first = logits.topk(k).softmax(dim=-1)
    return score_first, topk_first


@wrong("The order is worst first")
def worst_first(logits, k, renorm):
    kept = logits.sort(dim=-1).values[:, -k:]
    score_first = logits.softmax(dim=-1).sort(dim=-1).values[:, -k:]
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, kept.softmax(dim=-1)


wrong(
    "detached",
    "No gradient reaches `logits`",
    of=as_asked,
    put={
        "score_first = logits.softmax(dim=-1).topk(k).values": "logits = logits.detach()\n    score_first = logits.softmax(dim=-1).topk(k).values"
    },
)
wrong("renorm_inverted", "`renorm` is the wrong way round", of=as_asked, put={"if renorm:": "if not renorm:"})
wrong(
    "renorm_is_a_softmax",
    "`renorm` is another softmax",
    of=as_asked,
    put={"score_first / score_first.sum(dim=-1, keepdim=True)": "score_first.softmax(dim=-1)"},
)
wrong(
    "renorm_over_tokens",
    "The sum runs over the tokens",
    of=as_asked,
    put={"score_first.sum(dim=-1, keepdim=True)": "score_first.sum(dim=0, keepdim=True)"},
)
wrong(
    "swapped",
    "`score_first` and `topk_first` have changed places",
    of=as_asked,
    put={"score_first, logits.topk(k).values.softmax(dim=-1)": "logits.topk(k).values.softmax(dim=-1), score_first"},
)
wrong(
    "topk_first_without_softmax",
    "`topk_first` has no softmax",
    of=as_asked,
    put={"logits.topk(k).values.softmax(dim=-1)": "logits.topk(k).values"},
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("`score_first` is always renormalised", ANY)  # ignores renorm: score_first is always divided by its sum
def always_renorm(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    return s / s.sum(dim=-1, keepdim=True), t


@blind("`renorm` is ignored", ANY)  # ignores renorm: score_first is never divided
def never_renorm(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    return s, t


@blind("`renorm` is ignored", ANY)  # divides by the sum over all E scores (which is 1): renorm does nothing
def renorm_by_all(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s = scores.topk(k, dim=-1).values
    if renorm:
        s = s / scores.sum(dim=-1, keepdim=True)
    return s, logits.topk(k, dim=-1).values.softmax(dim=-1)


@blind("`renorm` belongs to `score_first` only", ANY)
# topk_first follows renorm too: without it, it is the full softmax's values
def renorm_both_ways(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s = scores.topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    if renorm:
        return s / s.sum(dim=-1, keepdim=True), t
    return s, s.clone()


@blind("`topk_first` takes the softmax of scores", ANY)
# topk_first is the softmax of the k largest scores, not of the k largest logits
def blind_softmax_of_scores(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = s.softmax(dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, t


@blind("`score_first` and `topk_first` have changed places", ANY)
# returns (topk_first, score_first): the two look alike when renorm is True
def blind_swapped(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    t = logits.topk(k, dim=-1).values.softmax(dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return t, s


@blind("Dropped logits were set to 0", ANY)  # topk_first: sets the other logits to 0 instead of -inf before the softmax
def blind_masked_with_zero(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    values, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    masked = torch.zeros_like(logits).scatter(1, ids, values)
    return s, masked.softmax(dim=-1).gather(1, ids)


@blind("`topk_first` is not right yet", ANY)
# topk_first: masks with -50 instead of -inf, wrong once the logits themselves are that low
def masked_with_minus_50(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    values, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    masked = torch.full_like(logits, -50.0).scatter(1, ids, values)
    return s, masked.softmax(dim=-1).gather(1, ids)


@blind("`exp` overflows", ANY)  # exp without subtracting the maximum: nan for logits above 88, 0/0 far below zero
def naive_exp(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    e = torch.exp(logits)
    top = e.topk(k, dim=-1).values
    t = top / top.sum(dim=-1, keepdim=True)
    s = t if renorm else top / e.sum(dim=-1, keepdim=True)
    return s, t


@blind("The order is by expert number", ANY)
# keeps the chosen weights in the order of the experts instead of best first
def expert_order(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.topk(k, dim=-1).indices.sort(dim=-1).values
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.gather(1, ids).softmax(dim=-1)


@blind("The order is worst first", ANY)  # sorts ascending: best expert last
def ascending(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    top = logits.sort(dim=-1).values[:, -k:]
    s = logits.softmax(dim=-1).sort(dim=-1).values[:, -k:]
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, top.softmax(dim=-1)


@blind("Softmax over the tokens", ANY)  # score_first's softmax runs over the tokens (dim 0)
def softmax_over_tokens(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.topk(k, dim=-1).indices
    s = logits.softmax(dim=0).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits.gather(1, ids).softmax(dim=-1)


@blind("`topk_first` is not right yet", ANY)
# topk_first by the sigmoid of the gap of the first two logits: right for k=2 only
def two_experts_sigmoid(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    top = logits.topk(k, dim=-1).values
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    if k == 1:
        return s, torch.ones_like(top)
    first = torch.sigmoid(top[:, :1] - top[:, 1:2])
    t = torch.cat([first, (1 - first).expand(-1, k - 1)], dim=1)
    return s, t


@blind("`score_first` is not right yet", ANY)  # uses the first token's k best experts for every token
def first_rows_choice(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits[0].topk(k).indices
    s = logits.softmax(dim=-1)[:, ids]
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, logits[:, ids].softmax(dim=-1)


@blind("`topk_first` is not right yet", ANY)  # takes the k logits largest in magnitude: right for positive logits only
def largest_magnitude(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    ids = logits.abs().topk(k, dim=-1).indices
    top = logits.gather(1, ids).sort(dim=-1, descending=True).values
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, top.softmax(dim=-1)


@blind("`score_first` is not right yet", ANY)  # softmax and sum over k + 1 experts, then cut to k (right when k == E)
def one_too_many(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    m = min(k + 1, logits.shape[1])
    s = logits.softmax(dim=-1).topk(m, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    t = logits.topk(m, dim=-1).values.softmax(dim=-1)
    return s[:, :k], t[:, :k]


@blind("All E columns come back", ANY)  # topk_first comes back as an (N, E) matrix with zeros instead of (N, k)
def dense_topk_first(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    s = logits.softmax(dim=-1).topk(k, dim=-1).values
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    ids = logits.topk(k, dim=-1).indices
    mask = torch.full_like(logits, float("-inf")).scatter(1, ids, 0.0)
    return s, (logits + mask).softmax(dim=-1)


@blind("Wrong number of results", ANY)  # returns the expert ids too: three tensors instead of two
def extra_ids(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    t, ids = logits.topk(k, dim=-1)
    s = logits.softmax(dim=-1).gather(1, ids)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    return s, t.softmax(dim=-1), ids


@blind("Your function changed its input", ANY)
# right weights, but overwrites the caller's logits with -inf outside the top k
def logits_masked_in_place(logits: torch.Tensor, k: int, renorm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    scores = logits.softmax(dim=-1)
    s, ids = scores.topk(k, dim=-1)
    if renorm:
        s = s / s.sum(dim=-1, keepdim=True)
    ids = logits.topk(k, dim=-1).indices
    drop = torch.ones_like(logits, dtype=torch.bool).scatter(1, ids, False)
    logits.masked_fill_(drop, float("-inf"))
    return s, logits.softmax(dim=-1).gather(1, ids)


# renormalises when renorm is False
blind(
    "inverted_renorm", "`renorm` is the wrong way round", ANY, of=put_another_way, put={"if renorm:": "if not renorm:"}
)
# renormalises score_first with a second softmax instead of a division
blind(
    "renorm_by_softmax",
    "`renorm` is another softmax",
    ANY,
    of=put_another_way,
    put={"s / s.sum(dim=-1, keepdim=True)": "s.softmax(dim=-1)"},
)
# skips the renormalisation for k = 1 (as some model code does), where the weight should be 1
blind(
    "renorm_only_k_above_one",
    "`score_first` is not right yet",
    ANY,
    of=put_another_way,
    put={"if renorm:": "if k > 1 and renorm:"},
)
# divides by the sum over the tokens (dim 0)
blind(
    "blind_renorm_over_tokens",
    "The sum runs over the tokens",
    ANY,
    of=put_another_way,
    put={"s.sum(dim=-1, keepdim=True)": "s.sum(dim=0, keepdim=True)"},
)
# divides by the batch's mean sum instead of each row's own: rows sum to 1 only on average
blind(
    "renorm_by_mean_sum",
    "`score_first` is not right yet",
    ANY,
    of=put_another_way,
    put={"s.sum(dim=-1, keepdim=True)": "s.sum(dim=-1).mean()"},
)


@wrong("Softmax over the tokens")
def kept_of_a_softmax_down(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.softmax(dim=0).topk(k).values


@wrong("Softmax over the tokens")
def both_down(logits, k, renorm):
    score_first = logits.softmax(dim=0).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    return score_first, logits.topk(k).values.softmax(dim=0)


@wrong("Softmax over the tokens")
def masked_and_down(logits, k, renorm):
    score_first = logits.softmax(dim=-1).topk(k).values
    if renorm:
        score_first = score_first / score_first.sum(dim=-1, keepdim=True)
    values, ids = logits.topk(k)
    return score_first, torch.full_like(logits, -torch.inf).scatter(1, ids, values).softmax(dim=0).gather(1, ids)
