"""Lesson 05's references, cases and slips: equal to real modules and models, and far enough apart."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from moe_lite import metrics, moe, transformer
from moe_lite.checks.engine.as_code import input_code
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.lesson05.count_moe import NAMES, SLIPS, totals
from moe_lite.checks.lesson05.moe_layer import ASKED
from moe_lite.checks.registry import exercises
from moe_lite.model.config import ModelConfig
from moe_lite.model.experts import Experts, SwiGLU
from moe_lite.model.routing import Router


def trials(id: str):
    return [trial for case in exercises()[id].cases() for trial in case.trials]


def test_the_packages_layer_passes():
    result = grade(exercises()["5.1"], lambda x, router, experts, shared: moe.MoELayer(router, experts, shared)(x))
    assert result.status == "pass", f"{result}: {result.mistake}"


def test_the_parts_are_real_ones_and_every_expert_of_the_plain_trials_is_chosen():
    for trial in exercises()["5.1"].cases()[2].trials[:3]:
        x, router, experts, shared = trial.args
        assert (type(router), type(experts), type(shared)) == (Router, Experts, SwiGLU)
        assert (router(x).load > 0).sum() >= 2, "one expert for all tokens would hide what happens between them"
        assert shared(x).abs().max() > 0.01 and experts(x.flatten(0, 1), router(x)).abs().max() > 0.01


def test_watching_leaves_no_hook_behind():
    args = trials("5.1")[0].args
    with ASKED.on(args) as asked:
        exercises()["5.1"].reference(*args)
    assert {name: value.tolist() for name, value in asked.items()} == {
        "router calls": 1, "experts calls": 1, "shared calls": 1, "router input": list(args[0].shape),
        "experts input": list(args[0].flatten(0, 1).shape), "changed answers": 0,
    }  # fmt: skip
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in args[1:])
    with pytest.raises(KeyError), ASKED.on(args):
        raise KeyError
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in args[1:])


def test_what_a_learner_does_to_a_part_does_not_reach_the_next_trial():
    def moe_layer(x, router, experts, shared):
        answer = exercises()["5.1"].reference(x, router, experts, shared)
        router.weight.data.zero_()
        return answer

    before = [trial.args[1].weight.clone() for trial in trials("5.1")]
    result = grade(exercises()["5.1"], moe_layer)
    assert result.mistake.title == "Your function changed its input" and "`router.weight`" in result.mistake.sentence
    assert dict(result.cases)["experts and shared expert"] is True
    for weight, trial in zip(before, trials("5.1"), strict=True):
        torch.testing.assert_close(trial.args[1].weight, weight, rtol=0, atol=0)


def test_a_gradient_is_asked_of_every_part():
    result = grade(
        exercises()["5.1"],
        lambda x, router, experts, shared: (
            lambda routing: (
                (experts(x.flatten(0, 1), routing) + (shared(x.flatten(0, 1)).detach() if shared else 0)).view(x.shape),
                routing,
            )
        )(router(x)),
    )
    assert result.mistake.title == "No gradient reaches `shared.gate_up`"


def test_the_input_of_5_1_runs_again():
    exercise = exercises()["5.1"]
    trial = trials("5.1")[1]  # float32
    namespace = {"torch": torch}
    exec("\n".join(input_code(exercise, trial).split("\n")[:-1]), namespace)
    again = [namespace[name] for name in exercise.parameters]
    (y, _), (expected, _) = exercise.reference(*again), exercise.reference(*trial.args)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=0, atol=0)


def test_a_hand_worked_width():
    # 100 // (2 + 1) = 33; sparse 3·33·3 + 8 = 305, dense 3·100 = 300
    assert exercises()["5.2"].reference(64, 100, 8, 2, 1) == (33, pytest.approx(305 / 300))


def test_the_ratio_is_that_of_counted_flops_and_no_wider_expert_fits():
    for trial in exercises()["5.2"].cases()[0].trials:
        d_model, d_dense, n_experts, top_k, n_shared = trial.args
        d_expert, ratio = exercises()["5.2"].reference(*trial.args)
        layer = moe.MoELayer(
            Router(d_model, n_experts, top_k),
            Experts(n_experts, d_model, d_expert),
            SwiGLU(d_model, n_shared * d_expert),
        )
        dense, x = SwiGLU(d_model, d_dense), torch.rand(1, 5, d_model)
        for parameter in (*layer.parameters(), *dense.parameters()):
            parameter.data.normal_(generator=torch.Generator().manual_seed(0))
        counted = metrics.counted_flops(lambda layer=layer, x=x: layer(x))
        assert counted / metrics.counted_flops(lambda dense=dense, x=x: dense(x)) == pytest.approx(ratio)
        assert d_expert * (top_k + n_shared) <= d_dense < (d_expert + 1) * (top_k + n_shared)


def test_counts_equal_those_of_real_models():
    small = [trial.args for trial in trials("5.3") if trial.args[0].vocab_size < 5000]
    assert {config.is_dense for config, _ in small} == {True, False}
    assert {config.n_shared_experts for config, _ in small} >= {0, 1, 2, 3}
    for config, context in {(c, n): 0 for c, n in small}:
        model = transformer.MoELanguageModel(config)
        counted = metrics.count_parameters(model)
        expected = counted.total, counted.active, metrics.flops_per_token(model, context)
        assert totals(config, context) == expected


def test_a_hand_worked_count():
    # vocabulary 2·10·4 = 80; attention 16 + 8 + 8 + 16 = 48; router 5·4 = 20; expert 3·4·6 = 72; norms 3·4 = 12
    config = ModelConfig(
        vocab_size=10, n_layers=1, d_model=4, n_heads=2, n_kv_heads=1, d_expert=6, n_experts=5, top_k=2,
        n_shared_experts=1,
    )  # fmt: skip
    total, active = 80 + 48 + 20 + 6 * 72 + 12, 80 + 48 + 20 + 3 * 72 + 12
    # FLOPs: 2·(40 + 48 + 20 + 216) = 648; scores and mix 4·2·2·7 = 112
    assert totals(config, 7) == (total, active, 648 + 112)
    dense = replace(config, n_experts=1, n_shared_experts=0)
    assert totals(dense, 7)[:2] == (80 + 48 + 72 + 12,) * 2


@pytest.mark.parametrize("name", NAMES)
def test_no_two_slips_look_alike(name):
    for trial in exercises()["5.3"].cases()[0].trials:
        added = [(slip.title, slip.added(name, *trial.args)) for slip in SLIPS]
        for (one, a), (other, b) in combinations([(title, n) for title, n in added if n], 2):
            assert one == other or abs(a - b) >= 2, (one, other, trial.note)


def test_every_slip_changes_some_number():
    for slip in SLIPS:
        assert any(slip.added(name, *t.args) for name in NAMES for t in trials("5.3")), slip.title
