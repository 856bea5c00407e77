"""Answers to exercise 10.2, paired_interval: right ones, and wrong ones with the message that they must get."""

import math
import statistics

import numpy as np
import torch
from answers import ANY, blind, right, wrong
from scipy import stats

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def in_torch(a, b, t):
    d = a - b
    mean, half = d.mean().item(), t * d.std().item() / math.sqrt(len(d))
    return mean, mean - half, mean + half


@right
def in_numpy(a, b, t):
    d = a.numpy() - b.numpy()
    half = t * d.std(ddof=1) / np.sqrt(d.size)
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


@right
def in_python(a, b, t):
    d = [x - y for x, y in zip(a.tolist(), b.tolist())]
    n = len(d)
    mean = sum(d) / n
    error = (sum((x - mean) ** 2 for x in d) / (n - 1)) ** 0.5 / n**0.5
    return mean, mean - t * error, mean + t * error


@right
def with_statistics(a, b, t):
    d = (a - b).tolist()
    mean = statistics.fmean(d)
    half = t * math.sqrt(statistics.variance(d) / len(d))
    return mean, mean - half, mean + half


@right
def population_over_s_minus_one(a, b, t):
    d = a - b
    half = t * d.std(correction=0) / (len(d) - 1) ** 0.5
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


@right
def with_the_covariance(a, b, t):
    """The variance of a difference is that of both, less twice what they share."""
    both = torch.stack([a - a.mean(), b - b.mean()])
    c = both @ both.T / (len(a) - 1)
    half = t * ((c[0, 0] + c[1, 1] - 2 * c[0, 1]).clamp(min=0) / len(a)).sqrt()
    mean = a.mean() - b.mean()
    return mean.item(), (mean - half).item(), (mean + half).item()


@right
def with_scipy(a, b, t):
    d = (a - b).numpy()
    mean, error = float(np.mean(d)), float(stats.sem(d))
    return mean, mean - t * error, mean + t * error


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("turned", "b − a, not a − b", of=in_torch, put={"a - b": "b - a"})
wrong("no_root_of_s", "Not divided by √S", of=in_torch, put={" / math.sqrt(len(d))": ""})
wrong("over_s", "Divided by S, not by √S", of=in_torch, put={"math.sqrt(len(d))": "len(d)"})
wrong("over_root_s_minus_one", "Divided by √(S − 1)", of=in_torch, put={"math.sqrt(len(d))": "math.sqrt(len(d) - 1)"})
wrong("population", "S in the denominator of the variance", of=in_torch, put={"d.std()": "d.std(unbiased=False)"})
wrong("variance", "The variance, not the standard deviation", of=in_torch, put={"d.std()": "d.var()"})
wrong("normal", "1.96 in place of t", of=in_torch, put={"t * d": "1.96 * d"})
wrong("two_errors", "2 standard errors", of=in_torch, put={"t * d": "2 * d"})
wrong("one_error", "One standard error", of=in_torch, put={"t * d": "d"})
wrong(
    "half_to_each_side",
    "Half as wide",
    of=in_torch,
    put={"mean - half, mean + half": "mean - half / 2, mean + half / 2"},
)
wrong("twice", "Twice as wide", of=in_torch, put={"t * d": "2 * t * d"})
wrong("high_first", "`low` and `high` have changed places", of=in_torch,
      put={"mean - half, mean + half": "mean + half, mean - half"})  # fmt: skip
wrong("mean_last", "Results in another order", of=in_torch,
      put={"return mean, mean - half, mean + half": "return mean - half, mean + half, mean"})  # fmt: skip
wrong("mean_in_the_middle", "`mean` and `low` have changed places", of=in_torch,
      put={"return mean, mean - half, mean + half": "return mean - half, mean, mean + half"})  # fmt: skip
wrong("relative", "A relative difference", of=in_torch, put={"a - b": "(a - b) / b"})
wrong("in_percent", "In percent", of=in_torch, put={"a - b": "100 * (a - b) / b"})
wrong("sorted_first", "The losses were sorted", of=in_torch, put={"a - b": "a.sort().values - b.sort().values"})
wrong("signs_lost", "The signs of the differences are lost", of=in_torch, put={"a - b": "(a - b).abs()"})
wrong("median", "The median, not the mean", of=in_torch, put={"d.mean().item()": "d.median().item()"})
wrong("a_alone", "Only one of the models", of=in_torch, put={"a - b": "a"})
wrong("mean_of_a", "Only one of the models", of=in_torch, put={"d.mean()": "a.mean()"})
wrong("spread_of_a", "The standard deviation of one model", of=in_torch, put={"d.std()": "a.std()"})
wrong("around_zero", "The interval lies around 0", of=in_torch, put={"mean - half, mean + half": "-half, half"})
wrong("distances", "The distance, not the ends", of=in_torch, put={"mean - half, mean + half": "half, half"})
wrong("summed", "A sum, not a mean", of=in_torch, put={"d.mean().item()": "d.sum().item()"})


