"""Answers to exercise 12.1, expected_touched: right ones, and wrong ones with the message that they must get."""

import math
from fractions import Fraction

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def one_minus_alone(shares, n_tokens):
    alone = (1 - shares) ** n_tokens
    return (1 - alone).sum().item()


@right
def all_but_those_left_alone(shares, n_tokens):
    return len(shares) - float(torch.pow(1.0 - shares, n_tokens).sum())


@right
def in_python(shares, n_tokens):
    touched = 0.0
    for p in shares.tolist():
        touched += 1 - (1 - p) ** n_tokens
    return touched


@right
def token_after_token(shares, n_tokens):
    """What each token adds: the experts that it chooses and that no token before it chose."""
    alone, touched = torch.ones_like(shares), 0.0
    for _ in range(n_tokens):
        touched += float((alone * shares).sum())
        alone = alone * (1 - shares)
    return touched


@right
def in_numpy(shares, n_tokens):
    return float(np.sum(1 - np.power(1 - shares.double().numpy(), n_tokens)))


@right
def with_logarithms(shares, n_tokens):
    return sum(1.0 if p >= 1 else -math.expm1(n_tokens * math.log1p(-p)) for p in shares.tolist())


@right
def by_squaring(shares, n_tokens):
    """Twice as many tokens leave an expert alone with the square of the probability."""
    alone, power = torch.ones_like(shares), 1 - shares
    while n_tokens:
        if n_tokens % 2:
            alone = alone * power
        power, n_tokens = power * power, n_tokens // 2
    return float((1 - alone).sum())


@right
def geometric(shares, n_tokens):
    """Geometric sum of first hits."""
    return sum(p * sum((1 - p) ** t for t in range(n_tokens)) for p in shares.tolist())


@right
def log_domain_f32(shares, n_tokens):
    """Exp(n log(1-p)) in float32."""
    return (1 - torch.exp(n_tokens * torch.log(1 - shares))).sum().item()


@right
def linear_recursion(shares, n_tokens):
    """Recursion one token at a time."""
    if n_tokens == 1:
        return float(shares.sum())

    def miss(n):
        return 1 - shares if n == 1 else (1 - shares) * miss(n - 1)

    return float((1 - miss(n_tokens)).sum())


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

ALONE = "alone = (1 - shares) ** n_tokens"
SUM = "(1 - alone).sum().item()"

wrong("even_formula", "As if all shares were equal", of=one_minus_alone,
      put={ALONE: "alone = (1 - shares.sum() / len(shares)) ** n_tokens", SUM: "(len(shares) * (1 - alone)).item()"})  # fmt: skip
wrong("mean_share", "As if all shares were equal", of=all_but_those_left_alone,
      put={"1.0 - shares": "1.0 - shares.mean().expand(len(shares))"})  # fmt: skip
wrong("normalised", "The shares are divided by their sum", of=one_minus_alone,
      put={"(1 - shares)": "(1 - shares / shares.sum())"})  # fmt: skip
wrong("left_alone", "The experts that are left alone", of=one_minus_alone, put={SUM: "alone.sum().item()"})
wrong("minus_left_alone", "The experts that are left alone", of=one_minus_alone, put={SUM: "(-alone).sum().item()"})
wrong("one_minus_sum", "1 is taken once, not for each expert", of=one_minus_alone,
      put={SUM: "1 - alone.sum().item()"})  # fmt: skip
wrong("not_by_all", "Chosen by every token", of=one_minus_alone, put={"(1 - shares) **": "shares **"})
wrong("by_all", "Chosen by every token", of=one_minus_alone, put={"(1 - shares) **": "1 - shares **"})
wrong("by_exactly_one", "Chosen by exactly one token", of=one_minus_alone,
      put={ALONE: "alone = 1 - n_tokens * shares * (1 - shares) ** (n_tokens - 1)"})  # fmt: skip
wrong("times_in_place_of_power", "Multiplied, not raised to a power", of=one_minus_alone,
      put={"** n_tokens": "* n_tokens"})  # fmt: skip
wrong("times_alone", "Multiplied, not raised to a power", of=one_minus_alone,
      put={ALONE: "alone = 1 - (1 - shares) * n_tokens"})  # fmt: skip
wrong("added_up_to_one", "Probabilities cannot simply be added", of=one_minus_alone,
      put={ALONE: "alone = 1 - torch.clamp(n_tokens * shares, max=1)"})  # fmt: skip
wrong("as_many_as_can_be", "As if no two tokens chose the same expert", of=one_minus_alone,
      put={SUM: "min(float(len(shares)), shares.sum().item() * n_tokens) + 0 * alone.sum().item()"})  # fmt: skip
wrong("all_choices", "As if no two tokens chose the same expert", of=one_minus_alone,
      put={SUM: "shares.sum().item() * n_tokens + 0 * alone.sum().item()"})  # fmt: skip
wrong("mean", "A share of the experts", of=one_minus_alone, put={".sum()": ".mean()"})
wrong(
    "any_expert", "The probability that any expert is chosen", of=one_minus_alone, put={SUM: "1 - alone.prod().item()"}
)
wrong("all_experts", "The probability that all experts are chosen", of=one_minus_alone, put={".sum()": ".prod()"})
wrong("with_replacement", "A token's experts are all different", of=one_minus_alone,
      put={ALONE: "K = round(shares.sum().item())\n    alone = (1 - shares / K) ** (K * n_tokens)"})  # fmt: skip
wrong("even_with_replacement", "A token's experts are all different", of=one_minus_alone,
      put={ALONE: "K, E = round(shares.sum().item()), len(shares)\n"
           "    alone = torch.full((E,), 1 - 1 / E, dtype=torch.float64) ** (K * n_tokens)"})  # fmt: skip
