"""Exercise 8.3, information_and_chance: what the expert tells, and what shuffled labels would seem to tell."""

import statistics

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.exercise import Case, Drawn, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import not_finite, sign, wrong
from moe_lite.checks.lesson08.expert_table import table
from moe_lite.checks.lesson08.mutual_information import bits


def with_chance(
    expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int
) -> tuple[float, float]:
    """expert_ids (N, K), labels (N,), orders (R, N) -> information, and its mean over shuffled labels, in bits."""
    rounds = each(expert_ids, labels, orders, n_experts, n_labels)
    return bits(table(expert_ids, labels, n_experts, n_labels)), statistics.mean(rounds)


def each(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> list[float]:
    """Of each of the R rounds."""
    return [bits(table(expert_ids, labels[order], n_experts, n_labels)) for order in orders]


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (tokens(1, 23, 4, 3, 2, 5), tokens(2, 31, 6, 4, 3, 7), tokens(3, 26, 5, 6, 1, 7))
    planted = (tokens(4, 40, 4, 4, 1, 6, planted=True), tokens(5, 36, 6, 3, 2, 5, planted=True))
    silent = (tokens(6, 21, 9, 5, 2, 4),)
    first, _ = inputs.usual(plain[:2], plain, name="two floats")
    return (
        *first,
        Case("what is observed", plain, ("information",)),
        Case("what shuffled labels give", plain, ("chance",)),
        Case("experts that follow the labels", planted, ("information", "chance")),
        Case("more experts than tokens for each", silent, ("information", "chance")),
    )


def tokens(
    seed: int, n_tokens: int, n_experts: int, n_labels: int, k: int, n_rounds: int, planted: bool = False
) -> Trial:
    args = drawn(seed, n_tokens, k, n_experts, n_labels, n_rounds)
    if planted:  # the first choice is the label's own expert
        labels = args[1]
        rest = (labels[:, None] + 1 + torch.arange(k - 1)) % n_experts  # (N, k − 1)
        args = (torch.cat([labels[:, None], rest], dim=1), *args[1:])
    return Trial(args, f"seed {seed}, {n_tokens} tokens, {n_rounds} rounds")


def drawn(seed: int, N: int, K: int, E: int, C: int, R: int) -> tuple:
    g = inputs.generator(seed + 50)
    labels = torch.randint(0, C, (N,), generator=g)
    orders = torch.stack([torch.randperm(N, generator=g) for _ in range(R)])
    return inputs.choices(seed, N, E, K), labels, orders, E, C


DRAWN = Drawn(
    drawn, {"N": 12, "K": 3, "E": 6, "C": 4, "R": 5}, at_most=(("K", "E"),), float32=False, not_expanded=(1, 2),
    thousands=601,
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def pooled(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> float:
    """The information in the sum of all shuffled tables."""
    return bits(sum(table(expert_ids, labels[order], n_experts, n_labels) for order in orders))


def unordered(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> float:
    """Each round turned back: token orders[r, n] gets the label of token n."""
    return statistics.mean(each(expert_ids, labels, orders.argsort(dim=1), n_experts, n_labels))


def left(information: float, chance: float) -> tuple[float, float]:
    return information - chance, chance


MISTAKES = (
    sign("0 · log 0", not_finite, "A result is nan or inf. An empty cell adds nothing to the information: use your "
         "`mutual_information` of exercise 8.2."),
    wrong("Chance is taken off already", lambda *a: left(*with_chance(*a)), "`information` is {information:3}, "
          "expected {right.information:3}: as it was counted, with nothing taken off. Both are reported side by side."),
    wrong("Nothing was shuffled", chance=lambda *a: with_chance(*a)[0], say="`chance` is as large as `information`. If "
          "experts and labels are shuffled alike, or only the order within a row, every token keeps its own label."),
    wrong("The tables were added before the information was taken", chance=pooled, say="`chance` is {chance:3}, "
          "expected {right.chance:3}: added up, the R tables even out, and almost nothing is left. Take the "
          "information of each table, then the mean."),
    wrong("Only the first round", chance=lambda *a: each(*a)[0], say="`chance` is {chance:3}, expected "
          "{right.chance:3}: that is one round. Take the mean over all R rows of `orders`."),
    wrong("Only the last round", chance=lambda *a: each(*a)[-1], say="`chance` is {chance:3}, expected "
          "{right.chance:3}: that is one round. Take the mean over all R rows of `orders`."),
    wrong("The largest round, not the mean", chance=lambda *a: max(each(*a)), say="`chance` is {chance:3}, expected "
          "{right.chance:3}. Asked is the mean over the rounds."),
    wrong("The smallest round, not the mean", chance=lambda *a: min(each(*a)), say="`chance` is {chance:3}, expected "
          "{right.chance:3}. Asked is the mean over the rounds."),
    wrong("The median, not the mean", chance=lambda *a: statistics.median_low(each(*a)), say="`chance` is {chance:3}, "
          "expected {right.chance:3}. Asked is the mean over the rounds."),
    wrong("A sum, not a mean", chance=lambda *a: sum(each(*a)), say="`chance` is {chance:3}, R times the expected "
          "{right.chance:3}. Divide by the number of rounds."),
    wrong("The order is read the other way round", chance=unordered, say="`chance` is {chance:3}, expected "
          "{right.chance:3}. Yours is as good a shuffle, but another one: in round r, token n gets the label of token "
          "`orders[r, n]`, so `labels[orders[r]]`."),
)  # fmt: skip

INFORMATION_AND_CHANCE = Exercise(
    id="8.3", name="information_and_chance", parameters=("expert_ids", "labels", "orders", "n_experts", "n_labels"),
    sizes="NKECR", outputs=(Output("information", real=True), Output("chance", real=True)), reference=with_chance,
    cases=cases, mistakes=MISTAKES, drawn=DRAWN,
    hints=(
        "You have both parts: `expert_table` makes a table, and `mutual_information` reads it. For chance, do the same "
        "with labels that were dealt out again, once per row of `orders`.",
        "`labels[order]` for `order in orders`; collect one number per round, and return the observed one and the mean "
        "of the others, as floats.",
    ),
    minutes=6, lines="about 4 lines",
    done="A measure without its chance level is half a measure. From here on, both are always printed.",
)  # fmt: skip
