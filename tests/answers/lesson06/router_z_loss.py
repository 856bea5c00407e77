"""Answers to exercise 6.4, router_z_loss: right ones, and wrong ones with the message that they must get."""

import math

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def by_hand(logits):
    most = logits.max(dim=-1, keepdim=True).values.detach()
    return (most[:, 0] + (logits - most).exp().sum(-1).log()).pow(2).mean()


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong(ANY)
def absolute(logits):
    return torch.logsumexp(logits, dim=-1).abs().mean()


@wrong("No gradient reaches `logits`")
def detached(logits):
    return torch.logsumexp(logits.detach(), dim=-1).square().mean()


@wrong(ANY)
def each_token(logits):
    return torch.logsumexp(logits, dim=-1).square()


@wrong("Over everything at once")
def everything(logits):
    return torch.logsumexp(logits.flatten(), dim=0).square()


@wrong("Half of it")
def half(logits):
    return torch.logsumexp(logits, dim=-1).square().mean() / 2


@wrong("The coefficient is inside")
def with_coefficient(logits):
    return 0.001 * torch.logsumexp(logits, dim=-1).square().mean()


@wrong("The largest logit alone")
def largest(logits):
    return logits.max(dim=-1).values.square().mean()


@wrong("The log of a mean")
def log_mean_exp(logits):
    return (torch.logsumexp(logits, dim=-1) - math.log(logits.shape[1])).square().mean()


@wrong("Softmax first")
def log_softmax(logits):
    return torch.logsumexp(logits.log_softmax(-1), dim=-1).square().mean()


@wrong("The square is missing")
def no_square(logits):
    return torch.logsumexp(logits, dim=-1).mean()


@wrong("Over the tokens, not over the experts")
def over_tokens(logits):
    return torch.logsumexp(logits, dim=0).square().mean()


@wrong("`exp` overflows")
def overflow(logits):
    return logits.exp().sum(dim=-1).log().square().mean()


@wrong("A root too many")
def root(logits):
    return torch.logsumexp(logits, dim=-1).square().mean().sqrt()


@wrong("Softmax first")
def softmax_first(logits):
    return torch.logsumexp(logits.softmax(-1), dim=-1).square().mean()


@wrong("Squared after the mean")
def square_of_mean(logits):
    return torch.logsumexp(logits, dim=-1).mean() ** 2


@wrong("The logits' own squares")
def squares(logits):
    return logits.square().mean()


@wrong("The sum over tokens")
def not_the_mean(logits):
    return torch.logsumexp(logits, dim=-1).square().sum()


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("Softmax first")
def after_log_softmax(logits):
    z = torch.logsumexp(F.log_softmax(logits, dim=-1), dim=-1)
    return z.square().mean()


@blind("The log of a mean")
def blind_log_mean_exp(logits):
    z = torch.logsumexp(logits, dim=-1) - math.log(logits.shape[-1])
    return z.square().mean()


@blind("The largest logit is not put back")
def max_not_added_back(logits):
    m = logits.amax(dim=-1, keepdim=True)
    z = (logits - m).exp().sum(dim=-1).log()
    return z.square().mean()


@blind("Squared after the mean")
def mean_before_square(logits):
    return torch.logsumexp(logits, dim=-1).mean().square()


@blind("The logits' own squares")
def mean_squared_logits(logits):
    return logits.square().mean()


@blind("`exp` overflows")
def naive_exp(logits):
    return logits.exp().sum(dim=-1).log().square().mean()


@blind("The square is missing")
def blind_no_square(logits):
    return torch.logsumexp(logits, dim=-1).mean()


@blind("Over the tokens, not over the experts")
def blind_over_tokens(logits):
    return torch.logsumexp(logits, dim=0).square().mean()


@blind("Squared too early")
def square_inside(logits):
    return torch.logsumexp(logits.square(), dim=-1).mean()


@blind("The sum over tokens")
def sum_over_tokens(logits):
    return torch.logsumexp(logits, dim=-1).square().sum()
