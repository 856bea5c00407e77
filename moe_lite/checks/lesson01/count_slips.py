"""Exercise 1.3: the formula, and the wrong steps that learners take in it, each with what it adds to the totals."""

import math
from collections.abc import Callable
from itertools import combinations

from moe_lite.checks.engine.exercise import Attempt, Mistake, Note
from moe_lite.checks.engine.mistakes import sign
from moe_lite.model.config import ModelConfig


def totals(config: ModelConfig, context: int) -> tuple[int, int]:
    """A dense config -> n_parameters, flops for one token that looks at `context` tokens."""
    matrices = block(config) * config.n_layers + table(config)  # all that a token is multiplied with
    return matrices + table(config) + vectors(config), 2 * matrices + look_back(config, context)


def table(c: ModelConfig) -> int:
    """Numbers of one vocabulary matrix."""
    return c.vocab_size * c.d_model


def block(c: ModelConfig) -> int:
    """Weights of a block's matrices: query, key, value and out, then the feed-forward's three."""
    attention = sum(c.d_model * heads * c.d_head for heads in (c.n_heads, c.n_kv_heads, c.n_kv_heads, c.n_heads))
    return attention + 3 * c.d_model * c.d_expert


def vectors(c: ModelConfig) -> int:
    """Weights of all RMSNorms."""
    return (2 * c.n_layers + 1) * c.d_model


def look_back(c: ModelConfig, context: int) -> int:
    """FLOPs of attention's scores, and as many of its mix, for one token."""
    return 2 * 2 * c.n_layers * c.n_heads * c.d_head * context


# ---- slips, and how a total tells which it was -----------------------------------------------------------------------

Change = Callable[[ModelConfig, int], int]  # what a slip adds to the right total
Formula = Callable[[ModelConfig, int], tuple[int, ...]]  # the right totals


class Slip:
    """One wrong step on the way to a total: what it adds to `n_parameters` and to `flops`."""

    def __init__(self, title: str, sentence: str, parameters: Change | None = None, flops: Change | None = None):
        self.title, self.sentence = title, sentence
        self.change = {"n_parameters": parameters, "flops": flops}

    def added(self, name: str, config: ModelConfig, context: int) -> int:
        change = self.change[name]
        return change(config, context) if change else 0


def mistakes(slips: tuple[Slip, ...], formula: Formula) -> tuple[Mistake, ...]:
    """Each slip alone, then any two of them together."""
    return (*(single(slip, formula) for slip in slips), Mistake(lambda a: two_at_once(slips, a)))


def single(slip: Slip, formula: Formula) -> Mistake:
    """Recognised when the learner's total is off by exactly what the slip adds."""

    def answer(names: tuple[str, ...], args: tuple[ModelConfig, int]) -> tuple[int, ...]:
        return tuple(right + round(slip.added(name, *args)) for name, right in zip(names, formula(*args), strict=True))

    return sign(slip.title, lambda a: is_it(slip.added(focus(a), *a.args), off(a)),
                lambda a: f"{beside(a)} {slip.sentence}", answer=answer)  # fmt: skip


def two_at_once(slips: tuple[Slip, ...], attempt: Attempt) -> Note | None:
    """Two slips that together explain the difference; the first in the list is named."""
    if not attempt.got or attempt.all_right:
        return None
    added = [(slip, slip.added(focus(attempt), *attempt.args)) for slip in slips]
    for (one, a), (other, b) in combinations([pair for pair in added if pair[1]], 2):
        if is_it(a + b, off(attempt)) and one.title != other.title:
            return Note(f"{one.title}, and more", f"{beside(attempt)} {one.sentence} This explains a part of it.")
    return None


def focus(attempt: Attempt) -> str:
    """The total to speak of: the first that is wrong, for those after it are made of it."""
    return next(name for name in attempt.expected if not attempt.right(name))


def off(attempt: Attempt) -> float:
    name = focus(attempt)
    return attempt.got[name].item() - attempt.expected[name].item()


def is_it(added: float, difference: float) -> bool:
    """Whether a slip explains the difference; the learner's total may have been rounded."""
    return bool(added) and abs(added - difference) < 1


def beside(attempt: Attempt) -> str:
    name, more = focus(attempt), off(attempt)
    whole = int(more) if math.isfinite(more) else more
    return (
        f"`{name}` is {attempt.got[name].item():,.0f}, expected {attempt.expected[name].item():,}: "
        f"{abs(whole):,} too {'many' if more > 0 else 'few'}."
    )


# ---- the slips -------------------------------------------------------------------------------------------------------


def of_matrices(title: str, sentence: str, weights: Callable[[ModelConfig], int]) -> Slip:
    """A slip in the weights of matrices, each of which costs two FLOPs."""
    return Slip(title, sentence, lambda c, n: weights(c), lambda c, n: 2 * weights(c))


