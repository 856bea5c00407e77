"""Exercise 4.4, sparse_forward: sort, one slice an expert, put back."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine.compare import shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Output,
    Trial,
)
from moe_lite.checks.engine.inputs import note
from moe_lite.checks.engine.mistakes import one_of, seen
from moe_lite.checks.lesson04.products import A_SLICE_EACH
from moe_lite.checks.lesson04.tokens import all_to, busy_choices, first_off, normal, row_a_choice, turned, weights_like

F32, F64 = torch.float32, torch.float64


def reference(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """x (N, D), weights and expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> y (N, D)."""
    y = torch.zeros_like(x)  # (N, D)
    for e, (w_in, w_out) in enumerate(zip(gate_up.unbind(0), down.unbind(0), strict=True)):
        token, choice = (expert_ids == e).nonzero(as_tuple=True)  # (n,), (n,)
        gate, up = (x[token] @ w_in.T).chunk(2, dim=-1)  # (n, F), (n, F)
        y = y.index_add(0, token, (F.silu(gate) * up) @ w_out.T * weights[token, choice, None])
    return y


def trials() -> dict[str, tuple[Trial, ...]]:
    """Also those of 4.5, which computes the same. Sizes N, E, K, D, F."""
    plain = (_random(1, 7, 4, 2, 5, 3), _random(2, 11, 5, 3, 6, 4), _random(3, 9, 6, 4, 3, 5))
    return {
        "plain": plain,
        "types": (plain[0], _typed(plain[1], F32), plain[2]),
        "other": (_random(11, 7, 4, 2, 5, 3),),  # the shape of the first, other values: nothing may be left over
        "silent": (_random(4, 8, 6, 2, 5, 3, (0, 3)), _random(5, 7, 5, 3, 4, 6, (4,))),
        "edges": (
            _random(6, 9, 5, 1, 4, 3),
            _made(7, all_to((2,), 6), 4, 5, 3),
            _made(8, all_to((3, 0), 7), 5, 4, 3),
        ),
        "many": (_random(9, 30, 4, 2, 5, 3),),
    }


def gradient_of(chosen: tuple[Trial, ...]) -> tuple[Trial, ...]:
    return tuple(Trial(trial.args, trial.note, gradient=(0, 1, 3, 4)) for trial in chosen)


def cases() -> tuple[Case, ...]:
    t = trials()
    return (
        Case("shapes and types", t["types"], (FORM,)),
        Case("input unchanged, no memory", t["plain"][:1], (INPUT, REPEAT)),
        Case("equal to the loop", t["plain"] + t["other"], ("y",)),
        Case("experts without tokens", t["silent"], ("y",)),
        Case("K = 1; all tokens alike", t["edges"], ("y",)),
        Case("N · K rows, a slice an expert", t["plain"] + t["many"], ("rows", "products")),
        Case("gradients", gradient_of(t["plain"][:2] + t["silent"][:1]), (GRADIENT,)),
    )


def _random(
    seed: int, n_tokens: int, n_experts: int, k: int, d_model: int, d_expert: int, silent: tuple[int, ...] = ()
) -> Trial:
    return _made(seed, busy_choices(seed, n_tokens, n_experts, k, silent), n_experts, d_model, d_expert)


def _made(seed: int, expert_ids: Tensor, n_experts: int, d_model: int, d_expert: int) -> Trial:
    x = normal(seed, len(expert_ids), d_model)
    gate_up = normal(seed + 1, n_experts, 2 * d_expert, d_model, scale=0.8)
    down = normal(seed + 2, n_experts, d_model, d_expert, scale=0.8)
    return Trial((x, weights_like(seed, expert_ids), expert_ids, gate_up, down), note(seed, F64))


def _typed(trial: Trial, dtype: torch.dtype) -> Trial:
    args = (value.to(dtype) if value.is_floating_point() else value for value in trial.args)
    return Trial(tuple(args), trial.note.replace("float64", str(dtype)[6:]))


def _unit(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


def _rows(x: Tensor, expert: Tensor, gate_up: Tensor, down: Tensor, unit: Callable = _unit) -> Tensor:
    """Row i of x (A, D) through expert[i], (A, D)."""
    gate, up = (gate_up[expert] * x[:, None]).sum(dim=-1).chunk(2, dim=-1)  # (A, F), (A, F)
    return (down[expert] * unit(gate, up)[:, None]).sum(dim=-1)


def _order(expert_ids: Tensor) -> Tensor:
    return expert_ids.flatten().argsort(stable=True)


def _computed(unit: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that makes something else of gate and up; the rest is right."""

    def rule(x: Tensor, weights: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        answers = _rows(x.repeat_interleave(weights.shape[1], 0), ids.flatten(), gate_up, down, unit)  # (N·K, D)
        return (answers.unflatten(0, weights.shape) * weights[:, :, None]).sum(dim=1)

    return rule


def _weighed(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that takes other weights (N, K), made of weights and expert_ids; the rest is right."""
    return lambda x, w, ids, *matrices: reference(x, rule(w, ids), ids, *matrices)


def _chosen(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that takes other experts (N, K), made of expert_ids and the matrices of all; the rest is right."""
    return lambda x, w, ids, *matrices: reference(x, w, rule(ids, matrices[0]), *matrices)


def _at_rows(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the weights of the sorted rows (N·K,), of the weights in a row and order."""

    def weights(w: Tensor, ids: Tensor) -> Tensor:
        order = _order(ids)
        return torch.zeros_like(w.flatten()).index_copy(0, order, rule(w.flatten(), order)).view_as(w)

    return _weighed(weights)


def _gathered(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the tokens (N·K,) whose rows are gathered, of order and expert_ids; put back is by the right ones."""

    def answer(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
        order = _order(ids)
        rows = _rows(x[rule(order, ids)], ids.flatten()[order], *matrices) * w.flatten()[order, None]
        return torch.zeros_like(x).index_add(0, order // ids.shape[1], rows)

    return answer


def _by_choice(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    """Places counted choice by choice for sorting, token by token for all else: rows land in others' slices."""
    order = ids.T.flatten().argsort(stable=True)
    rows = _rows(x[order // ids.shape[1]], ids.flatten().sort().values, *matrices) * w.flatten()[order, None]
    return torch.zeros_like(x).index_add(0, order // ids.shape[1], rows)


def _sorted_rows(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    """The weighted answers, expert by expert. (N·K, D)"""
    order = _order(ids)
    return _rows(x[order // ids.shape[1]], ids.flatten()[order], *matrices) * w.flatten()[order, None]


def _not_put_back(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    return _sorted_rows(x, w, ids, *matrices).unflatten(0, w.shape).sum(dim=1)


def _put_wrong_way(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    return _sorted_rows(x, w, ids, *matrices)[_order(ids)].unflatten(0, w.shape).sum(dim=1)


def _silent_skipped(ids: Tensor, _: Tensor) -> Tensor:
    """Experts by their place among those that were chosen."""
    return ids.unique(return_inverse=True)[1]


def _weighed_first(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    rows = x.repeat_interleave(w.shape[1], 0) * w.flatten()[:, None]  # (N·K, D)
    return _rows(rows, ids.flatten(), *matrices).unflatten(0, w.shape).sum(dim=1)


def _interleaved(x: Tensor, w: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return reference(x, w, ids, torch.cat([gate_up[:, 0::2], gate_up[:, 1::2]], dim=1), down)


def _last_expert_wins(w: Tensor, ids: Tensor) -> Tensor:
    return w * (ids == ids.amax(dim=1, keepdim=True))


def _y(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    return one_of("y", title, rule, lambda a: f"{first_off(a)}: {sentence}")


def _k_rows(attempt: Attempt) -> bool:
    return row_a_choice(attempt, attempt.args[1].shape[1])


def _all_on_all(attempt: Attempt) -> bool:
    return int(attempt.got["rows"]) >= len(attempt.args[0]) * len(attempt.args[4]) > attempt.args[2].numel()


def _rows_text(attempt: Attempt) -> str:
    return f"{int(attempt.got['rows'])} rows went through experts, needed are N · K = {attempt.args[2].numel()}"


def _products_text(attempt: Attempt) -> str:
    return f"{int(attempt.got['products'])} matrix products for {len(attempt.args[4])} experts"


OF_FORM = (
    seen("Rows and columns have changed places", turned, lambda a:
         f"`y` is {shape_text(a.got['y'])}; one row a token is expected, {shape_text(a.expected['y'])}."),
    seen("A row for each choice", _k_rows, lambda a:
         f"`y` is {shape_text(a.got['y'])}: the K answers of a token still stand apart. They are added into its one "
         f"row, {shape_text(a.expected['y'])}."),
)  # fmt: skip
OF_THE_EXPERT = (
    _y("Gate and up have changed places", _computed(lambda gate, up: F.silu(up) * gate), "silu went over the last F "
       "rows of `gate_up`. The gate is the first half."),
    _y("Gates and ups taken in turns", _interleaved, "every second row was taken for a gate. The gate is the first F "
       "rows, up the last F."),
    _y("There is no silu", _computed(lambda gate, up: gate * up), "gate and up were multiplied as they are. The gate "
       "goes through silu first."),
    _y("Sigmoid, not silu", _computed(lambda gate, up: gate.sigmoid() * up), "silu(z) is z · sigmoid(z)."),
    _y("Another function than silu", _computed(lambda gate, up: gate.relu() * up), "the gate went through relu."),
    _y("Another function than silu", _computed(lambda gate, up: F.gelu(gate) * up), "the gate went through gelu."),
    _y("Silu after the product", _computed(lambda gate, up: F.silu(gate * up)), "silu goes over the gate alone, before "
       "it is multiplied with up."),
    _y("Silu over both", _computed(lambda gate, up: F.silu(gate) * F.silu(up)), "only the gate goes through silu."),
    _y("Gate and up are added", _computed(lambda gate, up: F.silu(gate) + up), "they are multiplied, number by "
       "number."),
    _y("The gate alone", _computed(lambda gate, up: F.silu(gate)), "up is missing: silu(gate) is multiplied with it."),
)  # fmt: skip
OF_THE_WEIGHTS = (
    _y("Weighted before the expert", _weighed_first, "the weight multiplies what goes into the expert. It belongs to "
       "what comes out."),
    _y("The weights were not sorted along", _at_rows(lambda w, order: w), "sorted row i has the weight of place i. It "
       "answers place `order[i]`, and needs the weight from there."),
    _y("The weights were sorted the wrong way round", _at_rows(lambda w, order: w[order.argsort()]), "sorted row i "
       "needs the weight of place `order[i]`: index with `order` itself."),
    _y("The weights are missing", _weighed(lambda w, ids: torch.ones_like(w)), "answers are added as they are."),
    _y("A mean instead of weights", _weighed(lambda w, ids: torch.ones_like(w) / w.shape[1]), "this is the plain mean "
       "of the token's K answers."),
    _y("Divided by the number of choices", _weighed(lambda w, ids: w / w.shape[1]), "a mean over the choices, where a "
       "sum is due."),
    _y("The weights are applied twice", _weighed(lambda w, ids: w * w), "each answer is multiplied by its weight "
       "squared."),
    _y("The weights were normalised", _weighed(lambda w, ids: w / w.sum(dim=1, keepdim=True)), "a token's weights were "
       "divided by their sum. Take them as they come."),
    _y("The weight of the first choice for all", _weighed(lambda w, ids: w[:, :1].expand_as(w)), "every answer of a "
       "token has the weight `weights[n, 0]`."),
    _y("Only the first choice counts", _weighed(lambda w, ids: w * (torch.arange(w.shape[1]) == 0)), "a token has the "
       "answer of its first choice only."),
)  # fmt: skip
OF_THE_ORDER = (
    _y("Nothing was written", lambda x, *_: torch.zeros_like(x), "all of `y` is 0. `index_add` without an underscore "
       "gives a new tensor, and leaves the old one as it was."),
    _y("One answer overwrites the other", _weighed(_last_expert_wins), "of a token's K answers only the last is left, "
       "that of the highest expert number. `y[token] = …` and `+=` write once for equal indices; `index_add` adds."),
    _y("The rows were not put back", _not_put_back, "the answers were folded as they came, expert by expert. Row i "
       "belongs to place `order[i]`, so to token `order[i] // K`."),
    _y("The permutation the wrong way round", _put_wrong_way, "`out[order]` sorts once more. To undo `order`, index "
       "with `order.argsort()`, or add at `order // K`."),
    _y("Rows in the wrong slices", _by_choice, "places were sorted choice by choice and read token by token, so tokens "
       "went to experts that they never chose: `flatten` without transposing."),
    _y("Rows were not sorted", _gathered(lambda order, ids: torch.arange(len(order)) // ids.shape[1]), "slices were "
       "cut from the rows as they stood. Sorted row i is token `order[i] // K`."),
    _y("The remainder, not the token", _gathered(lambda order, ids: order % ids.shape[1]), "`order % K` is the number "
       "of the choice. The token is `order // K`."),
    _y("Places were counted choice by choice", _gathered(lambda order, ids: order % len(ids)), "the rows were those of "
       "token `order % N`. Places run token by token: the token is `order // K`."),
    _y("Slices and experts do not belong together", _chosen(_silent_skipped), "where an expert has no token, those "
       "after it get the slices of others. Counts need a 0 for it: `bincount` with `minlength`."),
    _y("Place j instead of expert `expert_ids[:, j]`",
       _chosen(lambda ids, _: torch.arange(ids.shape[1]).expand_as(ids)), "choice j went to expert j. `expert_ids` "
       "names the expert."),
    _y("The token itself is added", lambda x, *rest: x + reference(x, *rest), "`x` is in the sum as well. Keeping it "
       "is the affair of the block around the layer."),
)  # fmt: skip
OF_THE_WORK = (
    seen("Every expert computes every token", _all_on_all, lambda a:
         f"{_rows_text(a)}: right numbers, but the work of {len(a.args[4])} experts for every token. Only gathered "
         "rows go through an expert."),
    seen("More rows than needed", lambda a: not a.right("rows"), lambda a: f"{_rows_text(a)}."),
    seen("Many small products", lambda a: not a.right("products"), lambda a:
         f"{_products_text(a)}: all rows of an expert can go through it at once, gathered in one slice."),
)  # fmt: skip

SPARSE_FORWARD = Exercise(
    id="4.4",
    name="sparse_forward",
    parameters=("x", "weights", "expert_ids", "gate_up", "down"),
    sizes="NDKEfF",  # f is two F
    outputs=(Output("y", "N, D"),),
    reference=reference,
    cases=cases,
    mistakes=(*OF_FORM, *OF_THE_ORDER, *OF_THE_WEIGHTS, *OF_THE_EXPERT, *OF_THE_WORK),
    hints=(
        "Order and counts as in 4.2, then three steps: gather the rows of `x` in that order, cut them into one slice "
        "for each expert, and bring back what comes out as in 4.3.",
        "`split` takes a list of lengths, the counts; `zip` goes through slices and matrices together. The first "
        "product gives gate and up side by side, `chunk` parts them; `torch.cat` makes one tensor of all answers.",
    ),
    minutes=15,
    lines="about 9 lines",
    done="A sparse layer that computes what it needs, equal to the loop in value and in all four gradients.",
    watch=A_SLICE_EACH,
)
