"""Exercise 8.1, expert_table: how many assignments of each label went to each expert."""

import re

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.causes import Line
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Note, Output, Trial
from moe_lite.checks.engine.mistakes import sign, turned, wrong


def table(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    """expert_ids (N, K), labels (N,) -> counts (E, C) int64."""
    counts = [[0] * n_labels for _ in range(n_experts)]
    for row, label in zip(expert_ids.tolist(), labels.tolist(), strict=True):
        for expert in row:
            counts[expert][label] += 1
    return torch.tensor(counts)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (tokens(1, 11, 5, 3, 2), tokens(2, 17, 7, 4, 3), tokens(3, 14, 6, 5, 1))
    silent = (tokens(4, 12, 8, 3, 2, awake=5), tokens(5, 13, 6, 4, 3, awake=4))
    missing = (tokens(6, 12, 5, 7, 2, seen=4), tokens(7, 15, 4, 6, 2, seen=5))
    same = Trial((torch.tensor([[2, 0]] * 400), torch.tensor([1] * 300 + [0] * 100), 4, 3), "400 tokens, one choice")
    first, _ = inputs.usual(plain[:2], plain)
    return (
        *first,
        Case("every choice of every token", (*plain, same), ("counts",)),
        Case("experts that nobody chose", silent, ("counts",)),
        Case("labels that no token has", missing, ("counts",)),
    )


def tokens(
    seed: int, n_tokens: int, n_experts: int, n_labels: int, k: int, awake: int | None = None, seen: int | None = None
) -> Trial:
    """Only the first `awake` experts are ever chosen, only the first `seen` labels occur."""
    expert_ids = inputs.choices(seed, n_tokens, awake or n_experts, k)
    labels = torch.randint(0, seen or n_labels, (n_tokens,), generator=inputs.generator(seed + 50))
    note = f"seed {seed}, {n_tokens} tokens, {k} of {n_experts} experts, {n_labels} labels"
    return Trial((expert_ids, labels, n_experts, n_labels), note)


def drawn(seed: int, N: int, K: int, E: int, C: int) -> tuple:
    labels = torch.randint(0, C, (N,), generator=inputs.generator(seed + 50))
    return inputs.choices(seed, N, E, K), labels, E, C


def extremes(seed: int) -> tuple[Trial, ...]:
    one = torch.ones(33_001, 1, dtype=torch.int64)
    return (
        Trial((one, torch.zeros(33_001, dtype=torch.int64), 2, 2), "33,001 tokens, all at expert 1, one label"),
        Trial((torch.tensor([[1, 0]]), torch.tensor([2]), 3, 4), "one token"),
    )


DRAWN = Drawn(drawn, {"N": 9, "K": 3, "E": 6, "C": 4}, at_most=(("K", "E"),), float32=False, extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def misaligned(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    """All labels once, then all again: the K choices of a token get the labels of K different tokens."""
    return table(expert_ids.flatten()[:, None], labels.repeat(expert_ids.shape[1]), n_experts, n_labels)


def zipped(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    """N · K experts in one row beside N labels: those after the first N are left out."""
    return table(expert_ids.flatten()[: len(labels), None], labels, n_experts, n_labels)


def once(*args) -> Tensor:
    """`counts[expert_ids, labels] += 1`: a place that comes twice is written twice, with the same number."""
    return (table(*args) > 0).long()


def once_per_column(expert_ids: Tensor, *rest) -> Tensor:
    """The same, one column of choices after the other."""
    return sum(once(chosen[:, None], *rest) for chosen in expert_ids.T)


def all_rows(*args) -> Tensor:
    """Every row is the sum of all rows."""
    counts = table(*args)
    return counts.sum(0, keepdim=True).expand_as(counts)


def share(dim: int | None, *args) -> Tensor:
    counts = table(*args).double()
    return counts / (counts.sum() if dim is None else counts.sum(dim, keepdim=True).clamp(min=1))


def shares(dim: int | None, what: str) -> Mistake:
    """Told also where 0 / 0 makes nan of a row or column without assignments."""

    def fits(a: Attempt) -> bool:
        return bool(a.got) and close(a.got["counts"].nan_to_num(), share(dim, *a.args), within=1e-6)

    return sign("Shares, not counts", fits, f"{what} sums to 1. Counts are wanted, in whole numbers; shares can be "
                "made of them later.", fits=fits, answer=lambda names, args: (share(dim, *args),))  # fmt: skip


def column(place: int, expert_ids: Tensor, labels: Tensor, *sizes: int) -> Tensor:
    return table(expert_ids[:, place : place + 1 or None], labels, *sizes)


def up_to_seen(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    return table(expert_ids, labels, n_experts, n_labels)[: int(expert_ids.max()) + 1]


def labels_seen(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    return table(expert_ids, labels, n_experts, n_labels)[:, : int(labels.max()) + 1]


def both_seen(expert_ids: Tensor, labels: Tensor, n_experts: int, n_labels: int) -> Tensor:
    return up_to_seen(expert_ids, labels, n_experts, n_labels)[:, : int(labels.max()) + 1]


def total(a: Attempt) -> int:
    """The number of assignments in a table of the right shape; 0 for any other answer."""
    counts, expected = a.got["counts"], a.expected["counts"]
    return int(counts.sum()) if counts.dtype == expected.dtype and counts.shape == expected.shape else 0


def resized(match: re.Match, line: Line, exercise: Exercise) -> Note:
    """An error of `view` or `reshape`: most often `bincount` gave another number of entries than E · C."""
    if line.counted():
        return Note("`bincount` without `minlength`", "`bincount` counts up to the largest number that occurs, and "
                    "the last cells of this table are empty, so entries are missing for the new shape. "
                    "`minlength=n_experts * n_labels` adds them.")  # fmt: skip
    if "bincount" in line.function:
        return Note("The pairs have other numbers", "`bincount` gave another number of entries than the new shape has. "
                    "The E · C pairs need the numbers 0 to E · C − 1: `expert * n_labels + label`.")  # fmt: skip
    return Note("The new shape has another size", "`view` and `reshape` keep the number of values.")


MISTAKES = (
    sign("Labels in rows, experts in columns", turned("counts"), "`counts` is {counts.shape}, expected "
         "{right.counts.shape}: one row per expert, one column per label."),
    wrong("Labels in rows, experts in columns", lambda *args: table(*args).T, "`counts` is turned over: one row per "
          "expert, one column per label."),
    wrong("Labels in rows, experts in columns", lambda *a: table(*a).T.reshape(a[2], a[3]), "The counts are right, but "
          "they stand in the order of a table (C, E), with the labels in rows. `view` and `reshape` do not turn that "
          "over: number the pairs as `expert * n_labels + label`, or transpose."),
    wrong("Only the first choice is counted", lambda *args: column(0, *args), "Your table has {counts.sum} "
          "assignments, expected {right.counts.sum}. Each token has K choices, and all of them count."),
    wrong("Only the last choice is counted", lambda *args: column(-1, *args), "Your table has {counts.sum} "
          "assignments, expected {right.counts.sum}. Each token has K choices, and all of them count."),
    wrong("A pair is counted once, however often it comes", once, "No cell of yours is more than 1. "
          "`counts[e, l] += 1` with index tensors writes a cell that comes several times only once. Count the pairs: "
          "`torch.bincount` of `expert * C + label`, or `index_put_` with `accumulate=True`."),
    wrong("A pair is counted once, however often it comes", once_per_column, "Your table has {counts.sum} assignments, "
          "expected {right.counts.sum}. `counts[e, l] += 1` with index tensors writes a cell that comes several times "
          "only once, also if you do it for one column of choices at a time. Count the pairs: `torch.bincount` of "
          "`expert * C + label`, or `index_put_` with `accumulate=True`."),
    wrong("Choices and labels do not belong together", misaligned, "The sums of your rows and columns are right, the "
          "cells are not: experts were paired with the labels of other tokens. Flattened row by row, the K choices of "
          "a token stand side by side, so each label has to come K times in a row: `repeat_interleave`, not `repeat`."),
    wrong("Choices and labels do not belong together", zipped, "Your table has {counts.sum} assignments, expected "
          "{right.counts.sum}. Flattened, there are N · K choices beside N labels, so the later choices are left out "
          "(`zip` ends with the shorter list), and the others get the labels of other tokens."),
    wrong("All rows are the same", all_rows, "Each row of yours holds the counts of all experts together. "
          "`[[0] * C] * E` puts one and the same list into all rows; `[[0] * C for _ in range(E)]` makes E of them."),
    shares(None, "Your table"),
    shares(0, "Each of your columns"),
    shares(1, "Each of your rows"),
    wrong("A token counts once, not K times", lambda e, *rest: table(e, *rest).double() / e.shape[1], "Your table "
          "sums to the number of tokens. Each of a token's K choices counts as one assignment."),
    wrong("Experts without tokens have no row", up_to_seen, "`counts` is {counts.shape}, expected "
          "{right.counts.shape}: E is `n_experts`, also where the last experts get nothing. Use `minlength`."),
    wrong("Labels without tokens have no column", labels_seen, "`counts` is {counts.shape}, expected "
          "{right.counts.shape}: the number of columns is `n_labels`, also where no token has the last label."),
    wrong("The size comes from the largest number that occurs", both_seen, "`counts` is {counts.shape}, expected "
          "{right.counts.shape}: E is `n_experts` and C is `n_labels`, also where the last experts get nothing or no "
          "token has the last label."),
    sign("Assignments are missing", lambda a: 0 < total(a) < a.args[0].numel(), "Your table has {counts.sum} "
         "assignments, expected {right.counts.sum}: each of the N tokens has K."),
    sign("Too many assignments", lambda a: total(a) > a.args[0].numel(), "Your table has {counts.sum} assignments, "
         "expected {right.counts.sum}: each of the N tokens has K, and each of them is counted in one cell."),
)  # fmt: skip

EXPERT_TABLE = Exercise(
    id="8.1", name="expert_table", parameters=("expert_ids", "labels", "n_experts", "n_labels"), sizes="NKEC",
    outputs=(Output("counts", "E, C"),), reference=table, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    causes=((RuntimeError, r"invalid for input of size|shape '.*' is invalid", resized),),
    hints=(
        "Every assignment is a pair: an expert and the label of the token that chose it. How often does each pair "
        "occur? A token with K choices makes K pairs, all with its one label.",
        "Number the pairs: `expert * n_labels + label`, where `labels[:, None]` has the shape that goes with "
        "`expert_ids`. `torch.bincount(pairs.flatten(), minlength=n_experts * n_labels)` counts them; `reshape` makes "
        "the table.",
    ),
    minutes=6, lines="about 2 lines",
    done="Most of this lesson's questions begin with such a table. Only the labels change.",
)  # fmt: skip
