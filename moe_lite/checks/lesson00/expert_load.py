"""Lesson 00's check: 0.1 expert_load, the warm-up."""

from typing import Any

import torch
from torch import Tensor

from moe_lite.checks.check import run_check
from moe_lite.checks.engine.compare import close, listed, number, shape_text
from moe_lite.checks.engine.exercise import FORM, INPUT, REPEAT, Attempt, Case, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.inputs import choices, note
from moe_lite.checks.engine.mistakes import ruled


def reference(expert_ids: Tensor, n_experts: int) -> Tensor:
    """expert_ids (N, K) int64 -> load (E,) int64."""
    load = torch.zeros(n_experts, dtype=torch.int64)  # (E,)
    for expert in expert_ids.flatten().tolist():
        load[expert] += 1
    return load


def cases() -> tuple[Case, ...]:
    busy = (_trial(1, 9, 5, 2), _trial(2, 13, 6, 3))
    gaps = (_trial(3, 8, 6, 2, silent=[2]), _trial(4, 11, 7, 3, silent=[0, 3]))
    many = (Trial((torch.tensor([[1, 0], [1, 2]]).repeat(1100, 1), 3), "2,200 tokens"),)  # past 255 and 2,048
    ends = (_trial(5, 7, 6, 2, silent=[5]), _trial(6, 9, 8, 3, silent=[6, 7]))
    return (
        Case("shapes and types", busy, (FORM,)),
        Case("every choice counts", busy + many, ("load",)),
        Case("silent experts", gaps, ("load",)),
        Case("silent last experts", ends, ("load",)),
        Case("input unchanged, no memory", busy[:1], (INPUT, REPEAT)),
    )


def _trial(seed: int, n_tokens: int, n_experts: int, k: int, silent: list[int] | None = None) -> Trial:
    """Choices among the experts that are not silent; each of those is chosen at least once, and not equally often."""
    awake = torch.tensor([e for e in range(n_experts) if e not in (silent or [])])
    while True:
        expert_ids = awake[choices(seed, n_tokens, len(awake), k)]  # (N, K)
        load = reference(expert_ids, n_experts)
        if (load[awake] > 0).all() and load[awake].unique().numel() > 1:
            return Trial((expert_ids, n_experts), note(seed, torch.int64))
        seed += 100


def _only_silent_missing(attempt: Attempt) -> Note | None:
    expected, got = attempt.expected["load"], attempt.got.get("load")
    silent = (expected == 0).nonzero().flatten().tolist()
    if not silent or got is None or not close(got, expected[expected > 0]):
        return None
    return Note(
        "Silent experts are missing",
        f"{attempt.args[1]} experts should give {attempt.args[1]} counts; yours are {len(got)}. Expert {silent[0]} "
        "took no token and should count 0. It is left out, so every count after it stands under the wrong number.",
    )


def _last_silent_missing(attempt: Attempt) -> Note | None:
    expected, got = attempt.expected["load"], attempt.got.get("load")
    if got is None or got.dim() != 1 or len(got) >= len(expected) or not close(got, expected[: len(got)]):
        return None
    if expected[len(got) :].any():
        return None
    return Note(
        "The last experts are cut off",
        f"Expert {len(got)} took no token and should count 0. Your counts end at expert {len(got) - 1}: the highest "
        f"number that was seen. How many experts there are has to come from `n_experts`.",
    )


def _seen_first(expert_ids: Tensor, n_experts: int) -> Tensor:
    """The counts of the experts that were seen, then zeros: right numbers, wrong places."""
    load = reference(expert_ids, n_experts)
    return torch.cat([load[load > 0], load[load == 0]])


def _got(attempt: Attempt) -> Tensor:
    return attempt.got["load"]


def _uncounted(attempt: Attempt) -> Note | None:
    expected, got = attempt.expected["load"], attempt.got.get("load")
    if got is None or got.dim() < 2 or not any(close(_summed_to(got, dim), expected) for dim in range(got.dim())):
        return None
    return Note(
        "One sum is missing",
        f"`load` has one number an expert, ({len(expected)},). Yours is {shape_text(got)}: summed over what is "
        "left besides the experts, it would be right.",
    )


def _summed_to(tensor: Tensor, dim: int) -> Tensor:
    return tensor.sum(dim=[d for d in range(tensor.dim()) if d != dim])


MISTAKES = (
    Mistake(_last_silent_missing),
    Mistake(_only_silent_missing),
    ruled("The zeros stand at the end", _seen_first,
          "The counts of the experts that were seen come first, then the zeros. Entry e is the load of expert e."),
    ruled("Only the first choices are counted", lambda ids, n: reference(ids[:, :1], n),
           lambda a: f"Your counts sum to {int(_got(a).sum())}, one for each token. Every token chooses K experts, and "
                       "each choice is work for the expert that it falls on."),
    ruled("Only the last choices are counted", lambda ids, n: reference(ids[:, -1:], n),
           lambda a: f"Your counts sum to {int(_got(a).sum())}, one for each token. Is a count replaced where it "
                       "should grow?"),
    ruled("Shares, not counts", lambda ids, n: reference(ids, n).double() / ids.numel(),
           lambda a: f"Yours are {listed(_got(a).tolist())}, which sum to 1: shares of the load. The load itself is a "
                       "whole number for each expert."),
    ruled("Divided by the number of tokens", lambda ids, n: reference(ids, n).double() / len(ids),
           lambda a: f"Yours are {listed(_got(a).tolist())} and sum to {number(float(_got(a).sum()))}: choices per "
                       "token. The load itself is a whole number for each expert."),
    ruled("Each expert counts at most once", lambda ids, n: reference(ids, n).clamp(max=1),
           lambda a: f"Your largest count is {int(_got(a).max())}. An assignment such as `load[ids] = …` writes once "
                       "for equal indices; repeated indices have to add up."),
    ruled("Sorted by size", lambda ids, n: reference(ids, n).sort(descending=True).values,
           lambda a: f"Yours start with {listed(_got(a).tolist())}, largest first. Entry e is the load of expert e, in "
                       "the order of the experts."),
    Mistake(_uncounted),
)  # fmt: skip

EXPERT_LOAD = Exercise(
    id="0.1",
    name="expert_load",
    parameters=("expert_ids", "n_experts"),
    sizes="NKE",
    outputs=(Output("load", "E,", expert_columns=True),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "What should the answer be for an expert that no token chose? Start from E zeros, so that it has a place.",
        "`torch.bincount` counts whole numbers; `minlength=` says how many there can be. It wants one dimension: "
        "`expert_ids.flatten()`.",
    ),
    minutes=5,
    lines="about 1 line",
    done="Every expert has its count, the silent ones too. This is how checks work in all lessons.",
)
EXERCISES = (EXPERT_LOAD,)


def expert_load(fn: Any):
    """Check exercise 0.1: expert_load(expert_ids (N, K) int64, n_experts) -> load (E,) int64."""
    return run_check(EXPERT_LOAD, fn)
