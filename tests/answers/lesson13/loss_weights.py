"""Answers to exercise 13.2, loss_weights: right ones, and wrong ones with the message that they must get."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from answers import blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(n_tokens):
    weights = n_tokens / n_tokens.sum()
    return weights


@right
def in_float64(n_tokens):
    return n_tokens.double() / n_tokens.sum()


@right
def in_python(n_tokens):
    counts = n_tokens.tolist()
    total = sum(counts)
    return torch.tensor([n / total for n in counts], dtype=torch.float64)


@right
def normalised(n_tokens):
    return F.normalize(n_tokens.float(), p=1, dim=0)


@right
def as_fractions(n_tokens):
    total = int(n_tokens.sum())
    return torch.tensor([float(Fraction(n, total)) for n in n_tokens.tolist()])


@right
def softmax_of_logarithms(n_tokens):
    """The logarithm of 0 is −∞, and its share 0."""
    return n_tokens.double().log().softmax(0)


@right
def mean_and_number(n_tokens):
    """A share of the mean is n_ranks times a share of the sum."""
    parts = n_tokens.double()
    return parts / parts.mean() / len(parts)


@right
def through_the_gradient(n_tokens):
    """What each process's mean loss is multiplied with in the mean over all tokens, as autograd has it."""
    means = torch.zeros(len(n_tokens), dtype=torch.float64, requires_grad=True)
    loss = (means * n_tokens).sum() / n_tokens.sum()
    loss.backward()
    return means.grad


# ---- wrong ----------------------------------------------------------------------------------------------------------

SHARE = "n_tokens / n_tokens.sum()"


def changed(name: str, title: str, answer: str) -> None:
    wrong(name, title, of=as_asked, put={SHARE: answer})


EQUAL, WITH_TOKENS = "Every process counts the same", "Every process that has tokens counts the same"
changed("average", EQUAL, "torch.full((len(n_tokens),), 1 / len(n_tokens))")
changed("average_of_those_with_tokens", WITH_TOKENS, "(n_tokens > 0).double() / (n_tokens > 0).sum()")
changed("one_over_those_with_tokens", WITH_TOKENS, "torch.ones(len(n_tokens)) / n_tokens.count_nonzero()")
changed("ones", "The gradients are added up as they are", "torch.ones(len(n_tokens))")
changed("ones_where_there_are_tokens", "The gradients are added up as they are", "(n_tokens > 0).float()")
changed("tokens", "Tokens, not shares of them", "n_tokens.float()")
changed("tokens_as_they_are", "Tokens, not shares of them", "n_tokens.clone()")
changed("one_over_tokens", "Upside down", "1 / n_tokens")
changed("one_over_tokens_or_0", "Upside down", "torch.where(n_tokens > 0, 1 / n_tokens.clamp(min=1), 0.0)")
changed("one_over_at_least_one", "Upside down", "1 / n_tokens.clamp(min=1)")
changed("all_over_own", "Upside down", "n_tokens.sum() / n_tokens")
changed("all_over_own_or_0", "Upside down", "(n_tokens.sum() / n_tokens).masked_fill(n_tokens == 0, 0.0)")
changed("all_over_at_least_one", "Upside down", "n_tokens.sum() / n_tokens.clamp(min=1)")
changed("over_mean", "Right for a mean over the processes", "n_tokens / n_tokens.float().mean()")
changed("over_largest", "Divided by the largest, not by the sum", "n_tokens / n_tokens.max()")
changed("over_length", "Divided by the length, not by the sum", "n_tokens / n_tokens.double().norm()")
changed("over_n_ranks", "Divided by the number of processes as well", f"{SHARE} / len(n_tokens)")
changed("one_token", "The share of one token", "torch.ones(len(n_tokens)) / n_tokens.sum()")
changed("whole_division", "The share is rounded down to 0", "n_tokens // n_tokens.sum()")
changed("cut_off", "The share is rounded down to 0", f"({SHARE}).long()")
changed("rounded", "The share is rounded", f"({SHARE}).round()")
changed("softmax", "Softmax, not shares", "n_tokens.float().softmax(dim=0)")
changed("softmax_of_shares", "Softmax, not shares", f"({SHARE}).softmax(dim=0)")
changed("at_least_one", "A process without tokens counts as if it had one",
        "n_tokens.clamp(min=1) / n_tokens.clamp(min=1).sum()")  # fmt: skip
changed("at_least_one_above", "A process without tokens counts as if it had one",
        "n_tokens.clamp(min=1) / n_tokens.sum()")  # fmt: skip
changed("the_others", "The other processes' share", f"1 - {SHARE}")
changed("running_sums", "Running sums, not shares", "n_tokens.cumsum(0) / n_tokens.sum()")
changed("only_the_first", "One number for all processes", "n_tokens[:1] / n_tokens.sum()")
changed("a_scalar", "One number for all processes", "torch.tensor(1 / len(n_tokens))")
changed("half", "A share with too few digits", f"({SHARE}).half()")
changed("half_before", "A share with too few digits", "n_tokens.half() / n_tokens.half().sum()")
changed("bfloat16", "A share with too few digits", f"({SHARE}).bfloat16()")
changed("nan_without_tokens", "Divided by the tokens of a process that has none", f"{SHARE} * n_tokens / n_tokens")
changed("root", "`weights` is not right yet", f"({SHARE}).sqrt()")
changed("two_decimals", "The share is rounded", f"({SHARE}).round(decimals=2)")
changed("backwards", "`weights` is not right yet", f"({SHARE}).flip(0)")
changed("a_float", "Not a tensor", "1 / len(n_tokens)")
changed("a_list", "Not a tensor", f"({SHARE}).tolist()")
changed("one_column", "Wrong shape", f"({SHARE})[:, None]")


@wrong("Your function changed its input")
def at_least_one_in_place(n_tokens):
    shares = n_tokens / n_tokens.sum()
    n_tokens.clamp_(max=1)
    return shares


# ---- wrong, written from the exercise's text alone ------------------------------------------------------------------

MEAN = "Right for a mean over the processes"

blind("times_n_ranks", MEAN, of=as_asked, put={SHARE: "n_tokens * len(n_tokens) / n_tokens.sum()"})
blind("times_those_with_tokens", MEAN, of=as_asked, put={SHARE: f"{SHARE} * (n_tokens > 0).sum()"})
blind("percent", "Percent, not shares", of=as_asked, put={SHARE: "100 * n_tokens / n_tokens.sum()"})
blind("sum_and_one", "One is added to the sum", of=as_asked, put={SHARE: "n_tokens / (n_tokens.sum() + 1)"})
blind("three_decimals", "The share is rounded", of=as_asked, put={SHARE: f"({SHARE}).round(decimals=3)"})
blind("empty_ones_left_out", "Wrong shape", of=as_asked, put={SHARE: "n_tokens[n_tokens > 0] / n_tokens.sum()"})
blind("mean_of_whole_numbers", "`mean` needs floats", of=as_asked, put={SHARE: "n_tokens / n_tokens.mean()"})
blind("over_first", "`weights` is not right yet", of=as_asked, put={SHARE: "n_tokens / n_tokens[0]"})


@blind("Upside down")
def inverse_shares(n_tokens):
    inverse = torch.where(n_tokens > 0, 1 / n_tokens, 0)
    return inverse / inverse.sum()


@blind("Fractions do not fit into whole numbers")
def divided_in_place(n_tokens):
    n_tokens /= n_tokens.sum()
    return n_tokens


@blind("Nothing is returned")
def forgotten(n_tokens):
    weights = n_tokens / n_tokens.sum()  # noqa: F841
