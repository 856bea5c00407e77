"""Exercise 3.5, sigmoid_route: each expert scored alone, chosen with a bias that the weights never see."""

from dataclasses import replace

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import dtype_text, number, shape_text
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
from moe_lite.checks.engine.mistakes import (
    lowest_kept,
    not_finite,
    only_ties_differ,
    row_sums,
    ruled,
    runs_backwards,
    runs_by_number,
    seen,
    spread,
    tie_sentence,
    twice_the_same,
)
from moe_lite.checks.lesson03.top_k_route import best

F32, F64 = torch.float32, torch.float64


def reference(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    """logits (N, E), bias (E,) -> weights (N, k), expert_ids (N, k) (DeepSeek-V3, arXiv 2412.19437, section 2.1.2)."""
    scores = sigmoid(logits)
    return _kept(scores, scores + bias, k)


def sigmoid(logits: Tensor) -> Tensor:
    return 1 / (1 + (-logits).exp())


def _kept(scores: Tensor, selection: Tensor, k: int, renorm: bool = True) -> tuple[Tensor, Tensor]:
    """Choose by `selection` (N, E), weigh by `scores` (N, E)."""
    _, expert_ids = best(selection, k)  # (N, k)
    kept = scores.gather(1, expert_ids)  # (N, k)
    return (kept / kept.sum(dim=1, keepdim=True) if renorm else kept), expert_ids


def cases() -> tuple[Case, ...]:
    plain = tuple(_random(seed) for seed in (1, 2, 3))
    unbiased = tuple(Trial((t.args[0], t.args[1], torch.zeros_like(t.args[2])), t.note + ", bias 0") for t in plain[:2])
    strong = tuple(_random(seed, strength=3.0) for seed in (4, 6))
    n_tokens, n_experts, _ = inputs.sizes(5)
    edges = tuple(_trial(5, n_tokens, n_experts, k, note=f", k={k}") for k in (1, n_experts))
    gradient = Trial(plain[1].args, plain[1].note, gradient=(0,))
    return (
        Case("shapes and types", (_random(1, dtype=F32), *plain[1:]), (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("bias 0", unbiased, ("weights", "expert_ids")),
        Case("chosen with the bias", plain + strong, ("expert_ids",)),
        Case("weights without the bias", plain + strong + _extreme(), ("weights",)),
        Case("ties", (_tied(7), _tied(8), _tied_by_bias()), ("expert_ids",)),
        Case("k = 1 and k = E", edges, ("weights", "expert_ids")),
        Case("gradient", (gradient,), (GRADIENT,)),
    )


def _random(seed: int, dtype: torch.dtype = F64, strength: float = 0.4) -> Trial:
    return _trial(seed, *inputs.sizes(seed), dtype, strength)


def _trial(
    seed: int, n_tokens: int, n_experts: int, k: int, dtype: torch.dtype = F64, strength: float = 0.4, note: str = ""
) -> Trial:
    """A bias that changes the choice of some tokens; sums of score and bias can be negative."""
    bias = (torch.randn(n_experts, dtype=F64, generator=inputs.generator(seed + 50)) * strength).round(decimals=3)
    return Trial((inputs.logits(seed, n_tokens, n_experts, dtype), k, bias.to(dtype)), inputs.note(seed, dtype) + note)


def _extreme() -> tuple[Trial, Trial]:
    """Logits past what `exp` can hold; and a bias beside which float32 forgets the score."""
    high = torch.tensor([[900.0, -1.0, 0.5, 1.0], [0.3, -0.7, -2.0, 120.0]])  # (2, E)
    plain = torch.tensor([[0.4, -1.0, 0.5, 1.0], [0.3, 1.2, -0.7, -2.0]])  # (2, E)
    return (
        Trial((high, 2, torch.tensor([0.1, -0.2, 0.3, 0.05])), "large logits, float32"),
        Trial((plain, 2, torch.tensor([0.0, 0.25, 1e6, -1e6])), "large bias, float32"),
    )


def _tied_by_bias() -> Trial:
    """Score + bias is 0.75 for all: 0.5 + 0.25 and, for a large logit, 1 - 0.25. The lower number comes first."""
    logits = torch.tensor([[0.0, 60.0, 0.0, 60.0]], dtype=F64)
    return Trial((logits, 3, torch.tensor([0.25, -0.25, 0.25, -0.25], dtype=F64)), "score + bias equal, float64")


def _tied(seed: int) -> Trial:
    """Many experts, few different logits, and no bias: equals everywhere."""
    drawn = torch.randint(0, 4, (6, 20), generator=inputs.generator(seed))
    return Trial((torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=F64)[drawn], 5, torch.zeros(20, dtype=F64)),
                 inputs.note(seed, F64) + ", bias 0")  # fmt: skip


def _selection(attempt: Attempt) -> Tensor:
    return sigmoid(attempt.args[0]) + attempt.args[2]


def _softmax(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    scores = logits.softmax(dim=-1)
    return _kept(scores, scores + bias, k)


def _kept_logits(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    return logits.gather(1, reference(logits, k, bias)[1])  # (N, k)


def _by_score(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The right experts, ordered by their weight instead of by score + bias."""
    weights, ids = reference(logits, k, bias)
    weights, order = weights.sort(dim=-1, descending=True, stable=True)
    return weights, ids.gather(1, order)


def _leaked(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    biased = sigmoid(logits) + bias
    return _kept(biased, biased, k)


def _plain(logits: Tensor, k: int, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The kept scores, not renormalised."""
    return _kept(sigmoid(logits), sigmoid(logits) + bias, k, renorm=False)


def _divided_by_biased(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    kept, ids = _plain(logits, k, bias)
    return kept / (kept + bias[ids]).sum(dim=1, keepdim=True)


def _bias_after(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    weights, ids = reference(logits, k, bias)
    return weights + bias[ids]


def _of_logits(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    kept = _kept_logits(logits, k, bias)
    return kept / kept.sum(dim=1, keepdim=True)


def _divided_by_all(logits: Tensor, k: int, bias: Tensor) -> Tensor:
    kept, _ = _plain(logits, k, bias)
    return kept / sigmoid(logits).sum(dim=1, keepdim=True)


def _all_columns(attempt: Attempt) -> bool:
    wide = attempt.args[0].shape
    return attempt.args[1] < wide[1] and any(got.shape == wide for got in attempt.got.values())


def _weight(attempt: Attempt) -> str:
    mine, right = attempt.got["weights"][0, 0].item(), attempt.expected["weights"][0, 0].item()
    return f"the first weight of token 0 is {number(mine)}, expected {number(right)}"


def _first_expert(attempt: Attempt) -> str:
    got, expected = attempt.got["expert_ids"], attempt.expected["expert_ids"]
    token, place = (got != expected).nonzero()[0].tolist()
    return f"choice {place} of token {token} is expert {int(got[token, place])}, expected {int(expected[token, place])}"


def _biased(title: str, rule, sentence) -> Mistake:
    """A mistake about the bias shows only where there is one."""
    plain = ruled(title, rule, sentence)
    return replace(plain, recognise=lambda attempt: plain.recognise(attempt) if attempt.args[2].any() else None)


MISTAKES = (
    seen("All E columns come back", _all_columns, lambda a:
         f"Expected two arrays ({len(a.args[0])}, {a.args[1]}), got "
         f"{' and '.join(shape_text(got) for got in a.got.values())}: only the k kept experts are wanted."),
    seen("`exp` overflows", not_finite, lambda a:
         f"Some weights are nan: the largest logit is {float(a.args[0].max()):.0f}, past what exp can hold in "
         f"{dtype_text(a.args[0])}. `torch.sigmoid` has no such limit."),
    _biased("The bias leaks into the weights", _leaked, lambda a:
          f"Right experts, but {_weight(a)}: yours are made of score + bias. The bias decides who is chosen; the "
          "weights are the scores without it."),
    _biased("The bias leaks into the weights", lambda z, k, b: _kept(sigmoid(z) + b, sigmoid(z) + b, k, renorm=False),
          lambda a: f"Right experts, but {_weight(a)}: yours are score + bias, not divided by anything. Take the "
                    "scores without the bias, and divide by their sum."),
    _biased("The bias leaks into the weights", lambda z, k, b: (_bias_after(z, k, b), None), lambda a:
          f"Right experts, but {_weight(a)}; rows sum to {row_sums(a, 'weights')}: the bias was added to the weights."),
    _biased("The bias is in the sum", lambda z, k, b: (_divided_by_biased(z, k, b), None), lambda a:
          f"Your rows sum to {row_sums(a, 'weights')}: the scores above are right, the sum below still has the bias."),
    _biased("The bias is ignored", lambda z, k, b: _kept(sigmoid(z), sigmoid(z), k), lambda a:
          f"{_first_expert(a).capitalize()}. Without `bias` yours would be right: it is added to the scores before "
          "choosing."),
    _biased("The bias is added before the sigmoid", lambda z, k, b: _kept(sigmoid(z + b), sigmoid(z + b), k), lambda a:
          f"{_weight(a).capitalize()}: yours are sigmoid(logits + bias). The bias belongs to the scores, after the "
          "sigmoid, and only for choosing."),
    _biased("The bias is added before the sigmoid", lambda z, k, b: _kept(sigmoid(z), sigmoid(z + b), k), lambda a:
          f"{_first_expert(a).capitalize()}: you choose by logits + bias (a sigmoid keeps that order). The bias "
          "belongs to the scores, after the sigmoid."),
    _biased("The bias is subtracted", lambda z, k, b: _kept(sigmoid(z), sigmoid(z) - b, k), lambda a:
          f"{_first_expert(a).capitalize()}: that is the choice by score − bias."),
    ruled("The sigmoid is missing", lambda z, k, b: _kept(z, z + b, k), lambda a:
          f"{_weight(a).capitalize()}: yours are made of the logits themselves. Scores are their sigmoid."),
    ruled("The sigmoid is missing", lambda z, k, b: (_of_logits(z, k, b), None), lambda a:
          f"Right experts, but {_weight(a)}: the weights are made of the logits. Take their sigmoid."),
    ruled("The sum runs over the tokens", lambda z, k, b: (_plain(z, k, b)[0] / _plain(z, k, b)[0].sum(0, True), None),
          lambda a: f"Your rows sum to {row_sums(a, 'weights')}, your columns to 1: over which dimension did you sum?"),
    ruled("Softmax, not sigmoid", _softmax, lambda a:
          f"{_weight(a).capitalize()}: that is softmax. A sigmoid scores each expert by itself."),
    ruled("Softmax, not sigmoid", lambda z, k, b: (_kept_logits(z, k, b).softmax(dim=-1), None), lambda a:
          f"{_weight(a).capitalize()}: that is softmax over the kept logits. The weights are the kept sigmoid scores, "
          "divided by their sum."),
    ruled("Softmax over the kept scores", lambda z, k, b: (_plain(z, k, b)[0].softmax(dim=-1), None), lambda a:
          f"Rows sum to 1, but {_weight(a)}: divide the kept scores by their sum, without another `exp`."),
    ruled("The weights are not renormalised", _plain, lambda a:
          f"Your rows sum to {row_sums(a, 'weights')}. Divide the kept scores by their sum."),
    ruled("Divided by the sum over all experts", lambda z, k, b: (_divided_by_all(z, k, b), None), lambda a:
          f"Your rows sum to {row_sums(a, 'weights')}: divide by the sum of the kept scores alone."),
    ruled("Ordered by weight", _by_score, lambda a:
          f"Right experts, but {_first_expert(a)}. The order is by score + bias, as they were chosen; the weights need "
          "not fall from left to right."),
    seen("An expert is chosen twice", twice_the_same,
         "A token has the same expert in two places. Each of its k experts is another one."),
    seen("The smallest are kept", lambda a: lowest_kept(a, _selection(a)), lambda a:
         f"{_first_expert(a).capitalize()}: yours are the k smallest sums of score and bias. Sorted ascending?"),
    seen("The order is worst first", runs_backwards, lambda a:
         f"Right experts, but token 0 lists {a.got['expert_ids'][0].tolist()}, its best one last: sort descending."),
    seen("The order is by expert number", runs_by_number, lambda a:
         f"Right experts, but token 0 lists {a.got['expert_ids'][0].tolist()}. Best first means by score + bias: "
         f"{a.expected['expert_ids'][0].tolist()}."),
    seen("Ties are broken the wrong way", lambda a: only_ties_differ(a, _selection(a)), tie_sentence,
         show="expert_ids"),
)  # fmt: skip

SIGMOID_ROUTE = Exercise(
    id="3.5",
    name="sigmoid_route",
    parameters=("logits", "k", "bias"),
    sizes="NEk",
    outputs=(Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True)),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "Two tables of one shape: one to choose from, with the bias, and one to take the weights from, without it.",
        "Sort `scores + bias` with `stable=True` and keep only the indices; `scores.gather(1, expert_ids)` fetches "
        "what the weights are made of.",
    ),
    minutes=10,
    lines="about 4 lines",
    done="That is DeepSeek-V3's router, without its groups and its scale.",
    stretch=True,
    picture=("weights by expert (N, E)", spread),
)
