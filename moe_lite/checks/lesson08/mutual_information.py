"""Exercise 8.2, mutual_information: how much the expert tells about the label, in bits."""

import math
from functools import partial

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, off, sign


def bits(counts: Tensor) -> float:
    """counts (E, C) -> I(expert; label) in bits; a cell with nothing in it adds nothing."""
    total = int(counts.sum())
    rows, columns = counts.sum(1).tolist(), counts.sum(0).tolist()
    found = 0.0
    for expert, row in enumerate(counts.tolist()):
        for label, n in enumerate(row):
            if n:
                found += n / total * math.log2(n * total / (rows[expert] * columns[label]))
    return found


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 4, 6), random(2, 7, 3), random(3, 5, 5))
    alike = (
        Trial((torch.tensor([[2, 4, 6], [1, 2, 3], [3, 6, 9], [5, 10, 15]]),), "rows in proportion"),
        proportional([1, 3, 7, 11, 13], [2, 3, 5, 7, 11, 17]),
        proportional([19, 2, 31, 5, 7, 3], [13, 29, 1, 6]),
    )
    nearly_alike = tuple(
        Trial((1000 * trial.args[0] + random(8, *trial.args[0].shape).args[0],), f"{trial.note}, but for a little")
        for trial in alike[1:]
    )
    known = (
        Trial((torch.tensor([[25, 0, 0, 0], [0, 25, 0, 0], [0, 0, 25, 0], [0, 0, 0, 25]]),), "one expert per label"),
        Trial((torch.tensor([[0, 30, 0], [10, 0, 0], [0, 0, 20], [0, 0, 0]]),), "one expert per label, one silent"),
    )
    gaps = (random(4, 5, 4, silent=(1,)), random(5, 4, 6, missing=(0, 5)), random(6, 6, 4, empty=0.4))
    first, _ = inputs.usual(plain[:2], plain, name="a float")
    return (
        *first,
        Case("the sum over all cells", plain, ("information",)),
        Case("0 where the expert tells nothing", alike, ("information",)),
        Case("one expert per label", known, ("information",)),
        Case("cells, rows and columns of zeros", gaps, ("information",)),
        Case("large counts", (random(7, 5, 8, scale=40_000_000), *nearly_alike), ("information",)),
    )


def random(
    seed: int, n_experts: int, n_labels: int, silent: tuple[int, ...] = (), missing: tuple[int, ...] = (),
    empty: float = 0.0, scale: int = 60,
) -> Trial:  # fmt: skip
    """Experts in `silent` have no tokens, labels in `missing` no token has; a part of the cells is `empty`."""
    g = inputs.generator(seed)
    counts = torch.randint(1, scale, (n_experts, n_labels), generator=g)
    counts = counts * (torch.rand(counts.shape, generator=g) >= empty)
    counts[list(silent)] = 0
    counts[:, list(missing)] = 0
    return Trial((counts,), f"seed {seed}, {n_experts} experts, {n_labels} labels")


def proportional(rows: list[int], columns: list[int]) -> Trial:
    """Expert and label have nothing to do with each other; float32 does not come out at 0."""
    return Trial((torch.tensor(rows)[:, None] * torch.tensor(columns),), f"{len(rows)} rows in proportion")


def drawn(seed: int, E: int, C: int) -> tuple:
    return (torch.randint(1, 200, (E, C), generator=inputs.generator(seed)),)


def extremes(seed: int) -> tuple[Trial, ...]:
    one = torch.zeros(4, 5, dtype=torch.int64)
    one[2, 3] = 7
    lonely = torch.tensor([[3_000_000_000, 0, 1_000_000_000], [0, 1, 0]])
    return (
        Trial((one,), "all assignments in one cell"),
        Trial((drawn(seed, 4, 5)[0] * 10**9,), "counts in the billions"),
        Trial((torch.eye(3, dtype=torch.int64) * 10**9 + 1,), "nearly one expert per label"),
        Trial((lonely,), "one assignment among billions"),
    )


