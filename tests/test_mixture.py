"""The mixture of 1991 (moe_lite/mixture.py): gate, losses and responsibilities by hand, and what training keeps."""

import math

import pytest
import torch
from small import randn

from moe_lite.mixture import (
    LOSSES,
    Mixture,
    cooperative_loss,
    measure,
    mixture_nll,
    responsibilities,
    soft_gate,
    train,
    trained,
)
from moe_lite.toy_problems import PROBLEMS, line_and_wave


def test_soft_gate_by_hand():
    # logits 2 and −2 at x = 1: shares e⁴ : 1; the experts say 10 and 0
    x, w, b = torch.tensor([[0.0], [1.0], [100.0]]), torch.tensor([[2.0], [-2.0]]), torch.zeros(2)
    log_gates, y = soft_gate(x, w, b, torch.tensor([10.0, 0.0]).expand(3, 2))
    share = math.exp(4) / (1 + math.exp(4))
    torch.testing.assert_close(y, torch.tensor([5.0, 10 * share, 10.0]))
    assert log_gates[2].tolist() == [0.0, -400.0]  # finite where the share itself is 0 in float32


def test_losses_by_hand_and_equal_for_one_expert():
    # gates ½, answers 0 and 2, target 1, σ 1: the blend is right; each fit is exp(−½)
    half, answers, target = torch.full((1, 2), 0.5).log(), torch.tensor([[0.0, 2.0]]), torch.ones(1)
    assert cooperative_loss(half, answers, target, 1.0).item() == 0
    assert mixture_nll(half, answers, target, 1.0).item() == pytest.approx(0.5)
    alone, answer = torch.zeros(5, 1), randn(5, 1)
    both = [loss(alone, answer, torch.arange(5.0), 0.7).item() for loss in LOSSES.values()]
    assert both[0] == pytest.approx(both[1])


def test_far_targets_give_finite_losses_and_responsibilities():
    log_gates, answers, target = torch.tensor([[0.0, -400.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([5e4])
    assert mixture_nll(log_gates, answers, target, 0.1).isfinite()
    h = responsibilities(log_gates, answers, target, 0.1)
    assert h.isfinite().all() and h.sum().item() == pytest.approx(1)


def test_the_competitive_slope_is_responsibility_times_gap():
    log_gates = randn(6, 3, seed=1, dtype=torch.float64).log_softmax(-1)
    answers, targets = randn(6, 3, seed=2, dtype=torch.float64).requires_grad_(), randn(6, seed=3, dtype=torch.float64)
    slope = torch.autograd.grad(mixture_nll(log_gates, answers, targets, 0.5), answers)[0]
    h = responsibilities(log_gates, answers, targets, 0.5)
    torch.testing.assert_close(-slope, (h * (targets[:, None] - answers) / 0.25 / 6).detach())


@pytest.mark.parametrize("task", PROBLEMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_the_error_and_logs_every_step(task, loss):
    problem = PROBLEMS[task]()
    mixture = Mixture(problem.x.shape[1], 3, seed=0)
    before = measure(mixture, problem).error
    logs = [*train(mixture, problem, loss=LOSSES[loss], steps=80)]
    assert [log.step for log in logs] == [*range(1, 81)] and logs[0].error == pytest.approx(before)
    assert measure(mixture, problem).error < 0.8 * before
    assert all(log.claimed.sum().item() == pytest.approx(1) for log in logs)


def test_only_best_is_the_answer_of_the_expert_with_the_largest_gate():
    problem = line_and_wave()
    mixture = trained(Mixture(1, 4, seed=1), problem, steps=60)
    answer = mixture(problem.x)
    best = answer.log_gates.argmax(dim=-1, keepdim=True)
    torch.testing.assert_close(mixture.only_best(problem.x), answer.outputs.gather(1, best)[:, 0])


def test_equal_starts_stay_equal_and_frozen_parts_stay():
    problem = line_and_wave()
    copies = trained(Mixture(1, 4, seed=0, equal_start=True), problem, steps=30)
    outputs = copies(problem.x).outputs
    assert torch.equal(outputs, outputs[:, :1].expand_as(outputs))
    mixture = Mixture(1, 4, seed=0)
    w_in = mixture.w_in.detach().clone()
    trained(mixture.learn(experts=False), problem, steps=5)
    assert torch.equal(mixture.w_in, w_in) and mixture.w_gate.abs().max() > 0


def test_halves_part_the_inputs_at_zero():
    left, right = line_and_wave(n=100).halves()
    assert len(left.x) + len(right.x) == 100 and (left.x < 0).all() and (right.x >= 0).all()
    assert left.error(left.targets + 2) == pytest.approx(2)
