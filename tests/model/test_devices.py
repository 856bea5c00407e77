"""Everything that computes, on a pretend accelerator: a tensor that is left on the CPU fails here, without a GPU."""

import contextlib
from dataclasses import replace

import pytest
import torch
from pretend_device import Pretended, accelerator
from small import SENTENCE, SMALL, random_ids, small_corpora, small_model

from moe_lite import MoELanguageModel, TrainConfig, admission, baseline, checkpoint, dispatch, moe, routing
from moe_lite.checks.registry import exercises
from moe_lite.evaluate import evaluate
from moe_lite.model.transformer import sample_token
from moe_lite.train import resume, train
from moe_lite.widgets import CapacityView, DispatchView, NextTokens, RouterStepper, TokenViewer
from moe_lite.widgets.generation_viewer.view import make_tokens, read_prompt

CONFIG = TrainConfig(steps=3, batch_size=2, length=12, warmup_steps=1)
SETTINGS = {
    "usual": {},
    "dense": {"n_experts": 1, "top_k": 1},
    "loop": {"implementation": "loop"},
    "shared expert": {"n_shared_experts": 1},
    "gate on the input": {"gate_on": "input", "renorm": False},
    "top-k first": {"order": "topk_first"},
    "sigmoid, bias": {"score": "sigmoid", "selection_bias": True},
    "groups": {"n_experts": 6, "n_groups": 3, "topk_groups": 2},
    "capacity by position, jitter": {"capacity_factor": 0.5, "jitter": 0.1},
    "capacity by score": {"capacity_factor": 0.5, "priority": "score"},
    "capacity, first choices": {"capacity_factor": 0.5, "priority": "first_choice"},
    "noisy top-k": {"router": "noisy_top_k", "balance": "importance_and_load"},
    "expert choice": {"router": "expert_choice", "allow_lookahead": True, "renorm": False},
    "expert threshold": {"router": "expert_threshold", "score": "sigmoid", "renorm": False, "threshold_warmup": 2},
    "balance over four batches": {"balance_batches": 4},
    "balance pooled": {"balance": "pooled"},
    "balance gshard": {"balance": "gshard"},
    "balance by sequence": {"balance": "sequence"},
    "balance importance": {"balance": "importance", "z_coef": 0.01},
    "bent logits, trained bias": {"logit_scale": 0.5, "logit_softcap": 2.0, "router_bias": True, "renorm_eps": 1e-6},
    "hash": {"router": "hash", "score": "sqrtsoftplus"},
    "sparse mixer": {"router": "sparse_mixer", "renorm": False, "jitter": 0.1},
    "normed": {"router": "normed"},
    "competing shared": {"router": "competing_shared", "n_shared_experts": 2, "score": "sigmoid"},
    "mlp": {"router": "mlp", "renorm": False, "selection_bias": True},
    "zero experts": {"n_zero_experts": 2, "renorm": False},
    "own choice": {"top_k_fn": routing.top_k_route},
    "own layer": {"layer_fn": moe.moe_layer},
}


def strangers(model: MoELanguageModel) -> list[str]:
    """What of a model is not on the pretend device."""
    return [name for name, tensor in model.state_dict().items() if not isinstance(tensor, Pretended)]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_training_saving_resuming_evaluating_and_generating_stay_on_the_device(settings, tmp_path):
    config = replace(CONFIG, bias_step=0.01 if settings.get("selection_bias") else 0.0)
    settings = {"n_layers": 2} | settings
    alone = [log.cross_entropy for log in train(small_model(**settings), small_corpora(), config)]
    with accelerator() as device:
        run = train(small_model(**settings), small_corpora(), config, device=device)
        assert strangers(run.model) == []
        logs = [next(run), next(run)]
        path = run.save(tmp_path / "run.safetensors")
        model = run.model
        if settings.get("router") != "expert_choice":
            prompt = random_ids(1, 4).to(device)
            assert all(isinstance(token, Pretended) for token, _ in model.generate(prompt, 3, temperature=0))
            generator = torch.Generator(device).manual_seed(0)
            assert len(list(model.generate(prompt, 3, generator=generator))) == 3
        evaluate(model, small_corpora(), max_windows=1)
        model(random_ids(2, 6).to(device), token_mask=torch.ones(2, 6, dtype=torch.bool, device=device))
        functions = {name: settings[name] for name in ("top_k_fn", "layer_fn") if name in settings}
        other = MoELanguageModel(model.config, **functions)
        logs.append(next(resume(path, small_corpora(), model=other, device=device)))
    losses = [log.cross_entropy for log in logs]
    assert losses == pytest.approx(alone, rel=1e-5), "the same numbers as on the CPU"


@pytest.mark.parametrize(
    "rule",
    [{"bias_rule": "smebu", "bias_step": 0.01, "bias_memory": 0.5}, {"bias_rule": "quantile", "bias_memory": 0.5}],
    ids=["smebu", "quantile"],
)
def test_rules_that_remember_stay_on_the_device(rule, tmp_path):
    config, settings = replace(CONFIG, **rule), SETTINGS["sigmoid, bias"]
    alone = [log.cross_entropy for log in train(small_model(**settings), small_corpora(), config)]
    with accelerator() as device:
        run = train(small_model(**settings), small_corpora(), config, device=device)
        logs = [next(run), next(run)]
        again = resume(run.save(tmp_path / "run.safetensors"), small_corpora(), device=device)
        logs.append(next(again))
        assert all(isinstance(momentum, Pretended) for momentum in again.momentum.values())
    assert [log.cross_entropy for log in logs] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])
