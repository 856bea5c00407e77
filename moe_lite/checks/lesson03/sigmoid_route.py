"""Exercise 3.5, sigmoid_route: each expert scored alone, chosen with a bias that the weights never see."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.lesson03.choice import small_number, spread, too_wide, with_choice, wrong_choices
from moe_lite.checks.lesson03.top_k_route import best


def reference(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    """logits (N, E), bias (E,) -> weights (N, k), expert_ids (N, k) (DeepSeek-V3, arXiv 2412.19437, section 2.1.2)."""
    scores = sigmoid(logits)
    return routed(scores, scores + bias, k)


def sigmoid(logits: Tensor) -> Tensor:
    return 1 / (1 + (-logits).exp())


def routed(scores: Tensor, selection: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Choose by `selection` (N, E), weigh by `scores` (N, E)."""
    _, expert_ids = best(selection, k)  # (N, k)
    return normalised(scores.gather(1, expert_ids)), expert_ids


def normalised(kept: Tensor) -> Tensor:
    return kept / kept.sum(dim=1, keepdim=True)  # (N, k)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = tuple(map(random, (1, 2, 3)))
    unbiased = tuple(Trial((t.args[0], t.args[1], torch.zeros_like(t.args[2])), t.note + ", bias 0") for t in plain[:2])
    strong = tuple(random(seed, strength=3.0) for seed in (4, 6))
    n_tokens, n_experts, _ = inputs.sizes(5)
    ends = tuple(of_sizes(5, n_tokens, n_experts, k, note=f", k={k}") for k in (1, n_experts))
    first, last = inputs.usual((random(1, F32), *plain[1:]), plain, gradient=(0,))
    return (
        *first,
        Case("bias 0", unbiased, ("weights", "expert_ids")),
        Case("chosen with the bias", plain + strong, ("expert_ids",)),
        Case("weights without the bias", plain + strong + extreme(), ("weights",)),
        Case("ties", (tied(7), tied(8), tied_by_bias(), nearly_tied()), ("expert_ids",)),
        Case("k = 1 and k = E", ends, ("weights", "expert_ids")),
        *last,
    )


def random(seed: int, dtype: torch.dtype = F64, strength: float = 0.4) -> Trial:
    return of_sizes(seed, *inputs.sizes(seed), dtype, strength)


def of_sizes(
    seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, strength: float = 0.4, note: str = ""
) -> Trial:
    """A bias that changes the choice of some tokens; sums of score and bias can be negative."""
    bias = (torch.randn(n_experts, dtype=F64, generator=inputs.generator(seed + 50)) * strength).round(decimals=3)
    return Trial((inputs.logits(seed, n_tokens, n_experts, dtype), k, bias.to(dtype)), inputs.note(seed, dtype) + note)


def extreme() -> tuple[Trial, Trial]:
    """Logits past what `exp` can hold; and a bias beside which float32 forgets the score."""
    high = torch.tensor([[900.0, -1.0, 0.5, 1.0], [0.3, -0.7, -2.0, 120.0]])  # (2, E)
    plain = torch.tensor([[0.4, -1.0, 0.5, 1.0], [0.3, 1.2, -0.7, -2.0]])  # (2, E)
    return (
        Trial((high, 2, torch.tensor([0.1, -0.2, 0.3, 0.05])), "large logits, float32"),
        Trial((plain, 2, torch.tensor([0.0, 0.25, 1e6, -1e6])), "large bias, float32"),
    )


def tied_by_bias() -> Trial:
    """Score + bias is 0.75 for all: 0.5 + 0.25 and, for a large logit, 1 - 0.25. The lower number comes first."""
    logits = torch.tensor([[0.0, 60.0, 0.0, 60.0]], dtype=F64)
    return Trial((logits, 3, torch.tensor([0.25, -0.25, 0.25, -0.25], dtype=F64)), "score + bias equal, float64")


def nearly_tied() -> Trial:
    """No bias, and scores that differ in the eighth decimal."""
    logits = torch.tensor([[0.0, 2e-7, -2e-7, 4e-7], [-1.0, 1.0, 1.0 + 2e-7, 1.0 + 4e-7]], dtype=F64)
    return Trial((logits, 2, torch.zeros(4, dtype=F64)), "close scores, float64, bias 0")


