"""Exercise 3.4, combine_matrix: each token's weights, put in its experts' columns."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import sign, turned, wrong
from moe_lite.checks.engine.say import Sentence, said


def reference(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    """weights (N, k), expert_ids (N, k) -> combine (N, E), of the weights' type."""
    chosen = expert_ids[:, :, None] == torch.arange(n_experts)  # (N, k, E)
    return (weights[:, :, None] * chosen).sum(dim=1)  # (N, E)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = tuple(map(random, (1, 2, 3)))
    unused = (random(4, unused=2), random(5, unused=1))  # the highest expert numbers do not occur
    n_tokens, n_experts, _ = inputs.sizes(6)
    ends = (of_sizes(6, n_tokens, n_experts, 1), of_sizes(6, n_tokens, n_experts, n_experts))
    other = of_sizes(11, *inputs.sizes(1))  # the shape of the first, other values: nothing may be left over
    first, last = inputs.usual((random(1, F32), random(8, torch.bfloat16), *plain[1:]), plain, gradient=(0,))
    return (
        *first,
        Case("every choice in its column", (*plain, other), ("combine",)),
        Case("unused last experts", unused, ("combine",)),
        Case("k = 1 and k = E", ends, ("combine",)),
        Case("zero and negative weights", (with_zeros(7),), ("combine",)),
        *last,
    )


def random(seed: int, dtype: torch.dtype = F64, unused: int = 0) -> Trial:
    return of_sizes(seed, *inputs.sizes(seed), dtype, unused)


def of_sizes(seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, unused: int = 0) -> Trial:
    """Weights between 0.05 and 0.95; rows need not sum to 1."""
    drawn = torch.rand(n_tokens, k, dtype=F64, generator=inputs.generator(seed))
    weights = (0.05 + 0.9 * drawn).round(decimals=4).to(dtype)
    expert_ids = inputs.choices(seed, n_tokens, n_experts, k)  # (N, k)
    return Trial((weights, expert_ids, n_experts + unused), inputs.note(seed, dtype))


def with_zeros(seed: int) -> Trial:
    """Weights may be anything; the matrix only puts them in their places."""
    trial = random(seed)
    weights = trial.args[0].clone()
    weights[::2, 0], weights[1::2, -1] = 0.0, -0.5
    return Trial((weights, *trial.args[1:]), trial.note)


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    return inputs.distinct(seed, N, k), inputs.choices(seed, N, E, k), E


