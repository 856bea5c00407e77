"""Exercise 3.3, two_orders: softmax before the choice, and after it."""

import math

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, dtype_text, number, shape_text
from moe_lite.checks.engine.exercise import (
    FORM,
    GRADIENT,
    INPUT,
    REPEAT,
    Attempt,
    Case,
    Exercise,
    Mistake,
    Note,
    Output,
    Trial,
)
from moe_lite.checks.engine.mistakes import not_finite, row_sums, ruled, seen
from moe_lite.checks.lesson03.top_k_route import best

F32, F64 = torch.float32, torch.float64


def reference(logits: Tensor, k: int, renorm: bool) -> tuple[Tensor, Tensor]:
    """logits (N, E) -> score_first (N, k), topk_first (N, k), best expert first."""
    kept, _ = best(logits, k)  # (N, k)
    score_first = softmax(logits).gather(1, best(logits, k)[1])  # (N, k)
    if renorm:
        score_first = score_first / score_first.sum(dim=1, keepdim=True)
    return score_first, softmax(kept)


def softmax(logits: Tensor) -> Tensor:
    powers = (logits - logits.detach().amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def cases() -> tuple[Case, ...]:
    plain = tuple(_random(seed, renorm=False) for seed in (1, 2, 3))
    renormed = tuple(_random(seed, renorm=True) for seed in (2, 3))
    n_tokens, n_experts, _ = inputs.sizes(5)
    edges = tuple(
        Trial((inputs.logits(5, n_tokens, n_experts), k, renorm), f"seed 5, float64, k={k}, renorm={renorm}")
        for k, renorm in ((1, True), (1, False), (n_experts, False))
    )
    large = (_random(8, renorm=False, dtype=F32, scale=120.0),)
    low = plain[0].args[0] - 200  # a softmax does not see the shift
    shifted = (Trial((low, *plain[0].args[1:]), f"{plain[0].note}, logits near -200"),)
    gradient = tuple(Trial(t.args, t.note, gradient=(0,)) for t in (plain[0], renormed[0]))
    both = ("score_first", "topk_first")
    return (
        Case("shapes and types", (_random(1, renorm=True, dtype=F32), *plain[1:]), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("score_first, renorm=False", plain, ("score_first",)),
        Case("score_first, renorm=True", renormed, ("score_first",)),
        Case("topk_first", plain + renormed, ("topk_first",)),
        Case("k = 1 and k = E", edges, both),
        Case("large and low logits", large + shifted, both),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(seed: int, renorm: bool, dtype: torch.dtype = F64, scale: float = 1.5) -> Trial:
    n_tokens, n_experts, k = inputs.sizes(seed)
    made = inputs.logits(seed, n_tokens, n_experts, dtype, scale)
    return Trial((made, k, renorm), f"{inputs.note(seed, dtype)}, renorm={renorm}")


def _chosen(scores: Tensor, logits: Tensor, k: int) -> Tensor:
    """The scores (N, E) of the k best experts by logit."""
    return scores.gather(1, best(logits, k)[1])  # (N, k)


def _all_scores(logits: Tensor, k: int) -> Tensor:
    return _chosen(softmax(logits), logits, k)


def _masked_with_zero(logits: Tensor, k: int) -> Tensor:
    """topk_first after putting 0 in place of every logit that is not kept: zeros still win over negative logits."""
    kept, ids = best(logits, k)
    return softmax(torch.zeros_like(logits).scatter(1, ids, kept)).gather(1, ids)


def _ids(logits: Tensor, k: int) -> Tensor:
    return best(logits, k)[1]


def _numbers(attempt: Attempt) -> Note | None:
    whole = [name for name, got in attempt.got.items() if not got.is_floating_point()]
    if not whole:
        return None
    names = " and ".join(f"`{name}`" for name in whole)
    return Note(
        "Expert numbers, not weights", f"{names}: whole numbers came, the weights of the experts are asked for."
    )


def _twice(logits: Tensor, k: int, renorm: bool) -> Tensor:
    return softmax(_all_scores(logits, k)) if renorm else _all_scores(logits, k)


def _divided_down(logits: Tensor, k: int, renorm: bool) -> Tensor:
    kept = _all_scores(logits, k)
    return kept / kept.sum(dim=0, keepdim=True) if renorm else kept


def _divided_by_one_sum(logits: Tensor, k: int, renorm: bool) -> Tensor:
    kept = _all_scores(logits, k)
    return kept / kept.sum() if renorm else kept


def _lowest(logits: Tensor, k: int, renorm: bool) -> tuple[Tensor, Tensor]:
    """What comes out if the smallest are kept, smallest first."""
    ids = best(-logits, k)[1]
    score_first = softmax(logits).gather(1, ids)
    if renorm:
        score_first = score_first / score_first.sum(dim=1, keepdim=True)
    return score_first, softmax(logits.gather(1, ids))


def _by_number(attempt: Attempt) -> bool:
    ids = _ids(*attempt.args[:2]).argsort(dim=-1)
    return attempt.equals(*(value.gather(1, ids) for value in attempt.expected.values()))


def _dense(attempt: Attempt) -> bool:
    logits, k, _ = attempt.args
    return k < logits.shape[1] and any(got.shape == logits.shape for got in attempt.got.values())


def _backwards(attempt: Attempt) -> bool:
    pairs = [(attempt.got[name], attempt.expected[name].flip(-1)) for name in attempt.expected]
    turned = [close(got, wanted) for got, wanted in pairs]
    return any(turned) and all(t or attempt.right(name) for t, name in zip(turned, attempt.expected, strict=True))


MISTAKES = (
    seen("All E columns come back", _dense, lambda a:
         f"Expected two arrays ({len(a.args[0])}, {a.args[1]}), got "
         f"{' and '.join(shape_text(got) for got in a.got.values())}: only the k kept experts are wanted."),
    seen("`exp` overflows", not_finite, lambda a:
         f"Some results are nan or inf: the largest logit is {number(float(a.args[0].max()))}, and "
         f"{dtype_text(a.args[0])} ends at exp({int(math.log(torch.finfo(a.args[0].dtype).max))}). Subtract each row's "
         "largest logit first; softmax does."),
    ruled("The smallest logits are kept", _lowest,
          "Your numbers are those of the k worst experts: is the sort ascending?"),
    seen("The order is worst first", _backwards,
         "The right numbers, each row from small to large. Best expert first: sort descending."),
    seen("The order is by expert number", _by_number,
         "The right numbers, in the order of the experts' numbers. Best expert first."),
    ruled("One sum for all tokens", lambda z, k, renorm: (_divided_by_one_sum(z, k, renorm), None), lambda a:
          f"With renorm=True each row of `score_first` should sum to 1; yours sum to {row_sums(a, 'score_first')}, "
          "and to 1 all together. Every token has its own sum: over the last dimension, keeping it."),
    ruled("`renorm` is ignored", lambda z, k, renorm: (_all_scores(z, k), None), lambda a:
          f"With renorm=True the rows of `score_first` should sum to 1; yours sum to {row_sums(a, 'score_first')}. "
          "Divide by the sum of the kept scores then."),
    ruled("`score_first` is always renormalised", lambda z, k, renorm: (softmax(best(z, k)[0]), None), lambda a:
          "With renorm=False the rows of `score_first` keep what softmax over all E gave them: "
          f"they should sum to {number(float(a.expected['score_first'][0].sum()), 4)} in row 0. Yours sum to 1: either "
          "you always divide, or softmax saw only the kept logits."),
    ruled("`renorm` is the wrong way round", lambda z, k, renorm: (reference(z, k, not renorm)[0], None), lambda a:
          f"With renorm={a.args[2]} your rows of `score_first` sum to {row_sums(a, 'score_first')}: the condition is "
          "turned."),
    ruled("`topk_first` takes its softmax over all experts", lambda z, k, renorm: (None, _all_scores(z, k)), lambda a:
          f"Rows of `topk_first` sum to {row_sums(a, 'topk_first')}. The dropped experts must not take part: softmax "
          "over the k kept logits alone."),
    ruled("Both softmaxes see all experts, `renorm` is ignored",
          lambda z, k, renorm: (_all_scores(z, k), _all_scores(z, k)), lambda a:
          f"Rows of `topk_first` sum to {row_sums(a, 'topk_first')}: keep the k largest logits first, then softmax "
          "over those alone."),
    ruled("`renorm` belongs to `score_first` only", lambda z, k, renorm: (None, reference(z, k, renorm)[0]), lambda a:
          f"Rows of `topk_first` sum to {row_sums(a, 'topk_first')}. It is the same with and without renorm: softmax "
          "over the k kept logits always sums to 1."),
    ruled("`topk_first` has no softmax", lambda z, k, renorm: (None, best(z, k)[0]), lambda a:
          f"`topk_first` holds the kept logits themselves, from {number(float(a.got['topk_first'].min()))} to "
          f"{number(float(a.got['topk_first'].max()))}. Softmax over each row is missing."),
    ruled("`score_first` has no softmax", lambda z, k, renorm: (best(z, k)[0], None), lambda a:
          f"`score_first` holds logits; the smallest is {number(float(a.got['score_first'].min()))}. Softmax over all "
          "E comes first."),
    ruled("`topk_first` is a logarithm", lambda z, k, renorm: (None, best(z, k)[0].log_softmax(dim=-1)),
          "The `exp` of your `topk_first` is right: `log_softmax` where `softmax` is meant."),
    ruled("`renorm` is another softmax", lambda z, k, renorm: (_twice(z, k, renorm), None), lambda a:
          f"With renorm=True the first weight of token 0 is {number(float(a.got['score_first'][0, 0]))}, expected "
          f"{number(float(a.expected['score_first'][0, 0]))}: divide the kept scores by their sum, without another "
          "`exp`."),
    ruled("The sum runs over the tokens", lambda z, k, renorm: (_divided_down(z, k, renorm), None), lambda a:
          f"With renorm=True your rows of `score_first` sum to {row_sums(a, 'score_first')}, the columns to 1: over "
          "which dimension did you sum?"),
    ruled("`topk_first` divides logits by their sum",
          lambda z, k, renorm: (None, best(z, k)[0] / best(z, k)[0].sum(1, True)), lambda a:
          f"Rows of `topk_first` sum to 1, but the first weight of token 0 is "
          f"{number(float(a.got['topk_first'][0, 0]))}, expected {number(float(a.expected['topk_first'][0, 0]))}: the "
          "logits were divided by their sum, without `exp`."),
    ruled("`topk_first` takes the softmax of scores", lambda z, k, renorm: (None, softmax(_all_scores(z, k))), lambda a:
          f"Rows of `topk_first` sum to 1, but the first weight of token 0 is "
          f"{number(float(a.got['topk_first'][0, 0]))}, expected {number(float(a.expected['topk_first'][0, 0]))}: "
          "softmax was taken of scores, which have been through one already. It wants the kept logits."),
    ruled("Dropped logits were set to 0", lambda z, k, renorm: (None, _masked_with_zero(z, k)), lambda a:
          f"Rows of `topk_first` sum to {row_sums(a, 'topk_first')}: the dropped experts take the rest, for a logit of "
          "0 still counts e⁰ = 1. Softmax over the k kept alone, or put −inf in their places."),
    ruled("Softmax over the tokens", lambda z, k, renorm: (None, best(z, k)[0].softmax(dim=0)), lambda a:
          f"Rows of `topk_first` sum to {row_sums(a, 'topk_first')}, columns to 1: softmax along `dim=-1`."),
    ruled("Softmax over the tokens", lambda z, k, renorm: (_over_tokens(z, k, renorm), None), lambda a:
          f"Rows of `score_first` sum to {row_sums(a, 'score_first')}: was softmax taken down the columns? It goes "
          "along `dim=-1`."),
    Mistake(_numbers),
)  # fmt: skip


def _over_tokens(logits: Tensor, k: int, renorm: bool) -> Tensor:
    score_first = _chosen(logits.softmax(dim=0), logits, k)
    return score_first / score_first.sum(dim=1, keepdim=True) if renorm else score_first


TWO_ORDERS = Exercise(
    id="3.3",
    name="two_orders",
    parameters=("logits", "k", "renorm"),
    sizes="NEk",
    outputs=(Output("score_first", "N, k", strict_dtype=False), Output("topk_first", "N, k", strict_dtype=False)),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Each order is two steps, softmax and keeping the k largest. The only question is which step sees all E "
        "experts. Softmax keeps the order of its inputs.",
        "`softmax(dim=-1)` and `topk(k).values` chain in either order; write both chains. Only one of them can end in "
        "rows that do not sum to 1, and only there does `renorm` divide, by a sum that keeps its dimension.",
    ),
    minutes=10,
    lines="about 6 lines",
    done="Both orders, and you can see where they agree.",
)
