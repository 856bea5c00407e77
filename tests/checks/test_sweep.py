"""The sweep after the cases: whatever goes wrong at sizes, layouts, values and calls that no author chose is refused.

Each slip is made on purpose, by spoiling the right answer where the slip would: so every exercise is tried with each.
"""

from collections.abc import Callable
from dataclasses import is_dataclass, replace

import pytest
import torch
from answers import with_cases_kept
from torch import Tensor

from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine import sweep
from moe_lite.checks.engine.exercise import Exercise
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.registry import exercises
from moe_lite.model.config import ModelConfig

Learner = Callable


def tensors(args: tuple) -> list[Tensor]:
    return [t for a in args for t in (a if isinstance(a, list) else [a]) if isinstance(t, Tensor)]


def sizes(args: tuple) -> list[int]:
    found = [size for t in tensors(args) for size in t.shape]
    for value in args:
        if isinstance(value, list):
            found.append(len(value))
        if isinstance(value, torch.nn.Module):
            found += [size for parameter in value.parameters() for size in parameter.shape]
        if isinstance(value, dict | tuple) or is_dataclass(value) and not isinstance(value, ModelConfig):
            fields = value if isinstance(value, tuple) else (value if isinstance(value, dict) else vars(value)).values()
            found += [field for field in fields if type(field) is int]
        if isinstance(value, ModelConfig):
            found += [getattr(value, name) for name in ("vocab_size", "n_layers", "d_expert", "d_model", "n_heads")]
    return found + [value for value in args if type(value) is int]


def most(args: tuple) -> int:
    """The largest size or expert number."""
    listed = [e for a in args if isinstance(a, list) for row in a if isinstance(row, list) for e in row]
    return max([*sizes(args), *listed, *(int(t.max()) for t in tensors(args) if t.dtype == torch.int64)])


def spoiled(answer):
    """Something else of the same form."""
    if isinstance(answer, tuple):
        return (spoiled(answer[0]), *answer[1:])
    if isinstance(answer, list):
        return [[number + 1 for number in row] for row in answer]
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, ModelConfig):
        return replace(answer, routed_scale=1.25 * answer.routed_scale)
    if isinstance(answer, Tensor) and answer.dtype == torch.bool:
        return ~answer
    if isinstance(answer, Tensor):
        return answer + 1 if not answer.is_floating_point() else answer * 1.25 + 0.25
    return answer + 1 if isinstance(answer, (int, float)) else answer


def where(strange: Callable[[tuple], bool]) -> Callable[[Learner], Learner]:
    """The right answer, but for input that is strange."""

    def slip(right: Learner) -> Learner:
        return lambda *args: spoiled(right(*args)) if strange(args) else right(*args)

    return slip


def at_equal_sizes(right: Learner) -> Learner:
    """Wrong where the first matrix is square, or the first two sizes of another input are one."""

    def learner(*args):
        shapes = [t.shape for t in tensors(args) if t.dim() > 1]
        found = shapes[0] if shapes else sizes(args)
        return spoiled(right(*args)) if found[0] == found[-1] else right(*args)

    return learner


def float_tensors(args: tuple) -> list[Tensor]:
    return [t for t in tensors(args) if t.is_floating_point()]


def keeps_the_first_of_a_shape(right: Learner) -> Learner:
    kept = {}

    def learner(*args):
        shapes = str([tuple(t.shape) for t in tensors(args)] + [a for a in args if isinstance(a, (int, float, bool))])
        kept.setdefault(shapes, right(*args))
        return kept[shapes]

    return learner


def writes_into_one_buffer(right: Learner) -> Learner:
    buffers = {}

    def into(value):
        if not isinstance(value, Tensor) or value.requires_grad:
            return value
        buffer = buffers.setdefault((value.shape, value.dtype), torch.empty_like(value))
        return buffer.copy_(value)

    def learner(*args):
        answer = right(*args)
        return tuple(map(into, answer)) if isinstance(answer, tuple) else into(answer)

    return learner


