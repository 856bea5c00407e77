"""Exercise 7.3, choose_and_move: the selection bias, used for choosing only and moved by a rule."""

from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import first_difference, number
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import one_wrong
from moe_lite.checks.engine.say import said
from moe_lite.checks.lesson03.choice import small_number, wrong_choices
from moe_lite.checks.lesson03.top_k_route import best


def reference(scores: Tensor, bias: Tensor, k: int, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """weights (N, k), expert_ids (N, k), new bias (E,) (DeepSeek-V3, arXiv 2412.19437, section 2.1.2)."""
    weights, expert_ids = chosen(scores, bias, k)
    return weights, expert_ids, bias + step * gap(scores, bias, k).sign().to(bias.dtype)


def chosen(scores: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    expert_ids = best(scores + bias, k)[1]  # (N, k)
    kept = scores.gather(1, expert_ids)  # (N, k)
    return kept / kept.sum(dim=1, keepdim=True), expert_ids


def load(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    """Assignments of each expert, (E,) float64."""
    return torch.bincount(chosen(scores, bias, k)[1].flatten(), minlength=scores.shape[1]).double()


def mean(scores: Tensor, k: int) -> float:
    return len(scores) * k / scores.shape[1]


def gap(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    """How far each load is below the mean, (E,) float64."""
    return mean(scores, k) - load(scores, bias, k)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 14, 6, 2, 0.01), random(2, 11, 5, 3, 0.002), random(3, 17, 7, 2, 0.1))
    unbiased = tuple(
        Trial((t.args[0], torch.zeros_like(t.args[1]), *t.args[2:]), t.note + ", bias 0") for t in plain[:2]
    )
    strong = (random(4, 12, 6, 2, 0.01, strength=0.8), random(6, 15, 5, 2, 0.05, strength=0.8))
    edges = (random(7, 9, 6, 1, 0.01), random(8, 10, 4, 4, 0.01))
    types = (plain[0], in_float32(plain[1]), plain[2])
    first, last = inputs.usual(types, plain, gradient=(0,), through=plain[:1])
    return (
        *first,
        Case("chosen with the bias", plain + strong, ("expert_ids",)),
        Case("weights without the bias", plain + strong, ("weights",)),
        Case("the bias moves", plain + unbiased + strong, ("new_bias",)),
        Case("an expert at the mean, one without tokens", (exact(), silent()), ("new_bias",)),
        Case("ties, nearly equal scores", (tied(9), tied(10, 64), close(11)), ("expert_ids", "new_bias")),
        Case("k = 1 and k = E", edges, ("weights", "expert_ids", "new_bias")),
        *last,
    )


def random(seed: int, n_tokens: int, n_experts: int, k: int, step: float, strength: float = 0.25) -> Trial:
    """Sigmoid scores, and a bias that changes the choice of some tokens."""
    scores = inputs.logits(seed, n_tokens, n_experts).sigmoid().round(decimals=4)
    bias = (torch.randn(n_experts, dtype=F64, generator=inputs.generator(seed + 50)) * strength).round(decimals=3)
    return Trial((scores, bias, k, step), f"seed {seed}, float64, k={k}, step={step}")


def in_float32(trial: Trial) -> Trial:
    scores, bias, *rest = trial.args
    return Trial((scores.to(F32), bias.to(F32), *rest), trial.note.replace("float64", "float32"))


def exact() -> Trial:
    """Loads 1, 2 and 3 of a mean of 2."""
    scores = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.8, 0.3], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6], [0.2, 0.3, 0.9],
                           [0.3, 0.1, 0.5]], dtype=F64)  # fmt: skip
    return Trial((scores, torch.tensor([0.1, 0.0, -0.1], dtype=F64), 1, 0.25), "loads 1, 2 and 3")


def silent() -> Trial:
    """The last two of six experts are never chosen."""
    scores = inputs.logits(11, 9, 6).sigmoid().round(decimals=4)
    return Trial((scores, torch.tensor([0.0, 0.1, 0.0, 0.2, -2.0, -2.0], dtype=F64), 2, 0.01), "experts without tokens")


