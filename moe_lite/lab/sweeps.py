"""Trainings as a balance lab shows them: who got how much, step by step. Recorded ones, and any that runs now.

lab = grid()                                        # recorded: coefficient × top-k × seeds
lab.run(0.01, top_k=2, seed=0).load                 # (S, L, E)
recorder = Recorder(model, balance_coef=0.01)
for log in train(model, corpora, config):
    recorder.add(log)
recorder.run()                                      # at any time
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moe_lite.data import data_dir, encode, token_pieces
from moe_lite.evaluate import Evaluation
from moe_lite.lab.recording import recorded
from moe_lite.lab.runs import interval
from moe_lite.metrics import dead_experts, load_cv, max_violation
from moe_lite.model.balance import expert_capacity
from moe_lite.model.config import VARYING, ModelConfig
from moe_lite.model.transformer import MoELanguageModel, evaluating
from moe_lite.train import StepLog, TrainConfig


def lab_model(base: ModelConfig, **changes) -> ModelConfig:
    """`base` with these settings, its experts as wide as leaves the active width what it was, whatever top-k is.

    Top-1 weighs with its score, as Switch does: divided by itself it would be 1, and the router would learn nothing.
    So do routers that give one token more experts than another.
    """
    top_k, router = changes.get("top_k", base.top_k), changes.get("router", base.router)
    config = replace(base, **changes, renorm=top_k > 1 and router not in VARYING)
    return replace(config, d_expert=base.top_k * base.d_expert // config.top_k)


FORMAT, VERSION = "moe-lite-balance", 1
BIN = 20  # steps
FACTORS = (1.0, 1.25, 1.5, 2.0)  # capacity factors whose overflow is noted
TEXT = (  # of five kinds, read at the end of every bin
    "The king said nothing, and the old man left the room.\n"
    "Il pleut sur la ville, et les rues sont vides.\n"
    "def add(a, b):\n    return a + b\n"
    "17 + 25 = 42\n"
    '{"name": "Ada", "age": 36}\n'
)
LABELS = {
    "balance_coef": "coefficient {}", "top_k": "top-{}", "n_experts": "{} experts", "z_coef": "z-loss {}",
    "bias_step": "bias step {}", "capacity_factor": "capacity {}", "jitter": "jitter {}", "lr": "learning rate {}",
    "batch_size": "{} rows per step", "init_std": "initial spread {}", "seed": "seed {}",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LabRun:
    """One training in S bins of steps. What was not recorded, or is not known yet, is None."""

    name: str
    settings: dict  # those of LABELS that tell it from its neighbours
    source: str  # "recorded" or "live"
    steps: list[int]  # (S,) the last step of each bin
    load: Tensor  # (S, L, E) int64, assignments in each bin, before any is dropped
    dropped: Tensor  # (S, L) float32, share of the assignments that training dropped
    cross_entropy: list[float]  # (S,) mean of the bin's steps, nats per token
    overflow: Tensor  # (S, L, len(FACTORS)) float32, mean share of a step's assignments above each capacity
    choices: Tensor | None = None  # (S, L, N, K) int64, experts of TEXT's tokens at the end of each bin, best first
    final_loss: float | None = None  # on the whole validation split, the mean over domains, nats per token
    final_load: Tensor | None = None  # (L, E) int64, on the whole validation split


def name_of(settings: dict) -> str:
    """What a run is called: its settings in words, in the order of LABELS."""
    return ", ".join(text.format(settings[key]) for key, text in LABELS.items() if settings.get(key) is not None)


def overflow(load: Tensor, factors: tuple[float, ...] = FACTORS) -> Tensor:
    """The share of one batch's assignments that a capacity of each factor would drop; load (..., E) -> (..., F).

    The fair share is that of the assignments there are: with padding, or a number of experts that varies, it varies.
    """
    totals = load.sum(dim=-1)  # (...) N·K, where nothing varies
    above = torch.zeros(*totals.shape, len(factors))  # (..., F)
    for total in totals.unique().tolist():
        room = torch.tensor([expert_capacity(total, 1, load.shape[-1], factor) for factor in factors])  # (F,)
        rows = load[totals == total].unsqueeze(-1)  # (n, E, 1)
        above[totals == total] = (rows - room).clamp(min=0).sum(dim=1) / max(total, 1)
    return above


class Recorder:
    """Makes a LabRun of the StepLogs of one training, while it goes on. Reads TEXT with the model after every bin."""

    def __init__(self, model: MoELanguageModel, *, bin_steps: int = BIN, choices: bool = True, **settings):
        """settings: some of LABELS; they name the run. ValueError for others, and for a dense model."""
        if model.config.is_dense:
            raise ValueError("A dense model has no router, so there is no load to record.")
        if unknown := sorted(settings.keys() - LABELS.keys()):
            raise ValueError(f"Unknown settings {', '.join(unknown)}; expected some of {', '.join(LABELS)}.")
        self.model, self.settings, self.bin_steps = model, settings, bin_steps
        choices = choices and model.config.router not in VARYING  # there each token has its own number of them
        self.ids = torch.tensor([encode(TEXT)]) if choices else None  # (1, N)
        self._logs: list[StepLog] = []  # of the bin that is open
        self._bins: list[dict] = []
        self._measured: Evaluation | None = None

    def add(self, log: StepLog) -> None:
        self._logs.append(log)
        if log.step % self.bin_steps == 0:
            self._close()

    def finish(self, measured: Evaluation) -> None:
        """What the trained model scores on the whole validation split."""
        self._measured = measured

    def run(self, source: str = "live") -> LabRun:
        """What has been recorded so far, in whole bins."""
        shape, measured = (self.model.config.n_sparse_layers, self.model.config.n_choices), self._measured
        bins = [*self._bins]  # a training in another thread may add one meanwhile
        return LabRun(
            name=name_of(self.settings),
            settings=self.settings,
            source=source,
            steps=[one["step"] for one in bins],
            load=_stacked([one["load"] for one in bins], shape, torch.int64),
            dropped=_stacked([one["dropped"] for one in bins], shape[:1], torch.float32),
            cross_entropy=[one["cross_entropy"] for one in bins],
            overflow=_stacked([one["overflow"] for one in bins], (*shape[:1], len(FACTORS)), torch.float32),
            choices=torch.stack([one["choices"] for one in bins]) if bins and self.ids is not None else None,
            final_loss=measured and measured.mean_loss,
            final_load=measured and measured.load,
        )

    def _close(self) -> None:
        load = torch.stack([log.load for log in self._logs])  # (steps, L, E)
        dropped = torch.stack([log.dropped for log in self._logs])  # (steps, L)
        self._bins.append({
            "step": self._logs[-1].step,
            "load": load.sum(dim=0),
            "dropped": (dropped / load.sum(dim=-1).clamp(min=1)).mean(dim=0),
            "cross_entropy": statistics.mean(log.cross_entropy for log in self._logs),
            "overflow": overflow(load).mean(dim=0),
            "choices": self._read(),
        })  # fmt: skip
        self._logs = []

    @torch.no_grad()
    def _read(self) -> Tensor | None:
        """(L, N, K): the experts of TEXT's tokens, as the model is now; nothing is dropped."""
        if self.ids is None:
            return None
        with evaluating(self.model):
            output = self.model(self.ids.to(self.model.embed.weight.device))
        return torch.stack([routing.top_k[1].cpu() for routing in output.routing])


