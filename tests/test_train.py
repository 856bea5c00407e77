"""Training as an iterator: repeatable, resumable, and safe to stop anywhere (moe_lite/train.py)."""

import importlib
import json
import math
import threading
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import small_corpora, small_model

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, train as training_module
from moe_lite.checkpoint import CheckpointError, load, save
from moe_lite.evaluate import evaluate
from moe_lite.train import StepLog, Training, budgeted, learning_rate, resume, train

CONFIG = TrainConfig(steps=6, batch_size=3, length=12, warmup_steps=2, lr=0.01, seed=3)
RICH = {"jitter": 0.1, "capacity_factor": 1.0, "selection_bias": True, "score": "sigmoid"}  # all that has a state


def start(config: TrainConfig = CONFIG, corpora=None, **changes) -> Training:
    return train(small_model(**changes), corpora or small_corpora(), config)


def numbers(log: StepLog) -> tuple:
    """What must repeat: everything but the time."""
    values = (log.step, log.tokens, log.lr, log.cross_entropy, log.balance_loss, log.z_loss)
    return *values, log.load.tolist(), log.dropped.tolist(), log.validation


def state_of(run: Training) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def assert_same_state(run: Training, expected: dict[str, torch.Tensor]) -> None:
    found = run.model.state_dict()
    assert [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)] == []


# ---- torch.compile ---------------------------------------------------------------------------------------------------


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """torch.compile without what earlier runs have left; its settings."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    torch.compiler.reset()
    yield importlib.import_module("torch._inductor.config")
    torch.compiler.reset()


def test_a_compiled_training_has_the_losses_of_a_plain_one(compiler, monkeypatch):
    """What torch.compile reads of the model; a C++ compiler would take a minute (`make bench` compares with that)."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    small = {"n_layers": 1, "n_experts": 3}
    plain = [numbers(log) for log in start(replace(CONFIG, steps=3), **small)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="torch.compile failed")
        run = start(replace(CONFIG, steps=3, compile=True), **small)
        found = [numbers(log) for log in run]
    assert run.forward is not run.model
    for mine, theirs in zip(found, plain, strict=True):
        assert mine[:6] == pytest.approx(theirs[:6], abs=1e-5) and mine[6] == theirs[6]


def test_without_a_compiler_the_training_goes_on_as_a_plain_one(compiler, monkeypatch, tmp_path):
    """To the same numbers, though what failed may have drawn from the router's noise; told once."""
    monkeypatch.setattr(compiler.cpp, "cxx", ("/no/such/compiler",))
    config = replace(CONFIG, compile=True)
    run = start(config, **RICH)
    with pytest.warns(UserWarning, match="torch.compile failed, so the model trains without it: .*compiler") as told:
        found = [numbers(log) for log in run]
    assert len(told) == 1 and told[0].filename == __file__
    assert found == [numbers(log) for log in start(**RICH)]
    assert resume(run.save(tmp_path / "run.safetensors"), small_corpora()).config == config


# ---- one run ---------------------------------------------------------------------------------------------------------


def test_each_step_yields_its_log():
    logs = list(start())
    assert [log.step for log in logs] == [1, 2, 3, 4, 5, 6]
    assert [log.tokens for log in logs] == [36 * step for step in range(1, 7)]
    assert [log.lr for log in logs] == [learning_rate(step, CONFIG) for step in range(6)]
    assert all(a.seconds < b.seconds for a, b in zip(logs, logs[1:], strict=False))
    for log in logs:
        assert log.load.sum(dim=1).tolist() == [72, 72, 72] and log.load.dtype == torch.int64
        assert log.dropped.tolist() == [0, 0, 0] and log.dropped.dtype == torch.int64
        assert log.validation is None


def test_first_log_describes_the_untrained_model():
    run, model = start(), small_model()
    batch = training_module.sample_batch(small_corpora(), 3, 12, torch.Generator().manual_seed(CONFIG.seed))
    expected = model(batch.ids, batch.targets)
    log = next(run)
    assert (log.cross_entropy, log.balance_loss, log.z_loss) == (
        expected.cross_entropy.item(), expected.balance_loss.item(), expected.z_loss.item()
    )  # fmt: skip
    assert log.load.tolist() == [routing.load.tolist() for routing in expected.routing]


