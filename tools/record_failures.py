"""Record the trainings of the failure gallery: `python tools/record_failures.py`, a quarter of an hour on one core.

    python tools/record_failures.py --seeds 0 1 2       # those that the rules of diagnosis.py were written from
    python tools/record_failures.py --seeds 3 4 5 6 7   # unseen by them: the cases of the gallery

A healthy training and one with each failure, for every seed. It goes on where it stopped; data/failures.json is written
after each run.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict, replace

import torch

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig
from moe_lite.data import DOMAINS, Corpus, load_corpora
from moe_lite.lab.failure_runs import BIN, FORMAT, VERSION, FailureRun, path
from moe_lite.lab.failures import FAILURES, HEALTHY
from moe_lite.lab.symptoms import symptoms
from moe_lite.train import train

MODEL = ModelConfig(
    n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, context_length=128, n_experts=8, top_k=2, d_expert=32,
    selection_bias=True, balance_coef=0.01, z_coef=0.001, capacity_factor=1.5,
    jitter=0.01,  # that of Switch Transformers (arXiv 2101.03961)
)  # fmt: skip
TRAIN = TrainConfig(steps=120, batch_size=8, length=128, lr=4e-3, warmup_steps=20, bias_step=0.002)
DIGITS = 6  # of a symptom


def record(name: str, seed: int, corpora: dict[str, Corpus]) -> FailureRun:
    """Train from scratch; the seed is that of the weights, the batches and all noise."""
    torch.manual_seed(seed)  # noise in evaluation comes from the global generator
    model = MoELanguageModel(MODEL, seed=seed)
    if name != HEALTHY:
        FAILURES[name].plant(model)
    bias_step = TRAIN.bias_step if model.config.selection_bias else 0.0
    logs = [*train(model, corpora, replace(TRAIN, seed=seed, bias_step=bias_step))]
    loads = torch.stack([log.load for log in logs]).unflatten(0, (-1, BIN)).sum(dim=1)  # (S, L, E)
    return FailureRun(name, seed, symptoms(model, logs, corpora), loads)


def as_row(run: FailureRun) -> dict:
    shown = {name: round(value, DIGITS) for name, value in asdict(run.symptoms).items()}
    return {"name": run.name, "seed": run.seed, "symptoms": shown, "load": run.load.tolist()}


def write(rows: list[dict]) -> None:
    """One line a run: a diff shows what moved."""
    head = {
        "format": FORMAT, "version": VERSION, "model": asdict(MODEL), "train": asdict(TRAIN),
        "torch": torch.__version__.split("+")[0], "machine": f"CPU, {platform.machine()}",
    }  # fmt: skip
    fields = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    lines = ",\n  ".join(json.dumps(row) for row in sorted(rows, key=lambda row: row["seed"]))
    partial = path().with_suffix(".partial")
    partial.write_text("{\n" + ",\n".join([*fields, f' "rows": [\n  {lines}\n ]']) + "\n}\n", encoding="utf-8")
    partial.replace(path())


def found() -> list[dict]:
    """What is recorded already; stops if it was recorded with other settings."""
    if not path().is_file():
        return []
    values = json.loads(path().read_text(encoding="utf-8"))
    if any(values[key] != json.loads(json.dumps(asdict(own))) for key, own in (("model", MODEL), ("train", TRAIN))):
        raise SystemExit(f"{path()} was recorded with other settings; delete it to record it anew.")
    return values["rows"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[*range(8)])
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        sys.exit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    rows = found()
    for seed in seeds:
        for name in (HEALTHY, *FAILURES):
            if any((row["name"], row["seed"]) == (name, seed) for row in rows):
                continue
            rows.append(as_row(record(name, seed, corpora)))
            write(rows)
            print(f"{name}, seed {seed}: {rows[-1]['symptoms']}", flush=True)


if __name__ == "__main__":
    main()