@wrong("The pairs are not used")
def welch(a, b, t):
    mean = (a.mean() - b.mean()).item()
    half = t * math.sqrt(a.var().item() / len(a) + b.var().item() / len(b))
    return mean, mean - half, mean + half


@wrong("The pairs are not used")
def pooled(a, b, t):
    n = len(a)
    pooled = math.sqrt(((n - 1) * a.var().item() + (n - 1) * b.var().item()) / (2 * n - 2))
    mean, half = (a - b).mean().item(), t * pooled * math.sqrt(2 / n)
    return mean, mean - half, mean + half


@wrong("The pairs are not used")
def errors_added(a, b, t):
    mean = (a - b).mean().item()
    half = t * (a.std() + b.std()).item() / len(a) ** 0.5
    return mean, mean - half, mean + half


@wrong("The range of the differences")
def smallest_and_largest(a, b, t):
    d = a - b
    return d.mean().item(), d.min().item(), d.max().item()


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("Close, but not equal", "Nearly right")
def in_float32(a, b, t):
    d = a.float() - b.float()
    half = t * d.std() / len(d) ** 0.5
    return d.mean().item(), (d.mean() - half).item(), (d.mean() + half).item()


@blind("Nearly right")
def own_t(a, b, t):
    d = a - b
    half = stats.t.ppf(0.975, len(d) - 1) * d.std().item() / len(d) ** 0.5
    return d.mean().item(), d.mean().item() - half, d.mean().item() + half


@blind("A result is nan")
def along_the_other_dimension(a, b, t):
    d = torch.stack([a - b])
    variance = (d - d.mean(dim=0)).square().sum(dim=0) / (len(d) - 1)
    half = t * variance.sqrt().mean() / d.shape[1] ** 0.5
    return d.mean().item(), (d.mean() - half).item(), (d.mean() + half).item()


@blind("Only the first seed")
def first_seed(a, b, t):
    d = a - b
    half = t * d.std().item() / len(d) ** 0.5
    return d[0].item(), d[0].item() - half, d[0].item() + half


@blind("The variance, not the standard deviation")
def root_forgotten(a, b, t):
    d = a - b
    half = t * d.var().item() / len(d)
    return d.mean().item(), d.mean().item() - half, d.mean().item() + half


@blind("An interval without width")
def no_width(a, b, t):
    mean = (a - b).mean().item()
    half = t * ((a - b).mean() - mean).item()
    return mean, mean - half, mean + half


@blind("Not a plain float")
def tensors(a, b, t):
    d = a - b
    half = t * d.std() / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half


@blind("A tuple is expected")
def a_list(a, b, t):
    d = a - b
    mean, half = d.mean().item(), t * d.std().item() / len(d) ** 0.5
    return [mean, mean - half, mean + half]


@blind("Wrong number of results")
def without_the_mean(a, b, t):
    d = a - b
    mean, half = d.mean().item(), t * d.std().item() / len(d) ** 0.5
    return mean - half, mean + half


@blind("The pairs are not used")
def two_models_are_two_samples_the(a, b, t):
    """Two models are two samples: the variances of the two means add up."""
    mean = (a.mean() - b.mean()).item()
    se = math.sqrt(a.var().item() / len(a) + b.var().item() / len(b))
    return mean, mean - t * se, mean + t * se


@blind("The pairs are not used")
def i_take_the_spread_of_all(a, b, t):
    """I take the spread of all the losses of both models together."""
    mean = (a - b).mean().item()
    se = torch.cat([a, b]).std().item() / math.sqrt(len(a))
    return mean, mean - t * se, mean + t * se


@blind("S in the denominator of the variance")
def numpy_s_std_is_the_standard(a, b, t):
    """numpy's std is the standard deviation."""
    d = (a - b).numpy()
    half = t * d.std() / np.sqrt(len(d))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


@blind("Not divided by √S")
def the_interval_is_mean_plus_minus(a, b, t):
    """The interval is mean plus minus t standard deviations."""
    d = a - b
    m, s = d.mean().item(), d.std().item()
    return m, m - t * s, m + t * s


