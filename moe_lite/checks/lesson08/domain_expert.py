"""Exercise 8.5, domain_expert: whether a domain has an expert of its own, from two tables of numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.lesson08.verdicts import (
    against_control_row,
    against_mean,
    at_least_both,
    at_least_control,
    at_least_others,
    candidate,
    first_of_most,
    itself,
    largest_effect,
    last_nearest,
    last_of_equals,
    least_loaded,
    more_than_control,
    more_than_experts,
    more_than_one,
    most_here,
    most_of_the_domain,
    nan_is_largest,
    nearest,
    nearest_load,
    nearest_seen,
    nearest_share,
    neighbour,
    runner_up,
    silent_left_out,
    told,
    verdict,
    with_control,
    without_signs,
)  # fmt: skip

# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = tuple(random(seed, 6, 4, seed % 4) for seed in (1, 2, 3)) + (random(4, 5, 7, 6),)
    own = (planted(5, 6, 4, 2), planted(6, 7, 5, 0), planted(19, 6, 4, 3, third=0.7))
    weak = (planted(7, 6, 4, 1, control=0.9), planted(8, 5, 6, 3, control=0.7))
    elsewhere = (planted(9, 6, 4, 3, other=0.8), planted(10, 7, 3, 0, other=0.6), least_here(20, 6, 4, 1))
    small = (rare(11, 6, 4, 2),)
    silent = (with_silent(12, 6, 4, 1), rare(17, 6, 4, 3, last_silent=True))
    as_much = (planted(13, 6, 4, 2, control=0.5), planted(14, 6, 4, 1, other=0.5), planted(15, 5, 4, 3, other=0.5))
    falls = (planted(16, 6, 4, 0, control=-0.8, other=-0.7), planted(18, 5, 3, 1, control=-0.9, other=-0.2))
    begin, _ = inputs.usual(plain[:2], plain[:1], name="two whole numbers, and True or False")
    return (
        *begin,
        Case("the candidate", (*plain, *small), ("expert",)),
        Case("its control", plain, ("control",)),
        Case("an expert of the domain's own", own, ("holds",)),
        Case("muting the control costs as much", weak, ("holds",)),
        Case("muting it costs another domain more", elsewhere, ("holds",)),
        Case("an expert without assignments", silent, ("expert", "control", "holds")),
        Case("among equals, the lower number", equals(), ("expert", "control")),
        Case("as much is not more", as_much, ("holds",)),
        Case("losses that fall", falls, ("holds",)),
    )


def random(seed: int, n_experts: int, n_labels: int, domain: int) -> Trial:
    return Trial(drawn(seed, n_experts, n_labels, domain), note(seed, n_experts, n_labels, domain))


def note(seed: int, n_experts: int, n_labels: int, domain: int) -> str:
    return f"seed {seed}, {n_experts} experts, {n_labels} domains, domain {domain}"


def planted(
    seed: int, n_experts: int, n_labels: int, domain: int, control: float = 0.1, other: float = 0.1, third: float = 0.1
) -> Trial:
    """The candidate costs its domain 0.5; its control costs it `control`, another expert `third`.

    The candidate costs another domain `other`.
    """
    counts, effect, _ = drawn(seed, n_experts, n_labels, domain)
    expert = candidate(counts, domain)
    effect[expert] = effect[expert].abs().clamp(max=0.3)
    effect[next(e for e in range(n_experts) if e not in (expert, nearest(counts, expert, domain))), domain] = third
    effect[expert, domain] = 0.5
    effect[nearest(counts, expert, domain), domain] = control
    effect[expert, (domain + 1) % n_labels] = other
    return Trial((counts, effect, domain), note(seed, n_experts, n_labels, domain))


def least_here(seed: int, n_experts: int, n_labels: int, domain: int) -> Trial:
    """The candidate costs its domain more than the control does, and every other domain more than that."""
    trial = planted(seed, n_experts, n_labels, domain)
    effect = trial.args[1]
    expert = candidate(trial.args[0], domain)
    effect[expert] = 0.6 + effect[expert].abs()
    effect[expert, domain] = 0.5
    return trial


def rare(seed: int, n_experts: int, n_labels: int, domain: int, last_silent: bool = False) -> Trial:
    """One expert has few assignments, nearly all of the domain; another has more of the domain, among much else.

    last_silent: the last expert has none at all, and so the nearest number of the domain's.
    """
    counts, effect, _ = drawn(seed, n_experts, n_labels, domain)
    counts[:, domain] += 150
    counts[1], counts[3] = 1, 400
    counts[1, domain], counts[3, domain] = 60, 700
    if last_silent:
        counts[-1] = 0
    silent = f", expert {n_experts - 1} silent" if last_silent else ""
    return Trial((counts, effect, domain), note(seed, n_experts, n_labels, domain) + ", a rare specialist" + silent)


def with_silent(seed: int, n_experts: int, n_labels: int, domain: int) -> Trial:
    counts, effect, _ = drawn(seed, n_experts, n_labels, domain)
    counts[0] = 0
    return Trial((counts, effect, domain), note(seed, n_experts, n_labels, domain) + ", expert 0 silent")


def equals() -> tuple[Trial, ...]:
    """Two experts with the largest share; two with the nearest load; a domain without assignments."""
    shares = torch.tensor([[50, 10, 50], [20, 60, 40], [30, 20, 90], [50, 100, 50], [90, 70, 100]])
    near = torch.tensor([[10, 20, 70], [30, 60, 70], [20, 90, 40], [90, 40, 40], [200, 120, 40]])
    none = drawn(21, 5, 3)[0]
    none[:, 1] = 0
    two = "two experts with the"
    named = ((shares, f"{two} largest share"), (near, f"{two} nearest number of the domain's assignments"),
             (none, "a domain without assignments"))  # fmt: skip
    return tuple(Trial((counts, drawn(22, 5, 3)[1], 1), text) for counts, text in named)


def drawn(seed: int, E: int, C: int, domain: int | None = None) -> tuple:
    """Loads all differ, and so do shares, effects, and the distances of loads and of one domain's assignments."""
    domain = seed % C if domain is None else domain
    g = inputs.generator(seed)
    while True:
        counts = torch.randint(50, 500, (E, C), generator=g) * torch.randint(1, 5, (E, 1), generator=g)
        load = counts.sum(1)
        distances = []
        for values in (load, counts[:, domain]):
            apart = (values[:, None] - values).abs()
            distances += [apart[e][torch.arange(E) != e].unique().numel() for e in range(E)]
        shares = (counts.double() / load[:, None]).T.sort(dim=1).values.diff(dim=1)
        if all(n == E - 1 for n in distances) and (not shares.numel() or shares.min() > 1e-4):
            break
    effect = inputs.distinct(seed, E, C, low=-0.05, high=0.4).round(decimals=4)
    return counts, effect, domain


