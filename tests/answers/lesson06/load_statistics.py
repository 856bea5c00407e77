"""Answers to exercise 6.1, load_statistics: right ones, and wrong ones with the message that they must get."""

import math

import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(load):
    x = load.double()
    p = x / x.sum()
    entropy = torch.special.entr(p).sum() / math.log(len(x))
    cv = x.std(correction=0) / x.mean()
    violation = x.max() / x.mean() - 1
    dead = (x < 0.01 * x.mean()).sum()
    return float(entropy), float(cv), float(violation), int(dead)


@right
def put_another_way(load):
    x = load.double()
    mean = x.mean()
    p = x / x.sum()
    entropy = (torch.special.entr(p).sum() / math.log(x.numel())).item()
    cv = (x.std(correction=0) / mean).item()
    violation = (x.max() / mean - 1).item()
    dead = int((x < 0.01 * mean).sum())
    return entropy, cv, violation, dead


@right
def by_hand(load):
    counts = load.tolist()
    mean = sum(counts) / len(counts)
    shares = [c / sum(counts) for c in counts if c]
    entropy = -sum(p * math.log(p) for p in shares) / math.log(len(counts))
    cv = math.sqrt(sum((c - mean) ** 2 for c in counts) / len(counts)) / mean
    return entropy, cv, max(counts) / mean - 1, sum(c < mean / 100 for c in counts)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Not a plain float")
def tensors(load):
    x = load.double()
    p = x / x.sum()
    return (
        torch.special.entr(p).sum() / math.log(len(x)),
        x.std(correction=0) / x.mean(),
        x.max() / x.mean() - 1,
        (x < 0.01 * x.mean()).sum(),
    )


wrong("a_tenth", "A tenth, not a hundredth", of=as_asked, put={"0.01 * x.mean()": "0.1 * x.mean()"})
wrong("absolute", "Mean absolute deviation", of=as_asked, put={"x.std(correction=0)": "(x - x.mean()).abs().mean()"})
wrong(
    "absolute_excess", "In assignments, not in means", of=as_asked, put={"x.max() / x.mean() - 1": "x.max() - x.mean()"}
)
wrong("at_most", "Exactly a hundredth is alive", of=as_asked, put={"x < 0.01 * x.mean()": "x <= 0.01 * x.mean()"})
wrong("below_mean", "Less than the mean is not dead", of=as_asked, put={"0.01 * x.mean()": "x.mean()"})
wrong("bits", "The entropy is in bits", of=as_asked, put={"len(x)": "2"})
wrong("complement", "1 is even, not 0", of=as_asked, put={"torch.special": "1 - torch.special"})
wrong(
    "least_used",
    "The least used, not the busiest",
    of=as_asked,
    put={"x.max() / x.mean() - 1": "1 - x.min() / x.mean()"},
)
wrong("largest_share", "The largest share", of=as_asked, put={"x.max() / x.mean() - 1": "p.max()"})
wrong("living", "The living are counted", of=as_asked, put={"x < 0.01 * x.mean()": "x >= 0.01 * x.mean()"})
wrong(
    "mean_entropy",
    "The mean, not the sum",
    of=as_asked,
    put={"torch.special.entr(p).sum": "torch.special.entr(p).mean"},
)
wrong("nan_entropy", ANY, of=as_asked, put={"torch.special.entr(p)": "-(p * p.log())"})
wrong("no_minus_one", "1 is not taken off", of=as_asked, put={"x.max() / x.mean() - 1": "x.max() / x.mean()"})
wrong(
    "not_over_log",
    "The entropy is not divided by log E",
    of=as_asked,
    put={"torch.special.entr(p).sum() / math.log(len(x))": "torch.special.entr(p).sum()"},
)
wrong(
    "of_shares",
    "The deviation of the shares",
    of=as_asked,
    put={"x.std(correction=0) / x.mean()": "p.std(correction=0)"},
)
wrong("of_the_busiest", "A hundredth of the busiest", of=as_asked, put={"0.01 * x.mean()": "0.01 * x.max()"})
wrong("of_the_sum", "A hundredth of all, not of the mean", of=as_asked, put={"x < 0.01 * x.mean()": "p < 0.01"})
wrong("only_zero", "Only those with nothing at all", of=as_asked, put={"x < 0.01 * x.mean()": "x == 0"})
wrong(
    "order",
    ANY,
    of=as_asked,
    put={
        "float(entropy), float(cv), float(violation), int(dead)": "float(cv), float(entropy), float(violation), int(dead)"
    },
)
wrong("over_count", "Divided by E, not by its logarithm", of=as_asked, put={"math.log(len(x))": "len(x)"})
wrong(
    "plain_deviation",
    "The deviation is not divided by the mean",
    of=as_asked,
    put={"x.std(correction=0) / x.mean()": "x.std(correction=0)"},
)
wrong(
    "positive_log",
    "The sign is missing",
    of=as_asked,
    put={"torch.special.entr(p)": "(p.clamp(min=1e-300) * p.clamp(min=1e-300).log())"},
)
wrong("sample_deviation", "Divided by E − 1", of=as_asked, put={"x.std(correction=0)": "x.std()"})
wrong(
    "squared", "CV squared", of=as_asked, put={"x.std(correction=0) / x.mean()": "x.var(correction=0) / x.mean() ** 2"}
)
wrong("two_logs", "Two different logarithms", of=as_asked, put={"math.log": "math.log2"})
wrong(
    "upside_down", "Upside down", of=as_asked, put={"x.std(correction=0) / x.mean()": "x.mean() / x.std(correction=0)"}
)
wrong("variance", "The variance, not the deviation", of=as_asked, put={"x.std": "x.var"})

# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


blind("dead_only_zero", "Only those with nothing at all", of=put_another_way, put={"x < 0.01 * mean": "load == 0"})
blind(
    "dead_share_of_total",
    "A hundredth of all, not of the mean",
    of=put_another_way,
    put={"x < 0.01 * mean": "p < 0.01"},
)
blind(
    "entropy_not_normalised",
    "The entropy is not divided by log E",
    of=put_another_way,
    put={"(torch.special.entr(p).sum() / math.log(x.numel())).item": "torch.special.entr(p).sum().item"},
)
blind(
    "entropy_of_counts",
    "The entropy of counts, not of shares",
    of=put_another_way,
    put={
        "p = x / x.sum()\n    entropy = (torch.special.entr(p).sum() / math.log(x.numel())).item()": "entropy = (torch.special.entr(x).sum() / math.log(x.numel())).item()"
    },
)
blind(
    "log_of_used_experts",
    "Divided by the log of the experts in use",
    of=put_another_way,
    put={
        "entropy = (torch.special.entr(p).sum() / math.log(x.numel())).item()": "used = max(int((x > 0).sum()), 2)\n    entropy = (torch.special.entr(p).sum() / math.log(used)).item()"
    },
)
blind(
    "max_minus_min",
    "Busiest minus least used",
    of=put_another_way,
    put={"x.max() / mean - 1": "(x.max() - x.min()) / mean"},
)
blind(
    "nan_at_zero",
    "Experts without a token give nan",
    of=put_another_way,
    put={"torch.special.entr(p)": "-(p * p.log())"},
)
blind("ratio_without_minus_one", "1 is not taken off", of=put_another_way, put={"x.max() / mean - 1": "x.max() / mean"})
blind("sample_std", "Divided by E − 1", of=put_another_way, put={"x.std(correction=0)": "x.std()"})
blind("variance_for_cv", "The variance, not the deviation", of=put_another_way, put={"x.std": "x.var"})


wrong("short_counts", "Counted in float32", "Close, but not equal", of=as_asked, put={"load.double()": "load.float()"})


@right  # a load at exactly a hundredth is off by a rounding error at most
def dead_by_shares(load):
    shares = load.double() / load.sum()
    entropy, cv, violation, _ = as_asked(load)
    return entropy, cv, violation, int((shares < 0.01 / len(load)).sum())