@blind("1.96 in place of t")
def as_95_is_always_1_96_standard(a, b, t):
    """95 % is always 1.96 standard errors."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - 1.96 * se, m + 1.96 * se


@blind("Divided by S, not by √S")
def the_error_of_a_mean_over(a, b, t):
    """The error of a mean over S values is the deviation divided by S."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d)
    return m, m - t * se, m + t * se


@blind("b − a, not a − b")
def i_want_to_know_how_much(a, b, t):
    """I want to know how much better the second one is, so b - a."""
    d = b - a
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind("`mean` and `low` have changed places")
def from_small_to_large_low_mean(a, b, t):
    """From small to large: low, mean, high."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m - t * se, m, m + t * se


@blind("`low` and `high` have changed places")
def mean_plus_minus(a, b, t):
    """Mean, plus, minus."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m + t * se, m - t * se


@blind("Not a plain float")
def tensors_of_one_number_print_like(a, b, t):
    """Tensors of one number print like floats."""
    d = a - b
    m, se = d.mean(), d.std() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind("The interval lies around 0")
def the_interval_is_how_far_it(a, b, t):
    """The interval is how far it reaches to the left and to the right: minus and plus the half width."""
    d = a - b
    half = t * d.std().item() / math.sqrt(len(d))
    return d.mean().item(), -half, half


@blind("The signs of the differences are lost")
def a_difference_is_a_distance_so(a, b, t):
    """A difference is a distance, so I take its absolute value."""
    d = (a - b).abs()
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind("The losses were sorted")
def i_sort_both_so_that_the(a, b, t):
    """I sort both, so that the best meets the best."""
    d = a.sort().values - b.sort().values
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind(ANY)
def as_95_of_the_differences_lie_between(a, b, t):
    """95 % of the differences lie between the 2.5 and the 97.5 percentile."""
    d = a - b
    return d.mean().item(), d.quantile(0.025).item(), d.quantile(0.975).item()


@blind("The range of the differences")
def the_interval_is_the_range_of(a, b, t):
    """The interval is the range of the differences."""
    d = a - b
    return d.mean().item(), d.min().item(), d.max().item()


@blind("Half as wide")
def t_standard_errors_is_the_width(a, b, t):
    """t standard errors is the width of the interval, half of it on either side."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se / 2, m + t * se / 2


@blind("The median, not the mean")
def the_median_is_safer_than_the(a, b, t):
    """The median is safer than the mean with few seeds."""
    d = a - b
    m, se = d.median().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind("A result is nan")
def i_only_need_to_know_whether(a, b, t):
    """I only need to know whether it is worse, so one side is open."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, float("inf")


@blind("Divided by √(S − 1)")
def torch_s_std_has_the_s(a, b, t):
    """torch's std has the S in it, so I must correct it with sqrt(S / (S - 1))."""
    d = a - b
    s = len(d)
    sd = d.std().item() * math.sqrt(s / (s - 1))
    m, half = d.mean().item(), t * sd / math.sqrt(s)
    return m, m - half, m + half


@blind("Divided by √(S − 1)")
def the_degrees_of_freedom_are_s(a, b, t):
    """The degrees of freedom are S - 1, so I divide by sqrt(S - 1) too."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / math.sqrt(len(d) - 1)
    return m, m - t * se, m + t * se


@blind(ANY)
def losses_need_no_double_precision(a, b, t):
    """Losses need no double precision."""
    d = a.float() - b.float()
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind("Your function changed its input")
def i_subtract_b_in_place_i(a, b, t):
    """I subtract b in place, I do not need a any more."""
    a -= b
    m, se = a.mean().item(), a.std().item() / len(a) ** 0.5
    return m, m - t * se, m + t * se


@blind("Nothing is returned")
def the_answer_is_what_my_cell(a, b, t):
    """The answer is what my cell prints."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 0.5
    print(m, m - t * se, m + t * se)


@blind(ANY)
def std_takes_ddof_like_in_numpy(a, b, t):
    """std takes ddof like in numpy."""
    d = a - b
    m, se = d.mean().item(), d.std(ddof=1).item() / len(d) ** 0.5
    return m, m - t * se, m + t * se


@blind(ANY)
def sd_s_1_2_to_the(a, b, t):
    """sd / S ** 1 / 2: to the power one half is the root."""
    d = a - b
    m, se = d.mean().item(), d.std().item() / len(d) ** 1 / 2
    return m, m - t * se, m + t * se
