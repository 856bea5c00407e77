"""Exercise 1.5, causal_attention: each token's weighted sum of the values up to its own position."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, first_difference, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.engine.say import said

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]  # of q, k and v


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, k, v (B, H, T, S) -> out (B, H, T, S), one position after the other."""
    rows = []
    for t in range(q.shape[2]):
        scores = (q[:, :, t, None] * k[:, :, : t + 1]).sum(dim=-1) / q.shape[3] ** 0.5  # (B, H, t+1)
        powers = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp()
        weights = powers / powers.sum(dim=-1, keepdim=True)  # (B, H, t+1)
        rows.append((weights[..., None] * v[:, :, : t + 1]).sum(dim=2))  # (B, H, S)
    return torch.stack(rows, dim=2)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 2, 3, 5, 4), random(2, 3, 2, 4, 8), random(3, 1, 4, 6, 3))
    single, other_type = random(4, 2, 3, 1, 6), random(5, 2, 4, 7, 6, F32)
    strong = (random(6, 2, 3, 5, 4, F32, scale=40.0), shifted(7))
    first, last = inputs.usual((*plain, other_type), plain, gradient=(0, 1, 2), through=plain[:2])
    return (
        *first,
        Case("weighted sums", plain, ("out",)),
        Case("one position", (single,), ("out",)),
        Case("large and low scores", strong, ("out",)),
        *last,
    )


def random(
    seed: int, n_batch: int, n_heads: int, length: int, size: int, dtype: torch.dtype = F64, scale: float = 1.5
) -> Trial:
    g = inputs.generator(seed)
    q, k, v = (torch.randn(n_batch, n_heads, length, size, dtype=F64, generator=g).round(decimals=3) for _ in range(3))
    return Trial(((q * scale).to(dtype), k.to(dtype), v.to(dtype)), inputs.note(seed, dtype))


def shifted(seed: int) -> Trial:
    """Every score lies near -6,000: a mask filled with a number that is not low enough wins."""
    q, k, v = random(seed, 2, 3, 5, 4).args
    q, k = q.clone(), k.clone()
    q[..., 0], k[..., 0] = 100.0, -120.0
    return Trial((q, k, v), f"{inputs.note(seed, F64)}, scores near -6,000")


def drawn(seed: int, B: int, H: int, T: int, S: int) -> tuple:
    shape = (B, H, T, S) if T < 1000 else (1, 1, T, S)
    return tuple(inputs.distinct(3 * seed + place, *shape) for place in range(3))


def extremes(seed: int) -> tuple[Trial, ...]:
    q, k, v = drawn(seed, 2, 3, 5, 4)
    return (
        Trial((torch.zeros_like(q), k, v), "q all 0"),
        Trial((q * 1e3, k, v), "scores in the thousands, float64"),
        Trial((q.abs() + 1e3, k.abs() + 1e3, v), "scores near 2,000,000, float64"),
        Trial((q.abs() + 1e3, -k.abs() - 1e3, v), "scores near -2,000,000, float64"),
        Trial((q, k, v * 1e6 + 1e6), "values in the millions"),
        Trial((q, k, torch.zeros_like(v)), "values all 0"),
    )


DRAWN = Drawn(
    drawn, {"B": 2, "H": 3, "T": 5, "S": 4}, long="T", thousands=1103, wide="S", gradient=(0, 1, 2), extremes=extremes
)


# ---- attention in four steps, each of which can go wrong -------------------------------------------------------------


def products(q: Tensor, k: Tensor) -> Tensor:
    """q · k of every pair of positions. (B, H, T, S) twice -> (B, H, T, T), queries down, keys across."""
    return (q[:, :, :, None] * k[:, :, None]).sum(dim=-1)


def up_to(length: int, ahead: int = 0) -> Tensor:
    """True where key position <= query position + `ahead`. (T, T)."""
    return torch.arange(length)[None, :] <= torch.arange(length)[:, None] + ahead


def softmax_where(scores: Tensor, allowed: Tensor) -> Tensor:
    return scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1)


def mixed(weights: Tensor, v: Tensor) -> Tensor:
    return (weights[..., None] * v[:, :, None]).sum(dim=3)


