"""Exercise 4.4, sparse_forward: sort, one slice per expert, put back."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import GRADIENT, Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64, note
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.lesson04.products import A_SLICE_EACH
from moe_lite.checks.lesson04.slips import last_expert_wins, of_form, of_y, wrong_weights
from moe_lite.checks.lesson04.tokens import all_to, busy_choices, normal, typed, weights_like, with_a_zero


def reference(x: Tensor, weights: Tensor, expert_ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """x (N, D), weights and expert_ids (N, K), gate_up (E, 2F, D), down (E, D, F) -> y (N, D)."""
    y = torch.zeros_like(x)  # (N, D)
    chosen = expert_ids.tolist()
    for e, (w_in, w_out) in enumerate(zip(gate_up.unbind(0), down.unbind(0), strict=True)):
        places = [(n, j) for n, row in enumerate(chosen) for j, expert in enumerate(row) if expert == e]
        token, choice = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).unbind(1)  # (n,), (n,)
        gate, up = (x[token] @ w_in.T).chunk(2, dim=-1)  # (n, F), (n, F)
        y = y.index_add(0, token, (F.silu(gate) * up) @ w_out.T * weights[token, choice, None])
    return y


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    t = trials()
    first, _ = inputs.usual(t["form"], t["plain"])
    return (
        *first,
        Case("equal to the loop", t["plain"] + t["other"], ("y",)),
        Case("experts without tokens", t["silent"], ("y",)),
        Case("K = 1; all tokens alike", t["ends"], ("y",)),
        Case("N · K rows, one slice per expert", t["plain"] + t["many"], ("rows", "products")),
        Case("sorted once, nothing copied", t["plain"] + t["many"], ("searches", "copies")),
        Case("gradients", t["gradients"], (GRADIENT,)),
    )


def trials() -> dict[str, tuple[Trial, ...]]:
    """Also those of 4.5, which computes the same. Sizes N, E, K, D, F."""
    plain = (random(1, 7, 4, 2, 5, 3), random(2, 11, 5, 3, 6, 4), random(3, 9, 6, 4, 3, 5))
    silent = (random(4, 8, 6, 2, 5, 3, (0, 3)), random(5, 7, 5, 3, 4, 6, (4,)))
    alike = (trial(7, all_to((2,), 6), 4, 5, 3), trial(8, all_to((3, 0), 7), 5, 4, 3))
    return {
        "plain": plain,
        "form": (plain[0], typed(plain[1], F32), plain[2]),
        "other": (random(11, 7, 4, 2, 5, 3),),  # the shape of the first, other values: nothing may be left over
        "silent": silent,
        "ends": (random(6, 9, 5, 1, 4, 3), *alike),
        "many": (random(9, 30, 4, 2, 5, 3),),
        "gradients": inputs.with_gradient((*plain[:2], *silent[:1], with_a_zero(plain[2])), 0, 1, 3, 4),
    }


def random(
    seed: int, n_tokens: int, n_experts: int, k: int, d_model: int, d_expert: int, silent: tuple[int, ...] = ()
) -> Trial:
    return trial(seed, busy_choices(seed, n_tokens, n_experts, k, silent), n_experts, d_model, d_expert)


def trial(seed: int, expert_ids: Tensor, n_experts: int, d_model: int, d_expert: int) -> Trial:
    x = normal(seed, len(expert_ids), d_model)
    gate_up = normal(seed + 1, n_experts, 2 * d_expert, d_model, scale=0.8)
    down = normal(seed + 2, n_experts, d_model, d_expert, scale=0.8)
    return Trial((x, weights_like(seed, expert_ids), expert_ids, gate_up, down), note(seed, F64))


def drawn(seed: int, N: int, D: int, K: int, E: int, F: int) -> tuple:
    x, weights = inputs.distinct(4 * seed, N, D), inputs.distinct(4 * seed + 1, N, K)
    gate_up, down = inputs.distinct(4 * seed + 2, E, 2 * F, D), inputs.distinct(4 * seed + 3, E, D, F)
    return x, weights, inputs.choices(seed, N, E, K), gate_up, down


def extremes(seed: int) -> tuple[Trial, ...]:
    x, weights, *rest = drawn(seed, 7, 5, 2, 4, 3)
    return (
        Trial((torch.zeros_like(x), weights, *rest), "x all 0"),
        Trial((x, torch.zeros_like(weights), *rest), "weights all 0"),
        Trial((x * 1e4, weights, *rest), "x in the ten thousands"),
        Trial(drawn(seed, 7, 6, 2, 4, 3), "2F = D = 6"),
    )


DRAWN = Drawn(
    drawn, {"N": 7, "D": 5, "K": 2, "E": 4, "F": 3}, at_most=(("K", "E"),), gradient=(0, 1, 3, 4), extremes=extremes
)  # also that of 4.5


# ---- rules -----------------------------------------------------------------------------------------------------------


def through(x: Tensor, expert: Tensor, gate_up: Tensor, down: Tensor, unit: Callable | None = None) -> Tensor:
    """Row i of x (A, D) through expert[i], (A, D); `unit` stands for silu(gate) * up."""
    gate, up = (gate_up[expert] * x[:, None]).sum(dim=-1).chunk(2, dim=-1)  # (A, F), (A, F)
    inner = unit(gate, up) if unit else F.silu(gate) * up  # (A, F)
    return (down[expert] * inner[:, None]).sum(dim=-1)


def order_of(expert_ids: Tensor) -> Tensor:
    return expert_ids.flatten().argsort(stable=True)  # (N·K,)


def computed(unit: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer if something else is made of gate and up."""

    def rule(x: Tensor, w: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        answers = through(x.repeat_interleave(w.shape[1], 0), ids.flatten(), gate_up, down, unit)  # (N·K, D)
        return (answers.unflatten(0, w.shape) * w[:, :, None]).sum(dim=1)

    return rule


def interleaved(x: Tensor, w: Tensor, ids: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return reference(x, w, ids, torch.cat([gate_up[:, 0::2], gate_up[:, 1::2]], dim=1), down)


def weighed(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with other weights (N, K) than those given."""
    return lambda x, w, ids, *matrices: reference(x, rule(w), ids, *matrices)


def at_rows(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer with other weights for the sorted rows (N·K,), made of the weights in a row and order."""

    def answer(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
        order = order_of(ids)
        weights = torch.zeros_like(w.flatten()).index_copy(0, order, rule(w.flatten(), order))
        return reference(x, weights.view_as(w), ids, *matrices)

    return answer


def weighed_before(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    rows = x.repeat_interleave(w.shape[1], 0) * w.flatten()[:, None]  # (N·K, D)
    return through(rows, ids.flatten(), *matrices).unflatten(0, w.shape).sum(dim=1)


def chosen(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer of other experts (N, K) than those chosen."""
    return lambda x, w, ids, *matrices: reference(x, w, rule(ids), *matrices)


def gathered(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer if the rows of other tokens (N·K,) are gathered, by a rule of order and expert_ids; put back is by
    the right ones."""

    def answer(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
        order = order_of(ids)
        return added(x, order, rule(order, ids), w, ids.flatten()[order], matrices)

    return answer


def by_choice(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
    """Places counted choice by choice for sorting, token by token for all else: rows land in others' slices."""
    order = ids.T.flatten().argsort(stable=True)
    return added(x, order, order // ids.shape[1], w, ids.flatten().sort().values, matrices)


def added(x: Tensor, order: Tensor, token: Tensor, w: Tensor, expert: Tensor, matrices: tuple) -> Tensor:
    """Rows of x at token (N·K,) through expert (N·K,), weighed and put back by order (N·K,)."""
    rows = through(x[token], expert, *matrices) * w.flatten()[order, None]  # (N·K, D)
    return torch.zeros_like(x).index_add(0, order // w.shape[1], rows)


def folded(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The answer if the weighted answers, expert by expert (N·K, D), are put in another way by a rule of them and
    order, and summed K at a time."""

    def answer(x: Tensor, w: Tensor, ids: Tensor, *matrices: Tensor) -> Tensor:
        order = order_of(ids)
        rows = through(x[order // ids.shape[1]], ids.flatten()[order], *matrices) * w.flatten()[order, None]
        return rule(rows, order).unflatten(0, w.shape).sum(dim=1)

    return answer


# ---- mistakes: those of y are also 4.5's -----------------------------------------------------------------------------

OF_THE_EXPERT = (
    of_y("Gate and up have changed places", computed(lambda gate, up: F.silu(up) * gate), "silu went over the last F "
         "rows of `gate_up`. The gate is the first half."),
    of_y("Gates and ups taken in turns", interleaved, "every second row was taken for a gate. The gate is the first F "
         "rows, up the last F."),
    of_y("There is no silu", computed(lambda gate, up: gate * up), "gate and up were multiplied as they are. The gate "
         "goes through silu first."),
    of_y("Sigmoid, not silu", computed(lambda gate, up: gate.sigmoid() * up), "silu(z) is z · sigmoid(z)."),
    of_y("Another function than silu", computed(lambda gate, up: gate.relu() * up), "the gate went through relu."),
    of_y("Another function than silu", computed(lambda gate, up: F.gelu(gate) * up), "the gate went through gelu."),
    of_y("Silu after the product", computed(lambda gate, up: F.silu(gate * up)), "silu goes over the gate alone, "
         "before it is multiplied with up."),
    of_y("Silu over both", computed(lambda gate, up: F.silu(gate) * F.silu(up)), "only the gate goes through silu."),
    of_y("Gate and up are added", computed(lambda gate, up: F.silu(gate) + up), "they are multiplied, number by "
         "number."),
    of_y("The gate alone", computed(lambda gate, up: F.silu(gate)), "up is missing: silu(gate) is multiplied with it."),
)  # fmt: skip
OF_THE_WEIGHTS = (
    of_y("Weighted before the expert", weighed_before, "the weight multiplies what goes into the expert. It belongs to "
         "what comes out."),
    of_y("The weights were not sorted with the rows", at_rows(lambda w, order: w), "sorted row i has the weight of "
         "place i. It answers place `order[i]`, and needs the weight from there."),
    of_y("The weights were sorted the wrong way round", at_rows(lambda w, order: w[order.argsort()]), "sorted row i "
         "needs the weight of place `order[i]`: index with `order` itself."),
    *wrong_weights(weighed, {
        "The weights are missing": "answers are added as they are.",
        "A mean instead of weights": "this is the plain mean of the token's K answers.",
        "Divided by the number of choices": "a mean over the choices, where a sum is due.",
        "The weights are applied twice": "each answer is multiplied by its weight squared.",
        "The weights were normalised": "a token's weights were divided by their sum. Take them as they come.",
        "The weight of the first choice for all": "every answer of a token has the weight `weights[n, 0]`.",
        "Only the first choice counts": "a token has the answer of its first choice only.",
    }),
)  # fmt: skip
OF_THE_ORDER = (
    of_y("Nothing was written", lambda x, *_: torch.zeros_like(x), "all of `y` is 0. `index_add` without an underscore "
         "gives a new tensor, and leaves the old one as it was."),
    of_y("One answer overwrites the other", lambda x, w, ids, *rest: reference(x, last_expert_wins(w, ids), ids,
         *rest), "of a token's K answers only the last is left, that of the highest expert number. `y[token] = …` and "
         "`+=` write once for equal indices; `index_add` adds."),
    of_y("The rows were not put back", folded(lambda rows, order: rows), "the answers were folded as they came, expert "
         "by expert. Row i belongs to place `order[i]`, so to token `order[i] // K`."),
    of_y("The permutation the wrong way round", folded(lambda rows, order: rows[order]), "`out[order]` sorts once "
         "more. To undo `order`, index with `order.argsort()`, or add at `order // K`."),
    of_y("Rows in the wrong slices", by_choice, "places were sorted choice by choice and read token by token, so "
         "rows went to other experts than their choice named: `flatten` without transposing."),
    of_y("Rows were not sorted", gathered(lambda order, ids: torch.arange(len(order)) // ids.shape[1]), "slices were "
         "cut from the rows as they stood. Sorted row i is token `order[i] // K`."),
    of_y("The remainder, not the token", gathered(lambda order, ids: order % ids.shape[1]), "`order % K` is the number "
         "of the choice. The token is `order // K`."),
    of_y("Places were counted choice by choice", gathered(lambda order, ids: order % len(ids)), "the rows were those "
         "of token `order % N`. Places run token by token: the token is `order // K`."),
    of_y("Slices and experts do not belong together", chosen(lambda ids: ids.unique(return_inverse=True)[1]), "where "
         "an expert has no token, those after it get the slices of others. Counts need a 0 for it: `bincount` with "
         "`minlength`."),
    of_y("Place j instead of expert `expert_ids[:, j]`", chosen(lambda ids: torch.arange(ids.shape[1]).expand_as(ids)),
         "choice j went to expert j. `expert_ids` names the expert."),
    of_y("The token itself is added", lambda x, *rest: x + reference(x, *rest), "`x` is in the sum as well. Keeping it "
         "is the job of the block around the layer."),
)  # fmt: skip
OF_Y = (*of_form(), *OF_THE_ORDER, *OF_THE_WEIGHTS, *OF_THE_EXPERT)


def all_on_all(a: Attempt) -> bool:
    return int(a.got["rows"]) >= len(a.args[0]) * len(a.args[4]) > a.args[2].numel()


ROWS = "{rows} rows went through experts, but only N · K = {right.rows} are needed"

OF_THE_WORK = (
    sign("Every expert computes every token", all_on_all, ROWS + ": right numbers, but the work of {down.size[0]} "
         "experts for every token. Only gathered rows go through an expert."),
    sign("More rows than needed", lambda a: not a.right("rows"), ROWS + "."),
    sign("Many small products", lambda a: not a.right("products"), "{products} matrix products for {down.size[0]} "
         "experts: all rows of an expert can go through it at once, gathered in one slice."),
    sign("A matrix for each row", lambda a: int(a.got["copies"]) > 0, "Right numbers, but indexing `gate_up` or `down` "
         "with an expert for each row copies a whole matrix N · K times. Sorted rows need each expert's matrices once, "
         "as they are."),
    sign("A search for each expert", lambda a: int(a.got["searches"]) > 1, "Right numbers, but all choices were "
         "compared {searches} times to find an expert's rows, which is the loop of 4.1. After one sort each expert's "
         "rows are a slice, and `bincount` has its length."),
)  # fmt: skip

SPARSE_FORWARD = Exercise(
    id="4.4", name="sparse_forward", parameters=("x", "weights", "expert_ids", "gate_up", "down"), sizes="NDKEfF",
    outputs=(Output("y", "N, D"),), reference=reference, cases=cases, mistakes=(*OF_Y, *OF_THE_WORK),
    watch=A_SLICE_EACH,
    drawn=DRAWN,
    hints=(
        "Order and counts as in 4.2, then three steps: gather the rows of `x` in that order, cut them into one slice "
        "for each expert, and bring back what comes out as in 4.3.",
        "`split` takes a list of lengths, the counts; `zip` goes through slices and matrices together. The first "
        "product gives gate and up side by side, `chunk` splits them; `torch.cat` makes one tensor of all answers.",
    ),
    minutes=15, lines="about 9 lines",
    done="A sparse layer that computes what it needs, equal to the loop in value and in all four gradients.",
)  # fmt: skip
