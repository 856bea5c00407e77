"""Next-token bars in words: percentages as they are printed, the reading line, what was drawn."""

from moe_lite.look.words import percent
from moe_lite.widgets.kit.parts import Parts
from moe_lite.widgets.next_tokens.view import Drawn, Guess, visible

EMPTY = "Type a text: the model guesses the token that comes after it."
BY_HABIT = "0: only the most probable"


def certainty(share: float) -> str:
    """A share inside a sentence: 0.2143 -> "21 %"; "100 %" only for all of it."""
    return ">99 %" if 0.995 <= share < 1 else percent(share)


def tenths(share: float) -> str:
    """A share as the bars print it: 0.2143 -> "21.4 %"; "0 %" only for none at all."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %" if share else "0 %"


def degrees(temperature: float) -> str:
    """1 -> "1.0", 0.75 -> "0.75", 0 -> "0"."""
    return f"{temperature:.1f}" if temperature and round(temperature, 1) == temperature else f"{temperature:g}"


def reading_parts(guess: Guess, n_shown: int) -> Parts:
    """How sure the model is, in one sentence."""
    first = {"code": visible(guess.first)}
    if guess.temperature == 0:
        at_one = f", which has {certainty(guess.at_one)} at temperature 1.0."
        return ["At temperature 0 the most probable next token is always taken: ", first, at_one]
    top = certainty(float(guess.shares[guess.first]))
    parts = [f"At temperature {degrees(guess.temperature)} the most probable next token is ", first, f" with {top}"]
    if 1 < n_shown < len(guess.shares):
        parts.append(f"; the {n_shown} shown hold {certainty(held(guess, n_shown))}")
    return [*parts, f", and {_open(guess.equals)}."]


def held(guess: Guess, n_shown: int) -> float:
    """What the most probable n_shown tokens have together."""
    return float(guess.shares[guess.order[:n_shown]].sum())


def _open(equals: float) -> str:
    number = f"{equals:.1f}" if equals < 9.95 else f"{equals:,.0f}"
    return f"the choice is as open as one among {number} equals" if number != "1.0" else "there is hardly a choice"


def drawn_text(drawn: Drawn, i: int, n: int, n_tokens: int) -> str:
    """Draw i of n, counted from 0: what it was, how probable, and how many were more so."""
    which = "drawn" if n == 1 else f"drawn, {i + 1} of {n}"
    return (
        f"{which}: {visible(drawn.token)} · {tenths(drawn.share)} at temperature {degrees(drawn.temperature)} · "
        f"rank {drawn.rank:,} of {n_tokens:,}"
    )


def others_name(n: int) -> str:
    return "1 other" if n == 1 else f"{n:,} others"
