"""Exercise 9.5, compete_with_shared: chosen and shared experts share out one sum of weights (Inkling)."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, listed, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson03 import choice
from moe_lite.checks.lesson03.choice import ids_wrong, with_choice, wrong_choices
from moe_lite.checks.lesson03.top_k_route import best

Answer = tuple[Tensor, Tensor, Tensor]  # weights (N, k), expert_ids (N, k), shared_weights (N, S)


def reference(logits: Tensor, shared_logits: Tensor, bias: Tensor, k: int) -> Answer:
    """logits (N, E), shared_logits (N, S), bias (E,) -> weights (N, k), expert_ids (N, k), shared_weights (N, S)."""
    scores = logits.sigmoid()
    return weighed(scores, shared_logits.sigmoid(), scores + bias, k)


def weighed(scores: Tensor, shared: Tensor, selection: Tensor, k: int) -> Answer:
    """Choose by `selection` (N, E); weigh by `scores` (N, E) and `shared` (N, S)."""
    expert_ids = best(selection, k)[1]  # (N, k)
    kept = scores.gather(1, expert_ids)
    total = row_sum(kept) + row_sum(shared)
    return kept / total, expert_ids, shared / total


def row_sum(table: Tensor) -> Tensor:
    return table.sum(dim=1, keepdim=True)


# ---- inputs ----------------------------------------------------------------------------------------------------------

EVERYTHING = ("weights", "shared_weights", "expert_ids")


def cases() -> tuple[Case, ...]:
    plain = (random(1, 9, 7, 3, 2), random(2, 5, 8, 2, 3), random(3, 11, 6, 4, 3))
    strong = (random(4, 6, 7, 3, 2, strength=3.0), random(5, 9, 6, 2, 4, strength=3.0))
    edges = (random(6, 8, 6, 1, 2), random(7, 7, 5, 5, 3), random(8, 9, 6, 3, 1), random(9, 1, 4, 2, 3))
    first, last = inputs.usual((plain[0], random(2, 5, 8, 2, 3, F32), plain[2]), plain, gradient=(0, 1))
    return (
        *first,
        Case("chosen with the bias", plain + strong, ("expert_ids",)),
        Case("weights of the chosen", plain + strong, ("weights",)),
        Case("weights of the shared", plain + strong, ("shared_weights",)),
        Case("ties, nearly equal scores", (tied(10), tied(11), tied_by_bias(), nearly_tied()), EVERYTHING),
        Case("k = 1, k = E, one shared expert, one token", edges, EVERYTHING),
        *last,
    )


def random(
    seed: int, n_tokens: int, n_experts: int, k: int, n_shared: int, dtype: torch.dtype = F64, strength: float = 0.4
) -> Trial:
    """A bias that changes the choice of some tokens; sums of score and bias can be negative."""
    logits = inputs.logits(seed, n_tokens, n_experts, dtype)
    shared = inputs.logits(seed + 100, n_tokens, n_shared, dtype)
    bias = (torch.randn(n_experts, dtype=F64, generator=inputs.generator(seed + 50)) * strength).round(decimals=3)
    return Trial((logits, shared, bias.to(dtype), k), inputs.note(seed, dtype))


def tied(seed: int) -> Trial:
    """Many experts, few different logits, and no bias: equals everywhere."""
    drawn = torch.randint(0, 4, (6, 20), generator=inputs.generator(seed))
    logits = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=F64)[drawn]  # (6, E)
    return Trial((logits, logits[:, :3].flip(0), torch.zeros(20, dtype=F64), 5), inputs.note(seed, F64) + ", bias 0")


def tied_by_bias() -> Trial:
    """Score + bias is 0.75 for all: 0.5 + 0.25 and, for a large logit, 1 − 0.25."""
    logits = torch.tensor([[0.0, 60.0, 0.0, 60.0]], dtype=F64)
    bias = torch.tensor([0.25, -0.25, 0.25, -0.25], dtype=F64)
    return Trial((logits, torch.tensor([[0.0, 60.0]], dtype=F64), bias, 3), "score + bias equal, float64")


def nearly_tied() -> Trial:
    """No bias, and scores that differ in the eighth decimal."""
    logits = torch.tensor([[0.0, 2e-7, -2e-7, 4e-7], [-1.0, 1.0, 1.0 + 2e-7, 1.0 + 4e-7]], dtype=F64)
    shared = torch.tensor([[0.5], [-0.5]], dtype=F64)
    return Trial((logits, shared, torch.zeros(4, dtype=F64), 2), "close scores, float64, bias 0")


def drawn(seed: int, N: int, E: int, S: int, k: int) -> tuple:
    bias = inputs.distinct(3 * seed + 2, E, low=-0.4, high=0.4)
    return inputs.distinct(3 * seed, N, E), inputs.distinct(3 * seed + 1, N, S), bias, k


def extremes(seed: int) -> tuple[Trial, ...]:
    logits, shared, bias, k = drawn(seed, 7, 5, 4, 3)
    none = torch.zeros_like(bias)
    return (
        Trial((torch.zeros_like(logits), torch.zeros_like(shared), none, k), "logits and bias all 0"),
        Trial((logits * 1e-7, shared, none, k), "nearly equal scores, bias 0"),
        Trial((logits * 10, shared * 10, bias, k), "scores near 0 and 1"),
        Trial((logits - 23, shared - 23, none, k), "scores near a ten-billionth, bias 0"),
        Trial((logits, shared - 40, bias, k), "shared experts that are turned down"),
        Trial((logits - 40, shared, none, k), "chosen experts that weigh next to nothing, bias 0"),
        Trial((logits * 5, shared * 400, bias, k), "large shared logits"),
        Trial((logits, shared, bias * 1e3, k), "a bias that decides alone"),
    )


DRAWN = Drawn(
    drawn, {"N": 7, "E": 5, "S": 4, "k": 3}, at_most=(("k", "E"),), gradient=(0, 1), extremes=extremes
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def of_scores(rule: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[..., Answer]:
    """The right experts, weighed by a rule of their scores (N, k), the shared scores (N, S) and their bias (N, k)."""

    def answer(logits: Tensor, shared_logits: Tensor, bias: Tensor, k: int) -> Answer:
        expert_ids = best(logits.sigmoid() + bias, k)[1]
        kept = logits.sigmoid().gather(1, expert_ids)
        weights, shared_weights = rule(kept, shared_logits.sigmoid(), bias[expert_ids])
        return weights, expert_ids, shared_weights

    return answer


def of_logits(rule: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[..., Answer]:
    """The right experts, weighed by a rule of their logits (N, k) and the shared ones (N, S)."""

    def answer(logits: Tensor, shared_logits: Tensor, bias: Tensor, k: int) -> Answer:
        expert_ids = best(logits.sigmoid() + bias, k)[1]
        weights, shared_weights = rule(logits.gather(1, expert_ids), shared_logits)
        return weights, expert_ids, shared_weights

    return answer


def divided(kept: Tensor, shared: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    return kept / total, shared / total


def both(kept: Tensor, shared: Tensor) -> Tensor:
    return row_sum(kept) + row_sum(shared)  # (N, 1)


def apart(table: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
    """Two tables side by side (N, k + S), taken apart again."""
    return table[:, : -shared.shape[1]], table[:, -shared.shape[1] :]


def softmax_of_all(z: Tensor, shared: Tensor, bias: Tensor, k: int) -> Answer:
    scores, shared_scores = apart(torch.cat([z, shared], dim=1).softmax(dim=1), shared)
    return weighed(scores, shared_scores, scores + bias, k)


def over_all(z: Tensor, shared: Tensor, bias: Tensor, k: int) -> Answer:
    scores, shared_scores = z.sigmoid(), shared.sigmoid()
    expert_ids, total = best(scores + bias, k)[1], both(scores, shared_scores)
    return scores.gather(1, expert_ids) / total, expert_ids, shared_scores / total


def best_scores(z: Tensor, shared: Tensor, bias: Tensor, k: int) -> Answer:
    """The right experts, weighed by the k largest scores."""
    kept, shared_scores = best(z.sigmoid(), k)[0], shared.sigmoid()
    total = both(kept, shared_scores)
    return kept / total, best(z.sigmoid() + bias, k)[1], shared_scores / total


def by_weight(z: Tensor, shared: Tensor, bias: Tensor, k: int) -> Answer:
    """The right experts, ordered by their weight instead of by score + bias."""
    weights, expert_ids, shared_weights = reference(z, shared, bias, k)
    weights, order = weights.sort(dim=-1, descending=True, stable=True)
    return weights, expert_ids.gather(1, order), shared_weights


def behind_the_shared(z: Tensor, shared: Tensor, bias: Tensor, k: int) -> Answer:
    weights, expert_ids, shared_weights = reference(z, shared, bias, k)
    return weights, expert_ids + shared.shape[1], shared_weights


def among_all(a: Attempt) -> bool:
    """Numbers from E on: the shared experts stood in one row with the others."""
    got = a.got["expert_ids"]
    return ids_wrong(a) and not got.is_floating_point() and bool((got >= a.args[0].shape[1]).any())


def among_all_sentence(a: Attempt) -> str:
    n_experts, got = a.args[0].shape[1], a.got["expert_ids"]
    token, place = (got >= n_experts).nonzero()[0].tolist()
    return (
        f"Choice {place} of token {token} is expert {int(got[token, place])}, and the routed experts are 0 to "
        f"{n_experts - 1}: a shared expert stands among the chosen. All shared experts work anyway, so only the routed "
        "ones are sorted."
    )


def too_wide(a: Attempt) -> bool:
    """Some table still has E columns, where k < E are expected."""
    found = (a.got["weights"].shape, a.got["expert_ids"].shape)
    return a.args[0].shape in found and a.args[3] < a.args[0].shape[1]


def one_table(a: Attempt) -> bool:
    return a.got["weights"].shape == (len(a.args[0]), a.args[3] + a.args[1].shape[1])


def sums(a: Attempt) -> str:
    """Of the first tokens, over both kinds: "0.73, 0.73 and 0.66"."""
    total = row_sum(a.got["weights"]) + row_sum(a.got["shared_weights"])
    return listed(total[:3, 0].tolist())


def first(a: Attempt) -> str:
    """The first weight that is wrong, of whichever kind, and what the weights of a token sum to."""
    shared = a.right("weights")
    name, what = ("shared_weights", "Shared weight") if shared else ("weights", "Weight")
    text = f"{what} {{{name}.at[1]}} of token {{{name}.at[0]}} is {{{name}.wrong.beside:4}}."
    return said(text, a) + f" The weights of the first tokens, shared ones included, sum to {sums(a)}."


def weighs(title: str, rule: Callable[..., Answer], say: str) -> Mistake:
    return wrong(title, rule, lambda a: f"{first(a)} {said(say, a)}")


def small_number(a: Attempt) -> bool:
    """Weights in the right proportion, divided by a little more than their sum."""
    tables = ("weights", "shared_weights")
    if not a.right("expert_ids") or any(a.got[name].shape != a.expected[name].shape for name in tables):
        return False
    got, right = (torch.cat([o["weights"], o["shared_weights"]], dim=1) for o in (a.got, a.expected))
    if close(got, right, exact=a.exact):
        return False
    short = 1 - row_sum(got)
    return bool((short > 0).any() and (short >= -1e-12).all()) and close(got / row_sum(got), right) and eps_fits(a, got)


def eps_fits(a: Attempt, got: Tensor) -> bool:
    logits, shared_logits, _, _ = a.args
    total = row_sum(logits.sigmoid().gather(1, a.expected["expert_ids"])) + row_sum(shared_logits.sigmoid())
    more = total / row_sum(got) - total  # (N, 1) what the sum was made larger by
    return bool((more < 1e-3).all())


def small_sentence(a: Attempt) -> str:
    total = float(a.got["weights"][0].sum() + a.got["shared_weights"][0].sum())
    return (
        f"With {a.trial.note}, the weights of token 0 should sum to 1, and yours sum to {number(total, 9)}: something "
        "is added to the divisor, or keeps it from being smaller. The scores are above 0, so divide by their sum alone."
    )


LEAK, INSIDE = "The bias leaks into the weights", "The bias is added before the sigmoid"
ALONE = "The shared experts are left out of the sum"
MISTAKES = (
    sign("One table for both kinds", one_table, "`weights` is {weights.shape}, with the shared experts in it. Return "
         "{right.weights.shape} for the chosen and {right.shared_weights.shape} for the shared ones."),
    sign("All E columns come back", too_wide, "Expected `weights` and `expert_ids` {right.weights.shape}, got "
         "{weights.shape} and {expert_ids.shape}: only the k = {k} chosen experts are wanted."),
    sign("`exp` overflows", not_finite, "Some weights are nan: a logit is past what exp can hold in {logits.dtype}. "
         "`torch.sigmoid` has no such limit."),
    wrong("The numbers count the shared experts", behind_the_shared, with_choice("{choice}: your numbers begin behind "
          "the shared experts. Routed expert 0 is expert 0.")),
    sign("The shared experts compete for a place", among_all, among_all_sentence),
    weighs(LEAK, of_scores(lambda s, t, b: divided(s + b, t, both(s + b, t))), "Right experts, but their weights are "
           "made of score + bias. The bias decides who is chosen; every weight comes from the scores without it."),
    weighs(LEAK, of_scores(lambda s, t, b: ((s + b) / both(s, t), t / both(s, t))), "Right experts, but their weights "
           "are made of score + bias. The sum that they are divided by is right."),
    weighs(LEAK, of_scores(lambda s, t, b: (s / both(s, t) + b, t / both(s, t))), "The bias was added to the weights. "
           "It decides who is chosen, and nothing else."),
    weighs("The bias is in the sum", of_scores(lambda s, t, b: divided(s, t, both(s + b, t))), "The scores above are "
           "right, but the sum that they are divided by still contains the bias."),
    weighs(ALONE, of_scores(lambda s, t, b: divided(s, t, row_sum(s))), "You divide by the sum of the chosen scores. "
           "The scores of the shared experts belong to the sum."),
    weighs(ALONE, of_scores(lambda s, t, b: (s / row_sum(s), t)), "The chosen weights sum to 1 alone, and the shared "
           "weights are their plain scores. Both are divided by the sum over both."),
    weighs(ALONE, of_scores(lambda s, t, b: (s / row_sum(s), t / both(s, t))), "The shared weights are right, and the "
           "chosen weights sum to 1 alone. Divide them by the same sum, which is over both."),
    weighs("The weights belong to other experts", best_scores, "Right experts, but their weights are made of the k = "
           "{k} largest scores, which are those of other experts: `gather` the scores of the chosen."),
    weighs("The chosen experts are left out of the sum", of_scores(lambda s, t, b: divided(s, t, row_sum(t))), "You "
           "divide by the sum of the shared scores. The scores of the chosen experts belong to the sum."),
    weighs("The shared experts are not divided", of_scores(lambda s, t, b: (s / both(s, t), t)), "The chosen weights "
           "are right, and the shared weights are their plain scores. Divide them by the same sum."),
    weighs("The chosen experts are not divided", of_scores(lambda s, t, b: (s, t / both(s, t))), "The shared weights "
           "are right, and the chosen weights are their plain scores. Divide them by the same sum."),
    *(weighs("The shared experts always weigh 1", of_scores(rule), "Every shared weight is 1, as where shared experts "
             "do not compete. Here a shared expert weighs its score, divided by the sum over both kinds.") for rule in (
        lambda s, t, b: (s / both(s, t), torch.ones_like(t)), lambda s, t, b: (s / row_sum(s), torch.ones_like(t)),
        lambda s, t, b: (s, torch.ones_like(t)))),
    weighs("Each kind is normalised alone", of_scores(lambda s, t, b: (s / row_sum(s), t / row_sum(t))), "The chosen "
           "weights sum to 1, and so do the shared ones. One sum goes over both kinds, so that they compete."),
    weighs("Half for each kind", of_scores(lambda s, t, b: (s / row_sum(s) / 2, t / row_sum(t) / 2)), "Each kind gets "
           "half of the whole. How much each gets is up to the scores: one sum goes over both."),
    weighs("Nothing is divided", of_scores(lambda s, t, b: (s, t)), "Yours are the plain scores. Divide them by the "
           "sum over chosen and shared."),
    weighs("A mean instead of a sum", of_scores(lambda s, t, b: divided(s, t, both(s, t) / (s.shape[1] + t.shape[1]))),
           "You divide by the mean of the scores. Divide by their sum."),
    weighs("A mean instead of a sum", of_scores(lambda s, t, b: divided(s, t, row_sum(s) + t.mean(1, True))), "The "
           "shared scores go into the divisor with their mean. It is the sum over all of them."),
    weighs("A mean instead of a sum", of_scores(lambda s, t, b: (s / both(s, t), t / both(s, t) / t.shape[1])), "The "
           "chosen weights are right, and the shared ones are divided by their number once more."),
    weighs("One shared expert counts", of_scores(lambda s, t, b: divided(s, t, row_sum(s) + t[:, :1])), "Of the shared "
           "scores only the first is in the divisor. All S of them work, and all belong to the sum."),
    weighs("Divided by the sum over all experts", over_all, "You divide by the sum over all E + S experts. Of the "
           "routed ones only the k = {k} chosen count."),
    weighs("The sum runs over the tokens", of_scores(lambda s, t, b: (s / s.sum(0, True), t / t.sum(0, True))), "Your "
           "columns sum to 1. The sum goes over the experts of a token, dimension 1."),
    weighs("One sum for all tokens", of_scores(lambda s, t, b: divided(s, t, s.sum() + t.sum())), "All your weights "
           "together sum to 1; those of each token should. Give the sum a dimension, and keep it."),
    weighs("Softmax, not sigmoid", of_logits(lambda z, t: apart(torch.cat([z, t], dim=1).softmax(dim=1), t)), "Yours "
           "are a softmax over the logits of the chosen and the shared. Score each by a sigmoid; divide by the sum."),
    wrong("Softmax, not sigmoid", softmax_of_all, lambda a: f"{first(a)} Your scores are a softmax over all E + S "
          "logits. A sigmoid scores each expert by itself."),
    weighs("Softmax over the scores", of_scores(lambda s, t, b: apart(torch.cat([s, t], dim=1).softmax(dim=1), t)),
           "Yours are a softmax over the scores. Divide the scores by their sum, without another `exp`."),
    wrong("The bias is ignored", lambda z, t, b, k: weighed(z.sigmoid(), t.sigmoid(), z.sigmoid(), k), with_choice(
          "{choice}. Without `bias` yours would be right: it is added to the scores before choosing.")),
    wrong(INSIDE, lambda z, t, b, k: weighed((z + b).sigmoid(), t.sigmoid(), (z + b).sigmoid(), k), lambda a: first(a) +
          " Yours are sigmoid(logits + bias). The bias is added to the scores after the sigmoid, only for choosing."),
    wrong(INSIDE, lambda z, t, b, k: weighed(z.sigmoid(), t.sigmoid(), (z + b).sigmoid(), k), with_choice("{choice}: "
          "you choose by logits + bias. The bias is added to the scores, after the sigmoid.")),
    wrong("The bias is subtracted", lambda z, t, b, k: weighed(z.sigmoid(), t.sigmoid(), z.sigmoid() - b, k),
          with_choice("{choice}: that is the choice by score − bias.")),
    wrong("The sigmoid is missing", lambda z, t, b, k: weighed(z, t, z + b, k), lambda a: first(a) + " Yours are made "
          "of the logits themselves. Scores are their sigmoid."),
    weighs("The sigmoid is missing", of_logits(lambda z, t: divided(z, t, both(z, t))), "Right experts, but the "
           "weights are made of the logits. Take their sigmoid."),
    weighs("The shared logits have no sigmoid", of_logits(lambda z, t: divided(z.sigmoid(), t, both(z.sigmoid(), t))),
           "The shared experts go into the sum with their logits. Their scores are a sigmoid, too."),
    wrong("Ordered by weight", by_weight, with_choice("Right experts, but {choice}. The order is by score + bias, as "
          "they were chosen; the weights need not fall from left to right.")),
    *wrong_choices(lambda a: a.args[0].sigmoid() + a.args[2], {
        "The smallest are kept": with_choice("{choice}: yours are the k smallest sums of score and bias. Sorted "
            "ascending?"),
        "The order is worst first": "Right experts, but token 0 lists {expert_ids[0]}, its best one last: sort "
            "descending.",
        "The order is by expert number": "Right experts, but token 0 lists {expert_ids[0]}. Best first means by score "
            "+ bias: {right.expert_ids[0]}.",
    }),
    sign("A small number is added to the sum", small_number, small_sentence),
)  # fmt: skip


def picture(attempt: Attempt, outputs: dict[str, Tensor]) -> Tensor | None:
    """(N, E + S): the weights of all experts, those of the shared ones last; None where they do not fit."""
    routed, shared = choice.spread(attempt, outputs), outputs["shared_weights"]
    if routed is None or shared.shape != attempt.expected["shared_weights"].shape or shared.dtype != routed.dtype:
        return None
    return torch.cat([routed, shared], dim=1)


OUTPUTS = (
    Output("weights", "N, k", strict_dtype=False), Output("expert_ids", "N, k", expert_values=True),
    Output("shared_weights", "N, S", strict_dtype=False),
)  # fmt: skip
COMPETE_WITH_SHARED = Exercise(
    id="9.5", name="compete_with_shared", parameters=("logits", "shared_logits", "bias", "k"), sizes="NEkS",
    outputs=OUTPUTS, reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Choose as in 3.5, among the routed experts alone. The shared ones come in afterwards: which scores belong to "
        "one sum, and what is divided by it?",
        "Sort `logits.sigmoid() + bias` for the experts and `gather` their scores without the bias. One divisor (N, "
        "1): the sum of these and of the shared scores. Both tables are divided by it.",
    ),
    minutes=12, lines="about 6 lines",
    done="That is Inkling's router, without its scale factors: a token can turn a shared expert down.",
    stretch=True, picture=("weights by expert, shared ones last (N, E + S)", picture),
)  # fmt: skip