def test_a_loaded_model_of_another_type_computes_on_the_device(dtype, tmp_path):
    path = checkpoint.save(tmp_path / "model.safetensors", small_model(score="sigmoid", selection_bias=True))
    with accelerator() as device:
        model = checkpoint.load(path, device=device).to(dtype)
        logits = model(random_ids(2, 6).to(device)).logits
        assert isinstance(logits, Pretended) and model.embed.weight.dtype == dtype and strangers(model) == []
        assert isinstance(model.blocks[0].feed_forward.router.bias, Pretended)


@pytest.mark.parametrize("path", ["router.bias", "embed.weight", "attention"])
def test_a_tensor_left_on_the_cpu_is_found(path):
    """The negative control: one tensor of a model on the device is put back."""
    with accelerator() as device:
        model = small_model(score="sigmoid", selection_bias=True).to(device)
        block = model.blocks[1]
        with contextlib.ExitStack() as stack:
            if path == "router.bias":
                block.feed_forward.router.bias = torch.zeros(5)
            elif path == "embed.weight":
                model.embed.weight = torch.nn.Parameter(torch.zeros(61, 16))
            else:
                block.attention.register_forward_pre_hook(lambda module, given: (torch.zeros(2, 6, 16), *given[1:]))
            stack.enter_context(pytest.raises(RuntimeError, match="on two devices"))
            model(random_ids(2, 6).to(device))


def test_a_generator_of_the_cpu_is_refused_and_numpy_needs_a_copy():
    with accelerator() as device:
        with pytest.raises(RuntimeError, match="on two devices"):
            torch.rand(3, device=device, generator=torch.Generator("cpu"))
        with pytest.raises(TypeError, match=r"use .cpu\(\)"):
            torch.zeros(3, device=device).numpy()
        assert torch.ones(3, device=device).cpu().numpy().sum() == 3


# ---- widgets and lessons ---------------------------------------------------------------------------------------------

WIDGETS = {
    "token viewer": lambda model: TokenViewer(model, SENTENCE),
    "next tokens": lambda model: NextTokens(model, SENTENCE),
    "router stepper": lambda model: RouterStepper(SENTENCE, model=model),
    "dispatch view": lambda model: DispatchView(SENTENCE, models=model),
    "capacity view": lambda model: CapacityView(SENTENCE, model=model),
}


@pytest.mark.parametrize("show", WIDGETS.values(), ids=WIDGETS)
def test_a_widget_shows_a_model_that_lies_on_the_device(show):
    with accelerator() as device:
        made = show(MoELanguageModel(SMALL, seed=3).to(device))
        assert "<" in made.static_html() and not getattr(made, "error", "")


def test_a_text_is_written_by_a_model_on_the_device():
    """What the generation viewer shows; the widget itself does it in a thread, which the pretence does not reach."""
    options = {"temperature": 0.8, "seed": 0, "sample": sample_token}
    alone = [made.token for made in make_tokens(MoELanguageModel(SMALL, seed=3), [5, 6, 7], 4, **options)]
    with accelerator() as device:
        model = MoELanguageModel(SMALL, seed=3).to(device)
        assert read_prompt(model, [5, 6, 7]).sum() == 3 * SMALL.top_k * SMALL.n_layers
        assert [made.token for made in make_tokens(model, [5, 6, 7], 4, **options)] == alone


PATHS = {
    "without a half": lambda model, ids: baseline.without(model, "attention", [0])(ids).logits,
    "a feed-forward of one's own": lambda model, ids: baseline.with_feed_forward(model, baseline.swiglu)(ids).logits,
    "limited": lambda model, ids: _limited(model, ids),
    "steered": lambda model, ids: _steered(model, ids),
}


def _limited(model: MoELanguageModel, ids: torch.Tensor) -> torch.Tensor:
    with admission.limited(model, 0.5) as within:
        return within(ids, ids).loss


def _steered(model: MoELanguageModel, ids: torch.Tensor) -> torch.Tensor:
    admission.steer(model, admission.choose_and_move, 0.01)
    return model.train()(ids, ids).loss


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_what_a_lesson_does_to_a_model_works_on_the_device(path):
    dense = path in (PATHS["without a half"], PATHS["a feed-forward of one's own"])
    with accelerator() as device:
        model = small_model(**({"n_experts": 1, "top_k": 1} if dense else {"score": "sigmoid"})).to(device)
        assert isinstance(path(model, random_ids(2, 6).to(device)), Pretended)


@pytest.mark.parametrize(
    "name", ["dispatch_order", "combine", "sparse_forward", "padded_forward", "keep_within_capacity", "keep_best",
             "choose_and_move", "expert_choice", "moe_layer", "top_k_route"]
)  # fmt: skip
def test_the_packages_function_of_an_exercise_computes_on_the_device(name):
    exercise = next(e for e in exercises().values() if e.name == name)
    modules = (dispatch, admission, moe, routing)
    function = next(getattr(module, name) for module in modules if hasattr(module, name))
    args = exercise.drawn.args(1, **exercise.drawn.sizes)
    expected = exercise.named(function(*args))
    with accelerator() as device:
        moved = [value.to(device) if hasattr(value, "to") else value for value in args]
        got = exercise.named(function(*moved))
    for output, value in expected.items():
        other = got[output].inner if isinstance(got[output], Pretended) else got[output]
        torch.testing.assert_close(other, value)
        assert isinstance(got[output], Pretended) or value.dim() == 0
