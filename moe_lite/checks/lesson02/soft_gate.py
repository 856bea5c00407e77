"""Exercise 2.1, soft_gate: how much each expert counts, from the input, and the answers so blended."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, listed
from moe_lite.checks.engine.exercise import Attempt, Case, Drawn, Exercise, Mistake, Output, Trial
from moe_lite.checks.engine.inputs import F32, F64
from moe_lite.checks.engine.mistakes import one_wrong, sign, wrong
from moe_lite.checks.lesson01.cross_entropy import log_softmax
from moe_lite.checks.lesson02.slips import about, first_cell


def reference(x: Tensor, w_gate: Tensor, b_gate: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D), w_gate (E, D), b_gate (E,), outputs (N, E) -> log_gates (N, E), y (N,)."""
    log_gates = log_softmax(logits_of(x, w_gate, b_gate))
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


def logits_of(x: Tensor, w_gate: Tensor, b_gate: Tensor) -> Tensor:
    return (x[:, None, :] * w_gate[None, :, :]).sum(dim=-1) + b_gate  # (N, E)


def gates_of(x: Tensor, w_gate: Tensor, b_gate: Tensor) -> Tensor:
    return log_softmax(logits_of(x, w_gate, b_gate)).exp()  # (N, E)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def cases() -> tuple[Case, ...]:
    plain = (random(1, 6, 2, 4), random(2, 5, 3, 7, F32), random(3, 9, 4, 3))
    one_input, one_expert = random(4, 7, 1, 3), random(5, 4, 3, 1)
    strong = (
        random(6, 5, 3, 4, F32, 60.0, ", logits in the hundreds"),
        random(7, 6, 2, 5, F32, 500.0, ", logits in the thousands"),
    )
    first, last = inputs.usual(plain, plain, gradient=(0, 1, 2, 3), through=plain[::2])
    return (
        *first,
        Case("logarithms of the gates", (*plain, one_input), ("log_gates",)),
        Case("the blend", (*plain, one_input), ("y",)),
        Case("one expert", (one_expert,), ("log_gates", "y")),
        Case("strong gates", strong, ("log_gates", "y")),
        *last,
    )


def random(seed: int, n: int, d: int, e: int, dtype: torch.dtype = F64, scale: float = 1.0, note: str = "") -> Trial:
    g = inputs.generator(seed)
    shapes = ((n, d), (e, d), (e,), (n, e))
    x, w, b, outputs = (torch.randn(shape, dtype=F64, generator=g).round(decimals=3) for shape in shapes)
    return Trial(tuple(t.to(dtype) for t in (x, w * scale, b, outputs)), inputs.note(seed, dtype) + note)


def drawn(seed: int, N: int, D: int, E: int) -> tuple:
    shapes = (N, D), (E, D), (E,), (N, E)
    return tuple(inputs.distinct(4 * seed + place, *shape) for place, shape in enumerate(shapes))


def extremes(seed: int) -> tuple[Trial, ...]:
    x, w_gate, b_gate, outputs = drawn(seed, 6, 2, 4)
    return (
        Trial((torch.zeros_like(x), w_gate, b_gate, outputs), "x all 0"),
        Trial((x, w_gate, b_gate + 1e6, outputs), "logits near a million, float64"),
        Trial((x, w_gate, b_gate * 500, outputs), "gates all but shut, float64"),
        Trial((x, w_gate, b_gate, torch.zeros_like(outputs)), "answers all 0"),
        Trial((x, w_gate, b_gate, outputs * 1e6), "answers in the millions"),
    )


DRAWN = Drawn(drawn, {"N": 6, "D": 2, "E": 4}, gradient=(0, 1, 2, 3), extremes=extremes)


# ---- mistakes --------------------------------------------------------------------------------------------------------


