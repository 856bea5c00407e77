"""Exercise 3.3, two_orders: softmax before the choice, and after it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson03.choice import too_wide
from moe_lite.checks.lesson03.top_k_route import best, kept


def reference(logits: Tensor, k: int, renorm: bool) -> tuple[Tensor, Tensor]:
    """logits (N, E) -> score_first (N, k), topk_first (N, k), best expert first."""
    return of_chosen(logits, best(logits, k)[1], renorm)


def of_chosen(logits: Tensor, expert_ids: Tensor, renorm: bool) -> tuple[Tensor, Tensor]:
    """Both orders for experts (N, k) that are chosen already."""
    score_first = softmax(logits).gather(1, expert_ids)  # (N, k)
    if renorm:
        score_first = score_first / score_first.sum(dim=1, keepdim=True)
    return score_first, softmax(logits.gather(1, expert_ids))


def softmax(logits: Tensor) -> Tensor:
    powers = (logits - logits.detach().amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum(dim=1, keepdim=True)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = tuple(random(seed, renorm=False) for seed in (1, 2, 3))
    renormed = tuple(random(seed, renorm=True) for seed in (2, 3))
    n_tokens, n_experts, _ = inputs.sizes(5)
    ends = tuple(
        Trial((inputs.logits(5, n_tokens, n_experts), k, renorm), f"seed 5, float64, k={k}, renorm={renorm}")
        for k, renorm in ((1, True), (1, False), (n_experts, False))
    )
    large = random(8, renorm=False, dtype=F32, scale=120.0)
    low = plain[0].args[0] - 200  # a softmax does not see the shift
    shifted = Trial((low, *plain[0].args[1:]), f"{plain[0].note}, logits near -200")
    form = (random(1, renorm=True, dtype=F32), *plain[1:])
    first, last = inputs.usual(form, plain, gradient=(0,), through=(plain[0], renormed[0]))
    return (
        *first,
        Case("score_first, renorm=False", plain, ("score_first",)),
        Case("score_first, renorm=True", renormed, ("score_first",)),
        Case("topk_first", plain + renormed, ("topk_first",)),
        Case("k = 1 and k = E", ends, ("score_first", "topk_first")),
        Case("large and low logits", (large, shifted), ("score_first", "topk_first")),
        *last,
    )


def random(seed: int, renorm: bool, dtype: torch.dtype = F64, scale: float = 1.5) -> Trial:
    n_tokens, n_experts, k = inputs.sizes(seed)
    made = inputs.logits(seed, n_tokens, n_experts, dtype, scale)
    return Trial((made, k, renorm), f"{inputs.note(seed, dtype)}, renorm={renorm}")


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    """`renorm` takes turns."""
    return inputs.distinct(seed, N, E), k, bool(seed % 2)


def extremes(seed: int) -> tuple[Trial, ...]:
    logits, k, _ = drawn(seed, 7, 5, 3)
    return tuple(
        trial
        for renorm in (True, False)
        for trial in (
            Trial((logits * 1e-3, k, renorm), f"nearly equal logits, renorm={renorm}"),
            Trial((logits + 1e7, k, renorm), f"logits near ten million, float64, renorm={renorm}"),
            Trial((logits * 40, k, renorm), f"logits far from each other, float64, renorm={renorm}"),
        )
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "k": 3}, at_most=(("k", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def overflow(a: Attempt) -> str:
    largest = torch.finfo(a.args[0].dtype).max
    return said("Some results are nan or inf: the largest logit is {logits.max}, and {logits.dtype} ends at "
                "exp({end}). Subtract each row's largest logit first; softmax does.", a,
                end=int(math.log(largest)))  # fmt: skip


def backwards(a: Attempt) -> bool:
    """One output or both run from small to large; else they are right."""
    pairs = [(a.got[name], a.expected[name].flip(-1)) for name in a.expected]
    turned = [close(got, wanted) for got, wanted in pairs]
    return any(turned) and all(t or a.right(name) for t, name in zip(turned, a.expected, strict=True))


def in_number_order(logits: Tensor, k: int, renorm: bool) -> tuple[Tensor, Tensor]:
    return of_chosen(logits, best(logits, k)[1].sort(dim=-1).values, renorm)


def scores_of_all(logits: Tensor, k: int, renorm: bool = False) -> Tensor:
    """The kept scores (N, k) of a softmax that saw all experts, never renormalised."""
    return reference(logits, k, False)[0]


def when_renorm(change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for score_first that makes something else of the kept scores (N, k) where it should divide them."""
    return lambda z, k, renorm: change(scores_of_all(z, k)) if renorm else scores_of_all(z, k)


