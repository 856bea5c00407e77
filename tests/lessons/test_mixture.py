"""The mixture of 1991: its formulas by hand, its gradients, what breaks symmetry, what training reports."""

import math

import pytest
import torch

from moe_lite.lessons.mixture import (
    LOSSES,
    PROBLEMS,
    Mixture,
    cooperative_loss,
    line_and_wave,
    measure,
    mixture_nll,
    pulls,
    ranges,
    responsibilities,
    slope_and_disc,
    soft_gate,
    train,
    trained,
)
from moe_lite.metrics import counted_flops

HALF = torch.full((1, 2), 0.5).log()  # (N, E) of one input and two experts


def close(got, expected) -> None:
    torch.testing.assert_close(torch.as_tensor(got), torch.as_tensor(expected), atol=1e-5, rtol=1e-5)


# ---- formulas --------------------------------------------------------------------------------------------------------


def test_gates_are_a_softmax_of_x_times_w_plus_b_and_weigh_the_answers():
    x, w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, 0.0])
    log_gates, y = soft_gate(x, w, b, torch.tensor([[10.0, 4.0]]))  # logits 1 + 1 and 2: equal
    close(log_gates, HALF)
    close(y, [7.0])
    log_gates, y = soft_gate(x, w, b + torch.tensor([math.log(3), 0.0]), torch.tensor([[10.0, 4.0]]))
    close(log_gates.exp(), [[0.75, 0.25]])
    close(y, [8.5])


def test_logarithm_of_a_gate_that_float32_cannot_hold_stays_finite():
    log_gates, y = soft_gate(torch.tensor([[50.0]]), torch.tensor([[2.0], [-2.0]]), torch.zeros(2), torch.ones(1, 2))
    close(log_gates, [[0.0, -200.0]])
    close(y, [1.0])


def test_both_losses_of_two_answers_by_hand():
    outputs, target = torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])
    close(cooperative_loss(HALF, outputs, target, 1.0), 0.0)  # the blend is 1
    close(mixture_nll(HALF, outputs, target, 1.0), 0.5)  # -log(2 · ½ · exp(-½))
    close(mixture_nll(HALF, outputs, target, 0.5), 2.0)  # ½ · (1 / 0.5)² for both
    close(cooperative_loss(HALF, outputs, target + 1, 0.5), 2.0)


def test_losses_are_means_over_inputs_and_equal_for_one_expert():
    g, o, t = torch.zeros(2, 1), torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0])
    for loss in LOSSES.values():
        close(loss(g, o, t, 1.0), (0.5 * 1 + 0.5 * 9) / 2)


def test_competitive_loss_and_its_slope_stay_finite_far_away():
    outputs = torch.tensor([[0.0, 1.0]], requires_grad=True)
    loss = mixture_nll(HALF, outputs, torch.tensor([10_000.0]), 0.1)
    loss.backward()
    assert loss > 1e9 and loss.isfinite() and outputs.grad.isfinite().all()
    close(mixture_nll(torch.tensor([[-300.0, 0.0]]), torch.tensor([[1.0, 50.0]]), torch.tensor([1.0]), 1.0), 300.0)


def test_responsibilities_by_hand_and_far_away():
    h = responsibilities(HALF, torch.tensor([[0.0, 2.0]]), torch.tensor([2.0]), 1.0)
    close(h, [[math.exp(-2) / (1 + math.exp(-2)), 1 / (1 + math.exp(-2))]])
    close(responsibilities(HALF, torch.tensor([[0.0, 2.0]]), torch.tensor([9e4]), 0.1), [[0.0, 1.0]])


def test_an_expert_is_pushed_by_responsibility_times_gap_and_a_logit_by_h_minus_g():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=g, requires_grad=True)
    outputs = torch.randn(5, 3, generator=g, requires_grad=True)
    targets, sigma = torch.randn(5, generator=g), 0.7
    mixture_nll(logits.log_softmax(-1), outputs, targets, sigma).backward()
    h = responsibilities(logits.log_softmax(-1), outputs, targets, sigma).detach()
    close(-5 * outputs.grad, h * (targets[:, None] - outputs.detach()) / sigma**2)
    close(-5 * logits.grad, h - logits.detach().softmax(-1))


