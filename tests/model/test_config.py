"""Settings are checked where they are made (moe_lite/model/config.py)."""

import inspect
import re
from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from moe_lite import ModelConfig, TrainConfig
from moe_lite.model.config import ROUTERS, dense_twin, from_dict
from moe_lite.model.routing import route

COUNT = "a whole number of at least 1"
COUNT_OR_NONE = "a whole number of at least 0"
POSITIVE = "a number above 0"
NOT_NEGATIVE = "a number of at least 0"
D_DENSE = "None (what a token activates in a sparse layer) or a whole number of at least 1"
CAPACITY = "None (drop nothing) or a number above 0"
SHARE = "a number from 0 to below 1"
NAN, INF = float("nan"), float("inf")

MODEL_ERRORS = [
    *[("vocab_size", value, COUNT) for value in (0, -1, 1.5, "64", None, True)],
    *[(name, 0, COUNT) for name in ("n_layers", "d_model", "n_heads", "n_kv_heads", "context_length", "n_experts")],
    *[(name, 0, COUNT) for name in ("top_k", "d_expert", "n_groups", "topk_groups", "router_width")],
    *[(name, 0, COUNT) for name in ("threshold_warmup", "balance_batches")],
    *[("threshold_memory", value, SHARE) for value in (-0.1, 1, NAN, "1", None)],
    *[
        (n, value, COUNT_OR_NONE)
        for n in ("n_shared_experts", "n_zero_experts", "n_dense_layers")
        for value in (-1, 0.5, True)
    ],
    ("n_dense_layers", 4, "fewer than n_layers=4"),
    *[("d_dense", value, D_DENSE) for value in (0, 1.5, "wide")],
    ("expert", "relu", "one of ('swiglu', 'geglu', 'quick_geglu', 'relu2')"),
    *[("expert_clamp", value, "None (nothing is clamped) or a number above 0") for value in (0, -1, NAN, "7", True)],
    *[("d_latent", value, "None (as wide as the model) or a whole number of at least 1") for value in (0, 1.5, "64")],
    ("d_dense", 64, "None, because n_dense_layers is 0"),
    ("n_heads", 3, "a divisor of d_model=128"),
    ("n_kv_heads", 3, "a divisor of n_heads=4"),
    ("d_model", 4, "even per head (rotary positions pair them)"),
    ("score", "relu", "one of ('softmax', 'sigmoid', 'sqrtsoftplus')"),
    ("select_on", "weight", "one of ('score', 'logit')"),
    ("group_score", "mean", "one of ('max', 'top2sum')"),
    ("group_fill", 0.0, "one of ('-inf', 'zero')"),
    *[("logit_softcap", value, "None (logits as they are) or a number above 0") for value in (0, -1, NAN, "2", True)],
    ("order", "first", "one of ('score_first', 'topk_first')"),
    ("gate_on", "both", "one of ('output', 'input')"),
    ("implementation", "fast", "one of ('sorted', 'loop')"),
    ("router", "dice", f"one of {ROUTERS}"),
    ("balance", "fair", "one of ('switch', 'pooled', 'gshard', 'sequence', 'importance', 'importance_and_load')"),
    ("qk_norm", True, "one of ('none', 'head', 'full')"),
    ("priority", "random", "one of ('position', 'score', 'first_choice')"),
    *[
        (name, value, "True or False")
        for name in (
            "renorm",
            "selection_bias",
            "router_bias",
            "allow_lookahead",
            "shared_gate",
            "expert_bias",
            "shared_average",
        )
        for value in (1, "no", None)
    ],
    *[
        (n, value, NOT_NEGATIVE)
        for n in ("jitter", "renorm_eps", "balance_coef", "z_coef")
        for value in (-0.1, NAN, INF, "1", None)
    ],
    *[(name, 0, POSITIVE) for name in ("routed_scale", "logit_scale", "rope_theta", "norm_eps", "init_std")],
    *[("capacity_factor", value, CAPACITY) for value in (0, -1, NAN, INF, "1")],
    ("top_k", 9, "at most n_experts=8"),
    ("n_groups", 3, "a divisor of n_experts=8"),
    ("topk_groups", 2, "at most n_groups=1"),
]