def tied(seed: int) -> Trial:
    """Many experts, few different logits, and no bias: equals everywhere."""
    drawn = torch.randint(0, 4, (6, 20), generator=inputs.generator(seed))
    logits = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=F64)[drawn]  # (6, E)
    return Trial((logits, 5, torch.zeros(20, dtype=F64)), inputs.note(seed, F64) + ", bias 0")


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    return inputs.distinct(2 * seed, N, E), k, inputs.distinct(2 * seed + 1, E, low=-0.4, high=0.4)


def extremes(seed: int) -> tuple[Trial, ...]:
    logits, k, bias = drawn(seed, 7, 5, 3)
    return (
        Trial((torch.zeros_like(logits), k, torch.zeros_like(bias)), "logits and bias all 0"),
        Trial((logits * 1e-7, k, torch.zeros_like(bias)), "nearly equal scores, bias 0"),
        Trial((logits * 10, k, bias), "scores near 0 and 1"),
        Trial((logits - 23, k, torch.zeros_like(bias)), "scores near a ten-billionth, bias 0"),
        Trial((logits, k, bias * 1e3), "a bias that decides alone"),
        Trial((torch.zeros_like(logits), k, bias * 1e-6), "logits all 0, a bias below a millionth"),
    )


DRAWN = Drawn(drawn, {"N": 7, "E": 5, "k": 3}, at_most=(("k", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def selection(a: Attempt) -> Tensor:
    """What the choice is made from: score + bias, (N, E)."""
    return sigmoid(a.args[0]) + a.args[2]


def of_kept(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the weights of the right experts, of their scores (N, k) and their bias (N, k)."""

    def weights(logits: Tensor, k: int, bias: Tensor) -> Tensor:
        expert_ids = reference(logits, k, bias)[1]
        return rule(sigmoid(logits).gather(1, expert_ids), bias[expert_ids])

    return weights


def of_kept_logits(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A rule for the weights of the right experts, of their logits (N, k)."""
    return lambda z, k, b: rule(z.gather(1, reference(z, k, b)[1]))


def over_all(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    scores = sigmoid(logits)
    return scores.gather(1, reference(logits, k, bias)[1]) / scores.sum(dim=1, keepdim=True)


def by_weight(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The right experts, ordered by their weight instead of by score + bias."""
    weights, expert_ids = reference(logits, k, bias)
    weights, order = weights.sort(dim=-1, descending=True, stable=True)
    return weights, expert_ids.gather(1, order)


LEAK, INSIDE = "The bias leaks into the weights", "The bias is added before the sigmoid"
FIRST = "the first weight of token 0 is {weights[0][0]}, expected {right.weights[0][0]}"

MISTAKES = (
    sign("All E columns come back", too_wide, "Expected two arrays {right.weights.shape}, got {weights.shape} and "
         "{expert_ids.shape}: only the k kept experts are wanted."),
    sign("`exp` overflows", not_finite, "Some weights are nan: the largest logit is {logits.max:0}, past what exp can "
         "hold in {logits.dtype}. `torch.sigmoid` has no such limit."),
    wrong(LEAK, weights=of_kept(lambda s, b: normalised(s + b)), say="Right experts, but " + FIRST + ": yours are made "
          "of score + bias. The bias decides who is chosen; the weights are the scores without it."),
    wrong(LEAK, weights=of_kept(lambda s, b: s + b), say="Right experts, but " + FIRST + ": yours are score + bias, "
          "not divided by anything. Take the scores without the bias, and divide by their sum."),
    wrong(LEAK, weights=of_kept(lambda s, b: normalised(s) + b), say="Right experts, but " + FIRST + "; rows sum to "
          "{weights.rows}: the bias was added to the weights."),
    wrong("The bias is in the sum", weights=of_kept(lambda s, b: s / (s + b).sum(dim=1, keepdim=True)), say="Your rows "
          "sum to {weights.rows}: the numerator is right, but the sum that it is divided by still contains the bias."),
    wrong("The bias is ignored", lambda z, k, b: routed(sigmoid(z), sigmoid(z), k), with_choice("{choice}. Without "
          "`bias` yours would be right: it is added to the scores before choosing.")),
    wrong(INSIDE, lambda z, k, b: routed(sigmoid(z + b), sigmoid(z + b), k), FIRST + ": yours are sigmoid(logits + "
          "bias). The bias belongs to the scores, after the sigmoid, and only for choosing."),
    wrong(INSIDE, lambda z, k, b: routed(sigmoid(z), sigmoid(z + b), k), with_choice("{choice}: you choose by logits + "
          "bias (a sigmoid keeps that order). The bias belongs to the scores, after the sigmoid.")),
    wrong("The bias is subtracted", lambda z, k, b: routed(sigmoid(z), sigmoid(z) - b, k), with_choice("{choice}: that "
          "is the choice by score − bias.")),
    wrong("The sigmoid is missing", lambda z, k, b: routed(z, z + b, k), FIRST + ": yours are made of the logits "
          "themselves. Scores are their sigmoid."),
    wrong("The sigmoid is missing", weights=of_kept_logits(normalised), say="Right experts, but " + FIRST + ": the "
          "weights are made of the logits. Take their sigmoid."),
    wrong("The sum runs over the tokens", weights=of_kept(lambda s, b: s / s.sum(0, True)), say="Your rows sum to "
          "{weights.rows}, your columns to 1: over which dimension did you sum?"),
    wrong("One sum for all tokens", weights=of_kept(lambda s, b: s / s.sum()), say="All your weights together sum to "
          "1; each row should. Rows sum to {weights.rows}: give the sum a dimension, and keep it."),
    wrong("Softmax, not sigmoid", lambda z, k, b: routed(z.softmax(dim=-1), z.softmax(dim=-1) + b, k), FIRST + ": that "
          "is softmax. A sigmoid scores each expert by itself."),
    wrong("Softmax, not sigmoid", weights=of_kept_logits(lambda z: z.softmax(dim=-1)), say=FIRST + ": that is softmax "
          "over the kept logits. The weights are the kept sigmoid scores, divided by their sum."),
    wrong("Softmax over the kept scores", weights=of_kept(lambda s, b: s.softmax(dim=-1)), say="Rows sum to 1, but " +
          FIRST + ": divide the kept scores by their sum, without another `exp`."),
    wrong("The weights are not renormalised", weights=of_kept(lambda s, b: s), say="Your rows sum to {weights.rows}. "
          "Divide the kept scores by their sum."),
    wrong("Divided by the sum over all experts", weights=over_all, say="Your rows sum to {weights.rows}: divide by the "
          "sum of the kept scores alone."),
    wrong("Ordered by weight", by_weight, with_choice("Right experts, but {choice}. The order is by score + bias, as "
          "they were chosen; the weights need not fall from left to right.")),
    *wrong_choices(selection, {
        "The smallest are kept": with_choice("{choice}: yours are the k smallest sums of score and bias. Sorted "
            "ascending?"),
        "The order is worst first": "Right experts, but token 0 lists {expert_ids[0]}, its best one last: sort "
            "descending.",
        "The order is by expert number": "Right experts, but token 0 lists {expert_ids[0]}. Best first means by score "
            "+ bias: {right.expert_ids[0]}.",
    }),
    small_number(lambda a: sigmoid(a.args[0])),
)  # fmt: skip

OUTPUTS = (Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True))
SIGMOID_ROUTE = Exercise(
    id="3.5", name="sigmoid_route", parameters=("logits", "k", "bias"), sizes="NEk", outputs=OUTPUTS,
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Two tables of one shape: one to choose from, with the bias, and one to take the weights from, without it.",
        "Sort `scores + bias` with `stable=True` and keep only the indices; `scores.gather(1, expert_ids)` fetches "
        "what the weights are made of.",
    ),
    minutes=10, lines="about 4 lines", done="That is DeepSeek-V3's router, without its groups and its scale.",
    stretch=True, picture=("weights by expert (N, E)", spread),
)  # fmt: skip
