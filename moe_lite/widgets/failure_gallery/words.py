"""The failure gallery in words: names of its numbers, what is said after an answer, the reading line."""

from moe_lite.lab.diagnosis import RULES, Clue
from moe_lite.lab.failure_runs import FailureRun, FailureRuns
from moe_lite.lab.failures import FAILURES, HEALTHY
from moe_lite.widgets.failure_gallery.view import Score, against, given_away_by, off_scale, side, title_of, widths_away

# symptom -> its name on the dashboard and how it is written; a line of the table each, in groups
GROUPS = (
    {
        "load_cv": ("load CV", ".2f"),
        "max_violation": ("max violation", ".2f"),
        "dead": ("dead experts", ".0f"),
        "dropped": ("dropped in training", ".1%"),
        "balance_term": ("balancing term", ".3f"),
    },
    {
        "logit_spread": ("spread of the logits", ".2f"),
        "z_term": ("z term", ".2f"),
        "tied": ("tokens with equal logits", ".2%"),
        "top_score": ("highest score", ".3f"),
        "weight_sum": ("sum of the weights", ".2f"),
        "weight_gap": ("weights against scores", ".3f"),
        "other_experts": ("unlike a plain router", ".2%"),
    },
    {
        "loss": ("validation loss", ".2f"),
        "loss_difference": ("two evaluations differ by", ".5f"),
    },
)
MOST = 12  # decimals that are added at most
SHOWN = {symptom: look for group in GROUPS for symptom, look in group.items()}
MEANS = {
    "load_cv": "standard deviation over mean of the experts’ loads, mean over layers, whole validation text",
    "max_violation": "fullest expert over the mean, minus 1, worst layer, whole validation text",
    "dead": "experts with under 1 % of their layer’s mean load, whole validation text",
    "dropped": "share of the assignments that found no room, last 20 steps; capacity holds in training only",
    "balance_term": "balancing loss before its coefficient, last 20 steps; 1 is even",
    "logit_spread": "standard deviation of a token’s logits over the experts, mean over tokens",
    "z_term": "router z-loss before its coefficient, last 20 steps",
    "tied": "share of tokens with two equal logits",
    "top_score": "a token’s highest score, mean over tokens",
    "weight_sum": "sum of a token’s weights in evaluation, mean over tokens",
    "weight_gap": "distance between weights and scores, both as shares of the token’s chosen experts",
    "other_experts": "share of tokens whose experts differ from those of a float32 router with the same weights",
    "loss": "nats per token on the whole validation text, mean over domains",
    "loss_difference": "distance between the losses of two evaluations of one text, in the domain where it is largest",
}


def value_text(symptom: str, value: float, more: int = 0) -> str:
    """As the dashboard writes it, or with `more` decimals. Only what is 0 reads as 0; what rounds to it is
    "< 0.01 %"."""
    decimals, kind = SHOWN[symptom][1][1:]  # of ".2f" or ".1%"
    look = f".{int(decimals) + more}{kind}"
    nought, text = format(0, look), format(value, look)
    if value == 0:
        text = "0"
    elif text.removeprefix("-") == nought:
        place = nought.rindex("0")
        text = f"< {nought[:place]}1{nought[place + 1 :]}"
    return text.replace("%", " %").replace("-", "−")


def told_apart(symptom: str, value: float, other: float) -> tuple[str, str]:
    """Both as the dashboard writes them, with as many decimals more as it takes until they read as different."""
    for more in range(MOST):
        texts = value_text(symptom, value, more), value_text(symptom, other, more)
        if value == other or texts[0] != texts[1]:
            break
    return texts