def right_weights(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return softmax_where(products(q, k) / q.shape[3] ** 0.5, up_to(q.shape[2]))  # (B, H, T, T)


def weighted(rule: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """Weights (B, H, T, T) made of the scores and of what is past (T, T) by another rule."""
    return lambda q, k, v: mixed(rule(products(q, k) / q.shape[3] ** 0.5, up_to(q.shape[2])), v)


def scaled(scale: Callable[[Tensor], float]) -> Rule:
    """The products multiplied with scale(q) where 1/√S is due; all else is right."""
    return lambda q, k, v: reference(q * scale(q) * q.shape[3] ** 0.5, k, v)


def masked(ahead: int) -> Rule:
    """A mask whose edge lies so many positions later."""
    return weighted(lambda s, past: softmax_where(s, up_to(s.shape[2], ahead)))


def between_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Dimension 1 taken for time: each head looks at the heads before it."""
    return reference(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def from_the_mean(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One set of weights for all heads, from the mean of their scores."""
    scores = products(q, k).mean(dim=1, keepdim=True) / q.shape[3] ** 0.5  # (B, 1, T, T)
    return mixed(softmax_where(scores, up_to(q.shape[2])), v)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def rows_like(rule: Rule, rows: slice) -> Callable[[Attempt], bool]:
    """Whether these positions are as a rule gives them that leaves the others nothing to look at."""

    def shows(a: Attempt) -> bool:
        got = a.got["out"]
        comparable = got.shape == a.expected["out"].shape and got.shape[2] > 1
        return comparable and close(got[:, :, rows], rule(*a.args)[:, :, rows])

    return shows


def own_is_masked(a: Attempt) -> str:
    first = a.got["out"][0, 0, 0, 0]
    return said(
        "Position 0 has nothing to look at{why}: its first number is {out[0][0][0][0]}, expected "
        "{right.out[0][0][0][0]}. A position sees itself: the diagonal belongs to the triangle.",
        a, why=" and softmax over nothing is nan" if first.isnan() else "",
    )  # fmt: skip


def largest_product(a: Attempt) -> float:
    return float(products(*a.args[:2]).abs().max())


def all_nan(a: Attempt) -> bool:
    got = a.got["out"]
    nothing_overflows = largest_product(a) < 80
    return nothing_overflows and got.dim() == 4 and got.shape[2] > 1 and bool(got.isnan().all())


def only_the_last_is_right(a: Attempt) -> bool:
    """The last position, for which nothing is masked, is right; no other is finite."""
    got, expected = a.got["out"], a.expected["out"]
    if got.shape != expected.shape or got.shape[2] < 2:
        return False
    before = got[:, :, :-1]
    return close(got[:, :, -1:], expected[:, :, -1:]) and not bool(before.isfinite().any())


def masked_with_plus(a: Attempt) -> bool:
    return only_the_last_is_right(a) and bool(a.got["out"][:, :, :-1].isnan().all())


def sees_the_future(a: Attempt) -> bool:
    """Where scores are low, right only for a mask that did not rule anything out."""
    low = float(products(*a.args[:2]).max()) < -1000
    return low and of_shape(a) and not first_is_right(a) and bool(a.got["out"].any())


def of_shape(a: Attempt) -> bool:
    return a.got["out"].shape == a.expected["out"].shape and not not_finite(a)


def first_is_right(a: Attempt) -> bool:
    """Position 0, which has one weight only."""
    return close(a.got["out"][:, :, 0], a.expected["out"][:, :, 0])


def flattened(a: Attempt) -> bool:
    """Where scores are large, position 0 is right and others are not: something is done to scores of that size."""
    return largest_product(a) > 80 and of_shape(a) and first_is_right(a)


def all_zero(a: Attempt) -> bool:
    """Some whole position is 0 where scores are large."""
    return largest_product(a) > 80 and of_shape(a) and bool((a.got["out"] == 0).all(dim=-1).any())


def mean_score(a: Attempt) -> str:
    q, k, _ = a.args
    return f"{float(products(q, k).mean()) / q.shape[3] ** 0.5:,.0f}".replace("-", "−")


def other_order(a: Attempt) -> bool:
    """The right numbers as (B, T, H, S), or (B, T, H·S)."""
    turned = a.expected["out"].transpose(1, 2)
    return any(close(a.got["out"], wanted) for wanted in (turned, turned.flatten(2)))


def head(a: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(T, S) of the first text and head that differ."""
    got, expected = a.got["out"], a.expected["out"]
    if got.shape != expected.shape or close(got, expected):
        return None
    return outputs["out"][first_difference(got, expected)[:2]]


MISTAKES = (
    wrong("There is no mask", weighted(lambda s, past: s.softmax(dim=-1)), "{out.first}: position 0 also looks at "
          "those that come later. The model would read the answer off the next position."),
    wrong("The mask is the wrong way round", weighted(lambda s, past: softmax_where(s, past.T)), "{out.first}: yours "
          "looks at its own position and later ones. It is the earlier ones that are known."),
    sign("The mask is the wrong way round", rows_like(weighted(lambda s, past: softmax_where(s, ~past)),
         slice(None, -1)), "{out.first}: yours rules out the positions up to its own and keeps those that come later."),
    sign("A position does not see itself", rows_like(masked(-1), slice(1, None)), own_is_masked),
    wrong("The mask ends one position too late", masked(1), "{out.first}: each position also looks at the next one, "
          "which it is meant to predict."),
    wrong("Masked with 0", weighted(lambda s, past: s.masked_fill(~past, 0.0).softmax(dim=-1)), "{out.first}: a score "
          "of 0 is not nothing: exp(0) is 1. Later positions need a score whose exp is 0, −inf."),
    wrong("Masked after the softmax", weighted(lambda s, past: s.softmax(dim=-1) * past), "{out.first}: the weights "
          "that are left no longer sum to 1. Mask the scores, before the softmax."),
    wrong("The scale is missing", scaled(lambda q: 1.0), "{out.first}: q·k is divided by √S before the softmax."),
    wrong("Divided by S, not by √S", scaled(lambda q: 1 / q.shape[3]), "{out.first}: the scale is the square root of "
          "the head's size."),
    wrong("Multiplied by √S", scaled(lambda q: q.shape[3] ** 0.5), "{out.first}: q·k is divided by √S."),
    wrong("Multiplied by S", scaled(lambda q: q.shape[3] * 1.0), "{out.first}: q·k is divided by √S."),
    wrong("Divided by √T", scaled(lambda q: q.shape[2] ** -0.5), "{out.first}: S is the size of a head, the last "
          "dimension; yours is the length of the text."),
    wrong("Divided by √H", scaled(lambda q: q.shape[1] ** -0.5), "{out.first}: S is the size of a head, the last "
          "dimension; yours is the number of heads."),
    wrong("Divided by √(H·S)", scaled(lambda q: (q.shape[1] * q.shape[3]) ** -0.5), "{out.first}: the scale is the "
          "root of one head's size S, not of the whole width D."),
    wrong("The scale comes after the softmax", lambda q, k, v: scaled(lambda q: 1.0)(q, k, v) / q.shape[3] ** 0.5,
          "{out.first}: the scores are divided by √S, not the weights."),
    wrong("Softmax over the queries", weighted(lambda s, past: s.masked_fill(~past, -torch.inf).softmax(dim=-2)),
          "{out.first}: each query shares its weight among the keys, so softmax goes along the last dimension."),
    wrong("Softmax over the heads", weighted(lambda s, past: s.softmax(dim=1) * past), "{out.first}: each query shares "
          "its weight among the keys, so softmax goes along the last dimension."),
    wrong("There is no softmax", weighted(lambda s, past: s * past), "{out.first}: the scores themselves were used as "
          "weights. Softmax makes them positive, with sum 1."),
    wrong("The exps are not divided by their sum", weighted(lambda s, past: s.exp() * past), "{out.first}: a query's "
          "weights have to sum to 1."),
    wrong("Sigmoid, not softmax", weighted(lambda s, past: s.sigmoid() * past), "{out.first}: the weights of a query "
          "do not sum to 1."),
    wrong("Every earlier position weighs the same", weighted(lambda s, past: softmax_where(s * 0, past)),
          "{out.first}: your weights do not depend on `q` and `k`."),
    wrong("Queries and keys have changed places", lambda q, k, v: reference(k, q, v), "{out.first}: a row of scores "
          "belongs to one query: `q` comes first in the product."),
    wrong("Weights are turned over", lambda q, k, v: mixed(right_weights(q, k, v).transpose(2, 3), v), "{out.first}: a "
          "row of weights belongs to one query, and it is multiplied with `v` as it stands."),
    wrong("Keys instead of values", lambda q, k, v: reference(q, k, k), "{out.first}: the weights mix `v`; yours mix "
          "`k`."),
    wrong("Queries instead of values", lambda q, k, v: reference(q, k, q), "{out.first}: the weights mix `v`; yours "
          "mix `q`."),
    wrong("Queries instead of keys", lambda q, k, v: reference(q, q, v), "{out.first}: scores compare `q` with `k`; "
          "yours compare `q` with itself."),
    wrong("Heads look at heads", between_heads, "{out.first}: yours compares the heads of one position. Each head "
          "compares its own positions: dimension 2 is the time."),
    wrong("All heads have the same weights", from_the_mean, "{out.first}: each head has weights of its own."),
    wrong("The weights come back", right_weights, "`out` is {out.shape}, how much each position looks at each. Mix `v` "
          "with these weights."),
    sign("Heads and positions in another order", other_order, "`out` is {out.shape}: the right numbers. Here they stay "
         "as they came, (B, H, T, S) = {right.out.shape}."),
    sign("Masked with +∞", masked_with_plus, "{out.first}: only the last position, for which nothing is masked, is "
         "right. Where later positions are masked all is nan: exp(+∞) is infinite. The number to put in is −inf, "
         "whose exp is 0."),
    sign("Masked after the softmax", only_the_last_is_right, "{out.first}: only the last position, for which nothing "
         "is masked, is right. −inf stands in the weights. Put it into the scores, before the softmax."),
    sign("0 times −inf", all_nan, "All {out.numel} numbers are nan. 0 · (−inf) is nan, and so is a sum with it: put "
         "−inf in with `masked_fill`, where the mask says so, without multiplying."),
    sign("`exp` overflows", lambda a: not_finite(a) and largest_product(a) >= 80, lambda a: said("{out.not_finite} of "
         "{out.numel} numbers are nan or inf: q·k reaches {most}, too much for `exp`. Take each row's largest score "
         "away first; `softmax` does.", a, most=number(largest_product(a), 0))),
    sign("`exp` is 0 for all", all_zero, lambda a: said("Some of your positions are all zeros: scores here lie near "
         "{mean}, and `exp` of that is 0. Take each row's largest score away first; `softmax` does. Replacing nan "
         "hides it.", a, mean=mean_score(a))),
    sign("Large scores are made smaller", flattened, lambda a: said("{out.first}: right where scores are small, but "
         "q·k reaches {most} here. Is it clamped, or rounded? Softmax takes scores of any size as they are.", a,
         most=number(largest_product(a), 0)), all_or_none=True),
    sign("The mask's number is not low enough", sees_the_future, lambda a: said("{out.first}: the scores here lie near "
         "{mean}, below the number that fills your mask. −inf is below everything.", a, mean=mean_score(a))),
)  # fmt: skip

CAUSAL_ATTENTION = Exercise(
    id="1.5", name="causal_attention", parameters=("q", "k", "v"), sizes="BHTS", outputs=(Output("out", "B, H, T, S"),),
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "First compute the scores of every query with every key, a square (T, T) per head. Then mask the pairs in "
        "which the key comes later than the query, so that softmax gives them exactly 0.",
        "Four steps: scores from `q` and `k` with its last two dimensions exchanged, divided by √S; a lower triangle "
        "of True; `masked_fill` where it is False, with a number whose exp is 0; softmax, then one product with `v`.",
    ),
    minutes=12, lines="about 5 lines", stretch=True,
    done="Without a mask the model could read the answer off the next position. Yours looks back only.",
    picture=("out of the first head that differs (T, S)", head),
)  # fmt: skip