def _stacked(parts: list[Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.stack(parts).to(dtype) if parts else torch.zeros(0, *shape, dtype=dtype)


# ---- recorded --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Grid:
    """Recorded trainings of one model: every coefficient with every top-k, on several seeds."""

    model: ModelConfig  # coefficient and top-k are each run's own
    train: TrainConfig  # the seed too
    torch: str
    machine: str
    folder: Path
    rows: tuple[dict, ...]  # what is small of each run: coefficient, top_k, seed, final_loss, final_load, cross_entropy

    @property
    def coefficients(self) -> tuple[float, ...]:
        return tuple(sorted({row["balance_coef"] for row in self.rows}))

    @property
    def top_ks(self) -> tuple[int, ...]:
        return tuple(sorted({row["top_k"] for row in self.rows}))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({row["seed"] for row in self.rows}))

    @property
    def tokens(self) -> list[str]:
        return token_pieces(encode(TEXT))

    def run(self, coefficient: float, top_k: int, seed: int) -> LabRun:
        """Raises ValueError, naming what there is, for a combination that was not recorded."""
        key = {"balance_coef": coefficient, "top_k": top_k, "seed": seed}
        row = next((row for row in self.rows if all(row[name] == value for name, value in key.items())), None)
        if row is None:
            raise ValueError(
                f"No recorded run with {name_of(key)}; recorded are coefficients {self.coefficients}, top-k "
                f"{self.top_ks}, seeds {self.seeds}."
            )
        return _read_run(self.folder, row)

    def runs(self, coefficient: float, top_k: int) -> list[LabRun]:
        return [self.run(coefficient, top_k, seed) for seed in self.seeds]

    def losses(self, coefficient: float, top_k: int) -> tuple[float, ...]:
        """Final validation losses of all seeds."""
        return tuple(run.final_loss for run in self.runs(coefficient, top_k))

    def final_loads(self, top_k: int) -> Tensor:
        """(C, S, L, E) int64: the loads on the whole validation split, of all coefficients and seeds."""
        return torch.stack([
            torch.stack([run.final_load for run in self.runs(coefficient, top_k)]) for coefficient in self.coefficients
        ])  # fmt: skip


@cache
def grid() -> Grid:
    """The one that the course ships. Raises ValueError that names the file if it is none of this version."""
    return read_grid(data_dir() / "balance")


def read_grid(folder: Path) -> Grid:
    with recorded(folder / "grid.json", FORMAT, VERSION) as values:
        return Grid(folder=folder, rows=tuple(values.pop("rows")), **values)


def changed(name: str = "sweep", folder: Path | None = None) -> dict[str, list[dict]]:
    """Recorded: what was changed, in words -> a dict for each seed. name: a key of the tool's CHANGES."""
    rows, path = {}, (folder or data_dir() / "balance") / f"{name}.json"
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        rows.setdefault(row["name"], []).append(row | {"final_load": torch.tensor(row["final_load"])})
    return rows


def smallest_coefficient(coefficients: Sequence[float], loads: Tensor, limit: float) -> float:
    """The smallest at which every layer of every seed has a maximum violation of at most `limit`; inf if none does.

    coefficients: C, rising; loads (C, S, L, E).
    """
    for coefficient, of_seeds in zip(coefficients, loads, strict=True):
        if max_violation(of_seeds).max() <= limit:
            return coefficient
    return math.inf


COLUMNS = ("dead %, least", "most", "CV", "loss", "minus the base", "95 % from", "to")  # of `ends`


def ends(found: dict[str, list[dict]], base: list[dict]) -> Tensor:
    """How trainings ended, one row of COLUMNS for each setting -> (settings, 7).

    found: name -> a recorded dict for each seed, as `changed` gives them. "minus the base" is the loss minus that of
    `base` with the same seed: the mean, and its 95 % interval. Least and most are over the seeds.
    """
    rows = []
    for seeds in found.values():
        loads = torch.stack([run["final_load"] for run in seeds])  # (S, L, E)
        dead = 100 * dead_experts(loads).sum(dim=1) / loads[0].numel()  # (S,)
        cost = interval([run["final_loss"] - other["final_loss"] for run, other in zip(seeds, base, strict=True)])
        loss = statistics.mean(run["final_loss"] for run in seeds)
        rows.append([dead.min(), dead.max(), load_cv(loads).mean(), loss, cost.mean, cost.low, cost.high])
    return torch.tensor(rows, dtype=torch.float32)


def file_of(row: dict) -> str:
    """Where the tensors of a recorded run are."""
    return "c{balance_coef:g}-k{top_k}-s{seed}.npz".format(**row)


def save_run(folder: Path, run: LabRun) -> dict:
    """Write the run's tensors to `folder`; what is small is returned, for `Grid.rows`."""
    settings = {name: run.settings[name] for name in ("balance_coef", "top_k", "seed")}
    tensors = {"load": run.load.to(torch.int32), "overflow": run.overflow.half(), "dropped": run.dropped.half()}
    tensors |= {} if run.choices is None else {"choices": run.choices.to(torch.uint8)}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / file_of(settings), **{name: tensor.numpy() for name, tensor in tensors.items()})
    losses = [round(value, 4) for value in run.cross_entropy]
    final = {"final_loss": round(run.final_loss, 4), "final_load": run.final_load.tolist()}
    return {**settings, "steps": run.steps, "cross_entropy": losses, **final}


def _read_run(folder: Path, row: dict) -> LabRun:
    settings = {name: row[name] for name in ("balance_coef", "top_k", "seed")}
    with np.load(folder / file_of(row), allow_pickle=False) as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return LabRun(
        name=name_of(settings), settings=settings, source="recorded", steps=row["steps"],
        load=tensors["load"].long(), dropped=tensors["dropped"].float(), cross_entropy=row["cross_entropy"],
        overflow=tensors["overflow"].float(), choices=tensors["choices"].long() if "choices" in tensors else None,
        final_loss=row["final_loss"], final_load=torch.tensor(row["final_load"]),
    )  # fmt: skip
