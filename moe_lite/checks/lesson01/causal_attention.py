"""Exercise 1.5, causal_attention: each token's weighted sum of the values up to its own position."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, first_difference, number, shape_text
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
from moe_lite.checks.engine.mistakes import not_finite, ruled, seen

F32, F64 = torch.float32, torch.float64


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, k, v (B, H, T, S) -> out (B, H, T, S), one position after the other."""
    rows = []
    for t in range(q.shape[2]):
        scores = (q[:, :, t, None] * k[:, :, : t + 1]).sum(dim=-1) / q.shape[3] ** 0.5  # (B, H, t+1)
        powers = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp()
        weights = powers / powers.sum(dim=-1, keepdim=True)  # (B, H, t+1)
        rows.append((weights[..., None] * v[:, :, : t + 1]).sum(dim=2))  # (B, H, S)
    return torch.stack(rows, dim=2)


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 2, 3, 5, 4), _random(2, 3, 2, 4, 8), _random(3, 1, 4, 6, 3))
    single = (_random(4, 2, 3, 1, 6),)
    other_type = _random(5, 2, 4, 7, 6, F32)
    strong = (_random(6, 2, 3, 5, 4, F32, scale=40.0), _shifted(7))
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1, 2)) for t in plain[:2])
    return (
        Case("shapes and types", (*plain, other_type), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("weighted sums", plain, ("out",)),
        Case("one position", single, ("out",)),
        Case("large and low scores", strong, ("out",)),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(
    seed: int, n_batch: int, n_heads: int, length: int, size: int, dtype: torch.dtype = F64, scale: float = 1.5
) -> Trial:
    g = inputs.generator(seed)
    q, k, v = (torch.randn(n_batch, n_heads, length, size, dtype=F64, generator=g).round(decimals=3) for _ in range(3))
    return Trial(((q * scale).to(dtype), k.to(dtype), v.to(dtype)), inputs.note(seed, dtype))


def _shifted(seed: int) -> Trial:
    """Every score lies near -6,000: a mask filled with a number that is not low enough wins."""
    q, k, v = _random(seed, 2, 3, 5, 4).args
    q, k = q.clone(), k.clone()
    q[..., 0], k[..., 0] = 100.0, -120.0
    return Trial((q, k, v), f"{inputs.note(seed, F64)}, scores near -6,000")


def _products(q: Tensor, k: Tensor) -> Tensor:
    """q · k of every pair of positions. (B, H, T, S) twice -> (B, H, T, T), queries down, keys across."""
    return (q[:, :, :, None] * k[:, :, None]).sum(dim=-1)


def _past(length: int, ahead: int = 0) -> Tensor:
    """True where key position <= query position + `ahead`. (T, T)."""
    return torch.arange(length)[None, :] <= torch.arange(length)[:, None] + ahead


def _mixed(weights: Tensor, v: Tensor) -> Tensor:
    return (weights[..., None] * v[:, :, None]).sum(dim=3)


def _scaled(scale: Callable[[Tensor], float]) -> Callable[..., Tensor]:
    """A rule that multiplies the products with scale(q) where 1/√S is due; all else is right."""
    return lambda q, k, v: reference(q * scale(q) * q.shape[3] ** 0.5, k, v)


def _weighted(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule that makes weights (B, H, T, T) of the scores and the mask."""
    return lambda q, k, v: _mixed(rule(_products(q, k) / q.shape[3] ** 0.5, _past(q.shape[2])), v)


def _masked(ahead: int) -> Callable[..., Tensor]:
    return _weighted(lambda s, past: s.masked_fill(~_past(s.shape[2], ahead), -torch.inf).softmax(dim=-1))


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """The right weights. (B, H, T, T)."""
    scores = _products(q, k) / q.shape[3] ** 0.5
    return scores.masked_fill(~_past(q.shape[2]), -torch.inf).softmax(dim=-1)


def _between_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Dimension 1 taken for time: each head looks at the heads before it."""
    return reference(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def _from_row_1(attempt: Attempt) -> Tensor | None:
    """The learner's answer without the first position, if there is more than one."""
    got, expected = attempt.got["out"], attempt.expected["out"]
    return got[:, :, 1:] if got.shape == expected.shape and got.shape[2] > 1 else None


def _own_masked(attempt: Attempt) -> bool:
    """Right for a mask that also rules out the own position; its first row has nothing left to look at."""
    rest = _from_row_1(attempt)
    return rest is not None and close(rest, _masked(-1)(*attempt.args)[:, :, 1:])


def _past_masked(attempt: Attempt) -> bool:
    """Right, up to the last position, for a mask with True and False exchanged; the last has nothing to look at."""
    rule = _weighted(lambda s, past: s.masked_fill(past, -torch.inf).softmax(dim=-1))
    rest = _from_row_1(attempt)
    return rest is not None and close(attempt.got["out"][:, :, :-1], rule(*attempt.args)[:, :, :-1])


def _own_masked_sentence(attempt: Attempt) -> str:
    first = attempt.got["out"][0, 0, 0, 0].item()
    why = " and softmax over nothing is nan" if first != first else ""
    return (
        f"Position 0 has nothing to look at{why}: its first number is {number(first)}, expected "
        f"{number(float(attempt.expected['out'][0, 0, 0, 0]))}. A position sees itself: the diagonal belongs to the "
        "triangle."
    )


def _all_nan(attempt: Attempt) -> bool:
    got, (q, k, _) = attempt.got["out"], attempt.args
    small = float(_products(q, k).abs().max()) < 80  # nothing here could overflow
    return small and got.dim() == 4 and got.shape[2] > 1 and bool(got.isnan().all())


def _overflows(attempt: Attempt) -> bool:
    q, k, _ = attempt.args
    return not_finite(attempt) and float(_products(q, k).abs().max()) >= 80


def _sees_the_future(attempt: Attempt) -> bool:
    """Where scores are low, right only for a mask that did not rule anything out."""
    low = float(_products(*attempt.args[:2]).max()) < -1000
    return low and not not_finite(attempt) and attempt.got["out"].shape == attempt.expected["out"].shape


def _mean_score(attempt: Attempt) -> str:
    q, k, _ = attempt.args
    return f"{float(_products(q, k).mean()) / q.shape[3] ** 0.5:,.0f}".replace("-", "−")


def _weights_returned(attempt: Attempt) -> bool:
    return close(attempt.got["out"], _weights(*attempt.args[:2]))


def _other_order(attempt: Attempt) -> bool:
    """The right numbers as (B, T, H, S), or (B, T, H·S)."""
    turned = attempt.expected["out"].transpose(1, 2)
    return any(close(attempt.got["out"], wanted) for wanted in (turned, turned.flatten(2)))


def _at(attempt: Attempt) -> str:
    """The first number that differs: `out[0, 0, 2, 1]` is 0.31, expected −0.20."""
    got, expected = attempt.got["out"], attempt.expected["out"]
    index = first_difference(got, expected)
    place = ", ".join(map(str, index))
    return f"`out[{place}]` is {number(float(got[index]))}, expected {number(float(expected[index]))}"


def _mean_weights(q: Tensor, k: Tensor) -> Tensor:
    """One set of weights for all heads, from the mean of their scores."""
    scores = _products(q, k).mean(dim=1, keepdim=True) / q.shape[3] ** 0.5
    return scores.masked_fill(~_past(q.shape[2]), -torch.inf).softmax(dim=-1).expand(-1, q.shape[1], -1, -1)


def _ruled(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    """A mistake recognised by its numbers, told with the first of them that differs."""
    return ruled(title, rule, lambda a: f"{_at(a)}: {sentence}")


def _head(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(T, S) of the first text and head that differ."""
    got, expected = attempt.got["out"], attempt.expected["out"]
    if got.shape != expected.shape or close(got, expected):
        return None
    return outputs["out"][first_difference(got, expected)[:2]]


MISTAKES = (
    _ruled("There is no mask", _weighted(lambda s, past: s.softmax(dim=-1)),
           "position 0 also looks at those that come later. The model would read the answer off the next position."),
    _ruled("The mask is the wrong way round", _weighted(lambda s, past: s.masked_fill(past.T.logical_not(),
           -torch.inf).softmax(dim=-1)), "yours looks at its own position and later ones. It is the earlier ones that "
           "are known."),
    seen("The mask is the wrong way round", _past_masked, lambda a:
         f"{_at(a)}: yours rules out the positions up to its own and keeps those that come later."),
    seen("A position does not see itself", _own_masked, _own_masked_sentence),
    _ruled("The mask ends one position too late", _masked(1), "each position also looks at the next one, which it is "
           "meant to predict."),
    _ruled("Masked with 0", _weighted(lambda s, past: s.masked_fill(~past, 0.0).softmax(dim=-1)),
           "a score of 0 is not nothing: exp(0) is 1. Later positions need a score whose exp is 0, −inf."),
    _ruled("Masked after the softmax", _weighted(lambda s, past: s.softmax(dim=-1) * past),
           "the weights that are left no longer sum to 1. Mask the scores, before the softmax."),
    _ruled("The scale is missing", _scaled(lambda q: 1.0), "q·k is divided by √S before the softmax."),
    _ruled("Divided by S, not by √S", _scaled(lambda q: 1 / q.shape[3]), "the scale is the square root of the head's "
           "size."),
    _ruled("Multiplied by √S", _scaled(lambda q: q.shape[3] ** 0.5), "q·k is divided by √S."),
    _ruled("Multiplied by S", _scaled(lambda q: q.shape[3] * 1.0), "q·k is divided by √S."),
    _ruled("Divided by √T", _scaled(lambda q: q.shape[2] ** -0.5), "S is the size of a head, the last dimension; yours "
           "is the length of the text."),
    _ruled("Divided by √H", _scaled(lambda q: q.shape[1] ** -0.5), "S is the size of a head, the last dimension; yours "
           "is the number of heads."),
    _ruled("Divided by √(H·S)", _scaled(lambda q: (q.shape[1] * q.shape[3]) ** -0.5), "the scale is the root of one "
           "head's size S, not of the whole width D."),
    _ruled("The scale comes after the softmax", lambda q, k, v: _scaled(lambda q: 1.0)(q, k, v) / q.shape[3] ** 0.5,
           "the scores are divided by √S, not the weights."),
    _ruled("Softmax over the queries", _weighted(lambda s, past: s.masked_fill(~past, -torch.inf).softmax(dim=-2)),
           "each query shares its weight among the keys, so softmax goes along the last dimension."),
    _ruled("Softmax over the heads", _weighted(lambda s, past: s.softmax(dim=1) * past),
           "each query shares its weight among the keys, so softmax goes along the last dimension."),
    _ruled("There is no softmax", _weighted(lambda s, past: s * past), "the scores themselves were used as weights. "
           "Softmax makes them positive, with sum 1."),
    _ruled("The exps are not divided by their sum", _weighted(lambda s, past: s.exp() * past), "a query's weights have "
           "to sum to 1."),
    _ruled("Sigmoid, not softmax", _weighted(lambda s, past: s.sigmoid() * past), "the weights of a query do not "
           "sum to 1."),
    _ruled("Every earlier position weighs the same", _weighted(lambda s, past: past / past.sum(dim=1, keepdim=True)
           + s * 0), "your weights do not depend on `q` and `k`."),
    _ruled("Queries and keys have changed places", lambda q, k, v: reference(k, q, v), "a row of scores belongs to one "
           "query: `q` comes first in the product."),
    _ruled("Weights are turned over", lambda q, k, v: _mixed(_weights(q, k).transpose(2, 3), v), "a row of weights "
           "belongs to one query, and it is multiplied with `v` as it stands."),
    _ruled("Keys instead of values", lambda q, k, v: reference(q, k, k), "the weights mix `v`; yours mix `k`."),
    _ruled("Queries instead of values", lambda q, k, v: reference(q, k, q), "the weights mix `v`; yours mix `q`."),
    _ruled("Queries instead of keys", lambda q, k, v: reference(q, q, v), "scores compare `q` with `k`; yours compare "
           "`q` with itself."),
    _ruled("Heads look at heads", _between_heads, "yours compares the heads of one position. Each head compares its "
           "own positions: dimension 2 is the time."),
    _ruled("All heads have the same weights", lambda q, k, v: _mixed(_mean_weights(q, k), v), "each head has weights "
           "of its own."),
    seen("The weights come back", _weights_returned, lambda a:
         f"`out` is {shape_text(a.got['out'])}, how much each position looks at each. Mix `v` with these weights."),
    seen("Heads and positions in another order", _other_order, lambda a:
         f"`out` is {shape_text(a.got['out'])}: the right numbers. Here they stay as they came, (B, H, T, S) = "
         f"{shape_text(a.expected['out'])}."),
    seen("0 times −inf", _all_nan, lambda a:
         f"All {a.got['out'].numel()} numbers are nan. 0 · (−inf) is nan, and so is a sum with it: put −inf in with "
         "`masked_fill`, where the mask says so, without multiplying."),
    seen("`exp` overflows", _overflows, lambda a:
         f"{int((~a.got['out'].isfinite()).sum())} of {a.got['out'].numel()} numbers are nan or inf: q·k reaches "
         f"{number(float(_products(*a.args[:2]).abs().max()), 0)}, too much for `exp`. Take each row's largest score "
         "away first; `softmax` does."),
    seen("The mask's number is not low enough", _sees_the_future, lambda a:
         f"{_at(a)}: the scores here lie near {_mean_score(a)}, below the number that fills your mask. −inf is below "
         "everything."),
)  # fmt: skip

CAUSAL_ATTENTION = Exercise(
    id="1.5",
    name="causal_attention",
    parameters=("q", "k", "v"),
    sizes="BHTS",
    outputs=(Output("out", "B, H, T, S"),),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Compare every position with every other first, a square (T, T) for each head. Then rule out the pairs where "
        "the key stands later than the query, so that softmax gives them exactly 0.",
        "Four steps: scores from `q` and `k` with its last two dimensions exchanged, divided by √S; a lower triangle "
        "of True; `masked_fill` where it is False, with a number whose exp is 0; softmax, then one product with `v`.",
    ),
    minutes=12,
    lines="about 5 lines",
    done="Without a mask the model could read the answer off the next position. Yours looks back only.",
    stretch=True,
    picture=("out of the first head that differs (T, S)", _head),
)
