"""Exercise 2.1, soft_gate: how much each expert counts, from the input, and the answers so blended."""

import math

import torch
from torch import Tensor

from moe_lite.checks.engine import inputs
from moe_lite.checks.engine.compare import close, listed, shape_text
from moe_lite.checks.engine.exercise import FORM, GRADIENT, INPUT, REPEAT, Attempt, Case, Exercise, Output, Trial
from moe_lite.checks.engine.mistakes import one_of, ruled, seen
from moe_lite.checks.lesson02.slips import F32, F64, first_cell, log_softmax


def logits_of(x: Tensor, w_gate: Tensor, b_gate: Tensor) -> Tensor:
    return (x[:, None, :] * w_gate[None, :, :]).sum(dim=-1) + b_gate  # (N, E)


def reference(x: Tensor, w_gate: Tensor, b_gate: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D), w_gate (E, D), b_gate (E,), outputs (N, E) -> log_gates (N, E), y (N,)."""
    return blended(logits_of(x, w_gate, b_gate), outputs)


def blended(logits: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    log_gates = log_softmax(logits)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


def cases() -> tuple[Case, ...]:
    plain = (_random(1, 6, 2, 4), _random(2, 5, 3, 7, F32), _random(3, 9, 4, 3))
    one_input, one_expert = _random(4, 7, 1, 3), _random(5, 4, 3, 1)
    strong = (_random(6, 5, 3, 4, F32, 60.0, ", logits in the hundreds"), _random(7, 6, 2, 5, F32, 500.0, ", logits in the thousands"))  # fmt: skip # noqa: E501
    gradient = tuple(Trial(t.args, t.note, gradient=(0, 1, 2, 3)) for t in (plain[0], plain[2]))
    return (
        Case("shapes and types", plain, (FORM,)),
        Case("input unchanged, no memory", plain[:1], (INPUT, REPEAT)),
        Case("logarithms of the gates", (*plain, one_input), ("log_gates",)),
        Case("the blend", (*plain, one_input), ("y",)),
        Case("one expert", (one_expert,), ("log_gates", "y")),
        Case("strong gates", strong, ("log_gates", "y")),
        Case("gradient", gradient, (GRADIENT,)),
    )


def _random(seed: int, n: int, d: int, e: int, dtype: torch.dtype = F64, scale: float = 1.0, note: str = "") -> Trial:
    g = inputs.generator(seed)
    x, w, b, outputs = (torch.randn(shape, dtype=F64, generator=g).round(decimals=3) for shape in ((n, d), (e, d), (e,), (n, e)))  # fmt: skip # noqa: E501
    return Trial(tuple(t.to(dtype) for t in (x, w * scale, b, outputs)), inputs.note(seed, dtype) + note)


def _rows(attempt: Attempt) -> str:
    """The sums of exp of the first rows."""
    return listed(attempt.got["log_gates"].exp().sum(dim=-1).tolist()[:3], 3)


def _gates(x: Tensor, w: Tensor, b: Tensor, o: Tensor) -> Tensor:
    return reference(x, w, b, o)[0].exp()


def _about_y(title: str, rule, sentence: str):
    return one_of("y", title, rule, lambda a: f"`y`: {first_cell(a, 'y', row=False)}: {sentence}", other_shape=True)


def _about_gates(title: str, rule, sentence: str):
    """The gates' logarithms with a slip, whatever the blend made of them."""
    return one_of("log_gates", title, rule, lambda a: f"`log_gates`: {first_cell(a, 'log_gates')}; exp of your first "
                  f"rows sums to {_rows(a)}: {sentence}")  # fmt: skip


def _infinite(attempt: Attempt) -> bool:
    got = attempt.got["log_gates"]
    return got.is_floating_point() and not bool(got.isfinite().all())


def _floor(attempt: Attempt) -> bool:
    """Right above some floor, and never below it: a clamp, or a small number inside the logarithm."""
    got, expected = attempt.got["log_gates"], attempt.expected["log_gates"]
    if got.shape != expected.shape or expected.min() > -30:
        return False
    return bool(got.min() > expected.min() / 2) and close(got.exp(), expected.exp(), 1e-4)


