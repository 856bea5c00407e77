"""The sentences of the results explorer: what was found on an axis, and what cannot be told."""

import math
from collections.abc import Sequence

from moe_lite.lab.comparison import AXES
from moe_lite.lab.runs import in_order, in_words
from moe_lite.look.words import listed, number
from moe_lite.widgets.results_explorer.view import Finding, Model, Scene

EMPTY = "No training is recorded: `make runs` records them."
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
UNITS = {"tokens": " tokens", "FLOPs": "FLOPs", "bytes": "B"}
COUNTS = "no one two three four five six seven eight nine ten eleven twelve".split()
ENDS_ONLY = (
    "Dots are compared, and lines between them, never the middle of a curve: there the learning rate has not decayed "
    "yet, so the loss is not that of a training which ends there."
)
PARTLY = "The curves are validated on a part of the held-out text, and the dots on all of it."
BETWEEN = (
    "Between two budgets the loss is read from the dashed line. It lies above where a training would end: the farther "
    "apart the budgets are, the more."
)
HOW = (
    "A thick curve is the mean over seeds, a thin one is a single seed.",
    "The 95 % interval at a dot is that of one model.",
    "Two models are compared seed by seed, because a seed draws the same texts in the same order for every model.",
    "What decides is the interval of that difference, and not whether the intervals of two dots overlap.",
    "Seconds are tokens times the time of a training step, which was measured with nothing else running.",
)


def quoted(model: Model) -> str:
    return f"“{model.title}”"


def counted(n: int, word: str = "seed") -> str:
    """1 -> "one seed" """
    return f"{COUNTS[n] if n < len(COUNTS) else n} {word}{'' if n == 1 else 's'}"


def amount_text(axis: str, amount: float) -> str:
    """2048000 tokens -> "2.05 M tokens"; with its unit, three digits."""
    if axis == "seconds":
        return f"{digits(amount)} s"
    size, letter = next(((size, letter) for size, letter in PREFIXES if 0.9995 * size <= amount), (1.0, ""))
    return f"{digits(amount / size)} {letter}{UNITS[axis]}".replace("  ", " ")


def digits(value: float) -> str:
    """Three of them: 2.048 -> "2.05", 204.8 -> "205"."""
    value = float(f"{value:.3g}") if value < 1000 else value  # 9.999 is 10.0
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{decimals}f}"


def tick_text(axis: str, amount: float) -> str:
    """A round amount without its unit, which the axis has."""
    if amount == 0:
        return "0"
    if axis == "seconds":
        return f"{amount:,g}"
    size, letter = next(((size, letter) for size, letter in PREFIXES if 0.9995 * size <= amount), (1.0, ""))
    return f"{amount / size:g} {letter}".strip()


def spread(low: float, high: float) -> str:
    """The ends of an interval, each with its sign."""
    return f"{signed(low)} to {signed(high)}"


def signed(value: float) -> str:
    text = number(value, 3)
    return text if text[0] == "−" or not text.strip("0.") else f"+{text}"


# ---- the sentence under the figure -----------------------------------------------------------------------------------


def sentence(found: Finding) -> str:
    """What was found at an amount of an axis."""
    if found.axis == "bytes":
        return bytes_sentence(found)
    if found.why:
        return impossible(found)
    at = f"At {amount_text(found.axis, found.amount)} of training"
    return f"{at}, {verdict_text(found)}"


def verdict_text(found: Finding) -> str:
    """From the name of the first model on."""
    first, second, verdict = quoted(found.first), quoted(found.second), found.verdict
    seeds, between = counted(found.seeds), spread(verdict.low, verdict.high)
    delta = signed(verdict.delta_nats)
    if found.better is None:
        return (
            f"{seeds} cannot tell {first} from {second}: the difference is {delta} nats per token, and "
            f"its 95 % interval, {between}, contains 0."
        )
    word = "better" if found.better is found.first else "worse"
    return f"{first} is {word} than {second}: {delta} nats per token, 95 % interval {between}, {seeds}."


def impossible(found: Finding) -> str:
    """Why two models cannot be compared there."""
    if found.why == "same":
        return f"{quoted(found.first)} stands on both sides. Choose another model to compare it with."
    if found.why == "untimed":
        return (
            f"No training step of {quoted(found.who)} was timed. "
            f"So it cannot be compared with {quoted(other(found))} at equal seconds."
        )
    if found.why == "seeds":
        return too_few_seeds(found)
    axis = "tokens" if found.axis == "bytes" else found.axis
    little = found.why == "too little"
    many, extreme = ("few", "shortest") if little else ("many", "longest")
    spent = {"tokens": f"on so {many} tokens", "FLOPs": f"with so {many} FLOPs", "seconds": f"for so {many} seconds"}
    return (
        f"At {amount_text(axis, found.amount)} the two cannot be compared: {quoted(found.who)} was never trained "
        f"{spent[axis]}. Its {extreme} training took {amount_text(axis, found.limit)}."
    )


def too_few_seeds(found: Finding) -> str:
    first, second = quoted(found.first), quoted(found.second)
    if not found.seeds:
        return f"{first} and {second} have no seed in common here. So there is nothing to compare seed by seed."
    return (
        f"{first} and {second} have one seed in common here, and one difference has no interval. "
        "So nobody can tell whether it is more than luck."
    )


def other(found: Finding) -> Model:
    return found.second if found.who is found.first else found.first


