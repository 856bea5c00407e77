"""Answers to exercise 2.2, mixture_nll: right ones, and wrong ones with the message that they must get."""

import math

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def logaddexp_expert_by_expert(log_gates, outputs, targets, sigma):
    total = None
    for e in range(outputs.shape[1]):
        term = log_gates[:, e] - (targets - outputs[:, e]) ** 2 / (2 * sigma**2)
        total = term if total is None else torch.logaddexp(total, term)
    return -total.mean()


@right
def maximum_taken_away(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    most = z.detach().max(dim=-1, keepdim=True).values
    return -((z - most).exp().sum(dim=-1).log() + most[:, 0]).mean()


@right
def torch_logsumexp(log_gates, outputs, targets, sigma):
    gap = (targets.unsqueeze(-1) - outputs) / sigma
    return -torch.logsumexp(log_gates - gap.square() / 2, dim=1).mean()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The distance is not squared")
def absolute(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs).abs() / sigma
    return -z.logsumexp(dim=-1).mean()


@wrong("Every gap is averaged first")
def all_averaged(log_gates, outputs, targets, sigma):
    return (0.5 * ((targets[:, None] - outputs) / sigma) ** 2).mean()


@wrong("The best expert only")
def best_only(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.max(dim=-1).values.mean()


@wrong("Bits, not nats")
def bits(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean() / math.log(2)


@wrong("The logarithm of 0")
def by_way_of_exp(log_gates, outputs, targets, sigma):
    fit = torch.exp(-0.5 * ((targets[:, None] - outputs) / sigma) ** 2)
    return -(log_gates.exp() * fit).sum(dim=-1).log().mean()


@wrong("The loss has a ceiling")
def clamped(log_gates, outputs, targets, sigma):
    fit = torch.exp(-0.5 * ((targets[:, None] - outputs) / sigma) ** 2)
    return -(log_gates.exp() * fit).sum(dim=-1).clamp(min=1e-30).log().mean()


@wrong("That is the cooperative loss")
def cooperative(log_gates, outputs, targets, sigma):
    y = (log_gates.exp() * outputs).sum(dim=-1)
    return (0.5 * ((targets - y) / sigma) ** 2).mean()


@wrong("The loss has a ceiling")  # the check's tolerance leaves room for an eps where the likelihood is large
def eps(log_gates, outputs, targets, sigma):
    fit = torch.exp(-0.5 * ((targets[:, None] - outputs) / sigma) ** 2)
    return -((log_gates.exp() * fit).sum(dim=-1) + 1e-12).log().mean()


@wrong("The exponent has the wrong sign")
def exponent_sign(log_gates, outputs, targets, sigma):
    z = log_gates + 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("Gates were added, not their logarithms")
def gates_added(log_gates, outputs, targets, sigma):
    z = log_gates.exp() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("The expert with a tiny gate was lost", ANY)
def gates_clamped(log_gates, outputs, targets, sigma):
    z = log_gates.exp().log().clamp(min=-1e4) - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("No gradient reaches `log_gates`")
def gates_detached(log_gates, outputs, targets, sigma):
    z = log_gates.detach() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong(ANY)
def gates_lost(log_gates, outputs, targets, sigma):
    z = (log_gates.exp() + 1e-45).log() - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("A number in brackets")
def in_brackets(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean(dim=0, keepdim=True)


@wrong("Your function changed its input", "A change in place")
def in_place(log_gates, outputs, targets, sigma):
    outputs -= targets[:, None]
    z = log_gates - 0.5 * (outputs / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("Not a tensor")
def item(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean().item()


@wrong("The logarithm is inside the sum")  # the paper's equation 1.2
def log_inside(log_gates, outputs, targets, sigma):
    cost = 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return (log_gates.exp() * cost).sum(dim=-1).mean()


@wrong("The mean comes before the logarithm")
def mean_before_log(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.exp().sum(dim=-1).mean().log()


@wrong("A mean over the experts")
def mean_over_experts(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -(z.logsumexp(dim=-1) - math.log(z.shape[1])).mean()


@wrong("The logarithm is missing")
def minus_likelihood(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.exp().sum(dim=-1).mean()


@wrong(ANY)
def no_column(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("The gates are missing")
def no_gates(log_gates, outputs, targets, sigma):
    z = -0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("The half is missing")
def no_half(log_gates, outputs, targets, sigma):
    z = log_gates - ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("The logarithm is missing")
def no_logarithm(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.exp().sum(dim=-1).mean()


@wrong("The sign is missing")
def no_sign(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return z.logsumexp(dim=-1).mean()


@wrong("A normalised density")
def normalised(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean() + math.log(sigma * math.sqrt(2 * math.pi))


@wrong("One loss for each row")
def one_each(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1)


@wrong("One logarithm for all rows")
def one_logarithm(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.flatten().logsumexp(dim=0)


@wrong("No gradient reaches `outputs`")
def outputs_detached(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs.detach()) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("Summed over the rows")
def over_the_rows(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=0).mean()


@wrong("Nothing is returned")
def returns_nothing(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    loss = -z.logsumexp(dim=-1).mean()


@wrong("σ is ignored")
def sigma_ignored(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("σ multiplies")
def sigma_multiplies(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) * sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("σ is not squared")
def sigma_not_squared(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * (targets[:, None] - outputs) ** 2 / sigma
    return -z.logsumexp(dim=-1).mean()


@wrong("The distance is taken to the sum")
def sum_of_answers(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs.sum(dim=-1, keepdim=True)) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("A sum, not a mean")
def summed(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).sum()


@wrong(ANY)
def weighted_mixture(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -(log_gates.exp() * z).sum(dim=-1).mean()


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The best expert only", ANY)  # only the best expert counts
def blind_best_only(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2).amax(-1).mean()


@blind("That is the cooperative loss", ANY)  # the squared error of the blend
def blind_cooperative(log_gates, outputs, targets, sigma):
    y = (log_gates.exp() * outputs).sum(-1)
    return (0.5 * ((targets - y) / sigma) ** 2).mean()


@blind("The logarithm of 0", ANY)  # overflows to log 0 for far targets
def exp_then_log(log_gates, outputs, targets, sigma):
    fit = (-0.5 * ((targets[:, None] - outputs) / sigma) ** 2).exp()
    return -((log_gates.exp() * fit).sum(-1)).log().mean()


@blind("`loss` is not right yet", ANY)  # log_gates are taken for gates
def gates_not_logs(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates * (-0.5 * gap**2).exp()).sum(-1).abs().log().mean()


@blind("The logarithm is inside the sum", ANY)  # the gated mean of the squared errors
def mean_of_errors(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates.exp() * 0.5 * gap**2).sum(-1).mean()


@blind("The sign is missing", ANY)  # the likelihood, not its negative
def no_minus(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return (log_gates - 0.5 * gap**2).logsumexp(-1).mean()


@blind("A normalised density", ANY)  # the normal density with its constant
def normaliser(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2 - torch.log(torch.tensor(sigma * (2 * torch.pi) ** 0.5))).logsumexp(-1).mean()


@blind("Summed over the rows", ANY)  # logsumexp over the inputs
def over_inputs(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2).logsumexp(0).mean()


@blind("σ is not squared", ANY)  # sigma is not squared
def sigma_once(log_gates, outputs, targets, sigma):
    gap = targets[:, None] - outputs
    return -(log_gates - 0.5 * gap**2 / sigma).logsumexp(-1).mean()


@blind("A sum, not a mean", ANY)  # sum over the inputs
def blind_sum(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2).logsumexp(-1).sum()


@blind("`loss` is not right yet", ANY)  # targets meet experts instead of inputs
def targets_broadcast(log_gates, outputs, targets, sigma):
    gap = (targets[None, :1] - outputs) / sigma
    return -(log_gates - 0.5 * gap**2).logsumexp(-1).mean()


@blind("The half is missing", ANY)  # no one half
def without_half(log_gates, outputs, targets, sigma):
    gap = (targets[:, None] - outputs) / sigma
    return -(log_gates - gap**2).logsumexp(-1).mean()


@wrong("Two shapes do not fit")
def targets_as_they_are(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean()


@wrong("A small number is added to σ")
def eps_beside_variance(log_gates, outputs, targets, sigma):
    return -(log_gates - 0.5 * (targets[:, None] - outputs) ** 2 / (sigma**2 + 1e-8)).logsumexp(dim=-1).mean()