def tied(seed: int, n_experts: int = 12) -> Trial:
    drawn = torch.randint(0, 4, (6, n_experts), generator=inputs.generator(seed))
    levels = torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=F64)
    return Trial((levels[drawn], torch.zeros(n_experts, dtype=F64), 3, 0.01), f"seed {seed}, equal scores, bias 0")


def close(seed: int) -> Trial:
    scores = inputs.nearly_equal(seed, 6, 5)
    return Trial((scores, torch.zeros(5, dtype=F64), 2, 0.01), "scores that differ in the seventh decimal, bias 0")


def drawn(seed: int, N: int, E: int, k: int) -> tuple:
    scores, bias = inputs.distinct(2 * seed, N, E, low=0.0, high=1.0), inputs.distinct(2 * seed + 1, E)
    return scores, bias * 0.1, k, 0.01


def extremes(seed: int) -> tuple[Trial, ...]:
    scores, bias, k, step = drawn(seed, 8, 4, 2)
    almost = torch.eye(2)[torch.arange(4001) % 2]  # (4001, 2) tokens take turns
    return (
        Trial((scores, bias * 1e3, k, step), "a bias that decides alone"),
        Trial((scores, bias, k, 0.0), "a step of 0"),
        Trial((scores * 1e-10, torch.zeros_like(bias), k, step), "scores near a ten-billionth, bias 0"),
        Trial((scores.float(), bias.float() * 1e6, k, step), "a bias of 100,000, float32"),
        Trial((almost.double(), torch.zeros(2, dtype=F64), 1, step), "loads 2,001 and 2,000"),
        Trial((torch.ones_like(scores), torch.zeros_like(bias), k, step), "all scores equal, bias 0"),
        Trial((torch.eye(4, dtype=F64).repeat(2, 1) + 0.1, torch.zeros_like(bias), 1, step), "loads all at the mean"),
    )