def test_dense_model_trains_and_reports_no_loads():
    log = list(start(n_experts=1))[-1]
    assert log.load.shape == (0, 0) and log.dropped.shape == (0,) and log.dropped.dtype == torch.int64
    assert log.balance_loss == log.z_loss == 0


def test_training_learns_what_can_be_predicted():
    config = TrainConfig(steps=80, batch_size=8, length=16, warmup_steps=5, lr=0.01)
    run = start(config, {domain: corpus for domain, corpus in small_corpora().items() if domain != "chance"})
    before = evaluate(run.model, run.corpora, length=16).loss
    for _ in run:
        pass
    after = evaluate(run.model, run.corpora, length=16).loss
    assert all(before[domain] > 3 and after[domain] < 0.3 for domain in ("up", "threes"))


def test_dropped_assignments_are_counted():
    log = next(start(capacity_factor=0.5))
    # room for 0.5 · 36 · 2 / 5 = 7.2, so 8, at each expert
    assert log.dropped.tolist() == [int((load - 8).clamp(min=0).sum()) for load in log.load]
    assert log.dropped.min() > 0


def test_validation_comes_at_its_steps_and_changes_nothing():
    with_validation = replace(CONFIG, validate_every=2, validation_windows=3)
    validated, plain = start(with_validation, **RICH), start(**RICH)
    for log, expected in zip(validated, plain, strict=True):
        assert numbers(log)[:-1] == numbers(expected)[:-1]
        if log.step % 2:
            assert log.validation is None
        else:
            assert log.validation == evaluate(plain.model, plain.corpora, length=12, max_windows=3).loss


def test_learning_rate_by_hand():
    config = TrainConfig(steps=12, warmup_steps=4, lr=1.0, min_lr_ratio=0.2)
    rates = [learning_rate(step, config) for step in range(12)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    # then 0.2 + 0.8 · (1 + cos(π · i/8))/2 for i = 0…7; halfway 0.2 + 0.4 = 0.6
    assert rates[4] == 1.0 and rates[8] == pytest.approx(0.6)
    assert rates[11] == pytest.approx(0.2 + 0.4 * (1 + math.cos(math.pi * 7 / 8)))


def test_optimizer_uses_the_learning_rate_and_spares_vectors_from_decay():
    run = start()
    log = next(run)
    assert [group["lr"] for group in run.optimizer.param_groups] == [log.lr] * 2
    matrices, vectors = run.optimizer.param_groups
    assert all(p.dim() > 1 for p in matrices["params"]) and all(p.dim() == 1 for p in vectors["params"])
    assert matrices["weight_decay"] == 0.1 and vectors["weight_decay"] == 0
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(run.model.parameters()))


def test_biases_of_experts_do_not_decay():
    run = start(expert="quick_geglu", expert_bias=True)
    decays = {id(p): group["weight_decay"] > 0 for group in run.optimizer.param_groups for p in group["params"]}
    experts = run.model.blocks[0].feed_forward.experts
    assert not decays[id(experts.gate_up_bias)] and not decays[id(experts.down_bias)] and decays[id(experts.down)]