def of_kept(change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule on the kept logits (N, k)."""
    return lambda z, k, renorm: change(kept(z, k))


def softmax_down(logits: Tensor, k: int, renorm: bool) -> Tensor:
    score_first = logits.softmax(dim=0).gather(1, best(logits, k)[1])
    return score_first / score_first.sum(dim=1, keepdim=True) if renorm else score_first


def masked_with_zero(logits: Tensor, k: int, renorm: bool) -> Tensor:
    """topk_first after putting 0 in place of every logit that is not kept: zeros still win over negative logits."""
    values, expert_ids = best(logits, k)
    return softmax(torch.zeros_like(logits).scatter(1, expert_ids, values)).gather(1, expert_ids)


def best_of(scores: Tensor, k: int, renorm: bool) -> Tensor:
    found = best(scores, k)[0]
    return found / found.sum(dim=1, keepdim=True) if renorm else found


def masked_down(logits: Tensor, k: int, renorm: bool) -> Tensor:
    """The logits that are not kept at −∞, and softmax down the columns."""
    values, expert_ids = best(logits, k)
    return torch.full_like(logits, -torch.inf).scatter(1, expert_ids, values).softmax(dim=0).gather(1, expert_ids)


KEPT_DOWN = of_kept(lambda z: z.softmax(dim=0))
OVER_TOKENS = (  # further ways, in one output or both
    {"score_first": lambda z, k, renorm: best_of(z.softmax(dim=0), k, renorm)},
    {"topk_first": lambda z, k, renorm: best_of(z.softmax(dim=0), k, False)},
    {"topk_first": masked_down},
    {"score_first": lambda z, k, renorm: best_of(z.softmax(dim=0), k, renorm), "topk_first": KEPT_DOWN},
    {"score_first": softmax_down, "topk_first": KEPT_DOWN},
)


def whole_numbers(a: Attempt) -> str:
    """The names of the outputs that are whole numbers."""
    return " and ".join(f"`{name}`" for name, got in a.got.items() if not got.is_floating_point())


MISTAKES = (
    sign("All E columns come back", too_wide, "Expected two arrays {right.score_first.shape}, got {score_first.shape} "
         "and {topk_first.shape}: only the k kept experts are wanted."),
    sign("`exp` overflows", not_finite, overflow),
    wrong("The smallest logits are kept", lambda z, k, renorm: of_chosen(z, best(-z, k)[1], renorm), "Your numbers are "
          "those of the k worst experts: is the sort ascending?"),
    sign("The order is worst first", backwards, "The right numbers, each row from small to large. Best expert first: "
         "sort descending."),
    wrong("The order is by expert number", in_number_order, "The right numbers, in the order of the experts' numbers. "
          "Best expert first."),
    wrong("One sum for all tokens", score_first=when_renorm(lambda scores: scores / scores.sum()), say="With "
          "renorm=True each row of `score_first` should sum to 1; yours sum to {score_first.rows}, and to 1 all "
          "together. Every token has its own sum: over the last dimension, keeping it."),
    wrong("`renorm` is ignored", score_first=scores_of_all, say="With renorm=True the rows of `score_first` should sum "
          "to 1; yours sum to {score_first.rows}. Divide by the sum of the kept scores then."),
    wrong("`score_first` is always renormalised", score_first=of_kept(softmax), say="With renorm=False the rows of "
          "`score_first` keep what softmax over all E gave them: they should sum to {right.score_first[0].sum:4} in "
          "row 0. Yours sum to 1: either you always divide, or softmax saw only the kept logits."),
    wrong("`renorm` is the wrong way round", score_first=lambda z, k, renorm: reference(z, k, not renorm)[0],
          say="With renorm={renorm} your rows of `score_first` sum to {score_first.rows}: the condition is inverted."),
    wrong("`topk_first` takes its softmax over all experts", topk_first=scores_of_all, say="Rows of `topk_first` sum "
          "to {topk_first.rows}. The dropped experts must not take part: softmax over the k kept logits alone."),
    wrong("Both softmaxes see all experts, `renorm` is ignored", score_first=scores_of_all, topk_first=scores_of_all,
          say="Rows of `topk_first` sum to {topk_first.rows}: keep the k largest logits first, then softmax over those "
          "alone."),
    wrong("`renorm` belongs to `score_first` only", topk_first=lambda z, k, renorm: reference(z, k, renorm)[0],
          say="Rows of `topk_first` sum to {topk_first.rows}. It is the same with and without renorm: softmax over the "
          "k kept logits always sums to 1."),
    wrong("`topk_first` has no softmax", topk_first=of_kept(lambda z: z), say="`topk_first` holds the kept logits "
          "themselves, from {topk_first.min} to {topk_first.max}. Softmax over each row is missing."),
    wrong("`score_first` has no softmax", score_first=of_kept(lambda z: z), say="`score_first` holds logits; the "
          "smallest is {score_first.min}. Softmax over all E comes first."),
    wrong("`topk_first` is a logarithm", topk_first=of_kept(lambda z: z.log_softmax(dim=-1)), say="The `exp` of your "
          "`topk_first` is right: `log_softmax` where `softmax` is meant."),
    wrong("`renorm` is another softmax", score_first=when_renorm(softmax), say="With renorm=True the first weight of "
          "token 0 is {score_first[0][0]}, expected {right.score_first[0][0]}: divide the kept scores by their sum, "
          "without another `exp`."),
    wrong("The sum runs over the tokens", score_first=when_renorm(lambda scores: scores / scores.sum(0, True)),
          say="With renorm=True your rows of `score_first` sum to {score_first.rows}, the columns to 1: over which "
          "dimension did you sum?"),
    wrong("`topk_first` divides logits by their sum", topk_first=of_kept(lambda z: z / z.sum(1, True)), say="Rows of "
          "`topk_first` sum to 1, but the first weight of token 0 is {topk_first[0][0]}, expected "
          "{right.topk_first[0][0]}: the logits were divided by their sum, without `exp`."),
    wrong("`topk_first` takes the softmax of scores", topk_first=lambda z, k, renorm: softmax(scores_of_all(z, k)),
          say="Rows of `topk_first` sum to 1, but the first weight of token 0 is {topk_first[0][0]}, expected "
          "{right.topk_first[0][0]}: softmax was taken of scores, which have been through one already. It wants the "
          "kept logits."),
    wrong("Dropped logits were set to 0", topk_first=masked_with_zero, say="Rows of `topk_first` sum to "
          "{topk_first.rows}: the dropped experts take the rest, for a logit of 0 still counts e⁰ = 1. Softmax over "
          "the k kept alone, or put −inf in their places."),
    *(wrong("Softmax over the tokens", **rules, say="Was softmax taken down the columns, over all tokens? It goes "
            "along the experts of one token, `dim=-1`.") for rules in OVER_TOKENS),
    wrong("Softmax over the tokens", topk_first=of_kept(lambda z: z.softmax(dim=0)), say="Rows of `topk_first` sum to "
          "{topk_first.rows}, columns to 1: softmax along `dim=-1`."),
    wrong("Softmax over the tokens", score_first=softmax_down, say="Rows of `score_first` sum to {score_first.rows}: "
          "was softmax taken down the columns? It goes along `dim=-1`."),
    sign("Expert numbers, not weights", lambda a: bool(whole_numbers(a)), lambda a: f"{whole_numbers(a)}: whole "
         "numbers came, but the weights of the experts are wanted."),
)  # fmt: skip

WEIGHTS = tuple(Output(name, "N, k", strict_dtype=False) for name in ("score_first", "topk_first"))
TWO_ORDERS = Exercise(
    id="3.3", name="two_orders", parameters=("logits", "k", "renorm"), sizes="NEk", outputs=WEIGHTS,
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Each order is two steps, softmax and keeping the k largest. The only question is which step sees all E "
        "experts. Softmax keeps the order of its inputs.",
        "`softmax(dim=-1)` and `topk(k).values` chain in either order; write both chains. Only one of them can end in "
        "rows that do not sum to 1, and only there does `renorm` divide, by a sum that keeps its dimension.",
    ),
    minutes=10, lines="about 6 lines", done="Both orders, and you can see where they agree.",
)  # fmt: skip