def beside_healthy(symptom: str, run: FailureRun, runs: FailureRuns) -> tuple[str, str]:
    """The run's value and the healthy range. A value outside the range also reads as outside: it and the end that it
    passes get as many decimals as that takes."""
    value, (low, high) = getattr(run.symptoms, symptom), runs.healthy_range(symptom)
    shown, first, last = (value_text(symptom, each) for each in (value, low, high))
    if value < low:
        shown, first = told_apart(symptom, value, low)
    elif value > high:
        shown, last = told_apart(symptom, value, high)
    if low == high:
        first = last = value_text(symptom, low)
    return shown, first if first == last else f"{first} to {last}"


def outside(runs: FailureRuns, run: FailureRun) -> list[str]:
    """The symptoms beyond those of all healthy seeds."""
    values = vars(run.symptoms).items()
    return [symptom for symptom, value in values if side(value, *runs.healthy_range(symptom)) != "inside"]


def clue_text(clue: Clue, run: FailureRun, runs: FailureRuns) -> str:
    """ "load CV 1.39 (healthy: 0.17 to 0.24)" """
    value, healthy = beside_healthy(clue.symptom, run, runs)
    return f"{SHOWN[clue.symptom][0]} {value} (healthy: {healthy})"


def feedback(run: FailureRun, name: str, runs: FailureRuns) -> str:
    """What is said to the answer `name`: what gives the case away; its own name only if the answer is right."""
    clues = "; ".join(clue_text(clue, run, runs) for clue in given_away_by(run))
    if run.name == name == HEALTHY:
        return f"Right: healthy, seed {run.seed}. No number lies outside the range of the healthy seeds."
    if run.name == name:
        what, why = FAILURES[name].what, RULES[name].why
        return f"Right: {title_of(name)}, seed {run.seed}. {what} What gives it away: {clues}. {why}"
    hint = f"Look at this: {clues}." if clues else "Look how many numbers lie outside the healthy range."
    return f"{_refuted(run, name)} {hint}"


def _refuted(run: FailureRun, name: str) -> str:
    clue = against(run, name)
    if clue is None:
        return f"Not {title_of(name)}."
    value, bound = told_apart(clue.symptom, getattr(run.symptoms, clue.symptom), clue.bound)
    return f"Not {title_of(name)}: that shows {SHOWN[clue.symptom][0]} {clue.side} {bound}, and here it is {value}."


def score_text(score: Score) -> str:
    if not score.answered:
        return f"{score.cases} cases, none answered yet"
    return (
        f"{score.answered} of {score.cases} answered, {score.right} right; "
        f"{score.first_right} right at the first answer"
    )


def reading(letter: str, run: FailureRun, runs: FailureRuns) -> str:
    """How far the case is from the healthy seeds, without saying where."""
    n, all_ = len(outside(runs, run)), len(SHOWN)
    n_seeds = sum(other.name == HEALTHY for other in runs.runs)
    loss, healthy = beside_healthy("loss", run, runs)
    far = any(off_scale(widths_away(value, *runs.healthy_range(name))) for name, value in vars(run.symptoms).items())
    arrow = " An arrow means off the scale: far outside, or the healthy seeds are all alike." if far else ""
    return (
        f"Case {letter}: {n or 'none'} of {all_} numbers {'lies' if n == 1 else 'lie'} outside the range of "
        f"{n_seeds} healthy seeds. Its validation loss is {loss}; theirs is {healthy}.{arrow}"
    )


def spoken(letter: str, run: FailureRun, runs: FailureRuns) -> str:
    """All numbers in one text, for whoever cannot see the marks."""
    rows = (f"{label} {value}, {where}, healthy {healthy}" for label, value, healthy, where in lines(run, runs))
    return f"Dashboard of case {letter}: {'; '.join(rows)}."


def lines(run: FailureRun, runs: FailureRuns) -> list[tuple[str, str, str, str]]:
    """Of each number: its name, the run's value, the healthy range, and whether it lies inside, below or above."""
    return [
        (label, *beside_healthy(symptom, run, runs), side(getattr(run.symptoms, symptom), *runs.healthy_range(symptom)))
        for symptom, (label, _) in SHOWN.items()
    ]