DRAWN = Drawn(drawn, {"E": 5, "C": 7}, long="", wide="E", float32=False, not_expanded=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

information = partial(off, "information")


def parts(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares of the cells (E, C), of the rows (E, 1) and of the columns (1, C)."""
    p = counts.double() / counts.sum()
    return p, p.sum(1, keepdim=True), p.sum(0, keepdim=True)


def plogp(p: Tensor) -> Tensor:
    return torch.special.xlogy(p, p) / math.log(2)


def entropy(p: Tensor) -> Tensor:
    return -plogp(p).sum()


def pointwise(counts: Tensor) -> Tensor:
    """log2 of observed over expected, 0 where nothing was observed."""
    p, rows, columns = parts(counts)
    return torch.where(p > 0, (p / (rows * columns)).log2(), 0.0)


def against_even(counts: Tensor) -> Tensor:
    p, _, _ = parts(counts)
    return math.log2(p.numel()) - entropy(p)


def mean_of_rows(counts: Tensor) -> Tensor:
    """Experts count alike, whatever their load."""
    p, rows, columns = parts(counts)
    given = p / rows.clamp(min=1e-30)
    ratio = torch.where(given > 0, (given / columns).log2(), 0.0)
    return (given * ratio).sum() / len(p)


def row_by_row(counts: Tensor) -> Tensor:
    """The logarithms are weighted with the share within the expert's row."""
    return mean_of_rows(counts) * len(counts)


def column_by_column(counts: Tensor) -> Tensor:
    return row_by_row(counts.T)


def expected_weighs(counts: Tensor) -> Tensor:
    _, rows, columns = parts(counts)
    return (rows * columns * pointwise(counts)).sum()


def smoothed(counts: Tensor) -> float:
    return bits(counts + 1)


def over(counts: Tensor, by: Tensor) -> Tensor:
    return torch.tensor(bits(counts), dtype=torch.float64) / by


def chi_square(counts: Tensor) -> Tensor:
    p, rows, columns = parts(counts)
    even = rows * columns
    return torch.where(even > 0, (p - even).square() / even, 0.0).sum()


def zero_times_infinity(a: Attempt) -> bool:
    return not_finite(a) and bool((a.args[0] == 0).any())


def nearly(a: Attempt) -> bool:
    """Off by no more than what float32, rounding or a small number in a logarithm leaves."""
    return torch.allclose(a.got["information"], a.expected["information"], rtol=1e-3, atol=1e-5)


def past_int64(a: Attempt) -> bool:
    """Whether a product of two sums of counts does not fit into int64."""
    return int(a.args[0].sum()) ** 2 >= 2**63


MISTAKES = (
    sign("0 · log 0", zero_times_infinity, "The result is nan or inf. A cell, a row or a column without assignments "
         "gives 0 · log2 0, which floating point cannot compute. Such a cell adds nothing: leave it out, for instance "
         "with `torch.where`, or take the sum over the cells where `counts > 0`."),
    sign("Nearly right", nearly, "`information` is {information.beside:3}, for {note}. So small a difference usually "
         "comes from float32, from rounding, or from a small number that was added. Whole numbers divided by each "
         "other give float32 unless you write `counts.double()`; an empty cell is left out of the sum."),
    sign("A whole number is too large for int64", past_int64, "All that was tried before is right; with {note}, "
         "`information` is {information.beside:3}. A product of two such counts is past 2⁶³, where int64 goes on with "
         "negative numbers. Go over to shares in float64 before anything is multiplied.", all_or_none=True),
    information("Nats, not bits", lambda c: bits(c) * math.log(2), "yours is 0.693 of it. `log` gives nats; bits need "
                "`log2`."),
    information("The logarithm to base 10", lambda c: bits(c) * math.log10(2), "yours is 0.301 of it. Bits need "
                "`log2`."),
    information("Counts, not shares, stand before the logarithm", lambda c: bits(c) * int(c.sum()), "yours is the "
                "number of assignments times as large. Each cell is weighted with its *share* of all assignments."),
    information("The sign is turned", lambda c: -bits(c), "mutual information is never negative. Observed stands over "
                "expected, not under it."),
    information("That is the entropy of the experts", lambda c: entropy(parts(c)[1]), "this is H(expert), how uneven "
                "the loads are. It says nothing about labels."),
    information("That is the entropy of the labels", lambda c: entropy(parts(c)[2]), "this is H(label), the most that "
                "an expert could tell. Take off what is left when the expert is known."),
    information("That is the joint entropy", lambda c: entropy(parts(c)[0]), "this is H(expert, label). Information is "
                "H(expert) + H(label) − H(expert, label)."),
    information("That is what the expert leaves open", lambda c: entropy(parts(c)[0]) - entropy(parts(c)[1]), "this is "
                "H(label | expert), the uncertainty that is left. Information is what went away: H(label) minus it."),
    information("That is what the label leaves open", lambda c: entropy(parts(c)[0]) - entropy(parts(c)[2]), "this is "
                "H(expert | label), the uncertainty that is left. Information is what went away: H(expert) minus it."),
    information("Compared with even cells", against_even, "expected is what the row and the column make of a cell, "
                "`row share · column share`. You compared with 1 / (E · C), so uneven loads count as information."),
    information("Experts count alike, whatever their load", mean_of_rows, "you took the mean over experts. An expert "
                "with more assignments has more weight: each cell counts with its share of *all* assignments."),
    information("Experts count alike, whatever their load", row_by_row, "you weighted a cell with its share of its own "
                "row. An expert with more assignments has more weight: each cell counts with its share of *all* "
                "assignments."),
    information("Labels count alike, however frequent", column_by_column, "you weighted a cell with its share of its "
                "own column. A label with more assignments has more weight: each cell counts with its share of *all* "
                "assignments."),
    information("The expected share has one factor only", lambda c: entropy(parts(c)[1]) - entropy(parts(c)[0]),
                "expected is row share · column share, and you divided by the row share alone."),
    information("The expected share has one factor only", lambda c: entropy(parts(c)[2]) - entropy(parts(c)[0]),
                "expected is row share · column share, and you divided by the column share alone."),
    information("Weighted with the expected share", expected_weighs, "a cell's logarithm is weighted with its "
                "*observed* share, not with the expected one."),
    information("The logarithms are not weighted", lambda c: pointwise(c).sum(), "each logarithm is weighted with "
                "the share of its cell, p(e, l)."),
    information("A mean, not a sum", lambda c: bits(c) / c.numel(), "yours is 1 / (E · C) of it. The cells are summed; "
                "their shares are weights already."),
    information("One was added to every cell", smoothed, "a 1 in every cell makes experts and labels look less "
                "related than they are. Leave empty cells out of the sum instead."),
    information("Divided by the entropy of the labels", lambda c: over(c, entropy(parts(c)[2])), "yours is a share of "
                "H(label). Here bits are wanted."),
    information("Divided by the entropy of the experts", lambda c: over(c, entropy(parts(c)[1])), "yours is a share "
                "of H(expert). Here bits are wanted."),
    information("χ², not information", chi_square, "this is χ² over the number of assignments. Information takes the "
                "logarithm of observed over expected."),
)  # fmt: skip

MUTUAL_INFORMATION = Exercise(
    id="8.2", name="mutual_information", parameters=("counts",), sizes="EC",
    outputs=(Output("information", real=True),), reference=bits, cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "Make shares of the counts, in float64. The row sums are the experts' shares, the column sums the labels'. "
        "If expert and label had nothing to do with each other, a cell would hold row share times column share.",
        "`p`: the counts in `double()`, over their sum; `expected = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)`; "
        "then the sum of `p * log2(p / expected)` over the cells where `p > 0`: `seen = p > 0` and `p[seen]`. Return "
        "`.item()`.",
    ),
    minutes=10, lines="about 4 lines",
    done="Bits can be compared: 1 bit halves the number of labels that are left.",
)  # fmt: skip