def test_gradients_are_clipped_to_the_norm():
    run = start(replace(CONFIG, clip_norm=1e-3))
    next(run)
    norm = torch.stack([p.grad.norm() for p in run.model.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_selection_bias_moves_by_the_rule_and_only_then():
    frozen = start(**RICH)
    next(frozen)
    assert all(block.feed_forward.router.bias.abs().max() == 0 for block in frozen.model.blocks)
    run = start(replace(CONFIG, bias_step=0.01), **RICH)
    expected = torch.zeros(3, 5)
    for log in run:
        expected += 0.01 * (36 * 2 / 5 - log.load).sign()
        found = torch.stack([block.feed_forward.router.bias for block in run.model.blocks])
        torch.testing.assert_close(found, expected)
    assert found.abs().max() > 0.02


def test_momentum_is_a_layers_own_and_moves_the_bias_on():
    run = start(replace(CONFIG, bias_rule="smebu", bias_step=0.01, bias_memory=0.5), **RICH, n_dense_layers=1)
    expected, momentum = torch.zeros(2, 5), torch.zeros(2, 5)
    for log in run:
        change = 0.01 * (2 - 2 * log.load / (36 * 2 / 5)).tanh()
        momentum = 0.5 * momentum + 0.5 * (change - change.mean(dim=1, keepdim=True))
        expected += momentum
        torch.testing.assert_close(torch.stack([layer.router.bias for layer in run.model.moe_layers]), expected)
    assert sorted(run.momentum) == [1, 2] and expected.abs().max() > 0.005


def test_a_frozen_router_stays_as_it_was_drawn_and_all_else_learns():
    run = start(replace(CONFIG, freeze_router=True, clip_norm=1e-3))
    before = state_of(run)
    list(run)
    stand = {name for name, tensor in run.model.state_dict().items() if torch.equal(tensor, before[name])}
    assert stand == {f"blocks.{i}.feed_forward.router.weight" for i in range(3)}
    assert len(run.trained) == len(list(run.model.parameters())) - 3
    norm = torch.stack([p.grad.norm() for p in run.trained]).norm()  # the router's gradients are not counted
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_selection_bias_of_a_layer_behind_dense_ones_moves_by_its_own_load():
    run = start(replace(CONFIG, bias_step=0.01), **RICH, n_dense_layers=1)
    log = next(run)
    assert log.load.shape == (2, 5) and log.dropped.shape == (2,)
    found = torch.stack([layer.router.bias for layer in run.model.moe_layers])
    torch.testing.assert_close(found, 0.01 * (36 * 2 / 5 - log.load).sign())


@pytest.mark.parametrize(
    ("changes", "bias_step", "told"),
    [({}, 0.0, 1), ({"balance_coef": 0.01}, 0.0, 0), ({}, 0.001, 0), ({"selection_bias": False}, 0.0, 0)],
)
def test_model_that_nothing_balances_is_told_once(changes, bias_step, told):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run = start(replace(CONFIG, bias_step=bias_step), **({"selection_bias": True, "balance_coef": 0.0} | changes))
        next(run), next(run)
    assert [w.filename.endswith("test_train.py") for w in found] == [True] * told
    assert all("Train with TrainConfig(bias_step=0.001)" in str(w.message) for w in found)


def test_selection_bias_stands_still_after_the_step_that_was_asked_for():
    run = start(replace(CONFIG, bias_step=0.01, bias_until=2), **RICH)
    found = [[block.feed_forward.router.bias.clone() for block in run.model.blocks] for _ in run]
    assert not torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(one, other) for later in found[2:] for one, other in zip(found[1], later, strict=True))


@pytest.mark.parametrize(
    ("corpora", "config", "message"),
    [
        ({}, CONFIG, "No corpora to train on"),
        (small_corpora(), TrainConfig(length=8, bias_step=0.1), "bias_step is 0.1, but the model has none"),
        (small_corpora(), TrainConfig(length=33), "length is 33, more than the model's context_length of 32"),
    ],
)
def test_training_that_cannot_start_is_refused(corpora, config, message):
    with pytest.raises(ValueError, match=message):
        train(small_model(), corpora, config)


# ---- the same numbers again ------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_run_bit_by_bit():
    runs = [start(**RICH) for _ in range(2)]
    chance = torch.get_rng_state()
    first = [numbers(log) for log in runs[0]]
    torch.manual_seed(99)  # nothing may depend on it
    assert [numbers(log) for log in runs[1]] == first
    torch.set_rng_state(chance)
    assert_same_state(runs[0], state_of(runs[1]))


def test_no_global_chance_is_used():
    run = start(**RICH)
    before = torch.get_rng_state()
    list(run)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seed_gives_another_run():
    other = start(replace(CONFIG, seed=4))
    assert [numbers(log) for log in other] != [numbers(log) for log in start()]


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "of_training"),
    [
        ({}, {}),
        (RICH, {"bias_step": 0.01}),
        ({"n_experts": 1}, {}),
        (RICH, {"bias_rule": "smebu", "bias_step": 0.01, "bias_memory": 0.5}),
        (RICH, {"bias_rule": "quantile", "bias_memory": 0.5}),
        ({"router": "expert_threshold", "score": "sigmoid", "renorm": False, "threshold_warmup": 2}, {}),
        ({"balance_batches": 4, "balance_coef": 0.1}, {}),
        ({}, {"freeze_router": True}),
    ],
    ids=["plain", "rich", "dense", "smebu", "quantile", "threshold", "four batches", "frozen"],
)
def test_resumed_run_equals_an_uninterrupted_one_bit_by_bit(tmp_path, changes, of_training, steps):
    config = replace(CONFIG, validate_every=3, **of_training)
    whole, half = start(config, **changes), start(config, **changes)
    expected = [numbers(log) for log in whole]
    found = [numbers(next(half)) for _ in range(steps)]
    resumed = resume(half.save(tmp_path / "run.safetensors"), small_corpora())
    assert resumed.step == steps and resumed.config == config and resumed.seconds == half.seconds
    found += [numbers(log) for log in resumed]
    assert found == expected
    assert_same_state(resumed, state_of(whole))