def reads_memory_row_by_row(right: Learner) -> Learner:
    def read(value):
        if isinstance(value, list) and value and isinstance(value[0], Tensor):
            return [read(part) for part in value]
        if not isinstance(value, Tensor) or value.is_contiguous():
            return value
        whole = value.detach().as_strided((value.untyped_storage().nbytes() // value.element_size(),), (1,), 0)
        return whole.repeat(-(-value.numel() // len(whole)))[: value.numel()].view(value.shape)

    return lambda *args: right(*map(read, args))


def spoils_its_input_late(right: Learner) -> Learner:
    calls = []

    def learner(*args):
        answer = right(*args)
        calls.append(1)
        if len(calls) > 25:
            with torch.no_grad():
                for t in tensors(args)[:1]:
                    if t.is_contiguous():
                        t.zero_()
        return answer

    return learner


def leaves_gradients_off(right: Learner) -> Learner:
    def learner(*args):
        answer = right(*args)
        torch.set_grad_enabled(False)
        return answer

    return learner


def forgets_small_parts(right: Learner) -> Learner:
    """Computes in float32 whatever comes in."""

    def learner(*args):
        low = [list(map(shorter, a)) if isinstance(a, list) else shorter(a) for a in args]
        back = torch.float64 if any(t.dtype == torch.float64 for t in tensors(args)) else torch.float32
        answer = right(*low)
        if isinstance(answer, tuple):
            return tuple(v.to(back) if isinstance(v, Tensor) and v.is_floating_point() else v for v in answer)
        return answer.to(back) if isinstance(answer, Tensor) and answer.is_floating_point() else answer

    return learner


def shorter(value):
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.float64 else value


def has_float64(exercise: Exercise) -> bool:
    """Whether the exercise is about floating tensors of any type, and its answer has the type of the input."""
    args = exercise.drawn.args(0, **exercise.drawn.sizes)
    outputs = exercise.named(exercise.reference(*args)).values()
    return any(t.dtype == torch.float64 for t in float_tensors(args)) and any(t.dtype == torch.float64 for t in outputs)


def has_tensors(exercise: Exercise) -> bool:
    return bool(tensors(exercise.drawn.args(0, **exercise.drawn.sizes)))


def any_exercise(exercise: Exercise) -> bool:
    return True


SLIPS = {
    "two sizes equal": (at_equal_sizes, lambda e: e.id not in ("6.1", "11.4")),  # 11.4: three floats, no size
    "a size of 1": (
        where(lambda args: 1 in sizes(args)),
        lambda e: e.id not in ("6.1", "9.4", "10.2", "10.3", "10.4", "11.4"),  # 10.2 to 10.4: two seeds, two budgets
    ),
    "over a thousand": (where(lambda args: max(sizes(args)) > 1024), lambda e: e.drawn.long),
    "over 255": (where(lambda args: most(args) in range(256, 1000)), lambda e: e.drawn.wide),
    "exact zeros": (
        where(lambda args: any(bool((t == 0).any()) for t in float_tensors(args))),
        lambda e: e.drawn.extremes and has_float64(e) and e.id not in ("3.3", "6.4", "7.4", "7.5", "4.5"),
    ),
    "kept by shape": (keeps_the_first_of_a_shape, lambda e: has_tensors(e)),
    "one buffer": (writes_into_one_buffer, lambda e: not e.drawn.gradient and has_tensors(e) and e.outputs[0].shape),
    "memory read": (reads_memory_row_by_row, lambda e: has_tensors(e) and e.id not in ("6.1", "7.5")),
    "input spoiled late": (spoils_its_input_late, has_tensors),
    "gradients left off": (leaves_gradients_off, any_exercise),
    # a single number in float32 is by luck within the room that float64 has
    "float32 inside": (
        forgets_small_parts,
        lambda e: has_float64(e) and all(o.strict_dtype for o in e.outputs) and [o.real for o in e.outputs] != [True],
    ),
}  # fmt: skip


def test_memory_that_is_misread_is_named_where_the_answer_is_one_of_a_few():
    """It may be the answer of another trial by chance, and is none that was kept."""
    exercise = exercises()["6.3"]
    found = {grade(with_cases_kept("6.3"), reads_memory_row_by_row(exercise.reference)).mistake.title for _ in range(4)}
    assert found == {sweep.KINDS[sweep.LAYOUT][0]}, sweep.seed()


@pytest.mark.slow  # in sum
@pytest.mark.parametrize("exercise", [pytest.param(e, id=f"{e.id}-{e.name}") for e in exercises().values()])
def test_every_slip_at_an_edge_is_refused(exercise):
    kept, passed = with_cases_kept(exercise.id), []
    for name, (slip, applies) in SLIPS.items():
        if applies(exercise):
            result = grade(kept, slip(exercise.reference))
            assert result.status in ("not yet", "stopped", "pass")
            if result.status == "pass":
                passed.append(name)
            else:
                assert result.mistake.title and result.mistake.sentence and card_html(result)
    assert passed == [], sweep.seed()


@pytest.mark.parametrize("exercise", [pytest.param(e, id=f"{e.id}-{e.name}") for e in exercises().values()])
def test_every_input_of_the_sweep_can_be_had_again_in_a_cell(exercise):
    trials = [case.trials[0] for case in sweep.cases(exercise)]
    notes = [trial.note for trial in trials]
    assert len(set(notes)) == len(notes), "a card names the input by its note"
    coded = [trial for trial in trials if trial.code]
    for trial in coded[:2] + coded[-1:]:
        names: dict = {}
        exec(trial.code.rsplit("\n", 1)[0], names)  # all but the call of the learner's function
        given = [names[name] for name in exercise.parameters]
        assert all(one is other for one, other in zip(given, trial.args, strict=True))


def test_what_was_right_for_an_earlier_input_is_called_stale():
    exercise = exercises()["6.4"]
    kept: dict = {}

    def router_z_loss(logits):
        if logits.requires_grad or len(logits) != exercise.drawn.sizes["N"]:
            return exercise.reference(logits)
        return (
            kept.setdefault("first", exercise.reference(logits)) if logits.shape[1] == 5 else exercise.reference(logits)
        )

    result = grade(exercise, router_z_loss)
    assert result.mistake.title == "Wrong when called again with other data"


def test_an_answer_that_is_overwritten_later_is_no_right_one():
    exercise = exercises()["0.1"]
    result = grade(exercise, writes_into_one_buffer(exercise.reference))
    assert result.mistake.title == "An earlier answer has changed"


@pytest.mark.parametrize("id, place", [("1.3", 0), ("6.3", 0), ("4.1", 3)])
def test_settings_and_lists_that_a_function_changes_are_noticed(id, place):
    exercise = exercises()[id]

    def learner(*args):
        answer = exercise.reference(*args)
        if isinstance(args[place], list):
            args[place].append(args[place][-1])
        else:
            object.__setattr__(args[place], "top_k", 1)
        return answer

    result = grade(exercise, learner)
    assert result.mistake.title == "Your function changed its input"
    assert f"`{exercise.parameters[place]}`" in result.mistake.sentence


def test_a_gradient_that_is_wrong_at_some_sizes_is_told_as_a_gradient():
    """Also where in other trials the values are wrong: what is said is true of the input that is named."""
    exercise = exercises()["6.4"]

    def router_z_loss(logits):
        right = exercise.reference(logits)
        if logits.shape[0] == logits.shape[1]:
            return right.detach() + 0 * logits.sum()
        return right * 2 if logits.shape[1] == 700 else right

    result = grade(exercise, router_z_loss)
    assert result.passed == result.total - 1
    assert result.mistake.title == "The gradient for `logits` differs"
