"""What is said of errors that answers of this lesson raise, where the message alone helps little."""

import re
from collections.abc import Callable

from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.exercise import Exercise, Note


def said(title: str, sentence: str) -> Callable[[re.Match, Line, Exercise], Note]:
    return lambda match, line, exercise: Note(title, sentence)


TOO_DEEP = (RecursionError, r"", said(
    "Too many calls inside one another", "Python allows about 1,000 calls inside one another. Does a function call "
    "itself without an end, or by mistake, because two have the same name? If it makes one call for each step or "
    "token, a loop does the same for any number of them."))  # fmt: skip
NO_LOG_OF_0 = (ValueError, r"math domain error|expected a positive input", said(
    "A logarithm of 0", "`math.log` takes only numbers above 0. A share can be 1, and then 1 − share is 0. "
    "The power (1 − share)^n needs no logarithm."))  # fmt: skip
NO_POWER = ((RuntimeError, NotImplementedError, TypeError), r"bitwise_xor|for \^", said(
    "`^` is not a power", "In Python, `^` compares bits. A power is written `**`."))  # fmt: skip
_nothing = said(
    "Nothing to choose from", "`min`, `max` or `next` was given nothing. Is an expert asked for its next use that no "
    "later step needs? Give `min` and `max` a `default`, and `next` a second argument. Or should something make room "
    "where nothing can, because memory holds only what the step needs?")  # fmt: skip
NEVER_AGAIN = (
    (ValueError, r"m(?:in|ax)\(\) (?:arg is an empty sequence|iterable argument is empty)", _nothing),
    (StopIteration, r"", _nothing),
)
