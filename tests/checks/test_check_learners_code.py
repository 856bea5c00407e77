"""Anything that a learner may hand to a check: it answers, in words, and does not raise."""

import functools

import pytest
import torch

from moe_lite.checks.card.card import card_html
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.registry import exercises

TOP_K, SCORES, LOAD = exercises()["3.2"], exercises()["3.1"], exercises()["0.1"]


def right(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    weights, expert_ids = weights[:, :k], expert_ids[:, :k]
    return weights / weights.sum(dim=-1, keepdim=True), expert_ids


def raises_not_implemented(scores, k):
    """As the course left it."""
    raise NotImplementedError("exercise 3.2")


def only_dots(scores, k): ...


def only_pass(scores, k):
    pass


def only_docstring(scores, k):
    """To be written."""


@pytest.mark.parametrize("fn", [raises_not_implemented, only_dots, only_pass, only_docstring], ids=lambda f: f.__name__)
def test_a_function_that_does_nothing_is_open(fn):
    result = grade(TOP_K, fn)
    assert result.status == "open" and result.passed == 0
    assert repr(result) == "3.2 top_k_route: not attempted yet"
    assert "about 3 lines" in result.remark


def test_a_function_of_torch_that_does_the_exercise_passes_and_it_is_said():
    def by_library(logits, targets):
        return torch.nn.functional.cross_entropy(logits, targets)

    def by_hand(logits, targets):
        kept = targets != -100
        logits, targets = logits[kept], targets[kept]
        return (logits.logsumexp(dim=1) - logits.gather(1, targets[:, None]).squeeze(1)).mean()

    said = "The numbers are right. `cross_entropy` did the work, which this exercise leaves to you."
    loss = exercises()["1.1"]
    assert (grade(loss, by_library).status, grade(loss, by_library).remark) == ("pass", said)
    assert said in card_html(grade(loss, by_library)).replace("<code>", "`").replace("</code>", "`")
    assert grade(loss, by_hand).status == "pass" and grade(loss, by_hand).remark == loss.done


def test_a_constant_is_an_attempt():
    assert grade(TOP_K, lambda scores, k: 5).mistake.title == "A tuple is expected"


def test_code_above_a_forgotten_raise_is_an_attempt():
    def top_k_route(scores, k):
        weights = scores.sort(dim=-1).values
        raise NotImplementedError("exercise 3.2")
        return weights

    result = grade(TOP_K, top_k_route)
    assert result.status == "stopped"
    assert result.mistake.title == "`raise NotImplementedError` is still there"


@pytest.mark.parametrize("thing, kind", [(None, "NoneType"), (3, "int"), ((torch.ones(1), torch.ones(1)), "tuple")])
def test_something_that_is_no_function_is_named(thing, kind):
    result = grade(TOP_K, thing)
    assert result.status == "not yet" and result.mistake.title == "That is not a function"
    assert kind in result.mistake.sentence and "check.top_k_route(top_k_route)" in result.mistake.sentence


def test_other_parameters_are_named():
    result = grade(TOP_K, lambda scores: scores)
    assert result.mistake.title == "Other parameters are expected"
    assert "top_k_route(scores, k)" in result.mistake.sentence and "(scores)" in result.mistake.sentence


@pytest.mark.parametrize(
    "fn",
    [lambda scores, k, *, verbose=False: right(scores, k), lambda *args: right(*args), functools.partial(right)],
    ids=["extra", "star", "partial"],
)
def test_other_ways_to_write_the_parameters_pass(fn):
    assert grade(TOP_K, fn).status == "pass"


def test_an_object_that_can_be_called_passes():
    class Route(torch.nn.Module):
        def forward(self, scores, k):
            return right(scores, k)

    assert grade(TOP_K, Route()).status == "pass"


@pytest.mark.parametrize(
    "returned, title",
    [
        (lambda w, i: None, "Nothing is returned"),
        (lambda w, i: w, "Wrong number of results"),
        (lambda w, i: (w, i, w), "Wrong number of results"),
        (lambda w, i: [w, i], "A tuple is expected"),
        (lambda w, i: {"weights": w}, "A tuple is expected"),
        (lambda w, i: (x for x in (w, i)), "A generator, not a result"),
        (lambda w, i: (w.tolist(), i), "Not a tensor"),
        (lambda w, i: (w.numpy(force=True), i), "Not a tensor"),
        (lambda w, i: (w.to_sparse(), i), "Not a plain tensor"),
        (lambda w, i: (w.to(torch.complex64), i), "Not a plain tensor"),
        (lambda w, i: (w, i.double()), "`expert_ids` has the wrong type"),
        (lambda w, i: (w, i[:, :1]), "Wrong shape"),
        (lambda w, i: (i, w), "`weights` and `expert_ids` have changed places"),
    ],
)
def test_what_is_returned_is_named(returned, title):
    result = grade(TOP_K, lambda scores, k: returned(*right(scores, k)))
    assert (result.status, result.mistake.title) == ("not yet", title)


def test_an_async_function_is_named_and_leaves_no_warning(recwarn):
    async def top_k_route(scores, k):
        return right(scores, k)

    assert grade(TOP_K, top_k_route).mistake.title == "A coroutine, not a result"
    assert not [w for w in recwarn if "never awaited" in str(w.message)]


def test_a_loop_that_never_ends_stops_the_check_and_not_the_notebook(monkeypatch):
    monkeypatch.setenv("MOE_LITE_CHECK_SECONDS", "0.3")

    def top_k_route(scores, k):
        while True:
            try:
                scores.sum()
            except Exception:  # what a learner may write: the check must end it all the same
                pass

    result = grade(TOP_K, top_k_route)
    assert repr(result) == "3.2 top_k_route: no answer after 0.3 s in case 1 of 9"
    assert [ok for _, ok in result.cases] == [None] * 9
    assert result.mistake.title == "A loop does not end"


def test_an_error_in_a_late_case_keeps_what_passed_before():
    def top_k_route(scores, k):
        return right(scores, k) if k > 1 else right(scores, 10**6 // 0)

    result = grade(TOP_K, top_k_route)
    assert result.status == "stopped" and result.passed == 5
    assert "in case 6 of 9" in repr(result)
    assert [ok for _, ok in result.cases] == [True] * 5 + [None] * 4


def test_a_wrong_value_before_an_error_is_named_first():
    def top_k_route(scores, k):
        weights, expert_ids = right(scores, k)
        if k == 1:
            raise ValueError
        return weights * 2, expert_ids

    result = grade(TOP_K, top_k_route)
    assert result.status == "not yet"
    assert result.mistake.general and "2.00 times" in result.mistake.sentence


def test_inputs_stay_as_they_were_whatever_the_function_does():
    def top_k_route(scores, k):
        scores.zero_()
        return right(scores, k)

    before = [t.args[0].clone() for c in TOP_K.cases() for t in c.trials]
    assert grade(TOP_K, top_k_route).mistake.title == "Your function changed its input"
    after = [t.args[0] for c in TOP_K.cases() for t in c.trials]
    torch.testing.assert_close(before, after, rtol=0, atol=0)
    assert grade(TOP_K, right).status == "pass"


def test_an_answer_that_a_later_call_overwrites_is_told_apart_from_a_wrong_one():
    """The answer is copied at once, so it is right when it comes, and another one afterwards."""
    buffer = {}

    def expert_load(expert_ids, n_experts):
        load = torch.bincount(expert_ids.flatten(), minlength=n_experts)
        if "last" in buffer:
            buffer["last"].zero_()
        buffer["last"] = load
        return load

    result = grade(LOAD, expert_load)
    assert result.status == "not yet" and result.passed == result.total - 1
    assert result.mistake.title == "An earlier answer has changed"


def test_prints_are_kept_beside_the_result_and_out_of_its_text():
    def top_k_route(scores, k):
        print("scores", tuple(scores.shape))
        return right(scores, k)

    result = grade(TOP_K, top_k_route)
    assert repr(result) == "3.2 top_k_route: 9 of 9 pass"
    assert result.printed.startswith("scores (9, 8)\n") and "scores (9, 8)" in card_html(result)


@pytest.mark.parametrize("eps", [0.0, 1e-20])
def test_a_small_number_against_division_by_zero_is_no_mistake_where_it_changes_nothing(eps):
    def top_k_route(scores, k):
        weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
        weights = weights[:, :k]
        return weights / (weights.sum(dim=-1, keepdim=True) + eps), expert_ids[:, :k]

    assert grade(TOP_K, top_k_route).status == "pass"


def test_a_tie_broken_by_chance_fails_the_case_of_ties_and_leaves_the_others():
    result = grade(TOP_K, lambda scores, k: right(scores.flip(-1), k))
    assert dict(result.cases)["ties"] is False

    def top_k_route(scores, k):
        weights, expert_ids = right(scores.flip(-1), k)
        return weights, scores.shape[-1] - 1 - expert_ids  # among equals the higher number first

    result = grade(TOP_K, top_k_route)
    assert [name for name, ok in result.cases if ok is False] == ["ties", "zeros, large scores"]
    assert result.mistake.title == "Ties are broken the wrong way"


def test_functions_that_learn_nothing_from_the_input_do_not_pass():
    answers = {}

    def replay(scores, k):
        """Right on the first call, then the same answer again wherever it fits."""
        key = (*scores.shape, k)
        answers.setdefault(key, right(scores.detach(), k))
        return answers[key]

    result = grade(TOP_K, replay)
    assert result.status == "not yet" and result.passed < result.total