def test_saving_in_between_changes_nothing(tmp_path):
    run, plain = start(**RICH), start(**RICH)
    for log, expected in zip(run, plain, strict=True):
        assert numbers(log) == numbers(expected)
        run.save(tmp_path / "run.safetensors")


# ---- stopping --------------------------------------------------------------------------------------------------------


def test_run_can_be_left_and_taken_up_again():
    run, found = start(**RICH), []
    for log in run:
        found.append(numbers(log))
        if log.step == 2:
            break
    found += [numbers(log) for log in run]
    assert found == [numbers(log) for log in start(**RICH)]
    assert list(run) == []


class Interrupt:
    """Raises once, as Ctrl-C would, when it is called for the n-th time."""

    def __init__(self, function, n: int, error: BaseException):
        self.function, self.left, self.error = function, n, error

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.function(*args, **kwargs)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no memory")], ids=["interrupt", "error"])
@pytest.mark.parametrize("where", ["forward", "clip", "sample"])
def test_interrupt_in_mid_step_leaves_the_last_whole_step_and_changes_no_number(monkeypatch, where, error):
    expected = [numbers(log) for log in start(**RICH)]
    run = start(**RICH)
    found = [numbers(next(run)) for _ in range(2)]
    before = state_of(run)
    with monkeypatch.context() as patch:
        if where == "forward":  # in the second layer of the next pass, after the first has drawn its jitter
            layer = run.model.blocks[1].feed_forward.experts
            patch.setattr(layer, "forward", Interrupt(layer.forward, 1, error))
        elif where == "clip":  # the gradients are there
            clip = torch.nn.utils.clip_grad_norm_
            patch.setattr(torch.nn.utils, "clip_grad_norm_", Interrupt(clip, 1, error))
        else:
            patch.setattr(training_module, "sample_batch", Interrupt(training_module.sample_batch, 1, error))
        with pytest.raises(type(error)):
            next(run)
    assert run.step == 2
    assert_same_state(run, before)
    assert math.isfinite(evaluate(run.model, run.corpora, length=12).mean_loss)
    found += [numbers(log) for log in run]
    assert found == expected


def test_loss_that_is_not_a_number_stops_with_the_cause_and_keeps_the_weights(monkeypatch):
    run = start()
    next(run)
    before, optimizer = state_of(run), {k: v["step"].item() for k, v in run.optimizer.state_dict()["state"].items()}
    norm = run.model.norm
    with monkeypatch.context() as patch:
        patch.setattr(norm, "forward", lambda x: x * float("nan"))
        message = r"The loss is nan at step 2; the model keeps the weights of step 1\. Likely cause: .* \(0.01\)"
        with pytest.raises(FloatingPointError, match=message):
            next(run)
    assert_same_state(run, before)
    assert {k: v["step"].item() for k, v in run.optimizer.state_dict()["state"].items()} == optimizer
    assert next(run).step == 2  # it can go on once the cause is gone


