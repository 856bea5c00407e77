"""Exercise 11.1: the count, and the wrong steps that learners take in it, each with what it adds to the two numbers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

from moe_lite.checks.engine.exercise import Attempt, Mistake, Note
from moe_lite.checks.engine.mistakes import sign
from moe_lite.checks.lesson01.count_slips import focus, is_it, off

Config = Mapping[str, int]
Change = Callable[[Config], float]


def totals(c: Config) -> tuple[int, int]:
    """A config.json of Mixtral's format -> parameters in all, and those that work on one token."""
    outside = 2 * table(c) + attention(c) + router(c) + norms(c)
    return outside + n_experts(c) * expert(c), outside + top_k(c) * expert(c)


def n_layers(c: Config) -> int:
    return c["num_hidden_layers"]


def width(c: Config) -> int:
    return c["hidden_size"]


def n_experts(c: Config) -> int:
    return c["num_local_experts"]


def top_k(c: Config) -> int:
    return c["num_experts_per_tok"]


def table(c: Config) -> int:
    """Parameters of one vocabulary matrix."""
    return c["vocab_size"] * width(c)


def one_head(c: Config) -> int:
    """Parameters of one head in one of the four matrices, all layers."""
    return n_layers(c) * width(c) * (width(c) // c["num_attention_heads"])


def attention(c: Config) -> int:
    """Parameters of the four attention matrices, all layers."""
    return 2 * one_head(c) * (c["num_attention_heads"] + c["num_key_value_heads"])


def router(c: Config) -> int:
    """Parameters of all routers."""
    return n_layers(c) * n_experts(c) * width(c)


def expert(c: Config) -> int:
    """Parameters of one expert in every layer together."""
    return 3 * n_layers(c) * width(c) * c["intermediate_size"]


def norms(c: Config) -> int:
    """Parameters of all norms."""
    return (2 * n_layers(c) + 1) * width(c)


# ---- slips, and how a number tells which it was ----------------------------------------------------------------------


@dataclass(frozen=True)
class Slip:
    """One wrong step: what it adds to `total` and to `active`. The sentence may quote fields of the config."""

    title: str
    sentence: str
    total: Change | None = None
    active: Change | None = None

    def added(self, name: str, config: Config) -> float:
        change = getattr(self, name)
        return change(config) if change else 0

    def said(self, config: Config) -> str:
        return self.sentence.format_map(config)


def in_both(title: str, sentence: str, weights: Change) -> Slip:
    """A slip in weights that are held and that work on every token."""
    return Slip(title, sentence, weights, weights)


def mistakes(slips: tuple[Slip, ...]) -> tuple[Mistake, ...]:
    """Each slip alone, then those that were made in `active` only."""
    late = tuple(single(slip, whole=False) for slip in slips if slip.total and slip.active)
    return (*map(single, slips), *late)


def single(slip: Slip, whole: bool = True) -> Mistake:
    """Recognised when the learner's number is off by exactly what the slip adds.

    whole: where it would have changed the number before, that one has to be off, too.
    """

    def answer(names: tuple[str, ...], args: tuple[Config]) -> tuple[int, ...]:
        return tuple(right + round(slip.added(name, *args)) for name, right in zip(names, totals(*args), strict=True))

    def shows(attempt: Attempt) -> bool:
        name, config = focus(attempt), attempt.args[0]
        if whole and name == "active" and slip.added("total", config):
            return False
        return is_it(slip.added(name, config), off(attempt))

    def say(attempt: Attempt) -> str:
        return f"{beside(attempt)} {slip.said(*attempt.args)}"

    def fits(attempt: Attempt) -> bool:
        """What was right would have been wrong with this slip, unless it adds nothing there."""
        names = ("total", "active") if whole else ("active",)
        return not attempt.all_right or not any(slip.added(name, *attempt.args) for name in names)

    return sign(slip.title, shows, say, fits=fits, answer=answer if whole else None)


def two_at_once(slips: tuple[Slip, ...], attempt: Attempt) -> Note | None:
    """The only two slips that together explain the difference. Where other two do as well, nothing is told."""
    name, difference, config = focus(attempt), off(attempt), attempt.args[0]
    added = [(slip, slip.added(name, config)) for slip in slips if name == "total" or not slip.added("total", config)]
    pairs = combinations([pair for pair in added if pair[1]], 2)
    found = [(one, other) for (one, a), (other, b) in pairs if is_it(a + b, difference) and one.title != other.title]
    if len({frozenset((one.title, other.title)) for one, other in found}) != 1:
        return None
    one, other = found[0]
    return Note("Two steps are wrong", f"{beside(attempt)} {one.said(config)} And: {other.said(config)}")


def beside(attempt: Attempt) -> str:
    name, more = focus(attempt), off(attempt)
    mine, right = attempt.got[name].item(), attempt.expected[name].item()
    decimals = ".0f" if mine % 1 == 0 or not math.isfinite(mine) else ".2f" if abs(mine) >= 1 else ".3g"
    both = f"`{name}` is {mine:,{decimals}}".replace("-", "−") + f", expected {right:,}, for {attempt.trial.note}"
    return f"{both}: {abs(more):,.0f} too {'many' if more > 0 else 'few'}." if math.isfinite(more) else f"{both}."


# ---- the slips -------------------------------------------------------------------------------------------------------

ONCE = (
    "Only the experts' three matrices are there {num_local_experts} times per layer. Embedding, head, attention and "
    "norms exist once, so a model called 8x7B has fewer than 8 · 7 billion parameters."
)
ACTIVE_ONCE = "A token uses {num_experts_per_tok} experts, but embedding, head, attention, router and norms only once."
SHARED_HEADS = (
    "There are {num_attention_heads} heads of queries, but only {num_key_value_heads} of keys and of values, and each "
    "head is hidden_size / num_attention_heads wide."
)
SHARE = (
    "You took a share of all parameters. Only experts can be left out: embedding, head, attention, router and norms "
    "work on every token, so more than {num_experts_per_tok} / {num_local_experts} of the parameters are active."
)


def times(n: Change, what: Change) -> Change:
    """`what` is counted n times, not once."""
    return lambda c: (n(c) - 1) * what(c)


def around(c: Config) -> int:
    """All that is neither an expert nor a router."""
    return 2 * table(c) + attention(c) + norms(c)


OF_THE_WHOLE = (
    Slip("The whole model times the experts", ONCE, times(n_experts, around), times(top_k, around)),
    Slip("The whole model times the experts", ONCE, times(n_experts, lambda c: around(c) + router(c)),
         times(top_k, lambda c: around(c) + router(c))),
    Slip("The whole model times the experts", ONCE, lambda c: (n_experts(c) - 1) * around(c) - router(c),
         lambda c: (top_k(c) - 1) * around(c) - router(c)),
    Slip("The whole model times the experts", ONCE, times(n_experts, around)),
    Slip("Everything times the chosen experts", ACTIVE_ONCE, active=times(top_k, around)),
    Slip("Everything times the chosen experts", ACTIVE_ONCE, active=times(top_k, lambda c: around(c) + router(c))),
    Slip("Bytes, not parameters", "That is twice as many: two bytes per parameter. Count the parameters.",
         lambda c: totals(c)[0], lambda c: totals(c)[1]),
    Slip("Bytes, not parameters", "That is four times as many: four bytes per parameter. Count the parameters.",
         lambda c: 3 * totals(c)[0], lambda c: 3 * totals(c)[1]),
)  # fmt: skip
OF_ATTENTION = (
    Slip("Attention exists once in a layer", "You counted it once per expert. The {num_local_experts} experts "
         "are parts of one model, and share its attention.", lambda c: (n_experts(c) - 1) * attention(c),
         lambda c: (top_k(c) - 1) * attention(c)),
    in_both("Keys and values have fewer heads", SHARED_HEADS,
            lambda c: 2 * one_head(c) * (c["num_attention_heads"] - c["num_key_value_heads"])),
    in_both("Keys and values have fewer heads", SHARED_HEADS + " One of the two matrices is too large.",
            lambda c: one_head(c) * (c["num_attention_heads"] - c["num_key_value_heads"])),
    in_both("One head of keys and values", SHARED_HEADS,
            lambda c: 2 * one_head(c) * (1 - c["num_key_value_heads"])),
    in_both("num_key_value_heads counts heads", SHARED_HEADS + " You took it for the number of heads of queries that "
            "share one head of keys.", lambda c: 2 * one_head(c)
            * (c["num_attention_heads"] // c["num_key_value_heads"] - c["num_key_value_heads"])),
    in_both("Queries and output have all heads", SHARED_HEADS + " Queries and output have all heads.",
            lambda c: 2 * one_head(c) * (c["num_key_value_heads"] - c["num_attention_heads"])),
    in_both("Queries and output have all heads", SHARED_HEADS + " The output matrix takes the heads of the queries.",
            lambda c: one_head(c) * (c["num_key_value_heads"] - c["num_attention_heads"])),
    in_both("Keys or values are missing", "Keys and values have one matrix each, with {num_key_value_heads} heads.",
            lambda c: -one_head(c) * c["num_key_value_heads"]),
    in_both("Keys and values are missing", "Keys and values have one matrix each, with {num_key_value_heads} heads.",
            lambda c: -2 * one_head(c) * c["num_key_value_heads"]),
    in_both("Queries or output are missing", "There are four attention matrices per layer. Those of queries and output "
            "have {num_attention_heads} heads each.", lambda c: -one_head(c) * c["num_attention_heads"]),
    in_both("The attention matrices are missing", "Each layer has four: queries, keys, values and output.",
            lambda c: -attention(c)),
    in_both("Attention in one layer only", "Each of the {num_hidden_layers} layers has its four matrices.",
            lambda c: attention(c) / n_layers(c) - attention(c)),
    in_both("A head is narrower than the model", "A head is hidden_size / num_attention_heads wide, so the matrix of "
            "the queries has hidden_size columns in all, not hidden_size for every head.",
            lambda c: (c["num_attention_heads"] - 1) * attention(c)),
    in_both("Attention has no bias", "The four matrices have no bias vectors beside them.",
            lambda c: attention(c) // width(c)),
    in_both("Attention has no bias", "Queries, keys and values have no bias vectors beside their matrices.",
            lambda c: attention(c) // width(c) - n_layers(c) * width(c)),
)  # fmt: skip
OF_THE_VOCABULARY = (
    in_both("Embedding and head are two matrices", "Both have vocab_size rows, and this model does not share them: "
            "{vocab_size:,} · {hidden_size:,} parameters each.", lambda c: -table(c)),
    in_both("Embedding and head are missing", "Both are matrices of vocab_size rows: {vocab_size:,} · {hidden_size:,} "
            "parameters each.", lambda c: -2 * table(c)),
    in_both("A vocabulary matrix is counted twice", "There are two matrices with {vocab_size:,} rows, the embedding "
            "and the head.", table),
    in_both("Positions have no table", "max_position_embeddings says how long a text may be. Positions turn queries "
            "and keys by an angle, and have no parameters.", lambda c: c["max_position_embeddings"] * width(c)),
    in_both("Embedding and head in every layer", "They exist once. Only what stands inside a layer is multiplied by "
            "the {num_hidden_layers} layers.", times(n_layers, lambda c: 2 * table(c))),
    in_both("Embedding and head in every layer", "They exist once, and so does the last norm. Only what stands inside "
            "a layer is multiplied by the {num_hidden_layers} layers.",
            times(n_layers, lambda c: 2 * table(c) + width(c))),
    in_both("Embedding and head in every layer", "Each of them exists once. Only what stands inside a layer is "
            "multiplied by the {num_hidden_layers} layers.", times(n_layers, table)),
    Slip("The embedding is left out of the active ones", "One matrix with {vocab_size:,} rows is missing. The "
         "embedding counts as active, whole, and so does the head.", active=lambda c: -table(c)),
    Slip("Embedding and head are left out of the active ones", "Both count as active, whole: two matrices with "
         "{vocab_size:,} rows.", active=lambda c: -2 * table(c)),
    Slip("One row of the embedding", "A token reads one row, but here the embedding counts as active, whole.",
         active=lambda c: width(c) - table(c)),
)  # fmt: skip
OF_THE_ROUTER = (
    in_both("The router is missing", "Each layer has a router with one vector of hidden_size = {hidden_size:,} numbers "
            "for each of its {num_local_experts} experts.", lambda c: -router(c)),
    in_both("Only one router is counted", "Each of the {num_hidden_layers} layers has its own.",
            lambda c: router(c) / n_layers(c) - router(c)),
    in_both("The router scores every expert", "It has a vector for each of the {num_local_experts} experts, also for "
            "those that are not chosen.", lambda c: router(c) * (top_k(c) / n_experts(c) - 1)),
    in_both("One vector per router", "A router has one vector for each expert, {num_local_experts} per layer, not one "
            "for all.", lambda c: router(c) / n_experts(c) - router(c)),
    in_both("One number per expert", "A router has a vector of hidden_size = {hidden_size:,} numbers for each expert, "
            "not one number.", lambda c: n_layers(c) * n_experts(c) - router(c)),
    in_both("The router has no bias", "It has one vector per expert and nothing else.",
            lambda c: n_layers(c) * n_experts(c)),
    Slip("The router is active", "It scores all {num_local_experts} experts for every token, so all of it is active.",
         active=lambda c: -router(c)),
    Slip("The router is active", "It scores all {num_local_experts} experts for every token, so all of it is active, "
         "not only the vectors of the {num_experts_per_tok} experts that are chosen.",
         active=lambda c: router(c) * (top_k(c) / n_experts(c) - 1)),
)  # fmt: skip
OF_NORMS = (
    in_both("The norms are missing", "Each layer has two vectors of {hidden_size:,} numbers, and one more comes after "
            "the last layer.", lambda c: -norms(c)),
    in_both("The last norm is missing", "After the last layer there is one more vector of {hidden_size:,} numbers.",
            lambda c: -width(c)),
    in_both("One norm per layer is missing", "Each of the {num_hidden_layers} layers has two.",
            lambda c: -n_layers(c) * width(c)),
    in_both("Only the last norm is counted", "Each of the {num_hidden_layers} layers has two more.",
            lambda c: -2 * n_layers(c) * width(c)),
    in_both("Norms have one vector each", "A norm has {hidden_size:,} numbers to multiply with, and none to "
            "add.", norms),
    in_both("The last norm in every layer", "It comes once, after the last layer. Each of the {num_hidden_layers} "
            "layers has two.", lambda c: (n_layers(c) - 1) * width(c)),
    Slip("The norms are active", "They work on every token.", active=lambda c: -norms(c)),
)  # fmt: skip
OF_EXPERTS = (
    Slip("Two matrices per expert", "An expert has three: gate, up and down.",
         lambda c: -n_experts(c) * expert(c) / 3, lambda c: -top_k(c) * expert(c) / 3),
    Slip("One matrix per expert", "An expert has three: gate, up and down.",
         lambda c: -2 * n_experts(c) * expert(c) / 3, lambda c: -2 * top_k(c) * expert(c) / 3),
    Slip("The experts are missing", "Each layer has {num_local_experts} of them, with three matrices each.",
         lambda c: -n_experts(c) * expert(c), lambda c: -top_k(c) * expert(c)),
    Slip("Experts in one layer only", "Each of the {num_hidden_layers} layers has its own experts.",
         lambda c: n_experts(c) * (expert(c) / n_layers(c) - expert(c)),
         lambda c: top_k(c) * (expert(c) / n_layers(c) - expert(c))),
    Slip("Only one expert is held", "intermediate_size is the width of one expert, and each layer has "
         "{num_local_experts} of them.", lambda c: (1 - n_experts(c)) * expert(c)),
    Slip("Only one expert is held", "intermediate_size is the width of one expert, and each layer has "
         "{num_local_experts} of them. A token uses {num_experts_per_tok}.", lambda c: (1 - n_experts(c)) * expert(c),
         lambda c: top_k(c) * (expert(c) / n_experts(c) - expert(c))),
    Slip("Only the chosen experts are held", "`total` counts all {num_local_experts} experts of a layer, also those "
         "that a token does not choose.", lambda c: (top_k(c) - n_experts(c)) * expert(c)),
    Slip("One expert is active", "A token uses {num_experts_per_tok} experts per layer, num_experts_per_tok, not one.",
         active=lambda c: (1 - top_k(c)) * expert(c)),
    Slip("All experts are active", "Of the {num_local_experts} experts of a layer, a token uses {num_experts_per_tok}.",
         active=lambda c: (n_experts(c) - top_k(c)) * expert(c)),
    Slip("No expert is active", "A token uses {num_experts_per_tok} experts per layer.",
         active=lambda c: -top_k(c) * expert(c)),
    Slip("The experts that rest are counted", "Of the {num_local_experts} experts of a layer, the "
         "{num_experts_per_tok} that are chosen work on a token. You took the others.",
         active=lambda c: (n_experts(c) - 2 * top_k(c)) * expert(c)),
    Slip("Only the experts are counted", "Embedding, head, attention, router and norms work on every token as well.",
         active=lambda c: top_k(c) * expert(c) - totals(c)[1]),
    Slip("A share of everything", SHARE, active=lambda c: totals(c)[0] * top_k(c) / n_experts(c) - totals(c)[1]),
    Slip("A share of everything", SHARE, active=lambda c: totals(c)[0] * top_k(c) // n_experts(c) - totals(c)[1]),
    Slip("A share of everything", SHARE, active=lambda c: totals(c)[0] // n_experts(c) * top_k(c) - totals(c)[1]),
    Slip("A share of everything", SHARE, active=lambda c: totals(c)[0] / n_experts(c) - totals(c)[1]),
)  # fmt: skip
OF_LAYERS = (
    Slip("Only one layer is counted", "There are {num_hidden_layers} layers.",
         lambda c: (1 / n_layers(c) - 1) * (totals(c)[0] - 2 * table(c) - width(c)),
         lambda c: (1 / n_layers(c) - 1) * (totals(c)[1] - 2 * table(c) - width(c))),
    Slip("A layer too many or too few", "There are {num_hidden_layers} layers.",
         lambda c: -(totals(c)[0] - 2 * table(c) - width(c)) / n_layers(c),
         lambda c: -(totals(c)[1] - 2 * table(c) - width(c)) / n_layers(c)),
)  # fmt: skip
SLIPS = (*OF_THE_WHOLE, *OF_ATTENTION, *OF_THE_VOCABULARY, *OF_THE_ROUTER, *OF_NORMS, *OF_EXPERTS, *OF_LAYERS)
