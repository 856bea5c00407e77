"""What the balance lab knows of its columns: one training each, its measures step by step, and who is dropped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from moe_lite.data import Corpus
from moe_lite.evaluate import evaluate
from moe_lite.lab.live import LiveRun
from moe_lite.lab.sweeps import FACTORS, Grid, LabRun, Recorder, lab_model
from moe_lite.metrics import dead_experts, fair_multiples, load_cv, load_entropy, max_violation
from moe_lite.model.balance import BalanceLoss, drop_over_capacity, expert_capacity
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.train import StepLog, TrainConfig, train

OVER = 1.25  # the capacity factor whose overflow is shown
MEASURES = ("entropy", "CV", "max violation", "dead experts", f"over {OVER} × fair, %", "dropped, %", "training loss")


@dataclass(eq=False)
class Column:
    """One training in the lab. `seeds`: final losses of all seeds of a recorded one."""

    run: LabRun
    seeds: tuple[float, ...] = ()
    total: int = 0  # steps when it is through
    live: LiveRun | None = None
    told: tuple[str, ...] = ()  # settings that its name tells beside the coefficient: what is unlike the recorded ones

    @property
    def n_experts(self) -> int:
        return self.run.load.shape[2]

    @property
    def state(self) -> str:
        return self.live.state if self.live else "recorded"

    @property
    def training(self) -> bool:
        return self.state in ("running", "paused", "stopping")

    def bin_at(self, step: int) -> int:
        """The last bin that ends at `step` or before, at least the first; the last of all for 0, −1 if there is none.

        So there is something to see at every step of a training that has a bin.
        """
        steps = self.run.steps
        if not step or not steps:
            return len(steps) - 1
        return max(0, sum(s <= step for s in steps) - 1)

    def step_at(self, step: int) -> int:
        """The step whose numbers are shown where `step` is looked at; 0 if there is none yet."""
        return self.run.steps[self.bin_at(step)] if self.run.steps else 0


@dataclass(frozen=True)
class Figures:
    """One column's numbers in one layer: (S,) each, and the final loss where it is known."""

    by_name: dict[str, list[float]]
    losses: tuple[float, ...] = field(default=())  # final validation losses: one a seed; empty while it trains


def figures(column: Column, layer: int) -> Figures:
    """All measures of metrics.py, for each bin."""
    run = column.run
    if not run.steps:
        return Figures({name: [] for name in MEASURES})
    load = run.load[:, layer]  # (S, E)
    rows = (
        load_entropy(load), load_cv(load), max_violation(load), dead_experts(load).double(),
        100 * run.overflow[:, layer, FACTORS.index(OVER)], 100 * run.dropped[:, layer],
    )  # fmt: skip
    by_name = {name: row.tolist() for name, row in zip(MEASURES, rows, strict=False)}
    by_name[MEASURES[-1]] = list(run.cross_entropy)
    final = () if run.final_loss is None else (run.final_loss,)
    return Figures(by_name, column.seeds or final)


def multiples(column: Column, layer: int) -> Tensor:
    """(S, E): each expert's load as a multiple of the fair share, bin by bin."""
    return fair_multiples(column.run.load[:, layer])


def axis_end(columns: Sequence[Column]) -> int:
    """The last step of the axis that all columns share."""
    return max((max([column.total, *column.run.steps]) for column in columns), default=0) or 1


def step_shown(columns: Sequence[Column], step: int) -> int:
    """The step that a look at `step` shows, the latest of the columns'; 0 if there is none yet."""
    return max((column.step_at(step) for column in columns), default=0)


def most_uneven_layer(columns: Sequence[Column]) -> int:
    """The layer with the highest CV at the end of the first column that has steps."""
    for column in columns:
        if column.run.steps:
            return int(load_cv(column.run.load[-1]).argmax())
    return 0


def text_at(column: Column, layer: int, step: int, factor: float | None) -> tuple[Tensor, Tensor] | None:
    """Of the standard text: first choice (N,) and how many of its K assignments each token keeps (N,), at a step.

    factor: what capacity drops, by position; None drops nothing. None if choices were not recorded.
    """
    place = column.bin_at(step)
    if column.run.choices is None or place < 0:
        return None
    ids = column.run.choices[place, layer]  # (N, K)
    n_tokens, k = ids.shape
    if factor is None:
        return ids[:, 0], torch.full((n_tokens,), k)
    routing = dropped(ids, column.n_experts, factor)
    kept = torch.bincount(routing.token_ids[routing.kept], minlength=n_tokens)
    return ids[:, 0], kept


def dropped(ids: Tensor, n_experts: int, factor: float) -> Routing:
    """The routing of these choices (N, K), with what does not fit marked; weights and scores are of no account."""
    n_tokens, k = ids.shape
    expert_ids, order = ids.flatten().sort(stable=True)
    blank = torch.zeros(n_tokens, n_experts)
    routing = Routing(
        token_ids=order // k, expert_ids=expert_ids, weights=torch.ones(len(order)),
        kept=torch.ones(len(order), dtype=torch.bool), logits=blank, scores=blank, n_tokens=n_tokens,
        n_experts=n_experts,
    )  # fmt: skip
    return drop_over_capacity(routing, expert_capacity(n_tokens, k, n_experts, factor))


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
    usual = dict.fromkeys(TRAINED, 0.0) | {"n_experts": grid.model.n_experts}
    told = tuple(name for name in TRAINED if chosen[name] and chosen[name] != usual[name])
    return Column(recorder.run(), total=steps, told=told), recorder, _steps(model, corpora, plan, recorder)


def _steps(
    model: MoELanguageModel, corpora: Mapping[str, Corpus], plan: TrainConfig, recorder: Recorder
) -> Iterator[StepLog]:
    yield from train(model, corpora, plan)
    recorder.finish(evaluate(model, corpora, length=plan.length))