MISTAKES = (
    _about_gates("The gates themselves", _gates, "yours are the gates. Asked is their logarithm, which stays finite "
                 "where a gate is too small for float32: `log_softmax`."),
    _about_gates("The softmax is missing", lambda x, w, b, o: logits_of(x, w, b), "yours are the logits. A softmax "
                 "makes shares of them that sum to 1."),
    _about_gates("Softmax over the inputs", lambda x, w, b, o: log_softmax(logits_of(x, w, b), dim=0), "each input "
                 "shares itself out among the experts, along the last dimension."),
    _about_gates("One softmax over the whole table", lambda x, w, b, o: log_softmax(
                 logits_of(x, w, b).flatten()).view(len(x), -1), "every input has shares of its own, which sum to 1."),
    _about_gates("The bias is missing", lambda x, w, b, o: log_softmax(logits_of(x, w, 0 * b)), "without `b_gate` all "
                 "gates are alike at x = 0, whatever was learned."),
    _about_gates("The bias is subtracted", lambda x, w, b, o: log_softmax(logits_of(x, w, -b)), "`b_gate` is added to "
                 "the products."),
    _about_gates("The input is not read", lambda x, w, b, o: log_softmax(b.expand(len(x), -1)), "yours has the same "
                 "gates for every input. `x` belongs into the logits."),
    _about_gates("Softmax of the answers", lambda x, w, b, o: log_softmax(o), "yours is made of what the experts say. "
                 "The gate reads the input `x`."),
    _about_gates("Sigmoid, not softmax", lambda x, w, b, o: logits_of(x, w, b).sigmoid().log(), "a sigmoid judges each "
                 "expert alone; the shares of an input sum to 1."),
    _about_gates("The logarithm to base 2", lambda x, w, b, o: reference(x, w, b, o)[0] / math.log(2), "take the "
                 "natural logarithm, `log`."),
    _about_gates("The sign is turned", lambda x, w, b, o: -reference(x, w, b, o)[0], "the logarithm of a share is at "
                 "most 0."),
    seen("The logarithm of 0", _infinite, lambda a:
         f"{int((~a.got['log_gates'].isfinite()).sum())} of your log_gates are nan or infinite: gates below 1e-45 are "
         "0 in float32, and exp of a logit above 88 is inf. Take the logarithm of a softmax in one step: "
         "`log_softmax`.", show="log_gates"),
    seen("The logarithms have a floor", _floor, lambda a:
         f"`log_gates`: {first_cell(a, 'log_gates')}. A clamp, or a small number inside the logarithm, hides how small "
         "a gate is. `log_softmax` needs neither.", show="log_gates"),
    _about_y("The blend weighs with logarithms", lambda x, w, b, o: (reference(x, w, b, o)[0] * o).sum(-1), "the "
             "weights of a blend are the gates themselves: exp of `log_gates`."),
    _about_y("The blend weighs with logits", lambda x, w, b, o: (logits_of(x, w, b) * o).sum(-1), "the weights of a "
             "blend are the gates: exp of `log_gates`."),
    _about_y("The blend is a plain mean", lambda x, w, b, o: o.mean(-1), "every expert counts alike in yours. Its gate "
             "is its weight."),
    _about_y("The blend is a plain sum", lambda x, w, b, o: o.sum(-1), "the gates are missing in it."),
    _about_y("A mean, not a sum", lambda x, w, b, o: (_gates(x, w, b, o) * o).mean(-1), "the gates sum to 1 already: "
             "dividing by the number of experts is one division too many."),
    _about_y("Only the best expert answers", lambda x, w, b, o: o.gather(1, _gates(x, w, b, o).argmax(1, True))[:, 0],
             "yours is the answer of the expert with the largest gate. A soft gate blends all of them."),
    _about_y("The blend sums over the inputs", lambda x, w, b, o: (_gates(x, w, b, o) * o).sum(0), "every input gets "
             "one answer: sum along the experts, the last dimension."),
    _about_y("One blend for all inputs", lambda x, w, b, o: (_gates(x, w, b, o) * o).sum(), "every input gets an "
             "answer of its own."),
    _about_y("The answers are not added up", lambda x, w, b, o: _gates(x, w, b, o) * o, "one column an expert is "
             "left: add along the last dimension."),
    ruled("A column, not a row of answers", lambda x, w, b, o: (None, reference(x, w, b, o)[1][:, None]), lambda a:
          f"`y` is {shape_text(a.got['y'])}: right, but with a dimension too many; expected "
          f"{shape_text(a.expected['y'])}."),
)  # fmt: skip

SOFT_GATE = Exercise(
    id="2.1",
    name="soft_gate",
    parameters=("x", "w_gate", "b_gate", "outputs"),
    sizes="NDE",
    outputs=(Output("log_gates", "N, E", expert_columns=True), Output("y", "N,")),
    reference=reference,
    cases=cases,
    mistakes=MISTAKES,
    hints=(
        "A logit for each input and expert, shares of them along the experts, and a weighted sum. The shares are "
        "wanted as logarithms, the blend needs them as they are.",
        "One line for the logits, whose `log_softmax` along the last dimension is the first result; one line that "
        "multiplies its `exp` with `outputs` and sums along the same dimension.",
    ),
    minutes=8,
    lines="about 2 lines",
    done="The gate is one matrix and a bias. A router is the same thing.",
)