def test_gradient_that_is_not_finite_stops_and_keeps_the_weights():
    run = start()
    next(run)
    before = state_of(run)
    handle = run.model.embed.weight.register_hook(lambda gradient: gradient / 0)
    message = r"The gradient's norm is (nan|inf) at step 2; the model keeps the weights of step 1"
    with pytest.raises(FloatingPointError, match=message):
        next(run)
    handle.remove()
    assert_same_state(run, before)
    expected = start()
    next(expected)
    assert numbers(next(run)) == numbers(next(expected))


def test_huge_learning_rate_stops_with_the_cause():
    run = start(replace(CONFIG, lr=1e20, steps=50, warmup_steps=0))
    with pytest.raises(FloatingPointError, match=r"learning rate too large \(1e\+20\)"):
        list(run)
    assert all(parameter.isfinite().all() for parameter in run.model.parameters())


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path) -> Path:
    run = start()
    next(run)
    return run.save(tmp_path / "run.safetensors")


def test_model_without_training_cannot_be_resumed(tmp_path):
    path = save(tmp_path / "model.safetensors", small_model())
    with pytest.raises(CheckpointError, match="model.safetensors: holds a model but no training to resume"):
        resume(path, small_corpora())


def test_other_corpora_are_refused_with_both(saved):
    corpora = small_corpora()
    corpora.pop("threes")
    message = r"trained on \['up', 'threes', 'chance'\], these corpora are \['up', 'chance'\]"
    with pytest.raises(CheckpointError, match=message):
        resume(saved, corpora)


def test_truncated_run_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        resume(saved, small_corpora())


def test_training_settings_of_another_version_are_refused(saved):
    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()["moe-lite"])
    header["extra"]["train"]["epochs"] = 2
    save_file(load_file(saved), saved, metadata={"moe-lite": json.dumps(header)})
    message = "its training settings do not fit this version: TrainConfig has no field epochs"
    with pytest.raises(CheckpointError, match=message):
        resume(saved, small_corpora())


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """The command with small corpora and a small model."""
    monkeypatch.setattr(training_module, "load_corpora", small_corpora)
    monkeypatch.setattr(training_module, "_model_config", lambda n_experts, top_k: small_model().config)
    monkeypatch.setattr(
        training_module,
        "train",
        lambda model, corpora, config, device: train(model, corpora, replace(config, batch_size=2, length=8)),
    )


def test_command_trains_saves_and_prints_losses_and_loads(quick, tmp_path, capsys):
    path = tmp_path / "run.safetensors"
    training_module.main(["--steps", "20", "--save", str(path)])
    printed = capsys.readouterr().out
    assert "step    20  cross-entropy" in printed and f"saved {path}" in printed
    assert "validation loss, nats per token" in printed and "  layer 3 " in printed
    assert path.is_file()


def test_ctrl_c_in_the_command_still_saves_and_measures(quick, tmp_path, capsys, monkeypatch):
    path = tmp_path / "run.safetensors"
    monkeypatch.setattr(
        training_module, "sample_batch", Interrupt(training_module.sample_batch, 6, KeyboardInterrupt())
    )
    training_module.main(["--steps", "20", "--save", str(path)])
    printed = capsys.readouterr().out
    assert "Stopped at step 5; the model of that step is measured next." in printed and "  mean " in printed
    assert resume(path, small_corpora()).step == 5


def test_dense_model_of_the_command_is_the_twin_of_the_sparse_one():
    assert training_module._model_config(1, 2).d_expert == 2 * ModelConfig().d_expert
    assert training_module._model_config(16, 3) == ModelConfig(n_experts=16, top_k=3)
    assert training_module._model_config(8, 1).renorm is False, "1 divided by itself gives the router no gradient"
    assert MoELanguageModel(training_module._model_config(1, 2)).config.is_dense


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_training_records_gradients_wherever_it_is_asked(without):
    expected = [log.cross_entropy for log in train(small_model(), small_corpora(), CONFIG)]
    model = small_model()
    with without():
        assert [log.cross_entropy for log in train(model, small_corpora(), CONFIG)] == expected