TRAIN_ERRORS = [
    *[(name, value, COUNT) for name in ("steps", "batch_size", "length") for value in (0, 1.5, True)],
    *[(name, -1, COUNT_OR_NONE) for name in ("warmup_steps", "validate_every", "validation_windows", "seed")],
    ("seed", 0.5, COUNT_OR_NONE),
    *[("bias_until", value, f"None or {COUNT_OR_NONE}") for value in (-1, 0.5, "never")],
    *[(name, value, POSITIVE) for name in ("lr", "clip_norm") for value in (0, -1, NAN, INF, "fast")],
    *[(name, value, NOT_NEGATIVE) for name in ("weight_decay", "bias_step") for value in (-1, NAN, INF, None)],
    *[("min_lr_ratio", value, "a number from 0 to 1") for value in (-0.1, 1.1, NAN)],
    *[(name, value, "True or False") for name in ("freeze_router", "compile") for value in (1, "no", None)],
    ("bias_rule", "median", "one of ('sign', 'smebu', 'quantile')"),
    *[("bias_memory", value, SHARE) for value in (-0.1, 1, NAN, "1", None)],
    ("bias_memory", 0.5, "0, because bias_rule='sign' remembers nothing"),
]


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [(ModelConfig, *error) for error in MODEL_ERRORS] + [(TrainConfig, *error) for error in TRAIN_ERRORS],
)
def test_value_that_does_not_fit_is_named_with_what_fits(kind, field, value, expected):
    message = f"{kind.__name__}: {field} is {value!r}, expected {expected}."
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        kind(**{field: value})


def test_every_number_and_choice_of_the_model_is_checked():
    unchecked = {field.name for field in fields(ModelConfig)} - {field for field, _, _ in MODEL_ERRORS}
    assert unchecked == set()


def test_every_number_of_a_training_run_is_checked():
    unchecked = {field.name for field in fields(TrainConfig)} - {field for field, _, _ in TRAIN_ERRORS}
    assert unchecked == set()


def test_top_k_must_fit_into_the_groups_that_may_be_chosen_from():
    # 8 experts in 4 groups are 2 a group; from one group come at most 2
    ModelConfig(n_experts=8, n_groups=4, topk_groups=1, top_k=2)
    with pytest.raises(ValueError, match=r"top_k is 3, expected at most 2, the experts in 1 group\(s\)"):
        ModelConfig(n_experts=8, n_groups=4, topk_groups=1, top_k=3)


@pytest.mark.parametrize("other", [{"selection_bias": True}, {"n_groups": 2, "topk_groups": 1}])
def test_choosing_among_logits_excludes_what_is_defined_on_scores(other):
    with pytest.raises(ValueError, match="order='topk_first' chooses among logits; selection_bias and n_groups"):
        ModelConfig(order="topk_first", **other)


def test_settings_of_the_router_are_options_of_route_with_the_same_names_and_defaults():
    options, parameters = ModelConfig().routing_options(), inspect.signature(route).parameters
    assert {name: parameters[name].default for name in options} == options
    of_a_call = {
        "bias",
        "chosen",
        "top_k_fn",
        "layer",
        "batch_shape",
        "token_mask",
    }  # not settings: they come with a call
    assert set(parameters) == {"logits", "k"} | set(options) | of_a_call


def test_an_expert_without_a_gate_has_nothing_to_clamp():
    ModelConfig(expert="quick_geglu", expert_clamp=7.0)
    with pytest.raises(ValueError, match="expert_clamp is 7.0, expected None, because expert='relu2' has no gate"):
        ModelConfig(expert="relu2", expert_clamp=7.0)


def test_the_value_of_a_group_needs_groups():
    config = ModelConfig(n_groups=4, topk_groups=2, group_score="max")
    assert config.routing_options()["group_score"] == "max"
    with pytest.raises(ValueError, match="group_score='max' says what a group of experts is worth; with n_groups=1"):
        ModelConfig(group_score="max")


