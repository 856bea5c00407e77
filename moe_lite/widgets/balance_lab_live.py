"""New trainings for the balance lab: the recorded model with other settings, on the same data."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from moe_lite.balance_runs import FACTORS, Grid, Recorder
from moe_lite.balancing import BalanceLoss
from moe_lite.config import TrainConfig
from moe_lite.data import Corpus
from moe_lite.evaluate import evaluate
from moe_lite.lab_model import lab_model
from moe_lite.train import StepLog, train
from moe_lite.transformer import MoELanguageModel
from moe_lite.widgets.balance_lab_data import Column

# what the sliders offer for the next training; 0 is none, no limit, off
TRAINED = {"n_experts": (8, 16, 32), "z_coef": (0.0, 0.001, 0.01), "bias_step": (0.0, 0.001, 0.01, 0.1),
           "capacity_factor": (0.0, *FACTORS), "jitter": (0.0, 0.01, 0.1)}  # fmt: skip


def prepared(
    grid: Grid, corpora: Mapping[str, Corpus], steps: int, balance_loss: BalanceLoss | None, chosen: dict
) -> tuple[Column, Recorder, Iterator[StepLog]]:
    """A column that has not begun, what records it, and its steps; at their end it is measured on the whole split.

    chosen: balance_coef, top_k, seed and those of TRAINED. Raises ValueError for what a model cannot be.
    """
    model_settings = {name: chosen[name] for name in ("balance_coef", "top_k", "n_experts", "z_coef", "jitter")}
    config = lab_model(
        grid.model, selection_bias=chosen["bias_step"] > 0, capacity_factor=chosen["capacity_factor"] or None,
        **model_settings,
    )  # fmt: skip
    plan = replace(grid.train, steps=steps, bias_step=chosen["bias_step"], seed=chosen["seed"])
    model = MoELanguageModel(config, balance_loss=balance_loss, seed=chosen["seed"])
    recorder = Recorder(model, **chosen)
    return Column(recorder.run(), total=steps), recorder, _steps(model, corpora, plan, recorder)


def _steps(
    model: MoELanguageModel, corpora: Mapping[str, Corpus], plan: TrainConfig, recorder: Recorder
) -> Iterator[StepLog]:
    yield from train(model, corpora, plan)
    recorder.finish(evaluate(model, corpora, length=plan.length))