def gates(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    """The gates' logarithms with a slip, whatever the blend made of them."""

    def say(a: Attempt) -> str:
        sums = a.got["log_gates"].exp().sum(dim=-1).tolist()[:3]
        cell = first_cell(a, "log_gates")
        return f"`log_gates`: {cell}; exp of your first rows sums to {listed(sums, 3)}: {sentence}"

    return one_wrong("log_gates", title, rule, say)


def blend(title: str, rule: Callable[..., Tensor], sentence: str) -> Mistake:
    """The blend with a slip, whatever the gates are."""
    return about("y", title, rule, sentence, other_shape=True)


def have_a_floor(a: Attempt) -> bool:
    """Right above some floor, and never below it: a clamp, or a small number inside the logarithm."""
    got, expected = a.got["log_gates"], a.expected["log_gates"]
    if got.shape != expected.shape or expected.min() > -30:
        return False
    return bool(got.min() > expected.min() / 2) and close(got.exp(), expected.exp(), 1e-4)


MISTAKES = (
    gates("The gates themselves", lambda x, w, b, o: gates_of(x, w, b), "yours are the gates. Asked is their "
          "logarithm, which stays finite where a gate is too small for float32: `log_softmax`."),
    gates("The softmax is missing", lambda x, w, b, o: logits_of(x, w, b), "yours are the logits. A softmax makes "
          "shares of them that sum to 1."),
    gates("Softmax over the inputs", lambda x, w, b, o: log_softmax(logits_of(x, w, b), dim=0), "the gates of an "
          "input sum to 1 over the experts, along the last dimension."),
    gates("One softmax over the whole table", lambda x, w, b, o: log_softmax(logits_of(x, w, b).flatten()).view_as(o),
          "every input has shares of its own, which sum to 1."),
    gates("The bias is missing", lambda x, w, b, o: log_softmax(logits_of(x, w, 0 * b)), "without `b_gate` all gates "
          "are equal at x = 0, whatever was learned."),
    gates("The bias is subtracted", lambda x, w, b, o: log_softmax(logits_of(x, w, -b)), "`b_gate` is added to the "
          "products."),
    gates("The input is not read", lambda x, w, b, o: log_softmax(b.expand_as(o)), "yours has the same gates for every "
          "input. `x` belongs into the logits."),
    gates("Softmax of the answers", lambda x, w, b, o: log_softmax(o), "yours is made of what the experts say. The "
          "gate reads the input `x`."),
    gates("Sigmoid, not softmax", lambda x, w, b, o: logits_of(x, w, b).sigmoid().log(), "a sigmoid judges each expert "
          "alone; the shares of an input sum to 1."),
    gates("The logarithm to base 2", lambda x, w, b, o: log_softmax(logits_of(x, w, b)) / math.log(2), "take the "
          "natural logarithm, `log`."),
    gates("The sign is wrong", lambda x, w, b, o: -log_softmax(logits_of(x, w, b)), "the logarithm of a share is at "
          "most 0."),
    sign("The logarithm of 0", lambda a: not a.got["log_gates"].isfinite().all(), "{log_gates.not_finite} of your "
         "log_gates are nan or infinite: gates below 1e-45 are 0 in float32, and exp of a logit above 88 is inf. Take "
         "the logarithm of a softmax in one step: `log_softmax`.", show="log_gates"),
    sign("The logarithms have a floor", have_a_floor, lambda a: f"`log_gates`: {first_cell(a, 'log_gates')}. A clamp, "
         "or a small number inside the logarithm, hides how small a gate is. `log_softmax` needs neither.",
         show="log_gates"),
    blend("The blend weighs with logarithms", lambda x, w, b, o: (log_softmax(logits_of(x, w, b)) * o).sum(-1), "the "
          "weights of a blend are the gates themselves: exp of `log_gates`."),
    blend("The blend weighs with logits", lambda x, w, b, o: (logits_of(x, w, b) * o).sum(-1), "the weights of a blend "
          "are the gates: exp of `log_gates`."),
    blend("The blend is a plain mean", lambda x, w, b, o: o.mean(-1), "all experts count equally in yours. The weight "
          "of an expert is its gate."),
    blend("The blend is a plain sum", lambda x, w, b, o: o.sum(-1), "the gates are missing in it."),
    blend("A mean, not a sum", lambda x, w, b, o: (gates_of(x, w, b) * o).mean(-1), "the gates sum to 1 already: "
          "dividing by the number of experts is one division too many."),
    blend("Only the best expert answers", lambda x, w, b, o: o.gather(1, gates_of(x, w, b).argmax(1, True))[:, 0],
          "yours is the answer of the expert with the largest gate. A soft gate blends all of them."),
    blend("The blend sums over the inputs", lambda x, w, b, o: (gates_of(x, w, b) * o).sum(0), "every input gets one "
          "answer: sum along the experts, the last dimension."),
    blend("One blend for all inputs", lambda x, w, b, o: (gates_of(x, w, b) * o).sum(), "every input gets an answer of "
          "its own."),
    blend("The answers are not added up", lambda x, w, b, o: gates_of(x, w, b) * o, "one column per expert is left: "
          "add along the last dimension."),
    wrong("A column, not a row of answers", y=lambda *args: reference(*args)[1][:, None], say="`y` is {y.shape}: "
          "right, but with a dimension too many; expected {right.y.shape}."),
)  # fmt: skip

SOFT_GATE = Exercise(
    id="2.1", name="soft_gate", parameters=("x", "w_gate", "b_gate", "outputs"), sizes="NDE",
    outputs=(Output("log_gates", "N, E", expert_columns=True), Output("y", "N,")),
    reference=reference, cases=cases, mistakes=MISTAKES,
    drawn=DRAWN,
    hints=(
        "A logit for each input and expert, shares of them along the experts, and a weighted sum. The shares are "
        "wanted as logarithms, the blend needs them as they are.",
        "One line for the logits, whose `log_softmax` along the last dimension is the first result; one line that "
        "multiplies its `exp` with `outputs` and sums along the same dimension.",
    ),
    minutes=8, lines="about 2 lines", done="The gate is one matrix and a bias. A router is the same thing.",
)  # fmt: skip