def extremes(seed: int) -> tuple[Trial, ...]:
    counts, effect, domain = drawn(seed, 5, 4)
    expert = candidate(counts, domain)
    lower = -effect.abs() - 0.02
    lower[nearest(counts, expert, domain), domain] = -0.01  # muting the candidate costs less than that
    return (
        Trial((counts, torch.zeros_like(effect), domain), "effects that are all 0"),
        Trial((counts, lower, domain), "effects that are all below 0"),
        Trial((counts * 10**8, effect, domain), "counts in the billions"),
    )


DRAWN = Drawn(
    drawn, {"E": 6, "C": 4}, at_least={"E": 2, "C": 2}, long="", wide="", float32=False, not_expanded=(0, 1),
    extremes=extremes,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def whole(a: Attempt) -> str:
    return f"`holds` is {bool(a.got['holds'])} for {a.trial.note}: "


def only_holds_is_wrong(a: Attempt) -> bool:
    return a.right("expert") and a.right("control") and not a.right("holds")


def what_stands_there(a: Attempt) -> str:
    """The numbers that are compared."""
    _, effect, domain = a.args
    expert, control = int(a.expected["expert"]), int(a.expected["control"])
    mine, other = (number(float(effect[e, domain]), 4) for e in (expert, control))
    most = number(max(float(x) for c, x in enumerate(effect[expert]) if c != domain), 4)
    return (
        f"{whole(a)}muting the candidate, expert {expert}, costs this domain {mine}, and every other domain at most "
        f"{most}; muting the control, expert {control}, costs this domain {other}. So it should be "
        f"{bool(a.expected['holds'])}."
    )


def holds(title: str, rule: Callable[[Tensor, int, int, int], bool], say: str) -> Mistake:
    return wrong(title, holds=told(rule), say=lambda a: whole(a) + say)


MISTAKES = (
    wrong("The expert that gets most of the domain", most_of_the_domain, "Expert {expert} gets the most tokens of the "
          "domain, but it may get the most of every other domain as well. Wanted is the expert for which this domain "
          "is the largest share of its *own* assignments: expert {right.expert}. Divide each row by its sum."),
    wrong("Chosen by its effect", largest_effect, "Expert {expert} is the one whose muting costs the domain most. The "
          "candidate is chosen from `counts`, before anything is muted; otherwise the test would pick its own "
          "winner."),
    wrong("0 / 0 is taken for the largest share", nan_is_largest, "Expert {expert} has no assignments, and 0 / 0 is "
          "nan, which `argmax` takes for the largest. Its share counts as 0: divide by `load.clamp(min=1)`."),
    wrong("Experts without assignments are left out", silent_left_out, "`expert` is {expert.beside}, and `control` is "
          "{control.beside}, for {note}. An expert without assignments keeps its row and its number; its share is 0, "
          "and it can be the control."),
    wrong("Among equals, the higher number", last_of_equals, "For {note}, `expert` is {expert.beside}. Among equal "
          "shares, the lower number is taken: `argmax` takes the first, `>=` in a loop the last."),
    wrong("Among equals, the higher number", with_control(last_nearest), "For {note}, `control` is {control.beside}. "
          "Among equal distances, the lower number is taken: `argmin` takes the first, `<=` in a loop the last."),
    wrong("The control has the nearest load", with_control(nearest_load), "The control is expert {control}, expected "
          "{right.control}. Expert {control} has about as many assignments of all domains together, but it may have "
          "few of this one. Compare the column of this domain."),
    wrong("The control has the nearest share", with_control(nearest_share), "The control is expert {control}, expected "
          "{right.control}. Compare numbers of assignments, the column as it is, and not shares of each expert's own."),
    wrong("The control is the runner-up", with_control(runner_up), "The control is expert {control}, which has the "
          "second largest share of the domain. A control should do as much for the domain as the candidate: the "
          "nearest *number* of its assignments, expert {right.control}."),
    wrong("The control is the neighbour", with_control(neighbour), "The control is expert {control}, expected "
          "{right.control}. The number of an expert means nothing. The control has the nearest number of "
          "this domain's assignments."),
    wrong("The control has the smallest load", with_control(least_loaded), "The control is expert {control}, which has "
          "the smallest load of the others. Wanted is the one whose number of this domain's assignments is nearest to "
          "the candidate's: expert {right.control}. Without `abs`, a difference far below 0 is the smallest."),
    wrong("The expert is its own control", with_control(itself), "Expert {control} is the candidate itself: "
          "nothing is nearer to it than itself. Leave it out."),
    wrong("A silent control is passed over", with_control(nearest_seen), "The control is expert {control}, expected "
          "{right.control}, for {note}. Expert {right.control} has no assignments, and 0 is the nearest number."),
    holds("The comparison with the control is missing", lambda x, d, e, c: most_here(x, d, e), "muting the control "
          "costs the domain as much or more, so it is no special expert of this domain. Both conditions have to "
          "hold."),
    holds("The comparison with the control is missing", lambda x, d, e, c: int(x[e].argmax()) == d, "muting the "
          "control costs the domain as much or more, so it is no special expert of this domain. Both conditions have "
          "to hold."),
    holds("The comparison with the other domains is missing", lambda x, d, e, c: more_than_control(x, d, e, c),
          "muting the expert costs another domain as much or more, so it is not this domain's own. Both conditions "
          "have to hold."),
    holds("One condition is enough", lambda x, d, e, c: more_than_control(x, d, e, c) or most_here(x, d, e), "one of "
          "the two conditions holds, the other does not. Both have to hold."),
    holds("Compared with the mean of the other domains", against_mean, "the effect is above the mean of the other "
          "domains, but one of them is hit as hard or harder. It has to be larger than *each* of them."),
    holds("Compared with any other domain", more_than_one, "muting the candidate costs one of the other domains as "
          "much or more. It has to cost this domain more than *every* other one: `all`, not `any`."),
    holds("The other domains are looked up for the control", against_control_row, "you compared with what muting the "
          "*control* costs the other domains. What muting the candidate costs them is wanted: the row "
          "`effect[expert]`."),
    holds("Compared with every other expert", more_than_experts, "you compared the candidate with every other expert. "
          "Compare it with the control alone, and with every other domain."),
    holds("Compared with every other expert", lambda x, d, e, c: more_than_experts(x, d, e, c) and most_here(x, d, e),
          "another expert than the control costs the domain as much or more when it is muted. That does not count; "
          "only the control does."),
    holds("As much is not more", at_least_both, "muting the control costs the domain exactly as much, or muting the "
          "candidate costs another domain exactly as much. The effect has to be larger: `>`, not `>=`."),
    holds("As much is not more", at_least_control, "muting the control costs the domain exactly as much. The effect "
          "has to be larger: `>`, not `>=`."),
    holds("As much is not more", at_least_others, "muting the candidate costs another domain exactly as much. The "
          "effect has to be larger: `>`, not `>=`."),
    holds("As much is not more", first_of_most, "muting the candidate costs another domain exactly as much, one with a "
          "higher number. The effect has to be larger, and `argmax` takes the first of equals."),
    holds("The effects have lost their signs", without_signs, "an effect below 0 is a loss that falls, and so it costs "
          "nothing, however large it is. Compare the numbers without `abs`."),
    holds("The answer is turned", lambda x, d, e, c: not (more_than_control(x, d, e, c) and most_here(x, d, e)),
          "True means that the domain has an expert of its own."),
    holds("Always False", lambda x, d, e, c: False, "both conditions hold there."),
    holds("Always True", lambda x, d, e, c: True, "a condition does not hold there."),
    sign("The verdict is not right", only_holds_is_wrong, what_stands_there, all_or_none=True),
)  # fmt: skip

DOMAIN_EXPERT = Exercise(
    id="8.5", name="domain_expert", parameters=("counts", "effect", "domain"), sizes="ECd",
    outputs=(
        Output("expert", whole=True), Output("control", whole=True),
        Output("holds", kind=bool, tensor_of=torch.tensor),
    ),
    reference=verdict, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "The candidate comes from `counts` alone: divide each row by its sum, and look down the column of the domain. "
        "The control comes from that column as it is. Only then look at `effect`.",
        "`load = counts.sum(dim=1)`; `share = counts[:, domain] / load.clamp(min=1)`. For the control take the "
        "distances `(counts[:, domain] - counts[expert, domain]).abs()`, and make the candidate's own larger than any "
        "other before `argmin`. Two comparisons with `and`; `effect[expert]` without the column of the domain is what "
        "the second one needs.",
    ),
    minutes=12, lines="about 8 lines",
    done="A verdict that could have come out the other way.",
)  # fmt: skip