# ---- the module ------------------------------------------------------------------------------------------------------


def test_answers_are_those_of_each_network_alone():
    mixture, x = Mixture(2, 3, seed=4), torch.randn(6, 2)
    outputs = mixture(x).outputs
    for e in range(3):
        hidden = torch.tanh(x @ mixture.w_in[e] + mixture.b_in[e])
        close(outputs[:, e], (hidden @ mixture.w_out[e] + mixture.b_out[e])[:, 0])


def test_only_top_is_the_answer_of_the_largest_gate_at_the_cost_of_one_expert():
    mixture, x = Mixture(2, 4, hidden=5), torch.randn(50, 2)
    with torch.no_grad():
        mixture.w_gate.normal_()
    answer = mixture(x)
    best = answer.log_gates.argmax(dim=-1)
    assert len(best.unique()) > 1
    close(mixture.only_top(x), answer.outputs.gather(1, best[:, None])[:, 0])
    gate, expert = 2 * 2 * 4, 2 * (2 * 5 + 5)  # FLOPs an input
    assert counted_flops(lambda: mixture(x)) == 50 * (gate + 4 * expert)
    assert counted_flops(lambda: mixture.only_top(x)) == 50 * (gate + expert)


def test_own_gate_is_used():
    def first_only(x, w_gate, b_gate, outputs):
        return torch.log(torch.eye(outputs.shape[1])[0]).expand_as(outputs), outputs[:, 0]

    mixture, x = Mixture(1, 3, gate=first_only), torch.randn(4, 1)
    close(mixture(x).y, mixture(x).outputs[:, 0])


def test_same_seed_same_start_and_experts_differ():
    a, b, c = Mixture(1, 3, seed=1), Mixture(1, 3, seed=1), Mixture(1, 3, seed=2)
    assert torch.equal(a.w_in, b.w_in) and not torch.equal(a.w_in, c.w_in)
    assert not torch.equal(a.w_in[0], a.w_in[1])
    close(a(torch.randn(5, 1)).log_gates.exp(), torch.full((5, 3), 1 / 3))  # a fresh gate prefers nobody


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_loss_and_error_and_reports_every_step(loss):
    mixture, problem = Mixture(1, 3), line_and_wave()
    before = problem.error(mixture(problem.x).y)
    logs = list(train(mixture, problem, loss=LOSSES[loss], steps=80))
    assert [log.step for log in logs] == list(range(1, 81))
    assert logs[0].error == pytest.approx(before)
    assert logs[-1].loss < 0.7 * logs[0].loss and logs[-1].error < 0.8 * logs[0].error
    close(logs[-1].claimed.sum(), 1.0)


def test_learners_functions_are_called_with_the_problems_sigma_or_the_given_one():
    seen = []

    def nll(log_gates, outputs, targets, sigma):
        seen.append((tuple(log_gates.shape), tuple(outputs.shape), tuple(targets.shape), sigma))
        return mixture_nll(log_gates, outputs, targets, sigma)

    def halves(log_gates, outputs, targets, sigma):
        return torch.full_like(outputs, 0.5)

    log = next(train(Mixture(2, 2), slope_and_disc(), loss=nll, responsible=halves))
    assert seen == [((256, 2), (256, 2), (256,), 1.0)] and log.claimed.tolist() == [0.5, 0.5]
    trained(Mixture(2, 2), slope_and_disc(), loss=nll, sigma=3.0, steps=1)
    assert seen[-1][-1] == 3.0


def test_equal_experts_stay_equal_and_do_what_one_does():
    problem = line_and_wave()
    copies, one = trained(Mixture(1, 4, equal_start=True), problem, steps=60), trained(Mixture(1, 1), problem, steps=60)
    answer = copies(problem.x)
    assert (answer.outputs == answer.outputs[:, :1]).all()
    torch.testing.assert_close(answer.y, one(problem.x).y, atol=1e-3, rtol=1e-3)
    usual = trained(Mixture(1, 4), problem, steps=60)(problem.x).outputs
    assert (usual[:, 0] - usual[:, 1]).abs().max() > 0.1