wrong("k_twice", "K is in the shares already", of=one_minus_alone,
      put={"** n_tokens": "** (n_tokens * round(shares.sum().item()))"})  # fmt: skip
wrong("one_fewer", "One token too few", of=one_minus_alone, put={"** n_tokens": "** (n_tokens - 1)"})
wrong("one_more", "One token too many", of=one_minus_alone, put={"** n_tokens": "** (n_tokens + 1)"})
wrong("one_token", "The experts of one token", of=one_minus_alone, put={" ** n_tokens": ""})
wrong("whoever_can", "Every expert that can be chosen", of=one_minus_alone,
      put={ALONE: "alone = (shares == 0).double()"})  # fmt: skip
wrong(
    "poisson", "e^(−n·p) is only nearly right", of=one_minus_alone, put={ALONE: "alone = torch.exp(-n_tokens * shares)"}
)
wrong("rounded", "A mean is no whole number", of=one_minus_alone, put={SUM: "float(round((1 - alone).sum().item()))"})
wrong("as_int", "A mean is no whole number", of=one_minus_alone, put={SUM: "int((1 - alone).sum().item())"})
wrong("up", "A mean is no whole number", of=one_minus_alone, put={SUM: "math.ceil((1 - alone).sum().item())"})
wrong("rounded_each", "A mean is no whole number", of=one_minus_alone, put={"(1 - alone)": "(1 - alone).round()"})
wrong("two_decimals", "Nearly right", of=one_minus_alone, put={SUM: "round((1 - alone).sum().item(), 4)"})
wrong("a_tensor", "Not a plain float", of=one_minus_alone, put={".item()": ""})
wrong("a_list", "Not a plain float", of=one_minus_alone, put={".sum().item()": ".tolist()"})
wrong("a_fraction", "Not a plain float", of=one_minus_alone, put={SUM: "Fraction((1 - alone).sum().item())"})
wrong("in_place", "Your function changed its input", of=one_minus_alone,
      put={ALONE: "alone = shares.neg_().add_(1) ** n_tokens"})  # fmt: skip
wrong("in_float32", "Nearly right", of=one_minus_alone, put={"(1 - shares)": "(1 - shares.float())"})
wrong("twice", "Another number of experts", of=one_minus_alone, put={SUM: "2 * (1 - alone).sum().item() - 1.5"})


@wrong(ANY)  # all cases are right: no share in them is so small
def forgets_small_shares(shares, n_tokens):
    return one_minus_alone(torch.where(shares < 1e-4, 0.0, shares), n_tokens)


@wrong(ANY)  # the same, for shares of which there are many
def int8_counts(shares, n_tokens):
    return one_minus_alone(shares[:255], n_tokens)


# ---- wrong, from readers of the text alone ---------------------------------------------------------------------------


@blind("A logarithm of 0")
def log_nan(shares, n_tokens):
    """Math.log(1-p): crash for p = 1."""
    return sum(1 - math.exp(n_tokens * math.log(1 - p)) for p in shares.tolist())


@blind("Not a plain float")
def per_expert(shares, n_tokens):
    """Returns a tensor per expert, no sum."""
    return 1 - (1 - shares) ** n_tokens


@blind("The sum comes before the power")
def sum_before_power(shares, n_tokens):
    """Sum taken before the power."""
    return float(len(shares) - (1 - shares).sum() ** n_tokens)


@blind("The result is no finite number")
def nan_skip(shares, n_tokens):
    """Ratio p*(1-q^n)/(1-q) with 0/0 for p = 0."""
    q = 1 - shares
    return float((shares * (1 - q**n_tokens) / (1 - q)).sum())


@blind("Experts with the share 1 are left out")
def skip_ones(shares, n_tokens):
    """Leaves out experts with share 1 (avoiding log 0)."""
    s = shares[shares < 1]
    return float(-torch.expm1(n_tokens * torch.log1p(-s)).sum())


@blind("Another number of experts")
def precedence(shares, n_tokens):
    """1 - 1 - p ** n."""
    return float((1 - 1 - shares**n_tokens).sum())


@blind("`^` is not a power")
def xor(shares, n_tokens):
    """^ in place of **."""
    return float((1 - (1 - shares) ^ n_tokens).sum())


@blind("Another number of experts")
def builtin_len(shares, n_tokens):
    """Expected repeats: K*n - touched."""
    return float(shares.sum() * n_tokens - (1 - (1 - shares) ** n_tokens).sum())


@blind("The mean is rounded")
def round2(shares, n_tokens):
    """Round(x, 2)."""
    return round(float((1 - (1 - shares) ** n_tokens).sum()), 2)


@blind("As if all shares were equal")
def one_over_e(shares, n_tokens):
    """E*(1-(1-1/E)^n)."""
    E = len(shares)
    return E * (1 - (1 - 1 / E) ** n_tokens)


@blind("Squared in each round")
def squaring(shares, n_tokens):
    """Miss *= miss in the loop (squares each time)."""
    miss = 1 - shares
    for _ in range(n_tokens - 1):
        miss = miss * miss
    return float((1 - miss).sum())


@blind("Divided by the number of tokens")
def shares_div_n(shares, n_tokens):
    """Divides by n: per token."""
    return float((1 - (1 - shares) ** n_tokens).sum() / n_tokens)


@blind("Only one expert is counted")
def loop_last(shares, n_tokens):
    """Loop returns after the first expert (return indented)."""
    total = 0.0
    for p in shares.tolist():
        total += 1 - (1 - p) ** n_tokens
        return total


@blind("Only one expert is counted")
def overwrites(shares, n_tokens):
    """= instead of +=."""
    total = 0.0
    for p in shares.tolist():
        total = 1 - (1 - p) ** n_tokens
    return total
