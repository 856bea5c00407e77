"""Exercise 0.1, expert_load: the warm-up. How many choices fell on each expert."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import sign, wrong
from moe_lite.checks.engine.say import said


def reference(expert_ids: Tensor, n_experts: int) -> Tensor:
    """expert_ids (N, K) int64 -> load (E,) int64."""
    load = [0] * n_experts
    for expert in expert_ids.flatten().tolist():
        load[expert] += 1
    return torch.tensor(load)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    busy = (random(1, 9, 5, 2), random(2, 13, 6, 3))
    gaps = (random(3, 8, 6, 2, silent=(2,)), random(4, 11, 7, 3, silent=(0, 3)))
    many = (Trial((torch.tensor([[1, 0], [1, 2]]).repeat(1100, 1), 3), "2,200 tokens"),)  # past 255 and 2,048
    ends = (random(5, 7, 6, 2, silent=(5,)), random(6, 9, 8, 3, silent=(6, 7)))
    return (
        Case("shapes and types", busy, (FORM,)),
        Case("every choice counts", busy + many, ("load",)),
        Case("silent experts", gaps, ("load",)),
        Case("silent last experts", ends, ("load",)),
        Case("input unchanged, no memory", busy[:1], (INPUT, REPEAT)),
    )


def random(seed: int, n_tokens: int, n_experts: int, k: int, silent: tuple[int, ...] = ()) -> Trial:
    """Choices among the experts that are not silent; each of those is chosen at least once, and not equally often."""
    awake = torch.tensor([e for e in range(n_experts) if e not in silent])
    while True:
        expert_ids = awake[inputs.choices(seed, n_tokens, len(awake), k)]  # (N, K)
        load = reference(expert_ids, n_experts)
        if (load[awake] > 0).all() and load[awake].unique().numel() > 1:
            return Trial((expert_ids, n_experts), inputs.note(seed, torch.int64))
        seed += 100


def drawn(seed: int, N: int, K: int, E: int) -> tuple:
    return inputs.choices(seed, N, E, K), E


def extremes(seed: int) -> tuple[Trial, ...]:
    return (Trial((torch.ones(33_001, 1, dtype=torch.int64), 2), "33,001 tokens, all at expert 1"),)


DRAWN = Drawn(drawn, {"N": 9, "K": 3, "E": 6}, at_most=(("K", "E"),), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def seen_only(expert_ids: Tensor, n_experts: int) -> Tensor:
    """The counts of the experts that were seen, without those of the silent ones."""
    load = reference(expert_ids, n_experts)
    return load[load > 0]


def seen_first(expert_ids: Tensor, n_experts: int) -> Tensor:
    """The counts of the experts that were seen, then zeros: right numbers, wrong places."""
    seen = seen_only(expert_ids, n_experts)
    return torch.cat([seen, seen.new_zeros(n_experts - len(seen))])


def not_added_up(a: Attempt) -> bool:
    """Counts with a dimension too many, such as (K, E): summed over it they would be right."""
    got = a.got["load"]
    sums = (got.sum(dim=[d for d in range(got.dim()) if d != kept]) for kept in range(got.dim()))
    return got.dim() > 1 and any(close(counts, a.expected["load"]) for counts in sums)


def cut_off(a: Attempt) -> str:
    n = len(a.got["load"])
    return (
        f"Expert {n} took no token and should count 0. Your counts end at expert {n - 1}: the highest number that was "
        "seen. How many experts there are has to come from `n_experts`."
    )


def left_out(a: Attempt) -> str:
    return said(
        "{n_experts} experts should give {n_experts} counts; yours are {load.size[0]}. Expert {silent} took no token "
        "and should count 0. It is left out, so every count after it stands under the wrong number.",
        a, silent=int(a.expected["load"].argmin()),
    )  # fmt: skip


MISTAKES = (
    wrong("The last experts are cut off", lambda ids, n: reference(ids, int(ids.max()) + 1), cut_off),
    wrong("Silent experts are missing", seen_only, left_out),
    wrong("The zeros stand at the end", seen_first, "The counts of the experts that were seen come first, then the "
          "zeros. Entry e is the load of expert e."),
    wrong("Only the first choices are counted", lambda ids, n: reference(ids[:, :1], n), "Your counts sum to "
          "{load.sum:0}, one for each token. Every token chooses K experts, and each choice is work for the expert "
          "that was chosen."),
    wrong("Only the last choices are counted", lambda ids, n: reference(ids[:, -1:], n), "Your counts sum to "
          "{load.sum:0}, one for each token. Is a count replaced where it should grow?"),
    wrong("Shares, not counts", lambda ids, n: reference(ids, n).double() / ids.numel(), "Yours are {load.listed}, "
          "which sum to 1: shares of the load. The load itself is a whole number for each expert."),
    wrong("Divided by the number of tokens", lambda ids, n: reference(ids, n).double() / len(ids), "Yours are "
          "{load.listed} and sum to {load.sum}: choices per token. The load itself is a whole number for each "
          "expert."),
    wrong("Each expert counts at most once", lambda ids, n: reference(ids, n).clamp(max=1), "Your largest count is "
          "{load.max:0}. An assignment such as `load[ids] = …` writes once for equal indices; repeated indices have to "
          "add up."),
    wrong("Sorted by size", lambda ids, n: reference(ids, n).sort(descending=True).values, "Yours start with "
          "{load.listed}, largest first. Entry e is the load of expert e, in the order of the experts."),
    sign("One sum is missing", not_added_up, "`load` has one number per expert, {right.load.shape}. Yours "
         "is {load.shape}: summed over its other dimension, it would be right."),
)  # fmt: skip

EXPERT_LOAD = Exercise(
    id="0.1", name="expert_load", parameters=("expert_ids", "n_experts"), sizes="NKE",
    outputs=(Output("load", "E,", expert_columns=True),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "What should the answer be for an expert that no token chose? Start from E zeros, so that it has a place.",
        "`torch.bincount` counts whole numbers; `minlength=` says how many there can be. It wants one dimension: "
        "`expert_ids.flatten()`.",
    ),
    minutes=5, lines="about 1 line",
    done="Every expert has its count, the silent ones too. This is how checks work in all lessons.",
)  # fmt: skip