def bytes_sentence(found: Finding) -> str:
    """What each holds, and what that buys."""
    if found.why == "same":
        return impossible(found)
    text = f"While it trains, {held_text(found)}"
    if found.why:
        return f"{text} {impossible(found)}"
    if found.alike:
        text += " So this is a comparison at equal bytes."
    return f"{text} At {amount_text('tokens', found.amount)} of training, {verdict_text(found)}"


def held_text(found: Finding) -> str:
    """How many bytes each model holds."""
    a, b = found.first.series.bytes, found.second.series.bytes
    mine, others = amount_text("bytes", a), amount_text("bytes", b)
    if found.alike:
        return f"{quoted(found.first)} holds {mine} and {quoted(found.second)} {others}, about the same."
    return f"{quoted(found.first)} holds {mine}, which is {times(a, b)} the {others} of {quoted(found.second)}."


def times(a: float, b: float) -> str:
    return f"{digits(a / b)} times"


# ---- the four rows ---------------------------------------------------------------------------------------------------


def condition(found: Finding) -> tuple[str, str]:
    """What is equal, and how much of it: the largest amount that both models spent."""
    if found.axis == "bytes":
        return "bytes held", ""
    known = found.why not in ("untimed", "same")
    return f"equal {found.axis}", amount_text(found.axis, found.amount) if known else ""


def row_words(found: Finding) -> tuple[str, str]:
    """The verdict in two words or a name, and its numbers or the reason why there is none."""
    if found.axis == "bytes":
        a, b = (amount_text("bytes", model.series.bytes) for model in (found.first, found.second))
        if found.why == "same":
            return "one model", a
        return f"{found.lighter.short} holds less" if found.lighter else "about the same", f"{a} against {b}"
    if found.why:
        reasons = {
            "same": "one model on both sides", "untimed": "no step of one was timed",
            "seeds": f"{counted(found.seeds)} in common",
        }  # fmt: skip
        word = "short" if found.why == "too little" else "long"
        never = f"{found.who.short if found.who else ''} had no training so {word}"
        return "cannot be compared", reasons.get(found.why, never)
    verdict = found.verdict
    numbers = f"{signed(verdict.delta_nats)} ({spread(verdict.low, verdict.high)})"
    return ("cannot tell" if found.better is None else f"{found.better.short} is better"), numbers


# ---- notes -----------------------------------------------------------------------------------------------------------


def note(now: Scene, corrected: Sequence[str]) -> str:
    """What has to be known to read the figure."""
    said = [*corrected]
    if now.untimed:
        names = listed([quoted(model) for model in now.untimed])
        said.append(f"No training step of {names} was timed, so there is no place for that on this axis.")
    if not now.traces:
        return " ".join(said)
    if now.axis == "bytes":
        budgets = listed([in_words(budget) for budget in in_order({trace.ends[0].budget for trace in now.traces})])
        said.append(
            f"Losses are those at the end of trainings on {budgets}, the largest budget that all of these models have; "
            "a circle is a seed."
            if not now.uneven
            else f"No number of tokens was recorded for all of these models. Theirs are {budgets}, so their losses "
            "cannot be compared here; a circle is a seed."
        )
        said.append("Bytes are those of weights, gradients and optimizer state; activations come on top.")
        return " ".join([*said, *single(now)])
    several = any(len(trace.ends) > 1 for trace in now.traces)
    return " ".join([*said, ENDS_ONLY, *([BETWEEN] if several else []), *single(now), PARTLY])


def single(now: Scene) -> list[str]:
    """What cannot be told or shown, where there is one budget or one seed, or not this budget."""
    said = []
    if now.axis != "bytes":
        alone = [trace.model for trace in now.traces if len(trace.ends) == 1]
        if len(alone) == len(now.traces) > 1:
            said.append(
                "All of these models were trained on one budget only, so there is nothing to compare elsewhere."
            )
        elif alone:
            names = listed([quoted(model) for model in alone])
            verb = "was trained" if len(alone) == 1 else "were trained"
            said.append(f"{names} {verb} on one budget only, so there is nothing to compare elsewhere.")
        bare = [trace.model for trace in now.traces if trace.bare]
        if bare:
            verb = "was not trained" if len(bare) == 1 else "were not trained"
            said.append(f"{listed([quoted(model) for model in bare])} {verb} on the budget of {in_words(now.budget)}.")
    lonely = [trace.model for trace in now.traces if any(end.interval is None for end in trace.ends)]
    if lonely:
        names = listed([quoted(model) for model in lonely])
        said.append(f"A single seed has no interval: a dot of {names} without one may be luck.")
    return said


def axis_title(axis: str) -> str:
    return AXES[axis]


def badge(now: Scene) -> str:
    """Where the numbers come from: recorded, and on how many seeds."""
    seeds = sorted({len(end.losses) for trace in now.traces for end in trace.ends})
    if not seeds:
        return "recorded"
    most = counted(seeds[-1])
    return f"recorded, {most}" if len(seeds) == 1 else f"recorded, {counted(seeds[0]).split()[0]} to {most}"


def alternative(now: Scene, text: str) -> str:
    """The figure for those who do not see it: the means at the ends, then the sentence."""
    means = []
    for trace in now.traces:
        ends = listed([f"{number(end.mean, 3)} on {in_words(end.budget)}" for end in trace.ends])
        means.append(f"{trace.model.title}: {ends}")
    return f"Validation loss over {axis_title(now.axis)}. {'. '.join(means)}. {text}"
