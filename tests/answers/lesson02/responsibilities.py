"""Answers to exercise 2.3, responsibilities: right ones, and wrong ones with the message that they must get."""

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def from_the_sum(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return (z - z.logsumexp(dim=-1, keepdim=True)).exp()


@right
def slope_of_the_sum(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    most = z.max(dim=-1, keepdim=True).values
    parts = (z - most).exp()
    return parts / parts.sum(dim=-1, keepdim=True)


@right
def torch_softmax(log_gates, outputs, targets, sigma):
    gap = targets.unsqueeze(1) - outputs
    return torch.softmax(log_gates - gap.pow(2) / (2 * sigma**2), dim=1)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The distance is not squared")
def absolute(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs).abs() / sigma
    return z.softmax(dim=-1)


@wrong("0 divided by 0")
def by_way_of_exp(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp() / z.exp().sum(dim=-1, keepdim=True)


@wrong("Softmax over the rows")
def columns(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp() / z.exp().sum(dim=0, keepdim=True)


@wrong("No gradient reaches `log_gates`")
def detached(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.detach().softmax(dim=-1)


@wrong("No expert is responsible")
def eps(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp() / (z.exp().sum(dim=-1, keepdim=True) + 1e-30)


@wrong("The softmax is missing")
def exponents(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z


@wrong("No gradient reaches `outputs`")
def fit_detached(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs.detach()) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The gates, not the responsibilities")
def gates(log_gates, outputs, targets, sigma):
    return log_gates.exp()


@wrong("Gates were added, not their logarithms")
def gates_added(log_gates, outputs, targets, sigma):
    z = log_gates.exp() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The rows do not sum to 1")
def gates_after(log_gates, outputs, targets, sigma):
    fit = (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).softmax(dim=-1)
    return log_gates.exp() * fit


@wrong("The expert with a tiny gate was lost")
def gates_lost(log_gates, outputs, targets, sigma):
    z = log_gates.exp().log() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("Your function changed its input", "A change in place")
def in_place(log_gates, outputs, targets, sigma):
    outputs -= targets[:, None]
    z = log_gates - 0.5 * (outputs / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The logarithm of the responsibilities")
def logarithms(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.log_softmax(dim=-1)


@wrong("No expert is responsible")
def nan_to_zero(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return (z.exp() / z.exp().sum(dim=-1, keepdim=True)).nan_to_num()


@wrong(ANY)
def no_column(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The gates are missing")
def no_gates(log_gates, outputs, targets, sigma):
    z = -0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The half is missing")
def no_half(log_gates, outputs, targets, sigma):
    z = log_gates - ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("Softmax over the rows")
def over_the_rows(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=0)


@wrong(ANY)
def rounded(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1).round(decimals=3)


@wrong("Shares of the costs")
def shares_of_costs(log_gates, outputs, targets, sigma):
    cost = ((targets[:, None] - outputs) / sigma) ** 2
    return cost / cost.sum(dim=-1, keepdim=True)


@wrong("σ is ignored")
def sigma_ignored(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2
    return z.softmax(dim=-1)


@wrong("σ multiplies")
def sigma_multiplies(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) * sigma) ** 2
    return z.softmax(dim=-1)


@wrong("σ is not squared")
def sigma_not_squared(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2 / sigma
    return z.softmax(dim=-1)


@wrong("The exponent has the wrong sign")
def sign(log_gates, outputs, targets, sigma):
    z = log_gates + 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1)


@wrong("The rows do not sum to 1")
def sum_of_fits(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp() / (z - log_gates).exp().sum(dim=-1, keepdim=True)


@wrong("The rows do not sum to 1")
def terms(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp()


@wrong(ANY)
def a_tuple(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1), z.logsumexp(dim=-1)


@wrong(ANY)
def turned(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1).T


@wrong("Softmax was applied twice")
def twice(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.softmax(dim=-1).softmax(dim=-1)


@wrong("One softmax over the whole table")
def whole_table(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.flatten().softmax(dim=0).view_as(z)


@wrong("The best expert takes all")
def winner(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return F.one_hot(z.argmax(dim=-1), z.shape[1]).to(z.dtype)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The distance is not squared", ANY)  # the absolute gap
def blind_absolute(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs).abs() / sigma
    return (log_gates - 0.5 * gap).softmax(-1)


@blind("No expert is responsible", ANY)  # 0 over 0 is hidden by a small number
def blind_eps(log_gates, outputs, targets, sigma):
    t = log_gates.exp() * (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return t / (t.sum(-1, keepdim=True) + 1e-12)


@blind("The gates are missing", ANY)  # the gates are forgotten
def fits_only(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (-0.5 * gap**2).softmax(-1)


@blind("The gates, not the responsibilities", ANY)  # the gates themselves
def blind_gates(log_gates, outputs, targets, sigma):
    return log_gates.exp()


@blind("`h` is not right yet", ANY)  # gates count twice
def gates_twice(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (2 * log_gates - 0.5 * gap**2).softmax(-1)


@blind("The best expert takes all", ANY)  # all to the best
def hard(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    s = log_gates - 0.5 * gap**2
    return torch.nn.functional.one_hot(s.argmax(-1), s.shape[1]).to(s.dtype)


@blind("The logarithm of the responsibilities", ANY)  # logarithms of the responsibilities
def log_softmax(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).log_softmax(-1)


@blind("Softmax over the rows", ANY)  # columns sum to 1
def over_inputs(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).softmax(0)


@blind("The exponent has the wrong sign", ANY)  # nearer is worse
def plus(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates + 0.5 * gap**2).softmax(-1)


@blind("σ is ignored", ANY)  # sigma is forgotten
def sigma_forgotten(log_gates, outputs, targets, sigma):
    gap = targets[:, None] - outputs
    return (log_gates - 0.5 * gap**2).softmax(-1)


@blind("0 divided by 0", ANY)  # 0 over 0 for far targets
def unstable(log_gates, outputs, targets, sigma):
    t = log_gates.exp() * (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return t / t.sum(-1, keepdim=True)


@wrong("A small number is added to σ")
def eps_beside_sigma(log_gates, outputs, targets, sigma):
    return (log_gates - 0.5 * ((targets[:, None] - outputs) / (sigma + 1e-8)) ** 2).softmax(dim=-1)
