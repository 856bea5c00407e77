"""Answers to exercise 9.5, compete_with_shared: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(logits, shared_logits, bias, k):
    scores, shared = logits.sigmoid(), shared_logits.sigmoid()
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


@right
def side_by_side(logits, shared_logits, bias, k):
    scores = torch.sigmoid(torch.cat([logits, shared_logits], dim=-1))
    routed, shared = scores.split([logits.shape[1], shared_logits.shape[1]], dim=-1)
    expert_ids = torch.argsort(-(routed + bias), dim=-1, stable=True)[:, :k]
    weights = torch.cat([torch.take_along_dim(routed, expert_ids, dim=1), shared], dim=1)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights[:, :k], expert_ids, weights[:, k:]


@right
def by_norm(logits, shared_logits, bias, k):
    scores = logits.sigmoid()
    with torch.no_grad():
        expert_ids = (scores + bias).argsort(dim=-1, descending=True, stable=True)[:, :k]
    kept = scores[torch.arange(len(scores))[:, None], expert_ids]
    everything = F.normalize(torch.cat([kept, shared_logits.sigmoid()], dim=1), p=1, dim=1)
    return everything[:, :k], expert_ids, everything[:, k:]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The shared experts compete for a place")
def all_in_one_row(logits, shared_logits, bias, k):
    scores = torch.cat([logits, shared_logits], dim=1).sigmoid()
    selection = scores + torch.cat([bias, torch.zeros_like(shared_logits[0])])
    expert_ids = selection.sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept, shared = scores.gather(1, expert_ids), shared_logits.sigmoid()
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


@wrong("The numbers count the shared experts")
def shared_ones_first(logits, shared_logits, bias, k):
    weights, expert_ids, shared = as_asked(logits, shared_logits, bias, k)
    return weights, expert_ids + shared_logits.shape[1], shared


@wrong("One table for both kinds")
def one_table(logits, shared_logits, bias, k):
    weights, expert_ids, shared = as_asked(logits, shared_logits, bias, k)
    return torch.cat([weights, shared], dim=1), expert_ids, shared


@wrong("Wrong number of results")
def two_results(logits, shared_logits, bias, k):
    return as_asked(logits, shared_logits, bias, k)[:2]


@wrong("`expert_ids` and `shared_weights` have changed places")
def another_order(logits, shared_logits, bias, k):
    weights, expert_ids, shared = as_asked(logits, shared_logits, bias, k)
    return weights, shared, expert_ids


@wrong("Your function changed its input")
def bias_added_in_place(logits, shared_logits, bias, k):
    bias += 0.1
    return as_asked(logits, shared_logits, bias - 0.1, k)


@wrong("Softmax, not sigmoid")
def softmax_of_all(logits, shared_logits, bias, k):
    everything = torch.cat([logits, shared_logits], dim=1).softmax(dim=1)
    scores, shared = everything[:, : logits.shape[1]], everything[:, logits.shape[1] :]
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


@wrong("Softmax, not sigmoid")
def softmax_of_the_kept(logits, shared_logits, bias, k):
    expert_ids = (logits.sigmoid() + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    weights = torch.cat([logits.gather(1, expert_ids), shared_logits], dim=1).softmax(dim=1)
    return weights[:, :k], expert_ids, weights[:, k:]


@wrong("Ordered by weight")
def sorted_again(logits, shared_logits, bias, k):
    weights, expert_ids, shared = as_asked(logits, shared_logits, bias, k)
    weights, order = weights.sort(dim=1, descending=True, stable=True)
    return weights, expert_ids.gather(1, order), shared


@wrong("`exp` overflows")
def sigmoid_by_hand(logits, shared_logits, bias, k):
    scores, shared = logits.exp() / (1 + logits.exp()), shared_logits.exp() / (1 + shared_logits.exp())
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.gather(1, expert_ids)
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


@wrong("An expert is chosen twice")
def the_best_one_repeated(logits, shared_logits, bias, k):
    scores, shared = logits.sigmoid(), shared_logits.sigmoid()
    expert_ids = (scores + bias).argmax(dim=1, keepdim=True).expand(-1, k)
    kept = scores.gather(1, expert_ids)
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


CHOICE = "(scores + bias)"
LAST = "kept / total, expert_ids, shared / total"
TOTAL = "kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)"
ALONE = "kept / kept.sum(dim=1, keepdim=True)"
for name, title, put in (
    ("leaked", "The bias leaks into the weights", {"scores.gather": "(scores + bias).gather"}),
    ("leaked_above", "The bias leaks into the weights", {LAST: LAST.replace("kept", "(kept + bias[expert_ids])", 1)}),
    ("in_the_sum", "The bias is in the sum", {"= kept.sum": "= (kept + bias[expert_ids]).sum"}),
    ("shared_left_out", "The shared experts are left out of the sum", {" + shared.sum(dim=1, keepdim=True)": ""}),
    ("shared_apart", "The shared experts are left out of the sum", {LAST: f"{ALONE}, expert_ids, shared"}),
    ("shared_undivided", "The shared experts are not divided", {"shared / total": "shared"}),
    ("shared_always_1", "The shared experts always weigh 1", {"shared / total": "torch.ones_like(shared)"}),
    ("shared_1_beside", "The shared experts always weigh 1",
     {LAST: f"{ALONE}, expert_ids, torch.ones_like(shared)"}),
    ("each_alone", "Each kind is normalised alone",
     {LAST: f"{ALONE}, expert_ids, shared / shared.sum(dim=1, keepdim=True)"}),
    ("nothing_divided", "Nothing is divided", {LAST: "kept, expert_ids, shared"}),
    ("of_all", "Divided by the sum over all experts", {"= kept.sum": "= scores.sum"}),
    ("ignored", "The bias is ignored", {CHOICE: "scores"}),
    ("before_the_sigmoid", "The bias is added before the sigmoid",
     {"logits.sigmoid(), shared": "(logits + bias).sigmoid(), shared", CHOICE: "scores"}),
    ("of_logits", "The bias is added before the sigmoid", {CHOICE: "(logits + bias)"}),
    ("subtracted", "The bias is subtracted", {CHOICE: "(scores - bias)"}),
    ("no_sigmoid", "The sigmoid is missing",
     {"logits.sigmoid(), shared_logits.sigmoid()": "logits, shared_logits"}),
    ("shared_logits", "The shared logits have no sigmoid", {"shared_logits.sigmoid()": "shared_logits"}),
    ("detached_shared", "The gradient for `logits` differs", {"return kept / total": "return kept / total.detach()"}),
    ("no_gradient_of_shared", "No gradient reaches `shared_logits`", {"shared_logits.sigmoid()": "shared_logits.detach().sigmoid()"}),
    ("wrong_dimension", "The sum runs over the tokens",
     {LAST: "kept / kept.sum(dim=0), expert_ids, shared / shared.sum(dim=0)"}),
    ("no_dimension", "One sum for all tokens", {TOTAL: "kept.sum() + shared.sum()"}),
    ("dimension_not_kept", "Two shapes do not fit", {TOTAL: "kept.sum(dim=1) + shared.sum(dim=1)"}),
    ("a_small_number", "A small number is added to the sum", {TOTAL: TOTAL + " + 1e-9"}),
    ("ascending", "The smallest are kept", {"descending=True, ": ""}),
    ("plain_topk", "Ties are broken the wrong way",
     {"(scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]": "(scores + bias).topk(k, dim=1).indices"}),
    ("not_cut", "All E columns come back", {".indices[:, :k]": ".indices"}),
    ("by_number", "The order is by expert number", {".indices[:, :k]": ".indices[:, :k].sort(dim=1).values"}),
    ("worst_first", "The order is worst first", {".indices[:, :k]": ".indices[:, :k].flip(1)"}),
    ("in_float32", "Nearly equal scores are taken for equal", {"logits.sigmoid(), shared": "logits.float().sigmoid().to(logits.dtype), shared"}),
):  # fmt: skip
    wrong(name, title, of=as_asked, put=put)

# ---- by readers of the text alone -----------------------------------------------------------------------------------


@right
def softmax_of_log_sigmoids(logits, shared_logits, bias, k):
    with torch.no_grad():
        expert_ids = (-(logits.sigmoid() + bias)).argsort(dim=1, stable=True)[:, :k]
    kept = torch.einsum("nke,ne->nk", F.one_hot(expert_ids, logits.shape[1]).to(logits.dtype), logits)
    shares = F.logsigmoid(torch.cat([kept, shared_logits], dim=1)).softmax(dim=1)
    return shares[:, :k], expert_ids, shares[:, k:]


@blind("Results in another order")
def ids_first(logits, shared_logits, bias, k):
    weights, expert_ids, shared = as_asked(logits, shared_logits, bias, k)
    return expert_ids, shared, weights


@blind("The weights belong to other experts")
def largest_scores(logits, shared_logits, bias, k):
    scores, shared = logits.sigmoid(), shared_logits.sigmoid()
    expert_ids = (scores + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    kept = scores.sort(dim=1, descending=True).values[:, :k]
    total = kept.sum(dim=1, keepdim=True) + shared.sum(dim=1, keepdim=True)
    return kept / total, expert_ids, shared / total


blind(
    "chosen_alone",
    "The shared experts are left out of the sum",
    of=as_asked,
    put={LAST: f"{ALONE}, expert_ids, shared / total"},
)
SHARED_SUM = "shared.sum(dim=1, keepdim=True)"
for name, title, put in (
    ("shared_mean", "A mean instead of a sum", {SHARED_SUM: "shared.mean(dim=1, keepdim=True)"}),
    ("mean_of_the_shared", "A mean instead of a sum", {"shared / total": "shared / total / shared.shape[1]"}),
    ("first_shared", "One shared expert counts", {SHARED_SUM: "shared[:, :1]"}),
):
    blind(name, title, of=as_asked, put=put)