def extremes(seed: int) -> tuple[Trial, ...]:
    weights, expert_ids, n_experts = drawn(seed, 7, 5, 3)
    return (
        Trial((torch.zeros_like(weights), expert_ids, n_experts), "weights all 0"),
        Trial((weights * 1e20, expert_ids, n_experts), "very large weights"),
        Trial((1 + weights * 1e-9, expert_ids, n_experts), "weights that differ in the ninth decimal"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "k": 3}, at_most=(("k", "E"),), thousands=7001, gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def summed_late(a: Attempt) -> bool:
    """(N, k, E) or another order of these, not summed over the choices."""
    got, expected = a.got["combine"], a.expected["combine"]
    return got.dim() == 3 and any(close(got.sum(dim=d), expected) for d in range(3))


def same_rows(a: Attempt) -> bool:
    """combine[:, ids] = weights writes to a column in every row, so all rows end up alike."""
    got = a.got["combine"]
    return got.shape == a.expected["combine"].shape and bool(got.any()) and bool((got == got[0]).all())


def filled_elsewhere(a: Attempt) -> bool:
    """Right where an expert was chosen, not 0 where none was."""
    got, expected = a.got["combine"], a.expected["combine"]
    if got.shape != expected.shape:
        return False
    chosen = reference(torch.ones_like(a.args[0]), *a.args[1:]) > 0
    return close(got[chosen], expected[chosen]) and bool(got[~chosen].any())


def only(column: slice) -> Callable[..., Tensor]:
    """A rule that puts only some of the k choices."""
    return lambda w, ids, n: reference(w[:, column], ids[:, column], n)


def down_the_rows(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    """scatter along dim 0: row = the expert's number, column = the place of the choice."""
    combine = weights.new_zeros(max(len(weights), n_experts), n_experts)
    return combine.scatter(0, expert_ids, weights)[: len(weights)]


def of_row_0(sentence: str) -> Sentence:
    """`{count}` in a sentence is how many cells of row 0 are not 0, `{noun}` what they are: weight or weights."""

    def about(a: Attempt) -> str:
        count = int((a.got["combine"][0] != 0).sum())
        return said(sentence, a, count=count, noun="weight" if count == 1 else "weights")

    return about


COUNT = "Row 0 has {count} {noun}, expected {weights.size[1]}: "

MISTAKES = (
    sign("Rows and columns have changed places", turned("combine"), "`combine` should be (N, E) = "
         "{right.combine.shape}, one row for each token; yours is {combine.shape}."),
    wrong("Nothing was written", lambda w, ids, n: w.new_zeros(len(w), n), "All cells are 0. `scatter` gives a new "
          "tensor and leaves the old one as it was: return what it gives, or use `scatter_`, which writes in place."),
    wrong("The last experts have no column", lambda w, ids, n: reference(w, ids, int(ids.max()) + 1), "Yours has "
          "{combine.size[1]} columns, up to the highest number that occurs. There are {n_experts} experts: take "
          "`n_experts`."),
    sign("One sum is missing", summed_late, "Yours is {combine.shape}: one layer for each choice. Summed over the k "
         "choices it would be right."),
    wrong("Only the first choice is put in", only(slice(0, 1)), of_row_0(COUNT + "the other choices of "
          "the token are missing.")),
    wrong("Only the last choice is put in", only(slice(-1, None)), of_row_0(COUNT + "is the matrix made "
          "anew, or overwritten, for each choice?")),
    wrong("The last choice is left out", only(slice(0, -1)), of_row_0(COUNT + "does the loop end one "
          "choice too early?")),
    wrong("The first choice is left out", only(slice(1, None)), of_row_0(COUNT + "does the loop begin "
          "one choice too late?")),
    wrong("Ones instead of weights", lambda w, ids, n: reference(torch.ones_like(w), ids, n), "Where expert "
          "{expert_ids[0][0]} stands for token 0 you have 1, expected {weights[0][0]}: which expert is right, how much "
          "of it is missing."),
    wrong("Expert numbers instead of weights", lambda w, ids, n: reference(ids.to(w.dtype), ids, n), "Each column "
          "holds its own number; the token's weight for that expert belongs there."),
    wrong("The rows were normalised", lambda w, ids, n: reference(w / w.sum(dim=1, keepdim=True), ids, n), "Your rows "
          "sum to {combine.rows}. Put the weights in as they came: row 0 sums to {weights[0].sum}."),
    wrong("Softmax over the rows", lambda w, ids, n: reference(w, ids, n).softmax(dim=-1), "Your rows sum to "
          "{combine.rows}, and no cell is 0: only chosen experts have a weight."),
    wrong("Place j instead of expert `expert_ids[:, j]`", lambda w, ids, n: pad(w, (0, n - w.shape[1])), lambda a:
          f"Your weights stand in columns 0 to {a.args[0].shape[1] - 1}. Token 0's first weight belongs to expert "
          f"{a.args[1][0, 0]}: `expert_ids` names the column."),
    wrong("Scattered down the rows", down_the_rows, "`scatter` along dimension 0 takes an expert's number for a row. "
          "It is a column: dimension 1."),
    wrong("The columns run backwards", lambda w, ids, n: reference(w, ids, n).flip(1), "Expert 0 has the last column. "
          "Column e belongs to expert e."),
    wrong("Weights and experts do not belong together", lambda w, ids, n: reference(w.flip(1), ids, n), "Right "
          "columns, but each token's weights are in the opposite order: weight j goes to `expert_ids[:, j]`."),
    wrong("Every token adds to every row", lambda w, ids, n: reference(w, ids, n).sum(0, True).expand(len(w), n), "All "
          "your rows are equal, with sum {combine.rows}: a token's weights go to its row."),
    sign("Whole columns are filled", same_rows, of_row_0("All your rows are equal: row 0 has {count} weights, expected "
         "{weights.size[1]}. `combine[:, …] = …` writes to every row; name the row as well, or use `scatter`.")),
    sign("Not 0 where nothing was chosen", filled_elsewhere, of_row_0("The chosen experts are right, but row 0 "
         "has {count} cells that are not 0, expected {weights.size[1]}. Start from zeros.")),
    wrong("Divided by the number of choices", lambda w, ids, n: reference(w, ids, n) / w.shape[1], "Every weight is "
          "1/{weights.size[1]} of what it should be: a mean over the choices, where a sum is wanted."),
)  # fmt: skip

COMBINE_MATRIX = Exercise(
    id="3.4", name="combine_matrix", parameters=("weights", "expert_ids", "n_experts"), sizes="NkE",
    outputs=(Output("combine", "N, E", expert_columns=True),), reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Start from zeros of the right shape and type. Each weight has an address: the row is its token, the column is "
        "the number in `expert_ids` at the same place.",
        "`weights.new_zeros(...)` has the type; `.scatter(dim, index, values)` without an underscore gives a new "
        "tensor and lets the gradient through.",
    ),
    minutes=8, lines="about 2 lines", done="The whole layer in one matrix: rows are tokens, columns are experts.",
)  # fmt: skip
