"""Planted failures do what they say, the dashboard shows it, and on unseen seeds each is told from all others."""

from dataclasses import asdict, fields, replace

import pytest
import torch
from small import randn, random_ids, small_corpora, small_model

from moe_lite import MoELanguageModel, TrainConfig
from moe_lite.lab.diagnosis import RULES, Clue, diagnose, suspects
from moe_lite.lab.failure_runs import BIN, DESIGN_SEEDS, UNSEEN_SEEDS, failure_runs
from moe_lite.lab.failures import FAILURES, HEALTHY, TOO_LARGE
from moe_lite.lab.symptoms import Symptoms, symptoms
from moe_lite.model.routing import Routing
from moe_lite.train import train

SETTINGS = {"selection_bias": True, "jitter": 0.1, "capacity_factor": 1.5, "vocab_size": 61}
BIAS = torch.tensor([0.3, -0.2, 0.0, 0.1, -0.1])


def planted(name: str, **changes) -> MoELanguageModel:
    """A small model in evaluation, its routers with opinions and a bias, `name` planted in it."""
    model = small_model(**(SETTINGS | changes))
    for block in model.blocks:
        block.feed_forward.router.bias.copy_(BIAS)
    if name != HEALTHY:
        FAILURES[name].plant(model)
    return model.eval()


def routed(name: str) -> Routing:
    """What the first layer does with one text."""
    return planted(name)(random_ids(4, 32)).routing[0]


def steps(name: str, n: int = 2) -> tuple[MoELanguageModel, list]:
    model = planted(name)
    return model, [*train(model, small_corpora(), TrainConfig(steps=n, batch_size=4, length=16, warmup_steps=0))]


# ---- each failure ----------------------------------------------------------------------------------------------------


def test_coefficients_are_what_the_loss_is_made_with():
    for name, coefficient in ((HEALTHY, 0.01), ("no_balancing", 0.0), ("coefficient_too_large", TOO_LARGE)):
        model, ids = planted(name), random_ids(2, 17)
        out = model(ids[:, :-1], ids[:, 1:])
        expected = out.cross_entropy + coefficient * out.balance_loss + 0.001 * out.z_loss
        torch.testing.assert_close(out.loss, expected)


def test_without_balancing_no_bias_chooses_either():
    assert all(block.feed_forward.router.bias is None for block in planted("no_balancing").blocks)
    routing = routed("no_balancing")
    torch.testing.assert_close(routing.top_k[1], routing.scores.topk(2).indices)


def test_leaked_bias_is_in_the_weights_and_not_in_the_choice():
    right, wrong = routed(HEALTHY), routed("bias_in_weights")
    torch.testing.assert_close(wrong.expert_ids, right.expert_ids)
    biased = right.scores + BIAS  # (N, E)
    chosen = biased * (right.combine != 0)
    torch.testing.assert_close(wrong.combine, chosen / chosen.sum(dim=-1, keepdim=True))
    assert (wrong.combine - right.combine).abs().max() > 0.05


def test_second_softmax_leaves_at_most_a_factor_of_e_between_scores():
    right, wrong = routed(HEALTHY), routed("softmax_twice")
    torch.testing.assert_close(wrong.scores, right.scores.softmax(dim=-1))
    torch.testing.assert_close(wrong.logits, right.logits)  # the dashboard shows those of the router
    assert (wrong.scores.amax(dim=-1) / wrong.scores.amin(dim=-1)).max() <= torch.e
    torch.testing.assert_close(wrong.combine.sum(dim=-1), torch.ones(128))


def test_weights_not_renormalised_are_the_scores():
    right, wrong = routed(HEALTHY), routed("not_renormalised")
    torch.testing.assert_close(wrong.combine, right.scores * (right.combine != 0))
    assert wrong.combine.sum(dim=-1).max() < 0.999


def test_half_the_capacity_drops_at_least_half_in_training_and_nothing_in_evaluation():
    _, logs = steps("capacity_half")
    # 64 tokens, 2 of 5 experts each: room for ceil(0.5 · 128 / 5) = 13 in each of 5, so 63 of 128 find none at least
    assert all((log.dropped >= 63).all() for log in logs)
    assert routed("capacity_half").kept.all()


