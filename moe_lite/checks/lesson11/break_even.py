"""Exercise 11.4, break_even: how much of the time a machine has to work until it is cheaper than an API."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import one_wrong, sign
from moe_lite.checks.engine.say import said
from moe_lite.lessons.serving import break_even, price_per_million

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (trial(3.0, 2500.0, 0.6), trial(1.3, 900.0, 0.9), trial(2.2, 1700.0, 0.45), trial(12.5, 6400.0, 2.0))
    nearly = (trial(3.1, 1500.0, 0.6), trial(1.9, 800.0, 0.7))
    rarely = (trial(0.34, 21_000.0, 9.0), trial(0.25, 32_000.0, 12.0))
    dearer = (trial(3.2, 1400.0, 0.6), trial(2.4, 410.0, 0.5), trial(8.0, 95.0, 0.9))
    equal = (trial(7.03125, 15_625.0, 0.125), trial(14.0625, 31_250.0, 0.125), trial(28.125, 15_625.0, 0.5))
    begin, _ = inputs.usual(plain[:2], plain, name="a float")
    return (
        *begin,
        Case("cheaper from some use on", plain, ("u",)),
        Case("busy nearly all of the time", nearly, ("u",)),
        Case("hardly used", rarely, ("u",)),
        Case("dearer even at full load", dearer, ("u",)),
        Case("just as dear at full load", equal, ("u",)),
    )


def trial(dollars: float, speed: float, price: float) -> Trial:
    return Trial((dollars, speed, price), f"{dollars:g} dollars per hour and {speed:,g} tokens per second")


def fraction(dollars: float, speed: float, price: float) -> float:
    """Of the time, also above 1."""
    return price_per_million(dollars, speed) / price


def drawn(seed: int, D: int, T: int, P: int) -> tuple:
    """D tenths of a dollar per hour, T tokens per second, P tenths of a dollar per million; not just as dear."""
    dollars, speed, price = D / 10, float(T), P / 10
    return (1.03 * dollars if abs(fraction(dollars, speed, price) - 1) < 1e-3 else dollars), speed, price


def extremes(seed: int) -> tuple[Trial, ...]:
    g, drawn_ones = inputs.generator(seed), []
    for low, high in ((1e-4, 1e-2), (0.01, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.999), (1.001, 1.1), (1.1, 50)):
        a, b, c = torch.rand(3, dtype=torch.float64, generator=g).tolist()
        speed, price, share = round(20 + 9000 * a, 1), round(0.1 + 10 * b, 2), low + (high - low) * c
        dollars = share * speed * 3600 * price / 1e6
        drawn_ones.append(Trial((dollars, speed, price), f"a fraction between {low:g} and {high:g}, seed {seed}"))
    return (*drawn_ones, Trial((3, 2500, 1), "whole numbers"), Trial((9, 2000, 1), "whole numbers, dearer"))


DRAWN = Drawn(drawn, {"D": 31, "T": 2600, "P": 7}, long="", wide="", float32=False, extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[float, float, float], float]


def at_most_1(rule: Rule) -> Rule:
    """A wrong fraction, with inf where it is above 1."""
    return lambda *args: found if (found := rule(*args)) <= 1 else math.inf


def where_cheaper(rule: Rule) -> Rule:
    """Something else than the fraction, with inf where it should be."""
    return lambda *args: rule(*args) if fraction(*args) <= 1 else math.inf


def times(factor: float) -> Rule:
    """The fraction times a factor, with inf where that is above 1."""
    return at_most_1(lambda *args: factor * fraction(*args))


def of(title: str, rule: Rule, say: str) -> Mistake:
    def made(*args) -> Tensor:
        return torch.tensor(rule(*args), dtype=torch.float64)

    return one_wrong("u", title, made, lambda a: told(say, a))


def told(say: str, a: Attempt) -> str:
    return said(LEAD + say[0].lower() + say[1:], a, **numbers(a))


def numbers(a: Attempt) -> dict[str, str]:
    dollars, speed, price = a.args
    return {
        "full": number(price_per_million(dollars, speed), 4), "api": number(float(price), 4),
        "needed": number(fraction(*a.args), 4), "per_hour": f"{3600 * speed:,.0f}",
    }  # fmt: skip


def not_infinite(a: Attempt) -> bool:
    return float(a.expected["u"]) == math.inf != float(a.got["u"])


def infinite(a: Attempt) -> bool:
    return float(a.got["u"]) == math.inf


LEAD = "`u` is {u.beside:4}, for {note}: "
PRICES = "At full load, a million tokens from this machine cost {full} dollars, and the API charges {api}."
NEVER = PRICES + ' Used less, the machine is dearer still: return `float("inf")`.'
HOURS = "The machine makes {per_hour} tokens in an hour at full load. " + PRICES

MISTAKES = (
    of("Upside down", at_most_1(lambda *args: 1 / fraction(*args)), "the quotient is turned over. " + PRICES + " The "
       "cheaper the machine is beside the API, the less it has to be used."),
    of("Upside down", lambda *args: 1 / fraction(*args), "the quotient is turned over. " + PRICES + " The "
       "cheaper the machine is beside the API, the less it has to be used."),
    of("The API's price is per million", times(1e-3), "tokens were counted in thousands in one place and in "
       "millions in another, which makes the fraction 1,000 times too small. " + PRICES),
    of("The API's price is per million", times(1e3), "tokens were counted in thousands in one place and in "
       "millions in another, which makes the fraction 1,000 times too large. " + PRICES),
    of("The API's price is per million", times(1e-6), "the million is missing: `api_price` is for a million tokens, "
       "not for one. " + PRICES),
    of("An hour has 3,600 seconds", times(60), "an hour was taken for 60 seconds. " + HOURS),
    of("An hour has 3,600 seconds", times(1 / 60), "the seconds are multiplied by 60 once too often. " + HOURS),
    of("An hour has 3,600 seconds", times(3600), "dollars per hour were divided by tokens per second. " + HOURS),
    of("An hour has 3,600 seconds", times(1 / 3600), "3,600 is in it twice. " + HOURS),
    of("More than all of the time", fraction, "a machine cannot be used more than all of the time. " + NEVER),
    of("1 where it never pays", lambda *args: min(1.0, fraction(*args)), "even a machine that works all of the time is "
       "dearer here. " + NEVER),
    of("Just as dear at full load", lambda *args: found if (found := fraction(*args)) < 1 else math.inf, PRICES
       + " A token from the machine may cost as much as one from the API, so u = 1 counts: `<=`, not `<`."),
    of("The comparison is turned", lambda *args: found if (found := fraction(*args)) >= 1 else math.inf, "the answer "
       "is inf where the machine is dearer even at full load, and a fraction elsewhere. " + PRICES),
    of("In percent", where_cheaper(lambda *args: 100 * fraction(*args)), "that is in percent. Return a fraction, "
       "between 0 and 1."),
    of("In percent", times(100), "a number in percent was compared with 1. Return a fraction, between 0 and 1, "
       "and compare that."),
    of("In percent", lambda *args: 100 * fraction(*args), "that is in percent. Return a fraction, between 0 and 1, and "
       'where the machine is dearer even at full load, `float("inf")`.'),
    *(of("Tokens, not a fraction of the time", change(lambda d, t, a, unit=unit: d / a * unit), "that is how many "
         f"{told} the machine has to make. Divide by what it makes at full load. {PRICES}")
      for unit, told in ((1e6, "tokens per hour"), (1, "million tokens per hour"), (1e6 / 3600, "tokens per second"))
      for change in (where_cheaper, lambda rule: rule)),
    of("Hours, not a fraction of the time", where_cheaper(lambda *args: 24 * fraction(*args)), "these are hours per "
       "day. Return a fraction of the time."),
    of("Hours, not a fraction of the time", where_cheaper(lambda *args: 730 * fraction(*args)), "these are hours per "
       "month. Return a fraction of the time."),
    *(of("A price, not a fraction of the time", change(lambda d, t, a: price_per_million(d, t)), "that is what a "
         "million tokens cost at full load. Divide by what the API charges, {api} dollars.")
      for change in (where_cheaper, at_most_1, lambda rule: rule)),
    of("The idle part of the time", where_cheaper(lambda *args: 1 - fraction(*args)), "that is how much of the time "
       "the machine may be idle. Return how much of it the machine has to work."),
    of("Rounded", at_most_1(lambda *args: round(fraction(*args), 2)), "the fraction is rounded. Return a float as it "
       "comes out."),
    of("Never, though it pays", lambda *args: math.inf, PRICES + " So there is a use from which the "
       "machine is cheaper. inf is only for a machine that is dearer even at u = 1."),
    sign("inf where it never pays", not_infinite, lambda a: told(NEVER, a)),
    sign("The fraction is another one", lambda a: True, lambda a: told(PRICES + " Used half of the time, "
         "it makes half as many tokens for the same dollars, so that each of them costs twice as much.", a)),
)  # fmt: skip

BREAK_EVEN = Exercise(
    id="11.4", name="break_even", parameters=("dollars_per_hour", "tokens_per_second", "api_price"), sizes="",
    outputs=(Output("u", real=True),), reference=break_even, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "What do a million tokens cost at full load? The machine costs the same when it is idle, so used half of the "
        "time, a token costs twice as much.",
        "An hour has 3,600 seconds, which gives the tokens per hour and then the dollars per million tokens. At a "
        "fraction u they cost 1/u times as much. Set that equal to the API's price, and think of what comes out above "
        "1.",
    ),
    minutes=6, lines="about 4 lines",
    done="Busy or idle, the machine costs the same: you know now from which use on it is the cheaper choice.",
)  # fmt: skip
