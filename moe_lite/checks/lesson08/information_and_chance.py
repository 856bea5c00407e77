"""Exercise 8.3, information_and_chance: what the expert tells, and what shuffled labels would seem to tell."""

import math
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
)  # fmt: skip


# ---- mistakes --------------------------------------------------------------------------------------------------------


def pooled(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> float:
    """The information in the sum of all shuffled tables."""
    return bits(sum(table(expert_ids, labels[order], n_experts, n_labels) for order in orders))


def unordered(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> float:
    """Each round turned back: token orders[r, n] gets the label of token n."""
    return statistics.mean(each(expert_ids, labels, orders.argsort(dim=1), n_experts, n_labels))


def piled_up(expert_ids: Tensor, labels: Tensor, orders: Tensor, n_experts: int, n_labels: int) -> float:
    """Each round shuffles the labels of the round before."""
    rounds = []
    for order in orders:
        labels = labels[order]
        rounds.append(bits(table(expert_ids, labels, n_experts, n_labels)))
    return statistics.mean(rounds)


def with_observed(*args) -> float:
    """The mean over the rounds and the information without a shuffle."""
    information, chance = with_chance(*args)
    n_rounds = len(args[2])
    return (information + n_rounds * chance) / (n_rounds + 1)


def left(information: float, chance: float) -> tuple[float, float]:
    return information - chance, chance


def in_nats(information: float, chance: float) -> tuple[float, float]:
    return information * math.log(2), chance * math.log(2)


def first_choice(expert_ids: Tensor, *rest) -> tuple[float, float]:
    return with_chance(expert_ids[:, :1], *rest)


MISTAKES = (
    sign("0 · log 0", not_finite, "A result is nan or inf. An empty cell adds nothing to the information: use your "
         "`mutual_information` of exercise 8.2."),
    wrong("Chance is taken off already", lambda *a: left(*with_chance(*a)), "`information` is {information.beside:3}: "
          "return what the table of the true labels gives, and take nothing off. The two numbers are compared later, "
          "side by side."),
    wrong("Nats, not bits", lambda *a: in_nats(*with_chance(*a)), "`information` is {information.beside:3}: yours is "
          "0.693 of it. `log` gives nats; bits need `log2`, as in your `mutual_information` of exercise 8.2."),
    wrong("Only the first choice is counted", first_choice, "`information` is {information.beside:3}: your table only "
          "has the first expert of each token. All K of them count, as in your `expert_table` of exercise 8.1."),
    wrong("Nothing was shuffled", chance=lambda *a: with_chance(*a)[0], say="`chance` is as large as `information`: in "
          "each of your rounds, every token still has its own label. Take `labels[orders[r]]`, and leave `expert_ids` "
          "as it is."),
    wrong("The tables were added before the information was taken", chance=pooled, say="`chance` is {chance.beside:3}: "
          "in the sum of the R tables, the chance differences between them even out. Take the information of each "
          "table, and then the mean."),
    wrong("The shuffles pile up", chance=piled_up, say="`chance` is {chance.beside:3}: each of your rounds shuffles "
          "the labels of the round before. Begin each round with the true labels: `labels[orders[r]]`, under another "
          "name than `labels`."),
    wrong("Only the first round", chance=lambda *a: each(*a)[0], say="`chance` is {chance.beside:3}: that is one "
          "round. Take the mean over all R rows of `orders`."),
    wrong("Only the last round", chance=lambda *a: each(*a)[-1], say="`chance` is {chance.beside:3}: that is one "
          "round. Take the mean over all R rows of `orders`."),
    wrong("A single round, divided by R", chance=lambda *a: each(*a)[0] / len(a[2]), say="`chance` is "
          "{chance.beside:3}: that is the first round, divided by R. Does a `return` stand inside the loop, or is the "
          "sum not carried on from round to round?"),
    wrong("A single round, divided by R", chance=lambda *a: each(*a)[-1] / len(a[2]), say="`chance` is "
          "{chance.beside:3}: that is the last round, divided by R. Is the sum carried on from round to round (`+=`)?"),
    wrong("A round is missing", chance=lambda *a: statistics.mean(each(*a)[:-1] or each(*a)), say="`chance` is "
          "{chance.beside:3}: that is the mean without the last round. `range(R)` ends with R − 1 by itself."),
    wrong("A round is missing", chance=lambda *a: statistics.mean(each(*a)[1:] or each(*a)), say="`chance` is "
          "{chance.beside:3}: that is the mean without the first round, and rounds are counted from 0."),
    wrong("The true labels count as a round", chance=with_observed, say="`chance` is {chance.beside:3}: the "
          "information of the true labels is one of your rounds. The mean is over the R shuffled ones alone."),
    wrong("The largest round, not the mean", chance=lambda *a: max(each(*a)), say="`chance` is {chance.beside:3}. "
          "The mean over the rounds is wanted."),
    wrong("The smallest round, not the mean", chance=lambda *a: min(each(*a)), say="`chance` is {chance.beside:3}. "
          "The mean over the rounds is wanted."),
    wrong("The median, not the mean", chance=lambda *a: statistics.median_low(each(*a)), say="`chance` is "
          "{chance.beside:3}. The mean over the rounds is wanted."),
    wrong("A sum, not a mean", chance=lambda *a: sum(each(*a)), say="`chance` is {chance.beside:3}: yours is R times "
          "as large. Divide by the number of rounds."),
    wrong("Divided by the number of tokens", chance=lambda *a: sum(each(*a)) / len(a[1]), say="`chance` is "
          "{chance.beside:3}: the sum over the rounds was divided by N. Divide by R, the number of rounds."),
    wrong("The order is read the other way round", chance=unordered, say="`chance` is {chance.beside:3}. Yours is as "
          "good a shuffle, but another one: in round r, token n gets the label of token `orders[r, n]`, so "
          "`labels[orders[r]]`."),
)  # fmt: skip

INFORMATION_AND_CHANCE = Exercise(
    id="8.3", name="information_and_chance", parameters=("expert_ids", "labels", "orders", "n_experts", "n_labels"),
    sizes="NKECR", outputs=(Output("information", real=True), Output("chance", real=True)), reference=with_chance,
    cases=cases, mistakes=MISTAKES, drawn=DRAWN, in_program=False,
    hints=(
        "You have both parts: `expert_table` makes a table, and `mutual_information` reads it. For chance, do the same "
        "with labels that were dealt out again, once per row of `orders`.",
        "`labels[order]` for `order in orders`; collect one number per round, and return the observed one and the mean "
        "of the others, as floats.",
    ),
    minutes=6, lines="about 4 lines",
    done="A measure without its chance level is half a measure. The tables below have both.",
)  # fmt: skip
