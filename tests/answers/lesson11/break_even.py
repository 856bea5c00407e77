"""Answers to exercise 11.4, break_even: right ones, and wrong ones with the message that they must get."""

import math
from fractions import Fraction

import numpy as np
import torch
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def by_price(dollars_per_hour, tokens_per_second, api_price):
    per_hour = tokens_per_second * 3600
    price = dollars_per_hour / per_hour * 1_000_000
    u = price / api_price
    return u if u <= 1 else float("inf")


@right
def by_tokens(dollars_per_hour, tokens_per_second, api_price):
    bought = dollars_per_hour / api_price * 1e6
    made = 60 * 60 * tokens_per_second
    return math.inf if bought > made else bought / made


@right
def by_earnings(dollars_per_hour, tokens_per_second, api_price):
    millions = tokens_per_second / 1e6 * 3600
    worth = api_price * millions
    if worth < dollars_per_hour:
        return float("inf")
    return dollars_per_hour / worth


@right
def exactly(dollars_per_hour, tokens_per_second, api_price):
    d, t, a = (Fraction(x) for x in (dollars_per_hour, tokens_per_second, api_price))
    u = d * 10**6 / (t * 3600 * a)
    return float(u) if u <= 1 else np.inf


@right
def one_line(dollars_per_hour, tokens_per_second, api_price):
    u = dollars_per_hour / 3600 / tokens_per_second * 1e6 / api_price
    return float("inf") if u > 1 else u


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("upside_down", "Upside down", of=by_price, put={"price / api_price": "api_price / price"})
wrong("upside_down_without_inf", "Upside down", of=by_price,
      put={"price / api_price": "api_price / price", "u if u <= 1 else float(\"inf\")": "u"})  # fmt: skip
wrong("per_thousand", "The API's price is per million", of=by_price, put={"1_000_000": "1_000"})
wrong("billions", "The API's price is per million", of=by_price, put={"1_000_000": "1_000_000_000"})
wrong("per_token", "The API's price is per million", of=by_price, put={" * 1_000_000": ""})
wrong("minutes", "An hour has 3,600 seconds", of=by_price, put={"* 3600": "* 60"})
wrong("no_seconds", "An hour has 3,600 seconds", of=by_price, put={" * 3600": ""})
wrong("three_times_sixty", "An hour has 3,600 seconds", of=by_price, put={"* 3600": "* 60 * 60 * 60"})
wrong("above_1", "More than all of the time", of=by_price, put={'u if u <= 1 else float("inf")': "u"})
wrong("capped", "1 where it never pays", of=by_price, put={'float("inf")': "1.0"})
wrong("none_is_zero", "inf where it never pays", of=by_price, put={'float("inf")': "0.0"})
wrong("none_is_minus_1", "inf where it never pays", of=by_price, put={'float("inf")': "-1.0"})
wrong("none_is_nan", "inf where it never pays", of=by_price, put={'float("inf")': "math.nan"})
wrong("below_1", "Just as dear at full load", of=by_price, put={"u <= 1": "u < 1"})
wrong("turned", "The comparison is turned", of=by_price, put={"u <= 1": "u >= 1"})
wrong("percent", "In percent", of=by_price, put={"return u if": "return 100 * u if"})
wrong("percent_of_all", "In percent", of=by_price, put={"u = price / api_price": "u = 100 * price / api_price"})
wrong("percent_up_to_100", "In percent", of=by_price,
      put={"u = price / api_price": "u = 100 * price / api_price", "u <= 1": "u <= 100"})  # fmt: skip
wrong("tokens_per_hour", "Tokens, not a fraction of the time", of=by_tokens, put={"bought / made": "bought"})
wrong("only_tokens", "Tokens, not a fraction of the time", of=by_tokens,
      put={"math.inf if bought > made else bought / made": "bought"})  # fmt: skip
wrong("the_price", "A price, not a fraction of the time", of=by_price, put={"return u if": "return price if"})
wrong("hours_per_day", "Hours, not a fraction of the time", of=by_price, put={"return u if": "return 24 * u if"})
wrong("idle", "The idle part of the time", of=by_price, put={"return u if": "return 1 - u if"})
wrong("two_digits", "Rounded", of=by_price, put={"return u if": "return round(u, 2) if"})
wrong("text", "Not a plain float", of=by_price, put={'float("inf")': '"inf"'})
wrong("a_tensor", "Not a plain float", of=by_price, put={"return u if": "return torch.tensor(u) if"})
wrong("no_return", "Nothing is returned", of=by_price,
      put={"return u if u <= 1 else float(\"inf\")": "if u <= 1:\n        return u"})  # fmt: skip
wrong(
    "squared", "The fraction is another one", of=by_price, put={"u = price / api_price": "u = (price / api_price) ** 2"}
)


