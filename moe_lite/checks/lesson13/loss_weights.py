"""Exercise 13.2, loss_weights: with what each process multiplies its mean loss, so that gradients can be added up."""

import math
import re
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import dtype_text, number, shape_text
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.engine.say import said
from moe_lite.lessons.parallel import loss_weights

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 4), random(2, 3), random(3, 6), random(4, 5))
    empty = (
        listed([0, 12, 7, 30], "process 0 without tokens"), listed([9, 0, 5], "process 1 without tokens"),
        listed([40, 3, 0, 0, 21], "processes 2 and 3 without tokens"),
    )  # fmt: skip
    one_has_all = (listed([0, 0, 23], "all tokens on process 2"), listed([8, 0], "all tokens on process 0"))
    even = (listed([7, 7, 7], "equal parts"), listed([64, 64], "equal parts"))
    alone = (listed([19], "one process"), listed([1], "one process"))
    large = (
        listed([131_072, 65_536, 98_304, 100_000], "hundreds of thousands"),
        listed([3_000_000_000, 1, 2_000_000_000], "billions beside one token"),
    )
    begin, _ = inputs.usual(plain, plain)
    return (
        *begin,
        Case("parts of different length", plain, ("weights",)),
        Case("equal parts", even, ("weights",)),
        Case("processes without tokens", empty, ("weights",)),
        Case("one process has all tokens", one_has_all, ("weights",)),
        Case("a single process", alone, ("weights",)),
        Case("many tokens", large, ("weights",)),
    )


def listed(n_tokens: list[int], what: str) -> Trial:
    n = len(n_tokens)
    return Trial((torch.tensor(n_tokens),), f"{what}, {n} processes" if n > 1 else what)


def random(seed: int, n_ranks: int) -> Trial:
    """Every process has tokens, and none as many as another."""
    tokens = torch.randperm(60, generator=inputs.generator(seed))[:n_ranks] + 2
    return listed(tokens.tolist(), f"seed {seed}")


def drawn(seed: int, n_ranks: int) -> tuple:
    """Some processes may have no tokens, but not all of them."""
    tokens = torch.randint(0, 60, (n_ranks,), generator=inputs.generator(seed))
    tokens[seed % n_ranks] += 1
    return (tokens,)


def extremes(seed: int) -> tuple[Trial, ...]:
    (tokens,) = drawn(seed, 7)
    return (
        listed((tokens * 10**9).tolist(), f"billions of tokens, seed {seed}"),
        listed([2**24, 1, 1, 1], "one process with nearly all tokens"),
        listed([1] * 6, "one token per process"),
        listed([0, 0, 0, 0, 1], "one token in all"),
        listed([1, 0] * 20, "every second process without tokens"),
    )


DRAWN = Drawn(
    drawn, {"n_ranks": 7}, long="n_ranks", wide="", float32=False, not_expanded=(0,), extremes=extremes
)  # fmt: skip

# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Tensor], Tensor]  # of n_tokens in float64


def weighed(title: str, rule: Rule, why: str) -> Mistake:
    return wrong(title, lambda n_tokens: rule(n_tokens.double()), lambda a: f"{first(a)} {told(why, a)}")


def first(a: Attempt) -> str:
    """The first wrong weight beside the right one, and how many tokens that process has."""
    process = said("{weights.at[0]}", a)
    tokens, total = int(a.args[0][int(process)]), int(a.args[0].sum())
    has = f"{tokens:,} of the {total:,} tokens" if tokens != total else f"all {total:,} tokens"
    if total == 1:
        has = "the only token" if tokens else "none, for there is one token in all"
    elif not tokens:
        has = f"none of the {total:,} tokens"
    return said(f"{{weights.first}}. Process {process} has {has}.", a)


def told(why: str, a: Attempt) -> str:
    tokens = a.args[0]
    n, total, most = len(tokens), int(tokens.sum()), int(tokens.max())
    summed = float(a.got["weights"].double().sum())
    whole = math.isfinite(summed) and abs(summed - round(summed)) < 1e-4
    mean, sums = number(total / n), number(round(summed) if whole else summed)
    return why.format(
        R=n, N=f"{total:,}", most=f"{most:,}", mean=mean, sum=sums, with_tokens=int((tokens > 0).sum()),
    )  # fmt: skip


def one_number(a: Attempt) -> bool:
    return a.got["weights"].numel() == 1 and a.got["weights"].shape != a.expected["weights"].shape


def short_type(a: Attempt) -> bool:
    """float16 or bfloat16, and the shares as these have them; or what comes of numbers too large for them."""
    got, right = a.got["weights"], a.expected["weights"]
    if got.dtype not in (torch.float16, torch.bfloat16) or got.shape != right.shape or a.all_right:
        return False
    broken = not bool(got.isfinite().all()) or int(a.args[0].sum()) > 60_000
    return broken or torch.allclose(got.double(), right, rtol=2e-2, atol=1e-3)