def test_noise_in_evaluation_gives_two_answers_to_one_question():
    ids = random_ids(4, 32)
    for name, equal in ((HEALTHY, True), ("noise_in_evaluation", False)):
        model = planted(name)
        assert torch.equal(model(ids).logits, model(ids).logits) == equal
    noisy, clean = planted("noise_in_evaluation"), planted(HEALTHY)
    torch.manual_seed(0)
    off = (noisy(ids).routing[0].logits / clean(ids).routing[0].logits - 1).abs().median()
    assert 0.005 < off < 0.2  # the config's jitter is a tenth


def test_bfloat16_logits_have_eight_significant_bits():
    right, wrong = (planted(name).blocks[0].feed_forward.router for name in (HEALTHY, "bfloat16"))
    x = randn(40, 16)
    rounded = x.bfloat16().float() @ right.weight.T  # (40, 5)
    assert torch.equal(wrong(x).logits, rounded.bfloat16().float())
    assert not torch.equal(right(x).logits, right(x).logits.bfloat16().float())


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_planted_changes_the_training_and_keeps_the_weights(name):
    clean, ill = dict(planted(HEALTHY).named_parameters()), dict(planted(name).named_parameters())
    assert clean.keys() == ill.keys() and all(torch.equal(ill[key], value) for key, value in clean.items())
    (_, right), (model, wrong) = steps(HEALTHY, 3), steps(name, 3)
    assert len(wrong) == 3 and model.training
    if name == "noise_in_evaluation":  # in training it does what it should
        assert [log.cross_entropy for log in wrong] == [log.cross_entropy for log in right]
    else:
        assert [log.cross_entropy for log in wrong] != [log.cross_entropy for log in right]


def test_failure_cannot_be_planted_in_a_dense_model():
    with pytest.raises(ValueError, match="dense model has no router"):
        FAILURES["bfloat16"].plant(small_model(n_experts=1, top_k=1))


# ---- symptoms --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured() -> dict[str, Symptoms]:
    found = {}
    for name in (HEALTHY, *FAILURES):
        torch.manual_seed(0)
        model, logs = steps(name)
        found[name] = symptoms(model, logs, small_corpora(), length=16)
        assert model.training  # as it was
    return found


def test_healthy_model_has_the_symptoms_of_none(measured):
    shown = measured[HEALTHY]
    assert (shown.loss_difference, shown.other_experts, shown.tied) == (0.0, 0.0, 0.0)
    assert shown.weight_sum == pytest.approx(1, abs=1e-6) and shown.weight_gap == pytest.approx(0, abs=1e-7)


def test_each_failure_shows_where_it_acts_and_nowhere_else(measured):
    acts = {
        "bias_in_weights": {"weight_gap"},
        "not_renormalised": {"weight_sum"},
        "noise_in_evaluation": {"loss_difference", "other_experts"},
        "softmax_twice": {"other_experts"},
    }
    sound = {"weight_gap": 0.0, "weight_sum": 1.0, "loss_difference": 0.0, "other_experts": 0.0}
    for name, expected in acts.items():
        off = {key for key, value in sound.items() if abs(getattr(measured[name], key) - value) > 1e-6}
        assert off == expected, name
    assert measured["bfloat16"].tied > 0 == measured["bfloat16"].loss_difference
    assert measured["capacity_half"].dropped >= 63 / 128 > measured[HEALTHY].dropped


def test_symptoms_are_counted_by_hand_for_one_token():
    model = small_model(**SETTINGS)
    model.blocks[0].feed_forward.router.weight.data.zero_()
    model.eval()
    logs = steps(HEALTHY)[1]
    shown = symptoms(model, logs, small_corpora(), length=16)
    # in one of three layers all five logits are 0: each token ties there, with scores of 0.2 and no spread
    assert shown.tied == pytest.approx(1 / 3, abs=0.01)
    assert logs[0].dropped.sum() + logs[1].dropped.sum() == round(shown.dropped * 2 * 3 * 128)
    assert shown.z_term == pytest.approx(sum(log.z_loss for log in logs) / 2)


