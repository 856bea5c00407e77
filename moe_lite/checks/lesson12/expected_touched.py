"""Exercise 12.1, expected_touched: how many different experts a batch chooses on average."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, one_wrong, sign
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson12.errors import NO_LOG_OF_0, NO_POWER, TOO_DEEP
from moe_lite.lessons.expert_cache import expected_touched

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 6, 2, 4), random(2, 9, 3, 5), random(3, 12, 4, 7), random(4, 5, 1, 3))
    uneven = (
        listed([0.9, 0.5, 0.3, 0.2, 0.1], 6), listed([0.98, 0.9, 0.05, 0.03, 0.02, 0.02], 11),
        listed([0.4, 0.3, 0.2, 0.06, 0.03, 0.01], 20),
    )  # fmt: skip
    even = (listed([0.25] * 8, 3), listed([0.5] * 4, 2), listed([0.125] * 16, 9))
    certain = (
        listed([1.0, 0.5, 0.25, 0.25, 0.0], 3), listed([0.0, 0.7, 0.0, 0.3], 5),
        listed([1.0, 1.0, 0.6, 0.4], 4), listed([1.0, 0.0, 0.0], 2),
    )  # fmt: skip
    one = (random(5, 7, 3, 1), listed([0.6, 0.3, 0.1], 1), listed([1.0, 0.8, 0.2], 1))
    many = (random(6, 64, 8, 100), random(7, 128, 1, 30), random(8, 60, 6, 400))
    begin, _ = inputs.usual(plain[:2], plain, name="a float")
    return (
        *begin,
        Case("some tokens", plain, ("touched",)),
        Case("favourites and rare experts", uneven, ("touched",)),
        Case("even shares", even, ("touched",)),
        Case("shares of 0 and 1", certain, ("touched",)),
        Case("one token", one, ("touched",)),
        Case("many experts, many tokens", many, ("touched",)),
    )


def listed(shares: list[float], n_tokens: int, note: str = "") -> Trial:
    tokens = "1 token" if n_tokens == 1 else f"{n_tokens:,} tokens"
    told = f"{len(shares)} experts, {tokens}" if len(shares) > 1 else f"1 expert, {tokens}"
    return Trial((torch.tensor(shares, dtype=torch.float64), n_tokens), note or told)


def random(seed: int, n_experts: int, k: int, n_tokens: int) -> Trial:
    return listed(drawn_shares(seed, n_experts, k).tolist(), n_tokens, f"seed {seed}, {n_experts} experts, "
                  + ("1 token" if n_tokens == 1 else f"{n_tokens} tokens"))  # fmt: skip


def drawn_shares(seed: int, n_experts: int, k: int) -> Tensor:
    """(E,) float64, uneven, none above 1, with the sum k."""
    weights = inputs.distinct(seed, n_experts, low=-2.0, high=1.5).exp()
    full = torch.zeros(n_experts, dtype=torch.bool)
    while True:
        rest = torch.where(full, 0.0, weights)
        shares = torch.where(full, 1.0, rest * (k - int(full.sum())) / rest.sum().clamp(min=1e-30))
        if not (shares > 1).any():
            return shares
        full |= shares >= 1


def drawn(seed: int, E: int, K: int, N: int) -> tuple:
    return drawn_shares(seed, E, K), N


def extremes(seed: int) -> tuple[Trial, ...]:
    little = 0.9 * 2.0**-26  # float32 drops it beside 0.25
    rare = torch.full((20,), 2.0**-20, dtype=torch.float64)
    beside = torch.cat([(drawn_shares(seed, 20, 3) - rare).clamp(min=0), rare])
    return (
        listed([0.25 + little] * 3 + [0.25 - 3 * little], 2, "shares that differ in the eighth digit"),
        listed(beside.tolist(), 400, "experts with a share of one in a million, 400 tokens"),
        listed([1.0, 1.0, 0.0, 0.0, 0.0], 3, "two experts for all tokens, three for none"),
        listed([1.0] * 4, 5, "all experts for all tokens"),
        listed([0.0] * 5 + [1.0], 1, "one expert, one token"),
        listed([1 - 1e-9, 0.5, 0.5, 1e-9], 7, "a share of nearly 1, and one of nearly 0"),
    )


DRAWN = Drawn(
    drawn, {"E": 9, "K": 3, "N": 5}, at_most=(("K", "E"),), long="", not_expanded=(0,),
    extremes=extremes,  # no thousands of tokens: an answer may go one call deeper for each
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Tensor, int], Tensor]


def touched(title: str, rule: Rule, say: str) -> Mistake:
    return one_wrong("touched", title, rule, lambda a: told(LEAD + say, a))


def told(say: str, a: Attempt) -> str:
    """With the numbers of three experts: the favourite, the rarest, and the one that is most nearly a toss-up."""
    shares, n = a.args
    hits = 1 - (1 - shares.double()) ** n  # (E,)
    top, low, one = int(shares.argmax()), int(shares.argmin()), int((hits - 0.6).abs().argmin())
    k = round(float(shares.sum()))
    return said(
        say, a, E=len(shares), K=k, n=f"{n:,}", tokens="1 token" if n == 1 else f"{n:,} tokens", choices=f"{k * n:,}",
        even=number(k / len(shares), 3), top=top, most=number(float(shares[top]), 3), low=low,
        least=number(float(shares[low]), 3), one=one, share=number(float(shares[one]), 3),
        alone=number(1 - float(hits[one]), 3), hit=number(float(hits[one]), 3),
    )  # fmt: skip


def even(shares: Tensor, n: int) -> Tensor:
    return expected(torch.full_like(shares, float(shares.sum()) / len(shares)), n)


def expected(shares: Tensor, n: float) -> Tensor:
    return (1 - (1 - shares) ** n).sum()


def of_the_answer(change: Callable[[float], float]) -> Rule:
    return lambda shares, n: torch.tensor(change(expected_touched(shares, n)), dtype=torch.float64)


def nearly(a: Attempt) -> bool:
    """No more off than float32 leaves."""
    return torch.allclose(a.got["touched"], a.expected["touched"], rtol=1e-4, atol=1e-6)


LEAD = "`touched` is {touched.beside:3}, for {note}: "
ONE = "Expert {one}, for example, is left alone by {tokens} with probability (1 − {share})^{n} = {alone}, "
ONE_IN = ONE + "so it is chosen with probability {hit}."
ALONE = "The probability that an expert is left alone by all tokens is (1 − share)^n. " + ONE_IN

MISTAKES = (
    touched("As if all shares were equal", even, "you used the share K/E = {even} for every expert. The shares here "
            "differ: expert {top} has {most}, and expert {low} has {least}. Compute each expert with its own share."),
    touched("As if all shares were equal", lambda s, n: expected(torch.full_like(s, 1 / len(s)), n), "you used 1/E for "
            "every expert. The shares here differ, and they sum to K = {K}: expert {top} has {most}, and expert {low} "
            "has {least}. Compute each expert with its own share."),
    touched("The shares are divided by their sum", lambda s, n: expected(s / s.sum(), n), "you divided the shares by "
            "their sum, K = {K}. A share is the probability that a token has this expert among its K experts already, "
            "so it is used as it is: {most} for expert {top}."),
    touched("The experts that are left alone", lambda s, n: ((1 - s) ** n).sum(), "that is how many experts no token "
            "chooses. " + ONE_IN + " Subtract from 1 for each expert, or from E for all of them."),
    touched("The experts that are left alone", lambda s, n: expected(s, n) - len(s), "that is minus the number of "
            "experts that no token chooses. Count the others: E minus those."),
    touched("1 is taken once, not for each expert", lambda s, n: 1 - ((1 - s) ** n).sum(), "you subtracted the sum "
            "over all experts from 1. Each expert has a 1 of its own: subtract first, then sum, or subtract the sum "
            "from E = {E}."),
    touched("Chosen by every token", lambda s, n: (1 - s**n).sum(), "share^n is the probability that *all* tokens "
            "choose an expert, and you left out only the experts that all of them choose. " + ALONE),
    touched("Chosen by every token", lambda s, n: (s**n).sum(), "share^n is the probability that *all* tokens choose "
            "an expert. One token is enough. " + ALONE),
    touched("Chosen by exactly one token", lambda s, n: (n * s * (1 - s) ** (n - 1)).sum(), "you counted the experts "
            "that exactly one token chooses. An expert that several tokens choose counts as well, once. " + ALONE),
    touched("Multiplied, not raised to a power", lambda s, n: (1 - (1 - s) * n).sum(), "you multiplied 1 − share by "
            "the number of tokens. All {n} tokens have to leave an expert alone, one and the next and the next, so the "
            "probabilities are multiplied with each other. " + ONE_IN),
    touched("Multiplied, not raised to a power", lambda s, n: ((1 - s) * n).sum(), "you multiplied 1 − share by the "
            "number of tokens. That counts how often tokens leave experts alone. " + ALONE),
    touched("Probabilities cannot simply be added", lambda s, n: (n * s).clamp(max=1).sum(), "you added an expert's "
            "share once per token and stopped at 1. Two tokens may choose the same expert, and that counts once. "
            + ALONE),
    touched("As if no two tokens chose the same expert", lambda s, n: (n * s).sum().clamp(max=len(s)), "you counted "
            "K · n = {choices} choices, at most {E}. Some of them fall on the same expert, which counts once. "
            + ALONE),
    touched("As if no two tokens chose the same expert", lambda s, n: (n * s).sum(), "you counted all K · n = "
            "{choices} choices. Some of them fall on the same expert, which counts once. " + ALONE),
    touched("A share of the experts", lambda s, n: expected(s, n) / len(s), "that is the mean over {E} experts, so the "
            "share of the experts that is chosen. Their number is the sum."),
    touched("The probability that any expert is chosen", lambda s, n: 1 - ((1 - s) ** n).prod(), "you multiplied over "
            "the experts, which gives the probability that at least one of them is chosen. How many are chosen on "
            "average is the sum of their probabilities. " + ONE_IN),
    touched("The probability that all experts are chosen", lambda s, n: (1 - (1 - s) ** n).prod(), "you multiplied "
            "the probabilities of the experts. How many are chosen on average is their sum."),
    touched("A token's experts are all different", lambda s, n: expected(s / s.sum(), round(float(s.sum()) * n)),
            "you let each token draw K = {K} times, and it could draw one expert twice. A token's experts are all "
            "different, and a share says what comes out of that. " + ALONE),
    touched("A token's experts are all different", lambda s, n: expected(torch.full_like(s, 1 / len(s)),
            round(float(s.sum()) * n)), "you let each token draw K = {K} times with probability 1/E, and it could draw "
            "one expert twice. A token's experts are all different, and a share says what comes out of that. " + ALONE),
    touched("K is in the shares already", lambda s, n: expected(s, round(float(s.sum()) * n)), "you raised to the "
            "power K · n = {choices}. The shares sum to K, so they count all K choices of a token already; there are "
            "{n} tokens. " + ALONE),
    touched("Squared in each round", lambda s, n: (1 - (1 - s) ** 2.0 ** (n - 1)).sum(), "you multiplied the "
            "probability by itself for each token, which squares it each time. Each token brings one factor 1 − share. "
            + ONE_IN),
    touched("The sum comes before the power", lambda s, n: len(s) - (1 - s).sum() ** n, "you added 1 − share up over "
            "the experts and raised the sum to a power. Each expert has its own power, and these are added up. "
            + ONE_IN),
    touched("Experts with the share 1 are left out", lambda s, n: expected(s[s < 1], n), "expert {top} has the share "
            "{most}, so every token chooses it, and it counts 1. You left it out."),
    touched("Only one expert is counted", lambda s, n: expected(s[:1], n), "that is the probability of expert 0 alone. "
            "Add up those of all experts, and `return` after the loop."),
    touched("Only one expert is counted", lambda s, n: expected(s[-1:], n), "that is the probability of the last "
            "expert alone. Add up those of all experts: `+=`, not `=`."),
    touched("Divided by the number of tokens", lambda s, n: expected(s, n) / n, "you divided by the number of tokens. "
            "The average is over what the tokens may choose by chance, not over the tokens."),
    touched("One token too few", lambda s, n: expected(s, n - 1), "that is what one token fewer would choose. There "
            "are {n}. " + ONE_IN),
    touched("One token too many", lambda s, n: expected(s, n + 1), "that is what one token more would choose. There "
            "are {n}. " + ONE_IN),
    touched("The experts of one token", lambda s, n: s.sum(), "that is how many experts one token chooses, K = {K}. "
            "There are {n} tokens. " + ALONE),
    touched("Every expert that can be chosen", lambda s, n: (s > 0).double().sum(), "you counted the experts whose "
            "share is not 0. With {tokens}, some of them are left alone by chance. " + ALONE),
    touched("e^(−n·p) is only nearly right", lambda s, n: (1 - (-n * s).exp()).sum(), "you took e^(−n · share), which "
            "is close to (1 − share)^n where shares are small. " + ALONE),
    touched("A mean is no whole number", of_the_answer(round), "the number is rounded. It is a mean, and stays as it "
            "comes out."),
    touched("A mean is no whole number", of_the_answer(math.floor), "the number is rounded down. It is a mean, and "
            "stays as it comes out."),
    touched("A mean is no whole number", of_the_answer(math.ceil), "the number is rounded up. It is a mean, and stays "
            "as it comes out."),
    touched("A mean is no whole number", lambda s, n: (1 - (1 - s) ** n).round().sum(), "each expert's probability is "
            "rounded to 0 or 1. An expert that is chosen with probability {hit}, as expert {one} is, counts {hit}."),
    *(touched("The mean is rounded", of_the_answer(lambda mean, digits=digits: round(mean, digits)), "the number is "
              "rounded. It is a mean, and stays as it comes out.") for digits in (1, 2)),
    sign("The result is no finite number", not_finite, lambda a: told(LEAD + "somewhere 0 was divided by 0, or "
         "multiplied by infinity, or a number grew beyond all bounds. Any share can be 0 or 1: what does each step of "
         "yours make of these? (1 − share)^n is 1 and 0 there.", a)),
    sign("Nearly right", nearly, lambda a: told("`touched` is {touched.beside:6}, for {note}. So small a difference "
         "comes from rounding, or from float32 where the shares are float64. Leave the shares in the type that they "
         "have, and round nothing.", a)),
    sign("Another number of experts", lambda a: True, lambda a: told(LEAD + "the probability that an expert is left "
         "alone by all tokens is (1 − share)^n. " + ONE_IN + " Add this up over all {E} experts.", a)),
)  # fmt: skip

EXPECTED_TOUCHED = Exercise(
    id="12.1", name="expected_touched", parameters=("shares", "n_tokens"), sizes="EN",
    outputs=(Output("touched", real=True),), reference=expected_touched, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=(NO_LOG_OF_0, NO_POWER, TOO_DEEP),
    hints=(
        "Ask the opposite question first, for one expert: with which probability is it left alone by one token, and "
        "with which by all of them, if the tokens choose independently?",
        "One token leaves an expert alone with probability 1 − share, and n tokens do so with this number to the power "
        "n. Subtract that from 1 and you have the probability that the expert is chosen. The average number of chosen "
        "experts is the sum of these probabilities over all experts; `.item()` makes a float of it.",
    ),
    minutes=6, lines="about 2 lines",
    done="Your function shows how many experts a batch reads on average. With uneven shares it reads fewer than with "
    "even ones.",
)  # fmt: skip