@pytest.mark.parametrize(("budget", "steps"), [(None, 300), ("", 300), ("ci", 40), ("normal", 300), ("long", 1500)])
def test_what_a_notebook_does_follows_the_budget(monkeypatch, budget, steps):
    monkeypatch.delenv("MOE_LITE_BUDGET", raising=False)
    if budget is not None:
        monkeypatch.setenv("MOE_LITE_BUDGET", budget)
    assert budgeted(ci=40, normal=300, long=1500) == steps


def test_unknown_budget_is_refused(monkeypatch):
    monkeypatch.setenv("MOE_LITE_BUDGET", "fast")
    with pytest.raises(ValueError, match="MOE_LITE_BUDGET is 'fast', expected one of ci, normal, long"):
        budgeted(ci=40, normal=300, long=1500)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top-k", "9"], "top_k is 9, expected at most n_experts=8"),
        (["--experts", "0"], "n_experts is 0, expected a whole number of at least 1"),
        (["--steps", "0"], "steps is 0, expected a whole number of at least 1"),
        (["--device", "no-such-device"], "no-such-device"),
        (["--resume", "nothing.safetensors"], "No checkpoint at nothing.safetensors"),
        (["--save", "."], "is a folder; expected the name of a file"),
    ],
)
def test_command_refuses_what_cannot_work_in_one_line_before_the_first_step(options, message, monkeypatch, capsys):
    monkeypatch.setattr(training_module, "load_corpora", small_corpora)
    with pytest.raises(SystemExit) as ended:
        training_module.main(options)
    error = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and error.startswith("python -m moe_lite.train: error: ") and message in error


def test_settings_that_could_not_be_saved_are_refused_where_they_are_made():
    for value in (numpy.float32(1e-3), torch.tensor(1e-3), True):
        with pytest.raises(ValueError, match="TrainConfig: lr is .*, expected a number above 0"):
            TrainConfig(lr=value)
    assert TrainConfig(lr=float(numpy.float32(1e-3))).lr == pytest.approx(1e-3)


@pytest.mark.slow
def test_compiled_model_trains_is_saved_and_goes_on(tmp_path):
    config = TrainConfig(steps=4, batch_size=2, length=8, warmup_steps=1)
    plain = train(small_model(), small_corpora(), config)
    run = train(torch.compile(small_model(), backend="eager"), small_corpora(), config)
    for _ in range(2):
        next(plain), next(run)
    saved = run.save(tmp_path / "run.safetensors")
    again = resume(saved, small_corpora())
    for expected, log in zip(plain, again, strict=True):
        assert log.cross_entropy == pytest.approx(expected.cross_entropy, abs=1e-5)
    assert load(saved).config == plain.model.config


def test_a_text_written_meanwhile_changes_nothing_in_the_training():
    """Generation needs evaluation mode, in which nothing is dropped; the training steps keep theirs."""

    def trained(beside: bool) -> list[StepLog]:
        model = small_model(capacity_factor=0.5)
        run = train(model, small_corpora(), TrainConfig(steps=12, batch_size=2, length=16, warmup_steps=2))
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                written.extend(token for token, _ in model.generate(torch.tensor([[1, 2, 3]]), 5))

        written: list[torch.Tensor] = []
        writer = threading.Thread(target=write)
        if beside:
            writer.start()
        try:
            logs = [log for log in run if not beside or wait_for_more(written)]
        finally:
            stop.set()
        if beside:
            writer.join()
        return logs

    def wait_for_more(written: list[torch.Tensor]) -> bool:
        before = len(written)
        while len(written) == before:
            time.sleep(0)
        return True

    alone, beside = trained(False), trained(True)
    assert [numbers(log) for log in beside] == [numbers(log) for log in alone]
    assert all(log.dropped.sum() > 0 for log in beside)


def test_the_command_warms_up_for_a_tenth_of_a_short_training(quick, capsys, monkeypatch):
    asked = []
    small = training_module.train
    monkeypatch.setattr(training_module, "train", lambda *a, **o: asked.append(a[2]) or small(*a, **o))
    training_module.main(["--steps", "20", "--experts", "2"])
    training_module.main(["--steps", "2", "--experts", "2"])
    assert [(config.steps, config.warmup_steps) for config in asked] == [(20, 2), (2, 0)]