def short_sentence(a: Attempt) -> str:
    kind = dtype_text(a.got["weights"])
    digits = {"float16": "three", "bfloat16": "two"}[kind]
    more = " It also ends at 65,504, and there are more tokens than that." if kind == "float16" and (
        int(a.args[0].sum()) > 65_504) else ""  # fmt: skip
    return f"{first(a)} {kind} keeps about {digits} digits of a share.{more} Compute in float32 or float64."


def of_no_tokens(a: Attempt) -> bool:
    """A process without tokens has infinity or nan, and there is no other one that has."""
    got, tokens = a.got["weights"], a.args[0]
    if got.shape != tokens.shape or not not_finite(a):
        return False
    return bool((tokens[~got.isfinite()] == 0).all())


UNEQUAL = (
    "1 / n_ranks gives every process the same say, which is right only if all have the same number of tokens. Here a "
    "process with few tokens would count as much as one with many."
)
UPSIDE_DOWN = (
    "You divided by the process's own tokens. Its mean loss is divided by them already, so its number has to grow with "
    "its tokens: its share of all {N}."
)
HAVE_TOKENS = (
    "You gave the same to each of the {with_tokens} processes that have tokens. They have different numbers of tokens, "
    "and each counts with its share of all {N}."
)
SOFTMAX = (
    "Softmax raises e to the power of each number before it divides. A share of tokens is the plain number divided by "
    "the sum, {N}."
)
AT_LEAST_ONE = (
    "A process without tokens counts as if it had one. It adds nothing to the sum, and needs a 0: only the sum, {N}, "
    "stands below, and that is never 0."
)


def inverse(top: Callable[[Tensor], Tensor]) -> tuple[Rule, ...]:
    """top / n, and what a learner may do where n is 0."""
    return (
        lambda n: top(n) / n,
        lambda n: torch.where(n > 0, top(n) / n.clamp(min=1), 0.0),
        lambda n: top(n) / n.clamp(min=1),
    )


def to_sum_1(rule: Rule, n: Tensor) -> Tensor:
    return rule(n) / rule(n).sum()


def rounded(n: Tensor, decimals: int) -> Tensor:
    return (n / n.sum()).round(decimals=decimals)


def mean_of_ints(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "`mean` needs floats",
        "`n_tokens` holds whole numbers, and `mean` takes only floats. A share of all tokens needs no mean: divide by "
        "the sum.",
    )


def fraction_in_int(match: re.Match, line: Line, exercise: Exercise) -> Note:
    return Note(
        "Fractions do not fit into whole numbers",
        "`n_tokens` holds whole numbers, and what is computed in place has to keep that type. It also belongs to "
        "whoever called your function. `/` makes a new tensor of floats.",
    )