EXPERT_CHOICE = {"router": "expert_choice", "renorm": False, "allow_lookahead": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select_on": "logit"}, "select_on='logit' says what selection_bias and n_groups work on"),
        ({"group_fill": "zero"}, "group_fill='zero' fills closed groups of experts; with n_groups=1 none is closed"),
        ({"renorm_eps": 1e-6, "renorm": False}, "renorm_eps=1e-06 goes into the sum that renorm divides by"),
        (EXPERT_CHOICE | {"logit_scale": 0.5}, "scores the logits as they are"),
        (EXPERT_CHOICE | {"logit_softcap": 2.0}, "scores the logits as they are"),
        ({"router": "mlp", "renorm": False, "n_dense_layers": 1}, "reads the state of the layer before"),
        ({"shared_average": True}, "shared_average=True averages with the answer of shared experts: it needs n_shared"),
        ({"d_latent": 8, "n_zero_experts": 1}, "d_latent=8: what n_zero_experts return would not be the token"),
        ({"shared_gate": True}, "shared_gate=True weighs the answer of the shared experts: it needs n_shared_experts"),
        (
            {"router": "competing_shared", "score": "sigmoid", "n_shared_experts": 1, "shared_gate": True},
            "shared_gate=True weighs .* a router that does not weigh them itself",
        ),
    ],
)
def test_setting_without_effect_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)


def test_dense_model_ignores_top_k():
    config = ModelConfig(n_experts=1, top_k=2)
    assert config.is_dense and not ModelConfig().is_dense


def test_configs_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ModelConfig().top_k = 3


def test_dense_twin_is_as_wide_as_what_one_token_activates():
    twin = dense_twin(ModelConfig(n_experts=8, top_k=2, n_shared_experts=1, d_expert=64))
    assert twin.is_dense and twin.d_expert == (2 + 1) * 64 and twin.n_shared_experts == 0
    assert twin.d_model == ModelConfig().d_model
    gated = ModelConfig(n_experts=8, top_k=2, n_shared_experts=1, d_expert=64, shared_gate=True)
    assert dense_twin(gated) == twin
    assert dense_twin(ModelConfig(top_k=2, n_shared_experts=1, d_expert=64, n_dense_layers=1)) == twin
    other = dense_twin(ModelConfig(top_k=2, d_expert=64, n_dense_layers=1, d_dense=100))
    assert [other.dense_width(layer) for layer in range(4)] == [100, 128, 128, 128] and other.n_sparse_layers == 0


@pytest.mark.parametrize("config", [ModelConfig(n_experts=4, capacity_factor=1.25), TrainConfig(steps=7)])
def test_config_survives_the_way_through_a_dict(config):
    assert from_dict(type(config), asdict(config)) == config


def test_experts_at_a_lower_width_have_no_dense_twin():
    with pytest.raises(ValueError, match="d_latent is 8: no width of a dense network costs what these experts do"):
        dense_twin(ModelConfig(d_latent=8))


def test_unknown_field_is_named():
    with pytest.raises(ValueError, match="TrainConfig has no field epochs, rate; it has batch_size, "):
        from_dict(TrainConfig, {"rate": 1, "steps": 3, "epochs": 2})


@pytest.mark.parametrize("settings", [{}, {"order": "topk_first", "renorm": False}, {"router": "noisy_top_k"}])
def test_one_renormalised_expert_leaves_the_router_without_a_gradient_and_that_is_said(settings):
    with pytest.warns(UserWarning, match="the cross-entropy has no gradient for the router. Set "):
        config = ModelConfig(top_k=1, **settings)
    assert config.router_without_gradient


@pytest.mark.parametrize(
    "settings",
    [{"top_k": 2}, {"top_k": 1, "renorm": False}, {"top_k": 1, "n_experts": 1}, {"top_k": 1, "router": "hash"}]
    + [{"top_k": 1, "renorm": False, "order": "topk_first", "score": "sigmoid"}],
)
def test_a_router_with_a_gradient_gets_no_warning(settings, recwarn):
    assert ModelConfig(**settings).router_without_gradient == ""
    assert [str(warning.message) for warning in recwarn] == []
