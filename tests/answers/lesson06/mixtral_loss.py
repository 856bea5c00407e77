"""Answers to exercise 6.5, mixtral_loss: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(scores, expert_ids):
    s = torch.cat(scores)
    ids = torch.cat(expert_ids)
    N, E = s.shape
    f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
    return E * (f * s.mean(dim=0)).sum()


@right
def own(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    E = s.shape[1]
    f = F.one_hot(i, E).to(s.dtype).sum(1).mean(0)
    return E * (f * s.mean(0)).sum()


@right
def stacked_means(scores, expert_ids):
    s, i = torch.stack(scores), torch.stack(expert_ids)
    E = s.shape[2]
    f = torch.nn.functional.one_hot(i, E).to(s.dtype).mean((0, 1))
    return E * (f * s.mean((0, 1))).sum()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Layer by layer, then the mean")
def by_layer(scores, expert_ids):
    total = 0
    for s, i in zip(scores, expert_ids, strict=False):
        E = s.shape[1]
        f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
        total = total + E * (f * s.mean(0)).sum()
    return total / len(scores)


@wrong("Layer by layer, then the sum")
def by_layer_sum(scores, expert_ids):
    total = 0
    for s, i in zip(scores, expert_ids, strict=False):
        E = s.shape[1]
        f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
        total = total + E * (f * s.mean(0)).sum()
    return total


@wrong(ANY)
def first_choices(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    f = torch.bincount(i[:, 0], minlength=s.shape[1]).to(s.dtype) / len(s)
    return s.shape[1] * (f * s.mean(0)).sum()


@wrong("Only the first layer")
def first_layer(scores, expert_ids):
    s, i = scores[0], expert_ids[0]
    E = s.shape[1]
    f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
    return E * (f * s.mean(0)).sum()


@wrong("Multiplied by K twice")
def k_twice(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    E, K = s.shape[1], i.shape[1]
    f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
    return K * E * (f * s.mean(0)).sum()


@wrong("The factor E is missing")
def no_e(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    f = torch.bincount(i.flatten(), minlength=s.shape[1]).to(s.dtype) / len(s)
    return (f * s.mean(0)).sum()


@wrong("Layer by layer, f over the assignments")
def papers_by_layer(scores, expert_ids):
    total = 0
    for s, i in zip(scores, expert_ids, strict=False):
        E = s.shape[1]
        f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / i.numel()
        total = total + E * (f * s.mean(0)).sum()
    return total / len(scores)


wrong(
    "one_layers_tokens",
    "Divided by the tokens of one layer",
    of=own,
    put={
        "F.one_hot(i, E).to(s.dtype).sum(1).mean(0)": "torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(scores[0])"
    },
)
wrong(
    "over_assignments",
    "f is divided by the assignments",
    of=own,
    put={
        "F.one_hot(i, E).to(s.dtype).sum(1).mean(0)": "torch.bincount(i.flatten(), minlength=E).to(s.dtype) / i.numel()"
    },
)

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The number of layers in place of E")
def factor_number_of_layers(scores, expert_ids):
    E = len(scores)
    s = torch.cat(scores)
    ids = torch.cat(expert_ids)
    f = torch.bincount(ids.flatten(), minlength=s.shape[1]).to(s.dtype) / s.shape[0]
    return E * (f * s.mean(dim=0)).sum()


@blind("Layer by layer, then the mean")
def mean_of_layer_losses(scores, expert_ids):
    total = 0.0
    for s, ids in zip(scores, expert_ids):
        N, E = s.shape
        f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
        total = total + E * (f * s.mean(dim=0)).sum()
    return total / len(scores)


@blind("The factor E is missing")
def no_factor_e(scores, expert_ids):
    s = torch.cat(scores)
    ids = torch.cat(expert_ids)
    f = torch.bincount(ids.flatten(), minlength=s.shape[1]).to(s.dtype) / s.shape[0]
    return (f * s.mean(dim=0)).sum()


@blind("Layer by layer, then the sum")
def sum_of_layer_losses(scores, expert_ids):
    total = 0.0
    for s, ids in zip(scores, expert_ids):
        N, E = s.shape
        f = torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N
        total = total + E * (f * s.mean(dim=0)).sum()
    return total


blind(
    "cat_along_experts",
    "Layers side by side, not one below the other",
    of=as_asked,
    put={"torch.cat(scores)": "torch.cat(scores, dim=1)", "torch.cat(expert_ids)": "torch.cat(expert_ids, dim=1)"},
)
blind(
    "detached_scores",
    "No gradient reaches `scores[0]`",
    of=as_asked,
    put={"torch.cat(scores)": "torch.cat([x.detach() for x in scores])"},
)
blind(
    "f_over_assignments",
    "f is divided by the assignments",
    of=as_asked,
    put={
        "N, E = s.shape": "E = s.shape[1]",
        "torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / N": "torch.bincount(ids.flatten(), minlength=E).to(s.dtype) / ids.numel()",
    },
)
blind(
    "first_choice_only",
    "Only the first choice is counted",
    of=as_asked,
    put={"torch.cat(expert_ids)": "torch.cat(expert_ids)[:, 0]", "ids.flatten()": "ids"},
)
blind(
    "last_layer_only",
    "Only the last layer",
    of=as_asked,
    put={"torch.cat(scores)": "scores[-1]", "torch.cat(expert_ids)": "expert_ids[-1]"},
)
blind(
    "tokens_of_one_layer",
    "Divided by the tokens of one layer",
    of=as_asked,
    put={"N, E = s.shape": "E = s.shape[1]\n    N = scores[0].shape[0]"},
)


wrong("no_minlength", ANY, "Silent experts are missing from f", of=as_asked, put={", minlength=E": ""})
wrong(
    "one_hot_without_experts", ANY, "Silent experts are missing from f", of=own, put={"F.one_hot(i, E)": "F.one_hot(i)"}
)


@wrong("E is taken from the largest number chosen", ANY)
def experts_from_ids(scores, expert_ids):
    s, i = torch.cat(scores), torch.cat(expert_ids)
    E = int(i.max()) + 1
    f = torch.bincount(i.flatten(), minlength=E).to(s.dtype) / len(s)
    return E * (f * s[:, :E].mean(0)).sum()


@right  # N is the same in all layers
def stacked(scores, expert_ids):
    table, ids = torch.stack(scores), torch.stack(expert_ids)  # (L, N, E), (L, N, K)
    n_layers, n_tokens, n_experts = table.shape
    f = torch.bincount(ids.flatten(), minlength=n_experts).to(table.dtype) / (n_layers * n_tokens)
    return n_experts * (f * table.mean(dim=(0, 1))).sum()