NAMED = (
    weighed("Every process counts the same", lambda n: torch.full_like(n, 1 / len(n)), UNEQUAL),
    weighed("Every process that has tokens counts the same", lambda n: (n > 0) / (n > 0).sum(), HAVE_TOKENS),
    weighed("Every process that has tokens counts the same", lambda n: torch.full_like(n, 1 / int((n > 0).sum())),
            HAVE_TOKENS),
    weighed("The gradients are added up as they are", torch.ones_like, "With 1 for every process, the sum is that of "
            "{R} means, and not one mean over {N} tokens. Together the numbers have to be 1, and yours sum to {sum}."),
    weighed("The gradients are added up as they are", lambda n: (n > 0).double(), "With 1 for every process that has "
            "tokens, the sum is that of {with_tokens} means, and not one mean over {N} tokens. Together the numbers "
            "have to be 1, and yours sum to {sum}."),
    weighed("Tokens, not shares of them", lambda n: n, "A mean loss times its tokens is the sum of their losses. "
            "Divide by all {N} tokens, and the sum over the processes is the mean."),
    *(weighed("Upside down", rule, UPSIDE_DOWN) for rule in inverse(torch.ones_like)),
    *(weighed("Upside down", rule, UPSIDE_DOWN) for rule in inverse(torch.sum)),
    *(weighed("Upside down", partial(to_sum_1, rule), "Yours sum to 1, but a process with more tokens has a smaller "
              "number: you divided by its own tokens. Its number is its share of all {N}.")
      for rule in inverse(torch.ones_like)),
    weighed("Right for a mean over the processes", lambda n: n / n.mean(), "Yours are {R} times the right ones and "
            "sum to {sum}, the number of processes: that would be right if the gradients were averaged at the end. "
            "(Dividing by the mean, {mean}, gives the same numbers.) Here they are added up: divide by the sum, {N}, "
            "and by nothing else."),
    weighed("Right for a mean over the processes", lambda n: n / n.sum() * (n > 0).sum(), "Yours are {with_tokens} "
            "times the right ones, as many as there are processes with tokens. The gradients are added up, not "
            "averaged: the plain share of all {N} tokens is right."),
    weighed("Percent, not shares", lambda n: 100 * n / n.sum(), "Yours are percentages. Together the numbers have to "
            "be 1, and yours sum to {sum}."),
    weighed("One is added to the sum", lambda n: n / (n.sum() + 1), "You divided by one more than the {N} tokens. The "
            "sum is never 0, so nothing has to be added to it."),
    weighed("Divided by the largest, not by the sum", lambda n: n / n.max(), "You divided by the largest number, "
            "{most}, and yours sum to {sum}. Divide by the sum, {N}: then they sum to 1."),
    weighed("Divided by the length, not by the sum", lambda n: n / n.norm(), "The squares of yours sum to 1. The "
            "numbers themselves have to: divide by the sum, {N}."),
    weighed("Divided by the number of processes as well", lambda n: n / n.sum() / len(n), "These are the right shares, "
            "divided by the {R} processes once more. The gradients are added up, not averaged, so there is nothing to "
            "divide."),
    weighed("The share of one token", lambda n: torch.full_like(n, 1.0) / n.sum(), "1 / {N} is the share of one token. "
            "It would be right if the processes summed their losses. They take the mean, so a process counts with all "
            "its tokens."),
    weighed("The share is rounded down to 0", lambda n: n // n.sum(), "`//` drops what is behind the point, and so "
            "does an integer type, and a share is less than 1. Divide with `/`."),
    weighed("The share is rounded", lambda n: (n / n.sum()).round(), "Your shares are rounded to whole numbers. Return "
            "them as they come out of the division, as floats."),
    *(weighed("The share is rounded", partial(rounded, decimals=d), f"Your shares are rounded to {d} digits behind the "
              "point. Return them as they come out of the division.") for d in (1, 2, 3, 4)),
    weighed("Softmax, not shares", lambda n: n.softmax(0), SOFTMAX),
    weighed("Softmax, not shares", lambda n: (n / n.sum()).softmax(0), SOFTMAX),
    weighed("A process without tokens counts as if it had one", lambda n: n.clamp(min=1) / n.clamp(min=1).sum(),
            AT_LEAST_ONE),
    weighed("A process without tokens counts as if it had one", lambda n: n.clamp(min=1) / n.sum(), AT_LEAST_ONE),
    weighed("The other processes' share", lambda n: 1 - n / n.sum(), "You took the share from 1, which gives the share "
            "of all other processes. A process counts with its own tokens."),
    weighed("Running sums, not shares", lambda n: n.cumsum(0) / n.sum(), "Each of yours holds the tokens of all "
            "processes before it as well. A process counts with its own tokens alone."),
    sign("One number for all processes", one_number, lambda a: f"`weights` has the shape "
         f"{shape_text(a.got['weights'])}, expected {shape_text(a.expected['weights'])}: each of the {len(a.args[0])} "
         "processes has a number of its own, its share of all tokens."),
    sign("A share with too few digits", short_type, short_sentence),
    sign("Divided by the tokens of a process that has none", of_no_tokens, lambda a: f"{first(a)} Something is divided "
         "by its 0. Only the sum over all processes stands below, which is never 0."),
)  # fmt: skip


def without_a_name(a: Attempt) -> Note | None:
    """The first wrong weight, for an answer that no mistake with a name explains."""
    got = a.got.get("weights")
    if got is None or a.all_right or got.shape != a.args[0].shape or any(mistake.recognise(a) for mistake in NAMED):
        return None
    total, process = float(got.double().sum()), int(said("{weights.at[0]}", a))
    share = f"{int(a.args[0][process]):,} / {int(a.args[0].sum()):,}"
    sums = "" if abs(total - 1) < 1e-3 else told(" Yours sum to {sum}, and the right ones sum to 1.", a)
    sentence = f"{first(a)} So its mean loss counts with {share} in the mean over all tokens.{sums}"
    return Note("`weights` is not right yet", sentence, general=True)


LOSS_WEIGHTS = Exercise(
    id="13.2", name="loss_weights", parameters=("n_tokens",), sizes="R",
    outputs=(Output("weights", "n_ranks,", strict_dtype=False),), reference=loss_weights, cases=cases,
    mistakes=(*NAMED, Mistake(without_a_name)), drawn=DRAWN, differentiable=False,
    causes=((RuntimeError, r"could not infer output dtype", mean_of_ints),
            (RuntimeError, r"can't be cast to the desired output type", fraction_in_int)),
    hints=(
        "Take two processes with 1 and 3 tokens. Write the mean over all 4 tokens as a sum of the two processes' "
        "means: with which number does each mean appear?",
        "A process's mean loss times its tokens is the sum of their losses. All these sums together, divided by the "
        "number of all tokens, are the mean: so each number is a fraction, the process's tokens over all tokens, and "
        "one division of a tensor by its sum gives them all.",
    ),
    minutes=5, lines="about 1 line",
    done="Your numbers make a training on many processes take the same steps as one on a single process: also where "
    "their parts differ in length, because padding or packing left some of them fewer tokens.",
)  # fmt: skip
