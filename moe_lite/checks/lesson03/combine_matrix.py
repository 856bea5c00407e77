"""Exercise 3.4, combine_matrix: each token's weights, put in its experts' columns."""

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, number, shape_text
from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, REPEAT, Attempt, Case, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import row_sums, ruled, seen

F32, F64 = torch.float32, torch.float64


def reference(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    """weights (N, k), expert_ids (N, k) -> combine (N, E), of the weights' type."""
    chosen = expert_ids[:, :, None] == torch.arange(n_experts)  # (N, k, E)
    return (weights[:, :, None] * chosen).sum(dim=1)  # (N, E)


def cases() -> tuple[Case, ...]:
    plain = tuple(_random(seed) for seed in (1, 2, 3))
    unused = (_random(4, unused=2), _random(5, unused=1))  # the highest expert numbers do not occur
    n_tokens, n_experts, _ = inputs.sizes(6)
    edges = (_trial(6, n_tokens, n_experts, 1), _trial(6, n_tokens, n_experts, n_experts))
    zeros = (_with_zeros(7),)
    other = _trial(11, *inputs.sizes(1))  # the shape of the first, other values: nothing may be left over
    gradient = Trial(plain[1].args, plain[1].note, gradient=(0,))
    return (
        Case("shapes and types", (_random(1, F32), _random(8, torch.bfloat16), *plain[1:]), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("every choice in its column", (*plain, other), ("combine",)),
        Case("unused last experts", unused, ("combine",)),
        Case("k = 1 and k = E", edges, ("combine",)),
        Case("zero and negative weights", zeros, ("combine",)),
        Case("gradient", (gradient,), (GRADIENT,)),
    )


def _random(seed: int, dtype: torch.dtype = F64, unused: int = 0) -> Trial:
    n_tokens, n_experts, k = inputs.sizes(seed)
    return _trial(seed, n_tokens, n_experts, k, dtype, unused)


def _trial(seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, unused: int = 0) -> Trial:
    """Weights between 0.05 and 0.95; rows need not sum to 1."""
    drawn = torch.rand(n_tokens, k, dtype=F64, generator=inputs.generator(seed))
    weights = (0.05 + 0.9 * drawn).round(decimals=4).to(dtype)
    expert_ids = inputs.choices(seed, n_tokens, n_experts, k)  # (N, k)
    return Trial((weights, expert_ids, n_experts + unused), inputs.note(seed, dtype))


def _with_zeros(seed: int) -> Trial:
    """Weights may be anything; the matrix only puts them in their places."""
    trial = _random(seed)
    weights = trial.args[0].clone()
    weights[::2, 0], weights[1::2, -1] = 0.0, -0.5
    return Trial((weights, *trial.args[1:]), trial.note)


def _transposed(attempt: Attempt) -> bool:
    got, expected = attempt.got["combine"], attempt.expected["combine"]
    return got.shape == expected.T.shape != expected.shape


def _too_narrow(attempt: Attempt) -> bool:
    got, expected = attempt.got["combine"], attempt.expected["combine"]
    return (
        got.dim() == 2 and len(got) == len(expected) and got.shape[1] < expected.shape[1]
        and got.shape[1] == int(attempt.args[1].max()) + 1 and close(got, expected[:, : got.shape[1]])
    )  # fmt: skip


def _not_summed(attempt: Attempt) -> bool:
    got, expected = attempt.got["combine"], attempt.expected["combine"]
    return got.dim() == 3 and any(close(got.sum(dim=d), expected) for d in range(3))


def _same_rows(attempt: Attempt) -> bool:
    """combine[:, ids] = weights writes to a column in every row, so all rows end up alike."""
    got = attempt.got["combine"]
    return got.shape == attempt.expected["combine"].shape and bool(got.any()) and bool((got == got[0]).all())


def _filled_elsewhere(attempt: Attempt) -> bool:
    """Right where an expert was chosen, not 0 where none was."""
    got, expected = attempt.got["combine"], attempt.expected["combine"]
    if got.shape != expected.shape:
        return False
    chosen = reference(torch.ones_like(attempt.args[0]), *attempt.args[1:]) > 0
    return close(got[chosen], expected[chosen]) and bool(got[~chosen].any())


def _only(column) -> object:
    """A rule that puts only some of the k choices."""
    return lambda w, ids, n: reference(w[:, column], ids[:, column], n)


def _first_columns(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    return torch.nn.functional.pad(weights, (0, n_experts - weights.shape[1]))


def _down_the_rows(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    """scatter along dim 0: row = the expert's number, column = the place of the choice."""
    combine = weights.new_zeros(max(len(weights), n_experts), n_experts)
    return combine.scatter(0, expert_ids, weights)[: len(weights)]


def _normalised(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(weights / weights.sum(dim=1, keepdim=True), expert_ids, n_experts)


def _mask(weights: Tensor, expert_ids: Tensor, n_experts: int) -> Tensor:
    return reference(torch.ones_like(weights), expert_ids, n_experts)


def _got(attempt: Attempt) -> Tensor:
    return attempt.got["combine"]


def _filled(attempt: Attempt) -> str:
    count = int((_got(attempt)[0] != 0).sum())
    return f"Row 0 has {count} {'weight' if count == 1 else 'weights'}, expected {attempt.args[0].shape[1]}"


MISTAKES = (
    seen("Rows and columns have changed places", _transposed, lambda a:
         f"`combine` should be (N, E) = {shape_text(a.expected['combine'])}, one row for each token; yours is "
         f"{shape_text(_got(a))}."),
    ruled("Nothing was written", lambda weights, ids, n: weights.new_zeros(len(weights), n),
          "All cells are 0. `scatter` gives a new tensor and leaves the old one as it was: return what it gives, "
          "or use `scatter_`, which writes in place."),
    seen("The last experts have no column", _too_narrow, lambda a:
         f"Yours has {_got(a).shape[1]} columns, up to the highest number that occurs. There are "
         f"{a.args[2]} experts: take `n_experts`."),
    seen("One sum is missing", _not_summed, lambda a:
         f"Yours is {shape_text(_got(a))}: one layer for each choice. Summed over the k choices it would be right."),
    ruled("Only the first choice is put in", _only(slice(0, 1)), lambda a:
          f"{_filled(a)}: the other choices of the token are missing."),
    ruled("Only the last choice is put in", _only(slice(-1, None)), lambda a:
          f"{_filled(a)}: is the matrix made anew, or overwritten, for each choice?"),
    ruled("The last choice is left out", _only(slice(0, -1)), lambda a:
          f"{_filled(a)}: does the loop end one choice too early?"),
    ruled("The first choice is left out", _only(slice(1, None)), lambda a:
          f"{_filled(a)}: does the loop begin one choice too late?"),
    ruled("Ones instead of weights", _mask, lambda a:
          f"Where expert {int(a.args[1][0, 0])} stands for token 0 you have 1, expected "
          f"{number(float(a.args[0][0, 0]))}: which expert is right, how much of it is missing."),
    ruled("Expert numbers instead of weights", lambda w, ids, n: reference(ids.to(w.dtype), ids, n),
          "Each column holds its own number; the token's weight for that expert belongs there."),
    ruled("The rows were normalised", _normalised, lambda a:
          f"Your rows sum to {row_sums(a, 'combine')}. The weights are to be put in as they came: row 0 sums to "
          f"{number(float(a.args[0][0].sum()))}."),
    ruled("Softmax over the rows", lambda w, ids, n: reference(w, ids, n).softmax(dim=-1), lambda a:
          f"Your rows sum to {row_sums(a, 'combine')}, and no cell is 0: only chosen experts have a weight."),
    ruled("Place j instead of expert `expert_ids[:, j]`", _first_columns, lambda a:
          f"Your weights stand in columns 0 to {a.args[0].shape[1] - 1}. Token 0's first weight belongs to expert "
          f"{int(a.args[1][0, 0])}: `expert_ids` names the column."),
    ruled("Scattered down the rows", _down_the_rows,
          "`scatter` along dimension 0 takes an expert's number for a row. It is a column: dimension 1."),
    ruled("The columns run backwards", lambda w, ids, n: reference(w, ids, n).flip(1),
          "Expert 0 has the last column. Column e belongs to expert e."),
    ruled("Weights and experts do not belong together", lambda w, ids, n: reference(w.flip(1), ids, n),
          "Right columns, but each token's weights are in the opposite order: weight j goes to `expert_ids[:, j]`."),
    ruled("Every token adds to every row", lambda w, ids, n: reference(w, ids, n).sum(0, True).expand(len(w), n),
          lambda a: f"All your rows are equal, with sum {row_sums(a, 'combine')}: a token's weights go to its row."),
    seen("Whole columns are filled", _same_rows, lambda a:
         f"All your rows are equal: row 0 has {int((_got(a)[0] != 0).sum())} weights, expected {a.args[0].shape[1]}. "
         "`combine[:, …] = …` writes to every row; name the row as well, or use `scatter`."),
    seen("Not 0 where nothing was chosen", _filled_elsewhere, lambda a:
         f"The chosen experts are right, but row 0 has {int((_got(a)[0] != 0).sum())} cells that are not 0, expected "
         f"{a.args[0].shape[1]}. Start from zeros."),
    ruled("Divided by the number of choices", lambda w, ids, n: reference(w, ids, n) / w.shape[1], lambda a:
          f"Every weight is 1/{a.args[0].shape[1]} of what it should be: a mean over the choices, where a sum is due."),
)  # fmt: skip

COMBINE_MATRIX = Exercise(
    id="3.4",
    name="combine_matrix",
    parameters=("weights", "expert_ids", "n_experts"),
    sizes="NkE",
    outputs=(Output("combine", "N, E", expert_columns=True),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Start from zeros of the right shape and type. Each weight has an address: the row is its token, the column is "
        "the number in `expert_ids` at the same place.",
        "`weights.new_zeros(...)` has the type; `.scatter(dim, index, values)` without an underscore gives a new "
        "tensor and lets the gradient through.",
    ),
    minutes=8,
    lines="about 2 lines",
    done="The whole layer in one matrix: rows are tokens, columns are experts.",
)
