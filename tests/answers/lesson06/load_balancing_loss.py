"""Answers to exercise 6.2, load_balancing_loss: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    P = scores.mean(dim=0)
    return E * (f * P).sum()


@right
def one_by_one(scores, expert_ids):
    total = scores.new_zeros(())
    for e in range(scores.shape[1]):
        total = total + (expert_ids == e).double().mean().to(scores.dtype) * scores[:, e].mean()
    return scores.shape[1] * total


@right
def one_hot(scores, expert_ids):
    E = scores.shape[1]
    f = F.one_hot(expert_ids, E).to(scores.dtype).mean(dim=(0, 1))
    return E * f @ scores.mean(0)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Only the best expert of each token is counted")
def argmax(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(scores.argmax(1), minlength=E).to(scores.dtype) / len(scores)
    return E * (f * scores.mean(0)).sum()


@wrong("P of the chosen scores alone")
def chosen_only(scores, expert_ids):
    E = scores.shape[1]
    mask = torch.zeros_like(scores).scatter(1, expert_ids, 1)
    f = mask.sum(0) / mask.sum()
    return E * (f * (scores * mask).mean(0)).sum()


@wrong("P of the renormalised weights")
def chosen_renormalised(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    chosen = scores.gather(1, expert_ids)
    weights = torch.zeros_like(scores).scatter(1, expert_ids, chosen / chosen.sum(1, keepdim=True))
    return E * (f * weights.mean(0)).sum()


@wrong("f and P are not each over all tokens")
def choosers_alone(scores, expert_ids):
    E = scores.shape[1]
    counts = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype)
    mask = torch.zeros_like(scores).scatter(1, expert_ids, 1)
    P = (scores * mask).sum(0) / counts.clamp(min=1)
    return E * (counts / expert_ids.numel() * P).sum()


@wrong("f is counted, not divided")
def counts(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype)
    return E * (f * scores.mean(0)).sum()


@wrong("No gradient reaches `scores`")
def detached(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.detach().mean(0)).sum()


@wrong("E twice")
def e_squared(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E**2 * (f * scores.mean(0)).sum()


@wrong("f with itself")
def f_twice(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * f).sum()


@wrong("Only the first choice is counted")
def first_choice(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids[:, 0], minlength=E).to(scores.dtype) / len(scores)
    return E * (f * scores.mean(0)).sum()


@wrong(ANY)
def k_axis_kept(scores, expert_ids):
    E = scores.shape[1]
    f = F.one_hot(expert_ids, E).to(scores.dtype).mean(0)
    return E * (f * scores.mean(0)).sum()


@wrong("K in place of E")
def k_for_e(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return expert_ids.shape[1] * (f * scores.mean(0)).sum()


@wrong("The mean over experts, not the sum")
def mean(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return (f * scores.mean(0)).mean()


@wrong("The factor E is missing")
def mean_times_e(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.mean(0)).mean()


@wrong("1 is taken off")
def minus_one(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.mean(0)).sum() - 1


@wrong("The factor E is missing")
def no_e(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return (f * scores.mean(0)).sum()


@wrong("`bincount` without `minlength`")
def counts_up_to_the_last_chosen(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten()).to(scores.dtype)
    return scores.shape[1] * (counts / counts.sum() * scores.mean(0)).sum()


@wrong(ANY)
def no_minlength(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten()).to(scores.dtype)
    f = counts / counts.sum()
    return scores.shape[1] * (f * scores.mean(0)[: len(f)]).sum() * (len(f) / scores.shape[1])


@wrong(ANY)
def number(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return float(E * (f * scores.mean(0)).sum())


@wrong("f is divided by the tokens, not by the assignments")
def over_tokens(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / len(scores)
    return E * (f * scores.mean(0)).sum()


@wrong("P with itself")
def p_twice(scores, expert_ids):
    P = scores.mean(0)
    return scores.shape[1] * (P * P).sum()


@wrong(ANY)
def seen_experts(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten()).to(scores.dtype)
    return scores.shape[1] * (counts / counts.sum() * scores.mean(0)).sum()


@wrong("Softmax twice")
def softmax_twice(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.softmax(-1).mean(0)).sum()


@wrong("P is a sum, not a mean")
def sum_of_scores(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return E * (f * scores.sum(0)).sum()


@wrong("f and P are not each over all tokens")
def token_by_token(scores, expert_ids):
    E = scores.shape[1]
    f = torch.zeros_like(scores).scatter(1, expert_ids, 1 / expert_ids.shape[1])
    return E * (f * scores).sum(1).mean()


@wrong(ANY)
def variance(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    return f.var() / f.mean() ** 2


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("E is the highest number seen")
def e_from_ids(scores, expert_ids):
    counts = torch.bincount(expert_ids.flatten())
    E = counts.numel()
    f = counts.to(scores.dtype) / expert_ids.numel()
    P = scores.mean(dim=0)[:E]
    return E * (f * P).sum()


@blind("f is divided by the tokens, not by the assignments")
def f_per_token(scores, expert_ids):
    N, E = scores.shape
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / N
    P = scores.mean(dim=0)
    return E * (f * P).sum()


@blind("K in place of E")
def factor_k(scores, expert_ids):
    E = scores.shape[1]
    K = expert_ids.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    P = scores.mean(dim=0)
    return K * (f * P).sum()


@blind("Only the first choice is counted")
def first_choice_only(scores, expert_ids):
    E = scores.shape[1]
    first = expert_ids[:, 0]
    f = torch.bincount(first, minlength=E).to(scores.dtype) / first.numel()
    P = scores.mean(dim=0)
    return E * (f * P).sum()


@blind("P of the chosen scores alone")
def p_of_chosen_only(scores, expert_ids):
    E = scores.shape[1]
    f = torch.bincount(expert_ids.flatten(), minlength=E).to(scores.dtype) / expert_ids.numel()
    mask = torch.zeros_like(scores).scatter(1, expert_ids, 1.0)
    P = (scores * mask).mean(dim=0)
    return E * (f * P).sum()


@blind("P with itself")
def soft_f(scores, expert_ids):
    E = scores.shape[1]
    P = scores.mean(dim=0)
    f = P.detach()
    return E * (f * P).sum()


blind("detached_p", "No gradient reaches `scores`", of=as_asked, put={"scores.mean": "scores.detach().mean"})
blind("no_factor_e", "The factor E is missing", of=as_asked, put={"E * (f * P).sum()": "(f * P).sum()"})
blind("p_summed", "P is a sum, not a mean", of=as_asked, put={"scores.mean": "scores.sum"})
blind("blind_softmax_twice", "Softmax twice", of=as_asked, put={"scores.mean": "F.softmax(scores, dim=-1).mean"})
