"""An error in a learner's code is shown at its line, with its likely cause, and without our own frames."""

from dataclasses import replace

import pytest
import torch
from answers import answers

from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine.attempt import try_once
from moe_lite.checks.engine.errors import explain
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.registry import exercises

TOP_K = exercises()["3.2"]


def right(scores, k):
    return TOP_K.reference(scores, k)


def forgets_keepdim(scores, k):
    weights = scores.sort(dim=-1).values
    return weights / weights.sum(-1)


def unknown_name(scores, k):
    return score.sort(dim=-1)  # noqa: F821


def missing_import(scores, k):
    return np.sort(scores)  # noqa: F821


def not_unpacked(scores, k):
    return scores.topk(k).sum()


def out_of_range(scores, k):
    return scores[:, scores.shape[1]]


def counts_past_the_rows(scores, k):
    places = torch.arange(len(scores) * k)
    return scores[places]


def row_beside_a_table(scores, k):
    totals = scores.sum(-1)
    return scores / totals


def no_name_beside_stable(scores, k):
    return scores.argsort(-1, stable=True)


def counts_but_fails_elsewhere(scores, k):
    load = torch.bincount(scores.argmax(dim=-1))
    weights = scores / scores.sum(dim=0)[:-1]
    return weights, load


def truth_of_a_tensor(scores, k):
    return scores if scores > 0 else scores


def calls_itself(scores, k):
    return calls_itself(scores, k)


def leaf_in_place(scores, k):
    if scores.requires_grad:
        scores /= 2
    return right(scores, k)


def interrupts(scores, k):
    raise KeyboardInterrupt


def exits(scores, k):
    exit()


@pytest.mark.parametrize(
    "fn, kind, title, said",
    [
        (forgets_keepdim, "RuntimeError", "Two shapes do not fit", "`sum(-1, keepdim=True)` keeps it"),
        (unknown_name, "NameError", "`score` is not known", "Did you mean `scores`?"),
        (missing_import, "NameError", "`np` is not imported", "import numpy as np"),
        (not_unpacked, "AttributeError", "Two results in one name", "take them apart"),
        (out_of_range, "IndexError", "An index is too large", "size − 1"),
        (counts_past_the_rows, "IndexError", "An index is too large", "`places` holds numbers up to "),
        (row_beside_a_table, "RuntimeError", "Two shapes do not fit", "`totals[:, None]` makes it a column"),
        (no_name_beside_stable, "TypeError", "`stable=` wants names beside it", "`sort(dim=-1, descending=True, "),
        (counts_but_fails_elsewhere, "RuntimeError", "Two shapes do not fit", ""),
        (truth_of_a_tensor, "RuntimeError", "A whole tensor in an `if`", "torch.where"),
        (calls_itself, "RecursionError", "The function calls itself", "own name"),
        (leaf_in_place, "RuntimeError", "A change in place", "not `x /= s`"),
        (interrupts, "KeyboardInterrupt", "KeyboardInterrupt", "nobody pressed stop"),
        (exits, "SystemExit", "SystemExit", "leave a function with `return`"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_an_error_is_explained_at_its_line(fn, kind, title, said):
    result = grade(TOP_K, fn)
    assert result.status == "stopped"
    assert repr(result).startswith(f"3.2 top_k_route: your code raised {kind} in case ")
    assert result.mistake.title == title and said in result.mistake.sentence
    failing = [text for _, text, failed in result.failure.lines if failed]
    assert len(failing) == 1 and failing[0].strip()
    assert result.failure.traceback.startswith("your code, line "), "our own frames, or a folder"


def test_lines_of_the_package_are_not_called_the_learners():
    def too_deep(x, router, experts, shared):
        routing = router(x)
        return experts(x[:, :1].flatten(0, 1), routing), routing

    result = grade(exercises()["5.1"], too_deep)
    assert result.status == "stopped" and result.failure.lines[-1][1].strip().startswith("return experts(")
    traceback = result.failure.traceback
    assert "moe_lite/model/experts.py, line " in traceback and "your code, line" in traceback
    assert not [line for line in traceback.splitlines() if "your code" in line and "_sorted" in line]


def test_the_lines_shown_are_those_of_the_function_only():
    lines = grade(TOP_K, forgets_keepdim).failure.lines
    assert [text.strip().split(" ")[0] for _, text, _ in lines] == ["def", "weights", "return"]


def test_an_error_in_the_backward_pass_says_so():
    def top_k_route(scores, k):
        weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
        weights = weights[:, :k].exp()
        total = weights.sum(dim=-1, keepdim=True)
        weights.div_(total)
        return weights.log() / total, expert_ids[:, :k]

    case = TOP_K.cases()[-1]
    _, ended = try_once(TOP_K, top_k_route, case.trials[0], case)
    failure = explain(TOP_K, top_k_route, ended, case.trials[0])
    assert failure.what == "the gradient of your result raised RuntimeError"
    assert failure.note.title == "A change in place"


# ---- the check's own errors ------------------------------------------------------------------------------------------


def test_an_error_of_the_check_itself_is_a_card_that_says_so():
    def gives_up(scores, k):
        raise RuntimeError("planted")

    result = grade(replace(TOP_K, reference=gives_up), right)
    assert (result.status, repr(result)) == ("stopped", "3.2 top_k_route: the check itself failed")
    card = card_html(result)
    assert "Your function may be right" in card and "RuntimeError: planted" in card and "Likely cause" not in card


def test_a_list_that_lost_a_part_is_a_changed_input():
    def takes_out(scores, expert_ids):
        scores.pop(0)
        return exercises()["6.5"].reference(scores, expert_ids[1:])

    result = grade(exercises()["6.5"], takes_out)
    assert (result.status, result.mistake.title) == ("not yet", "Your function changed its input")
    assert "`scores[" in result.mistake.sentence


def test_a_list_that_got_one_more_part_is_a_changed_input():
    def puts_in(scores, expert_ids):
        scores.append(scores[0])
        return exercises()["6.5"].reference(scores[:-1], expert_ids)

    result = grade(exercises()["6.5"], puts_in)
    assert (result.status, result.mistake.title) == ("not yet", "Your function changed its input")


@pytest.mark.slow
@pytest.mark.parametrize("id", exercises())
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_gradients_that_the_notebook_switched_off_are_no_fault_of_the_answer(without, id):
    answer = next(answer for answer in answers(id) if answer.right)
    with without():
        assert grade(exercises()[id], answer.function()).status == "pass"
        assert not torch.is_grad_enabled()


def test_a_line_that_makes_a_config_is_shown_itself():
    """And not the code of the dataclass, which lies in no file."""
    (answer,) = [answer for answer in answers("9.4") if answer.name == "whole_division"]
    failure = answer.graded().failure
    (line,) = [text for _, text, failing in failure.lines if failing]
    assert "return ModelConfig(" in line
    assert "`routed_scale` is 0" in failure.note.sentence and "`//`" in failure.note.sentence
    assert "<string>" not in failure.traceback and failure.traceback.count("your code") == 1