DRAWN = Drawn(drawn, {"N": 8, "E": 5, "k": 3}, at_most=(("k", "E"),), gradient=(0,), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------

Rule = Callable[[Tensor, Tensor, int], Tensor]  # scores (N, E), bias (E,), k


def chooses(title: str, rule: Rule, say: str) -> Mistake:
    text = "Choice {expert_ids.at[1]} of token {expert_ids.at[0]} is expert {expert_ids.wrong.beside:0}: "
    return one_wrong("expert_ids", title, lambda s, b, k, step: rule(s, b, k), text + say)


def weighs(title: str, rule: Rule, say: str) -> Mistake:
    text = "Weight {weights.at[1]} of token {weights.at[0]} is {weights.wrong.beside:4}; rows sum to {weights.rows}: "
    return one_wrong("weights", title, lambda s, b, k, step: rule(s, b, k), text + say)


def moves(title: str, rule: Rule, say: str) -> Mistake:
    """`rule` gives what is added to the bias, in steps (E,)."""

    def new_bias(scores: Tensor, bias: Tensor, k: int, step: float) -> Tensor:
        return bias + step * rule(scores, bias, k).to(bias.dtype)

    def text(a: Attempt) -> str:
        (e,) = first_difference(a.got["new_bias"], a.expected["new_bias"])
        scores, bias, k, _ = a.args
        work = f"Expert {e} has {int(load(scores, bias, k)[e])} assignments, the mean is {number(mean(scores, k))}"
        was = number(float(bias[e]), 4)
        return said(f"{work}; its bias goes from {was} to {{new_bias.wrong.beside:4}}: {say}", a)

    return one_wrong("new_bias", title, new_bias, text)


def seen_only(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    """The mean of the loads of those that were chosen at all."""
    loads = load(scores, bias, k)
    return (loads[loads > 0].mean() - loads).sign()


def one(loads: Tensor, most: bool) -> Tensor:
    at = loads.argmax() if most else loads.argmin()
    return torch.zeros_like(loads).index_fill(0, at[None], -1.0 if most else 1.0)


def first_choices(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    loads = torch.bincount(chosen(scores, bias, k)[1][:, 0], minlength=scores.shape[1]).double()
    return (len(scores) / scores.shape[1] - loads).sign()


def centred(bias: Tensor) -> Tensor:
    return bias - bias.mean()


def raw(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    return scores.gather(1, chosen(scores, bias, k)[1])


def leaked(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    return (scores + bias).gather(1, chosen(scores, bias, k)[1])


def by_score(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    """The right experts, in the order of their own scores."""
    ids = chosen(scores, bias, k)[1].sort(dim=1).values
    return ids.gather(1, scores.gather(1, ids).argsort(dim=1, descending=True, stable=True))


LEAK = "The bias leaks into the weights"

MISTAKES = (
    chooses("The bias is ignored", lambda s, b, k: best(s, k)[1], "chosen are the largest scores + bias."),
    chooses("The bias is subtracted", lambda s, b, k: best(s - b, k)[1], "a bias above 0 makes its expert *more* "
            "likely."),
    chooses("The bias is multiplied", lambda s, b, k: best(s * (1 + b), k)[1], "chosen are the largest scores · (1 + "
            "bias). The bias is added: scores + bias."),
    chooses("The bias is multiplied", lambda s, b, k: best(s * b, k)[1], "chosen are the largest scores · bias. The "
            "bias is added: scores + bias."),
    one_wrong("expert_ids", "The moved bias chooses", lambda *args: chosen(args[0], reference(*args)[2], args[2])[1],
              "This batch is chosen with the bias as it came; the moved one is for the next batch."),
    chooses("Divided before the bias came", lambda s, b, k: best(s / s.sum(1, True) + b, k)[1], "the rows were made to "
            "sum to 1 first, and then the bias weighs more. Add it to the scores as they are."),
    chooses("Ordered by score", by_score, "the right experts; best first means by score + bias, as they were chosen."),
    weighs(LEAK, lambda s, b, k: leaked(s, b, k) / leaked(s, b, k).sum(1, True), "yours are made of score + bias. The "
           "bias decides who is chosen; what an expert weighs comes from its score alone."),
    weighs(LEAK, leaked, "yours are score + bias. Take the scores without it, and divide by their sum."),
    weighs("The bias is in the sum", lambda s, b, k: raw(s, b, k) / leaked(s, b, k).sum(1, True), "the scores above "
           "are right, the sum below still has the bias."),
    weighs("The weights are not divided", raw, "divide the chosen scores by their sum: each row sums to 1."),
    weighs("Divided by the sum over all experts", lambda s, b, k: raw(s, b, k) / s.sum(1, True), "only the chosen ones "
           "count in the sum."),
    weighs("Softmax over the chosen", lambda s, b, k: raw(s, b, k).softmax(1), "they are scores already: divide by "
           "their sum, without another `exp`."),
    weighs("Softmax over the chosen", lambda s, b, k: leaked(s, b, k).softmax(1), "two things: the bias is in them, "
           "and scores are divided by their sum, without another `exp`."),
    weighs("The weights of the best scores", lambda s, b, k: best(s, k)[0] / best(s, k)[0].sum(1, True), "these are "
           "the largest scores, but the chosen experts are others. Fetch theirs with `gather`."),
    weighs("All weights are equal", lambda s, b, k: torch.full_like(raw(s, b, k), 1 / k), "a better score weighs "
           "more."),
    weighs("The sum runs over the tokens", lambda s, b, k: raw(s, b, k) / raw(s, b, k).sum(0, True), "each token's "
           "weights sum to 1: sum over dimension 1."),
    moves("The wrong direction", lambda s, b, k: -gap(s, b, k).sign(), "an expert with too much work must become "
          "*less* likely to be chosen."),
    moves("The difference, not its sign", gap, "the rule knows only a direction: `step` up or `step` down, however "
          "large the difference is."),
    moves("The difference, not its sign", lambda s, b, k: -gap(s, b, k), "the rule knows only a direction, and an "
          "expert with too much work goes down."),
    moves("The difference, not its sign", lambda s, b, k: gap(s, b, k) / mean(s, k), "the rule knows only a direction, "
          "however large the relative difference is."),
    moves("The difference, not its sign", lambda s, b, k: gap(s, b, k) / (len(s) * k), "the rule knows only a "
          "direction, however large the difference of the shares is."),
    moves("The difference, not its sign", lambda s, b, k: gap(s, b, k) / len(s), "the rule knows only a direction, "
          "however large the difference of the shares is."),
    moves("The load of another choice", lambda s, b, k: gap(s, torch.zeros_like(b), k).sign(), "you counted the "
          "experts that would be chosen *without* the bias."),
    moves("Only first choices are counted", first_choices, "the load counts all k choices of a token."),
    moves("Scores in place of loads", lambda s, b, k: (s.mean() - s.mean(0)).sign(), "you compared mean scores. What "
          "moves the bias is how many tokens came."),
    moves("The mean of the chosen ones", seen_only, "the mean is over *all* experts, N · k / E, also those that nobody "
          "chose."),
    moves("The median, not the mean", lambda s, b, k: (load(s, b, k).median() - load(s, b, k)).sign(), "the loads are "
          "compared with their mean, N · k / E."),
    moves("The mean is rounded down", lambda s, b, k: (len(s) * k // s.shape[1] - load(s, b, k)).sign(), "`//` rounds "
          "the mean load down, and an expert just below the mean is taken for one above it."),
    moves("The fair share of one choice", lambda s, b, k: (len(s) / s.shape[1] - load(s, b, k)).sign(), "with k "
          "choices per token the mean load is N · k / E."),
    moves("Only the fullest moves", lambda s, b, k: one(load(s, b, k), True), "every expert above or below the mean "
          "moves."),
    moves("Only the emptiest moves", lambda s, b, k: one(load(s, b, k), False), "every expert above or below the mean "
          "moves."),
    moves("Nobody goes down", lambda s, b, k: gap(s, b, k).sign().clamp(min=0), "overloaded experts go down by the "
          "same step."),
    moves("Nobody goes up", lambda s, b, k: gap(s, b, k).sign().clamp(max=0), "experts below the mean go up by the "
          "same step."),
    moves("At the mean it stays", lambda s, b, k: torch.where(gap(s, b, k) > 0, 1.0, -1.0), "an expert whose load is "
          "exactly the mean keeps its bias. `sign` gives 0 there."),
    moves("At the mean it stays", lambda s, b, k: torch.where(gap(s, b, k) >= 0, 1.0, -1.0), "an expert whose load is "
          "exactly the mean keeps its bias. `sign` gives 0 there."),
    moves("The bias does not move", lambda s, b, k: torch.zeros_like(b), "what comes back is the bias for the *next* "
          "batch."),
    one_wrong("new_bias", "The mean is taken off", lambda *args: centred(reference(*args)[2]), "Your biases sum to 0: "
              "their mean was taken off. The rule moves each by a step or not at all."),
    one_wrong("new_bias", "The move alone", lambda s, b, k, step: (step * gap(s, b, k).sign()).to(b.dtype), "What "
              "comes back is the step alone. Add it to the bias that came in: the rule works by adding up."),
    one_wrong("new_bias", "Multiplied, not added",
              lambda s, b, k, step: b * (1 + step * gap(s, b, k).sign()).to(b.dtype), "The step is added to the bias "
              "or taken off. Multiplied, a bias of 0 would never move."),
    one_wrong("new_bias", "The step is forgotten", lambda s, b, k, step: b + gap(s, b, k).sign().to(b.dtype), "The "
              "bias moves by 1. Multiply the sign by `step`."),
    *wrong_choices(lambda a: a.args[0] + a.args[1], {
        "An expert is chosen twice": "A token has the same expert in two places.",
        "The smallest are kept": "Chosen are the k smallest sums of score and bias. Sorted ascending?",
        "The order is worst first": "The right experts, the best one last: sort descending.",
    }),
    small_number(lambda a: a.args[0]),
)  # fmt: skip

OUTPUTS = (
    Output("weights", "N, k"),
    Output("expert_ids", "N, k", expert_values=True),
    Output("new_bias", "E,", new=True),
)
CHOOSE_AND_MOVE = Exercise(
    id="7.3", name="choose_and_move", parameters=("scores", "bias", "k", "step"), sizes="NEk", outputs=OUTPUTS,
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "Two tables of one shape, as in exercise 3.5: scores + bias to choose from, the scores to weigh with. Then "
        "count who was chosen, and compare each count with the mean of all of them.",
        "A stable sort chooses, `gather` fetches the scores of the chosen. `bincount` counts them (`minlength`: some "
        "may have nobody), and `torch.sign` of how far a count is below the mean is +1, 0 or −1.",
    ),
    minutes=12, lines="about 6 lines",
    done="Balancing without a loss: the rule needs no gradient, and it bends none.",
)  # fmt: skip