def test_frozen_parts_do_not_change():
    problem, mixture = line_and_wave(), Mixture(1, 2)
    before = {name: value.clone() for name, value in mixture.state_dict().items()}
    trained(mixture.learn(gate=False), problem, steps=3)
    assert torch.equal(mixture.w_gate, before["w_gate"]) and not torch.equal(mixture.w_in, before["w_in"])
    experts = mixture.w_in.clone()
    trained(mixture.learn(experts=False), problem, steps=3)
    assert torch.equal(mixture.w_in, experts) and not torch.equal(mixture.w_gate, before["w_gate"])


@pytest.mark.slow
def test_competitive_experts_stand_alone_and_cooperative_ones_do_not():
    problem, unseen = line_and_wave(), line_and_wave(1024, seed=1)
    competitive = measure(trained(Mixture(1, 4), problem, steps=400), unseen)
    cooperative = measure(trained(Mixture(1, 4), problem, steps=400, loss=cooperative_loss), unseen)
    assert competitive.alone < 1.1 * competitive.error and cooperative.alone > 1.3 * cooperative.error
    assert 1 < competitive.effective < cooperative.effective < 4


def test_measures_of_a_mixture_that_is_known():
    mixture, problem = Mixture(1, 2), line_and_wave()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.zero_()
        mixture.b_out[1] = 1.0  # answers 0 and 1, blended half and half
    found = measure(mixture, problem)
    assert found.error == pytest.approx((problem.targets - 0.5).square().mean().sqrt().item(), rel=1e-5)
    assert found.alone == pytest.approx(problem.targets.square().mean().sqrt().item(), rel=1e-5)
    assert found.effective == pytest.approx(2.0) and found.used == 1


def test_ranges_go_from_the_least_to_the_most_of_each_measure():
    problem = line_and_wave(64)
    rows = {"a": [Mixture(1, 2, seed=seed) for seed in range(3)], "b": [Mixture(1, 4)]}
    least, most = ranges(rows, problem)
    found = [measure(mixture, problem) for mixture in rows["a"]]
    assert least[0].tolist() == pytest.approx([min(m.error for m in found), min(m.alone for m in found), 2.0])
    assert most[0].tolist() == pytest.approx([max(m.error for m in found), max(m.alone for m in found), 2.0])
    assert torch.equal(least[1], most[1]) and least[1, 2].item() == pytest.approx(4.0)


def test_pulls_are_minus_the_slopes_of_the_losses():
    generator = torch.Generator().manual_seed(0)
    log_gates = torch.randn(6, 3, generator=generator).log_softmax(dim=-1)
    outputs, targets = torch.randn(6, 3, generator=generator).requires_grad_(), torch.randn(6, generator=generator)
    found = pulls(log_gates, outputs, targets, 0.7)
    for loss, pull in zip((cooperative_loss, mixture_nll), found, strict=True):
        (slope,) = torch.autograd.grad(6 * loss(log_gates, outputs, targets, 0.7), outputs)
        close(pull.detach(), -slope)


# ---- problems --------------------------------------------------------------------------------------------------------


def test_targets_are_what_the_halves_say():
    problem = line_and_wave(noise=0.0)
    left, right = problem.halves()
    close(left.targets, -1.2 * left.x[:, 0] - 0.9)
    close(right.targets, 0.5 * (9 * right.x[:, 0]).sin() + 0.3)
    assert (left.x < 0).all() and (right.x >= 0).all() and len(left.x) + len(right.x) == len(problem.x) == 256
    plane = slope_and_disc(noise=0.0)
    _, disc = plane.halves()
    inside = (disc.x - torch.tensor([0.5, 0.0])).norm(dim=-1) < 0.4
    assert torch.equal(disc.targets > 0, inside) and set(plane.targets.tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_seed_gives_the_same_points_and_another_one_others(name):
    make = PROBLEMS[name]
    assert torch.equal(make().x, make().x) and not torch.equal(make(seed=1).x, make().x)
    assert torch.equal(make().targets, make().targets) and make().x.shape[1] == int(name[0])