def wide(c: ModelConfig) -> int:
    """Weights of the query matrix, or of out."""
    return c.d_model * c.n_heads * c.d_head


def narrow(c: ModelConfig) -> int:
    """Weights of the key matrix, or of the value matrix."""
    return c.d_model * c.n_kv_heads * c.d_head


def feed_forward(c: ModelConfig) -> int:
    """Weights of one of the three feed-forward matrices."""
    return c.d_model * c.d_expert


def biases(c: ModelConfig) -> int:
    """One bias for each output of the blocks' matrices."""
    return c.n_layers * ((c.n_heads + 2 * c.n_kv_heads) * c.d_head + 2 * c.d_model + 2 * c.d_expert)


SLIPS = (
    Slip("One vocabulary matrix is missing", "The embedding and the output head are two matrices, each V × D; they "
         "share nothing.", lambda c, n: -table(c)),
    Slip("Both vocabulary matrices are missing", "The embedding and the output head have V × D numbers each.",
         lambda c, n: -2 * table(c)),
    Slip("A vocabulary matrix is counted twice", "There is one embedding and one output head, V × D each.",
         lambda c, n: table(c)),
    of_matrices("Keys and values have fewer heads", "Queries and out have `n_heads` heads, keys and values only "
                "`n_kv_heads`.", lambda c: c.n_layers * 2 * (wide(c) - narrow(c))),
    of_matrices("One of keys and values has too many heads", "Keys and values both have `n_kv_heads` heads.",
                lambda c: c.n_layers * (wide(c) - narrow(c))),
    of_matrices("Query and out have too few heads", "Only keys and values have `n_kv_heads` heads; queries and out "
                "have all.", lambda c: c.n_layers * 2 * (narrow(c) - wide(c))),
    of_matrices("Query or out has too few heads", "Only keys and values have `n_kv_heads` heads; queries and out have "
                "all.", lambda c: c.n_layers * (narrow(c) - wide(c))),
    of_matrices("Keys or values are missing", "Attention has four matrices: query, key, value and out.",
                lambda c: -c.n_layers * narrow(c)),
    of_matrices("Query or out is missing", "Attention has four matrices: query, key, value and out.",
                lambda c: -c.n_layers * wide(c)),
    of_matrices("Attention's matrices are missing", "Each block has four: query, key, value and out.",
                lambda c: -c.n_layers * 2 * (wide(c) + narrow(c))),
    of_matrices("One feed-forward matrix is missing", "SwiGLU has three: gate, up and down, D × F each.",
                lambda c: -c.n_layers * feed_forward(c)),
    of_matrices("Two feed-forward matrices are missing", "SwiGLU has three: gate, up and down, D × F each.",
                lambda c: -2 * c.n_layers * feed_forward(c)),
    of_matrices("The feed-forward's matrices are missing", "Each block has three: gate, up and down, D × F each.",
                lambda c: -3 * c.n_layers * feed_forward(c)),
    of_matrices("One feed-forward matrix too many", "SwiGLU has three: gate, up and down, D × F each.",
                lambda c: c.n_layers * feed_forward(c)),
    of_matrices("The feed-forward is counted twice", "A dense model has one feed-forward network per block, and "
                "each token goes through it once. (`top_k` is for models with experts.)",
                lambda c: 3 * c.n_layers * (c.top_k - 1) * feed_forward(c)),
    of_matrices("The feed-forward's width is `d_expert`", "Yours counts it as 4 · D wide.",
                lambda c: 3 * c.n_layers * c.d_model * (4 * c.d_model - c.d_expert)),
    of_matrices("Only one block is counted", "There are `n_layers` blocks.", lambda c: -(c.n_layers - 1) * block(c)),
    Slip("Only one block is counted", "There are `n_layers` blocks, each with its matrices and two vectors.",
         lambda c, n: -(c.n_layers - 1) * (block(c) + 2 * c.d_model)),
    Slip("Everything is multiplied by the layers", "The vocabulary's matrices stand outside the blocks, once each.",
         lambda c, n: (c.n_layers - 1) * 2 * table(c), lambda c, n: 2 * (c.n_layers - 1) * table(c)),
    Slip("Everything is multiplied by the layers", "The vocabulary's matrices and the last norm stand outside the "
         "blocks.", lambda c, n: (c.n_layers - 1) * (2 * table(c) + c.d_model)),
    Slip("The norms are missing", "Each block has two vectors of D weights, and one more stands before the output "
         "head.",
         lambda c, n: -vectors(c)),
    Slip("The last norm is missing", "One more vector of D weights stands between the blocks and the output head.",
         lambda c, n: -c.d_model),
    Slip("One norm a block is missing", "Each block has two: one before attention, one before the feed-forward.",
         lambda c, n: -c.n_layers * c.d_model),
    Slip("Only the last norm is counted", "Each block has two vectors of D weights as well.",
         lambda c, n: -2 * c.n_layers * c.d_model),
    Slip("One norm too many in each block", "Two in each block, and a single one after them.",
         lambda c, n: (c.n_layers - 1) * c.d_model),
    Slip("Norms have no bias", "An RMSNorm is one vector of D weights; it has no second one.", lambda c, n: vectors(c)),
    Slip("There are no biases", "None of the matrices has one.", lambda c, n: biases(c)),
    Slip("There are no biases", "None of the matrices has one.", lambda c, n: biases(c) + c.vocab_size),
    Slip("There are no biases", "Attention's matrices have none.",
         lambda c, n: c.n_layers * ((c.n_heads + 2 * c.n_kv_heads) * c.d_head + c.d_model)),
    Slip("There are no biases", "The feed-forward's matrices have none.",
         lambda c, n: c.n_layers * (2 * c.d_expert + c.d_model)),
    Slip("Positions have no table", "They turn queries and keys by an angle, and no number for it is kept.",
         lambda c, n: c.context_length * c.d_model),
    Slip("Positions have no table", "They turn queries and keys by an angle, and no number for it is kept.",
         lambda c, n: n * c.d_model),
    Slip("Bytes, not numbers", "Yours is four times as many: what float32 numbers take. Count the numbers.",
         lambda c, n: 3 * totals(c, n)[0]),
    Slip("The embedding is no product", "It is a lookup: a row is read, nothing is multiplied, so it costs no FLOPs.",
         flops=lambda c, n: 2 * table(c)),
    Slip("The vectors do not count", "Norms multiply number by number; here only matrix products cost FLOPs.",
         flops=lambda c, n: 2 * vectors(c)),
    Slip("Not every parameter is multiplied", "2 for every parameter counts the embedding, which is a lookup, and the "
         "norms.", flops=lambda c, n: 2 * table(c) + 2 * vectors(c)),
    Slip("The output head is missing", "It is a matrix product with V × D weights, the last that a token goes through.",
         flops=lambda c, n: -2 * table(c)),
    Slip("Attention's scores and mix are missing", "Beside its matrices, attention compares and mixes `context` "
         "tokens.", flops=lambda c, n: -look_back(c, n)),
    Slip("Half of attention's scores and mix", "The scores cost 2·H·S for each token looked at, and so does the mix, "
         "in each layer.", flops=lambda c, n: -look_back(c, n) // 2),
    Slip("A quarter of attention's scores and mix", "A multiplication and an addition, for the scores and for the mix: "
         "4.", flops=lambda c, n: -3 * look_back(c, n) // 4),
    Slip("Scores and mix in one layer only", "Each of the `n_layers` layers compares and mixes.",
         flops=lambda c, n: look_back(c, n) // c.n_layers - look_back(c, n)),
    Slip("Scores and mix of the key heads only", "Every query head compares and mixes, also where heads share their "
         "keys.", flops=lambda c, n: look_back(c, n) * c.n_kv_heads // c.n_heads - look_back(c, n)),
    Slip("Scores and mix of one head only", "There are `n_heads` heads of `d_head` numbers each.",
         flops=lambda c, n: look_back(c, n) // c.n_heads - look_back(c, n)),
    Slip("The size of a head is missing", "Each comparison multiplies `d_head` numbers.",
         flops=lambda c, n: look_back(c, n) // c.d_head - look_back(c, n)),
    Slip("A context for each of its tokens", "Asked is the cost of one token: it looks at `context` others once, not "
         "squared.", flops=lambda c, n: (n - 1) * look_back(c, n)),
    Slip("The length of the context is given", "The config's `context_length` is the most that fits; here a token "
         "looks at `context`.", flops=lambda c, n: look_back(c, c.context_length) - look_back(c, n)),
    Slip("The length of the context is missing", "The costs of scores and mix grow with `context`.",
         flops=lambda c, n: look_back(c, 1) - look_back(c, n)),
    Slip("An average over the positions", "Counted is a token that looks at all `context` tokens.",
         flops=lambda c, n: look_back(c, n + 1) // 2 - look_back(c, n)),
    Slip("The factor 2 is missing", "Each weight costs a multiplication and an addition.",
         flops=lambda c, n: -totals(c, n)[1] // 2),
    Slip("The factor 2 is missing", "Each weight of a matrix costs a multiplication and an addition.",
         flops=lambda c, n: -(totals(c, n)[1] - look_back(c, n)) // 2),
    Slip("The FLOPs of all tokens", "Asked is the cost of one token; yours is that of `context` tokens.",
         flops=lambda c, n: (n - 1) * totals(c, n)[1]),
    Slip("The FLOPs of training", "Three times as many: with the backward pass. Asked is the forward pass.",
         flops=lambda c, n: 2 * totals(c, n)[1]),
    Slip("Twice the FLOPs", "2 for each weight already counts the multiplication and the addition.",
         flops=lambda c, n: totals(c, n)[1]),
)  # fmt: skip
