"""Lesson 04's references, cases and counters: equal to the package's functions, and able to tell work from waste."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from moe_lite import dispatch, experts, routing
from moe_lite.checks.engine.as_code import input_code
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson04.products import A_SLICE_EACH
from moe_lite.checks.lesson04.tokens import CALLS, expert_list
from moe_lite.checks.registry import exercises

PACKAGE = {
    "4.1": dispatch.moe_loop,
    "4.2": dispatch.dispatch_order,
    "4.3": dispatch.combine,
    "4.4": dispatch.sparse_forward,
    "4.5": dispatch.padded_forward,
}


def trials(id: str):
    return [trial for case in exercises()[id].cases() for trial in case.trials]


def gradients(fn, args):
    """The gradient of a sum in which every value has another weight."""
    args = [a.clone().requires_grad_() if torch.is_tensor(a) and a.is_floating_point() else a for a in args]
    out = fn(*args)
    out = out[0] if isinstance(out, tuple) else out
    (out * torch.arange(1.0, out.numel() + 1).reshape(out.shape)).sum().backward()
    return [a.grad for a in args if torch.is_tensor(a) and a.requires_grad]


@pytest.mark.parametrize("id", PACKAGE)
def test_the_packages_functions_pass(id):
    result = grade(exercises()[id], PACKAGE[id])
    assert result.status == "pass", f"{result}: {result.mistake}"


@pytest.mark.parametrize("id", ["4.1", "4.3", "4.4", "4.5"])
def test_references_equal_the_package_in_value_and_gradient(id):
    reference, package = exercises()[id].reference, PACKAGE[id]
    compared = 0
    for trial in trials(id):
        if trial.args[0].dtype == torch.float64:
            torch.testing.assert_close(reference(*trial.args), package(*trial.args))
            torch.testing.assert_close(gradients(reference, trial.args), gradients(package, trial.args))
            compared += 1
    assert compared >= 10


def test_the_reference_of_4_4_is_what_the_real_experts_compute():
    """The same tokens, weights and matrices as a Routing, through `Experts`."""
    x, weights, expert_ids, gate_up, down = trials("4.4")[0].args
    flat = expert_ids.flatten()  # (N·K,)
    order = flat.argsort(stable=True)  # (N·K,)
    logits = torch.zeros(len(x), len(down))
    record = routing.Routing(
        token_ids=order // expert_ids.shape[1], expert_ids=flat[order], weights=weights.flatten()[order],
        kept=torch.ones(len(order), dtype=torch.bool), logits=logits, scores=logits, n_tokens=len(x),
        n_experts=len(down),
    )  # fmt: skip
    layer = experts.Experts(len(down), x.shape[1], down.shape[2]).double()
    with torch.no_grad():
        layer.gate_up.copy_(gate_up), layer.down.copy_(down)
        expected = layer(x, record)
    torch.testing.assert_close(exercises()["4.4"].reference(x, weights, expert_ids, gate_up, down), expected)


def test_a_hand_worked_order():
    # row by row: place 0 -> expert 2, 1 -> 0, 2 -> 0, 3 -> 2, 4 -> 2, 5 -> 3; expert 1 has none
    order, counts = exercises()["4.2"].reference(torch.tensor([[2, 0], [0, 2], [2, 3]]), 4)
    assert order.tolist() == [1, 2, 0, 3, 4, 5]
    assert counts.tolist() == [2, 0, 3, 1]


def test_the_trials_tell_apart_what_they_are_there_to_tell_apart():
    for id in ("4.1", "4.4"):
        sums = torch.cat([trial.args[1].sum(dim=1) for trial in trials(id)[:3]])
        assert ((sums - 1).abs() > 0.05).any(), "normalising the weights would change nothing"
        silent = exercises()[id].cases()[3].trials
        assert all(len(trial.args[2].unique()) < len(trial.args[3]) for trial in silent)
    for trial in exercises()["4.3"].cases()[2].trials:
        order = trial.args[1]
        assert not torch.equal(order, order.argsort()), "a permutation that is its own inverse hides a mistake"


def test_a_call_without_rows_does_not_count_and_a_vector_is_a_row():
    functions = expert_list(3)
    functions[1](torch.rand(2, 5))  # before: not counted
    with CALLS.on((None, None, None, functions)) as counted:
        functions[0](torch.rand(4, 5))
        functions[0](torch.rand(5))
        functions[2](torch.rand(0, 5))
    assert counted["rows"].tolist() == [5, 0, 0]
    assert counted["calls"].tolist() == [2, 0, 0]


def test_calls_of_one_trial_do_not_count_in_the_next():
    seen = []

    def moe_loop(x, weights, expert_ids, experts):
        seen.append([list(expert.sizes) for expert in experts])
        return exercises()["4.1"].reference(x, weights, expert_ids, experts)

    exercise = replace(exercises()["4.1"], drawn=None)  # what follows the cases counts nothing
    assert grade(exercise, moe_loop).status == "pass"
    assert len(seen) > 15 and not any(size for sizes in seen for size in sizes)


def product_of(work) -> tuple[int, int]:
    """Rows and products counted of `work(x, gate_up, down)` with 12 tokens, 2 choices, 3 experts, D = 5, F = 7."""
    x, gate_up, down = torch.rand(12, 5), torch.rand(3, 14, 5), torch.rand(3, 5, 7)
    with A_SLICE_EACH.on((x, None, torch.zeros(12, 2), gate_up, down)) as counted:
        work(x, gate_up, down)
    return counted["rows"].item(), counted["products"].item()


def through(expert: int):
    return lambda x, gate_up, down: F.linear(F.linear(x, gate_up[expert])[:, :7], down[expert])


@pytest.mark.parametrize(
    "work, rows, products",
    [
        (lambda x, gate_up, down: None, 24, 9),  # at least N · K rows and three products an expert
        (lambda x, gate_up, down: [through(e)(x, gate_up, down) for e in range(3)], 36, 9),  # 3 experts · 12 tokens
        (lambda x, gate_up, down: torch.einsum("nd,efd->nef", x, gate_up), 24, 9),  # 36 · 2 of 3 matrices: 24
        (lambda x, gate_up, down: [gate_up[0] @ row for row in x], 24, 12),  # a product for each of 12 rows
        (lambda x, gate_up, down: [torch.rand(400, 12) @ x for _ in range(50)], 24, 9),  # sends rows, is no expert
        (lambda x, gate_up, down: [x[None].expand(3, 12, 5) @ gate_up.mT] * 2, 24, 9),
        (lambda x, gate_up, down: [x.expand(3, 12, 5).bmm(gate_up.mT) for _ in range(2)], 48, 9),  # 2 · 36 · 2 of 3
    ],
)
def test_products_with_expert_matrices_are_counted_however_they_are_written(work, rows, products):
    assert product_of(work) == (rows, products)


def test_waste_is_shown_expert_by_expert():
    def moe_loop(x, weights, expert_ids, experts):
        combine = weights.new_zeros(len(x), len(experts)).scatter(1, expert_ids, weights)
        return sum(combine[:, e, None] * expert(x) for e, expert in enumerate(experts))

    result = grade(exercises()["4.1"], moe_loop)
    evidence = result.evidence
    assert result.mistake.title == "Every expert computes every token"
    assert evidence.label == "rows (E,)" and evidence.expert_columns
    assert evidence.got.tolist() == [7, 7, 7, 7] and int(evidence.expected.sum()) == 14
    assert "lambda rows: (rows * " in evidence.input_code


def test_the_input_of_4_1_runs_again():
    exercise = exercises()["4.1"]
    trial = exercise.cases()[0].trials[0]
    namespace = {"torch": torch}
    exec("\n".join(input_code(exercise, trial).split("\n")[:-1]), namespace)
    again = [namespace[name] for name in exercise.parameters]
    torch.testing.assert_close(exercise.reference(*again), exercise.reference(*trial.args), rtol=0, atol=0)