@wrong("Never, though it pays")
def never(dollars_per_hour, tokens_per_second, api_price):
    return by_price(dollars_per_hour, tokens_per_second, api_price) * math.inf


@wrong(ANY)  # right in all cases, and not for what only the sweep has: a machine that is used one hour in a hundred
def rarely_is_never(dollars_per_hour, tokens_per_second, api_price):
    u = by_price(dollars_per_hour, tokens_per_second, api_price)
    return u if not 1e-3 < u < 0.01 else u + 0.001


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("More than all of the time")
def returns_a_share_above_one(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns a share above one."""
    return dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)


@blind("Just as dear at full load")
def infinity_already_at_exactly_one(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Infinity already at exactly one."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return u if u < 1 else float("inf")


@blind("Upside down")
def turns_the_quotient_upside_down(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Turns the quotient upside down."""
    u = 3600 * tokens_per_second * api_price / (dollars_per_hour * 1e6)
    return u if u <= 1 else float("inf")


@blind("An hour has 3,600 seconds")
def forgets_the_seconds_in_an_hour(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Forgets the seconds in an hour."""
    u = dollars_per_hour * 1e6 / (tokens_per_second * api_price)
    return u if u <= 1 else float("inf")


@blind("An hour has 3,600 seconds")
def takes_60_seconds_for_an_hour(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Takes 60 seconds for an hour."""
    u = dollars_per_hour * 1e6 / (60 * tokens_per_second * api_price)
    return u if u <= 1 else float("inf")


@blind("The API's price is per million")
def reads_price_as_per_single_token(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Reads price as per single token."""
    u = dollars_per_hour / (3600 * tokens_per_second * api_price)
    return u if u <= 1 else float("inf")


@blind("The API's price is per million")
def reads_price_as_per_thousand_tokens(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Reads price as per thousand tokens."""
    u = dollars_per_hour * 1e3 / (3600 * tokens_per_second * api_price)
    return u if u <= 1 else float("inf")


@blind("1 where it never pays")
def cuts_the_share_off_at_one(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Cuts the share off at one."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return float(min(u, 1.0))


@blind("In percent")
def returns_percent_not_a_fraction(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns percent, not a fraction."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return 100 * u if u <= 1 else float("inf")


@blind("Nothing is returned")
def returns_none_when_machine_is_dearer(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns None when machine is dearer."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    if u <= 1:
        return u


@blind("Not a plain float")
def returns_the_text_inf_instead(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns the text "inf" instead."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return u if u <= 1 else "inf"


@blind("Rounded")
def rounds_the_share_to_two_places(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Rounds the share to two places."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return round(u, 2) if u <= 1 else float("inf")


@blind("The idle part of the time")
def returns_the_allowed_idle_share(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns the allowed idle share."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return 1 - u if u <= 1 else float("inf")


@blind("The fraction is another one")
def drops_started_millions_of_tokens(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Drops started millions of tokens."""
    millions = tokens_per_second * 3600 // 1_000_000
    worth = millions * api_price
    return float(dollars_per_hour / worth) if worth >= dollars_per_hour and worth else float("inf")


@blind("The fraction is another one")
def thinks_idle_hours_cost_nothing(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Thinks idle hours cost nothing."""
    own = dollars_per_hour * 1e6 / (3600 * tokens_per_second)
    return 0.0 if own <= api_price else float("inf")


@blind("The fraction is another one")
def tries_whole_percents_only(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Tries whole percents only."""
    for percent in range(1, 101):
        u = percent / 100
        if dollars_per_hour * 1e6 <= u * 3600 * tokens_per_second * api_price:
            return u
    return float("inf")


@blind("The comparison is turned")
def infinity_when_the_machine_is_cheaper(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Infinity when the machine is cheaper."""
    own = dollars_per_hour * 1e6 / (3600 * tokens_per_second)
    if own < api_price:
        return float("inf")
    return own / api_price


@blind("The fraction is another one")
def compares_hourly_cost_with_token_price(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Compares hourly cost with token price."""
    if dollars_per_hour > api_price:
        return float("inf")
    return dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)


@blind("The fraction is another one")
def gives_busy_time_over_idle_time(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Gives busy time over idle time."""
    u = dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price)
    return u / (1 - u) if u < 1 else float("inf")


@blind("Not a plain float")
def returns_a_torch_tensor_not_float(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns a torch tensor, not float."""
    u = torch.tensor(dollars_per_hour * 1e6 / (3600 * tokens_per_second * api_price), dtype=torch.float64)
    return torch.where(u <= 1, u, torch.tensor(float("inf"), dtype=torch.float64))


@blind("A price, not a fraction of the time")
def returns_own_price_not_the_share(dollars_per_hour: float, tokens_per_second: float, api_price: float) -> float:
    """Returns own price, not the share."""
    own = dollars_per_hour * 1e6 / (3600 * tokens_per_second)
    return own if own <= api_price else float("inf")