def test_symptoms_need_a_router_and_logs():
    with pytest.raises(ValueError, match="no StepLogs"):
        symptoms(small_model(), [], small_corpora())
    with pytest.raises(ValueError, match="dense model"):
        symptoms(small_model(n_experts=1, top_k=1), steps(HEALTHY)[1], small_corpora())


# ---- rules and recordings --------------------------------------------------------------------------------------------


def test_every_failure_is_recorded_on_every_seed():
    seen = {(run.name, run.seed) for run in failure_runs().runs}
    seeds = (*DESIGN_SEEDS, *UNSEEN_SEEDS)
    assert seen == {(name, seed) for name in (HEALTHY, *FAILURES) for seed in seeds}
    assert len(failure_runs().runs) == len(seen) == 72 and not {*DESIGN_SEEDS} & {*UNSEEN_SEEDS}


def test_exactly_the_right_rule_fits_every_recorded_training():
    for run in failure_runs().runs:
        expected = [] if run.name == HEALTHY else [run.name]
        assert suspects(run.symptoms) == expected, f"{run.name}, seed {run.seed}"
        assert diagnose(run.symptoms) == run.name


def test_every_failure_has_one_rule_of_at_most_three_numbers():
    assert RULES.keys() == FAILURES.keys()
    shown = {field.name for field in fields(Symptoms)}
    for rule in RULES.values():
        named = [clue.symptom for clue in rule.clues]
        assert 1 <= len(named) == len({*named}) <= 3 and {*named} <= shown


def test_flat_scores_alone_would_not_tell_two_failures_apart():
    flat = RULES["softmax_twice"].clues[0]
    assert flat.symptom == "top_score" and flat == RULES["coefficient_too_large"].clues[0]
    names = {run.name for run in failure_runs().runs if flat.fits(run.symptoms)}
    assert names == {"softmax_twice", "coefficient_too_large"}


def test_bounds_lie_well_away_from_the_unseen_trainings():
    """Every rule fits with its bounds moved by a twentieth, in whichever direction, on all recorded seeds."""
    for run in failure_runs().runs:
        for factor in (0.95, 1.05):
            moved = {
                name: all(replace(clue, bound=clue.bound * factor).fits(run.symptoms) for clue in rule.clues)
                for name, rule in RULES.items()
            }
            fit = [name for name, yes in moved.items() if yes]
            assert fit == ([] if run.name == HEALTHY else [run.name]), f"{run.name}, seed {run.seed}"


def test_loss_alone_gives_none_of_them_away():
    low, high = failure_runs().healthy_range("loss")
    assert "loss" not in {clue.symptom for rule in RULES.values() for clue in rule.clues}
    for name in FAILURES:
        losses = [run.symptoms.loss for run in failure_runs().runs if run.name == name]
        assert any(low < loss < high for loss in losses), name


def test_clues_are_strict_about_their_bound():
    shown = failure_runs().run(HEALTHY, 0).symptoms
    for side, expected in (("above", (True, False, False)), ("below", (False, False, True))):
        values = (replace(shown, tied=value) for value in (0.3, 0.2, 0.1))
        assert tuple(Clue("tied", side, 0.2).fits(value) for value in values) == expected


def test_two_failures_at_once_give_two_suspects():
    shown = replace(failure_runs().run("bfloat16", 3).symptoms, weight_sum=0.3)
    assert suspects(shown) == ["not_renormalised", "bfloat16"] and diagnose(shown) == "not_renormalised"


def test_recorded_loads_count_every_assignment():
    runs = failure_runs()
    train_config, model = runs.train, runs.model
    for run in runs.runs:
        assert run.load.shape == (train_config.steps // BIN, model.n_layers, model.n_experts)
        per_bin = BIN * train_config.batch_size * train_config.length * model.top_k
        assert (run.load.sum(dim=-1) == per_bin).all()


def test_unknown_recording_names_what_there_is():
    with pytest.raises(ValueError, match=r"'fever' with seed 3; recorded are .*bfloat16.*seeds \[0, 1, 2, 3"):
        failure_runs().run("fever", 3)
    low, high = failure_runs().healthy_range("loss")
    losses = [asdict(run.symptoms)["loss"] for run in failure_runs().runs if run.name == HEALTHY]
    assert (low, high) == (min(losses), max(losses)) and len(losses) == 8
