"""Record the trainings of lessons 06 and 07: `make balance`.

    python tools/record_balance.py grid       # coefficient × top-k × seeds, 25 M tokens: half an hour on one core
    python tools/record_balance.py sweep      # what makes experts die: one setting changed at a time, as long again
    python tools/record_balance.py bought     # with and without balancing, where it could pay
    python tools/record_balance.py steered    # capacity, noise, a moved bias, experts that choose
    python tools/record_balance.py race       # the balancing rules against each other, five seeds: half an hour

All go on where they stopped; what is recorded already is not run again, unless a setting has changed: then the tool
says so and stops.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, admission
from moe_lite.data import DOMAINS, Corpus, data_dir, load_corpora, validation_batches
from moe_lite.evaluate import evaluate
from moe_lite.lab.recording import recorded
from moe_lite.lab.runs import interval
from moe_lite.lab.sweeps import FACTORS, FORMAT, VERSION, LabRun, Recorder, changed, lab_model, read_grid, save_run
from moe_lite.metrics import dead_experts, load_cv, max_violation
from moe_lite.train import train

MODEL = ModelConfig(
    n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, context_length=128, n_experts=32, top_k=2, d_expert=32,
    balance_coef=0.0, z_coef=0.0,
)  # fmt: skip
TRAIN = TrainConfig(steps=900, batch_size=8, length=64, lr=4e-3, warmup_steps=30)
COEFFICIENTS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
TOP_KS = (1, 2, 4)
SEEDS = (0, 1, 2)
LIMIT_WINDOWS = 64  # texts of each domain on which a limit is measured
SUMMARY = "summary.json"  # numbers for prose, computed from the others
SWEEP = {  # what is changed, one at a time
    "as it is": {},
    "8 experts": {"n_experts": 8},
    "16 experts": {"n_experts": 16},
    "top-1": {"top_k": 1},
    "top-4": {"top_k": 4},
    "learning rate 0.001": {"lr": 1e-3},
    "learning rate 0.002": {"lr": 2e-3},
    "learning rate 0.01": {"lr": 1e-2},
    "32 rows per step, 900 steps": {"batch_size": 32},
    "32 rows per step, as many tokens": {"batch_size": 32, "steps": 225},
    "initial spread 0.005": {"init_std": 0.005},
    "initial spread 0.1": {"init_std": 0.1},
}
BALANCED = {"balance_coef": 0.01}
BOUGHT = {  # where balancing could pay, each without and with it
    "capacity 1.25": {"capacity_factor": 1.25},
    "capacity 1.25, balanced": {"capacity_factor": 1.25} | BALANCED,
    "128 experts": {"n_experts": 128},
    "128 experts, balanced": {"n_experts": 128} | BALANCED,
    "3,600 steps": {"steps": 3600},
    "3,600 steps, balanced": {"steps": 3600} | BALANCED,
}
BIASED = {"score": "sigmoid", "selection_bias": True}
STEERED = {  # lesson 07: full experts, noise, and balancing without a loss
    "sigmoid": {"score": "sigmoid"},
    "sigmoid, coefficient 0.01": {"score": "sigmoid"} | BALANCED,
    **{f"bias step {step:g}": BIASED | {"bias_step": step} for step in (3e-4, 1e-3, 3e-3, 1e-2, 1e-1)},
    "no limit": {},
    "no limit, coefficient 0.01": BALANCED,
    **{f"capacity {factor:g}": {"capacity_factor": factor} for factor in (0.5, 1.0, 2.0)},
    "capacity 1, coefficient 0.01": {"capacity_factor": 1.0} | BALANCED,
    "capacity 1, by score": {"capacity_factor": 1.0, "priority": "score"},
    "capacity 1, first choices first": {"capacity_factor": 1.0, "priority": "first_choice"},
    "jitter 0.01": {"jitter": 0.01},
    "jitter 0.3": {"jitter": 0.3},
    "noisy top-k": {"router": "noisy_top_k"},
    "noisy top-k, both losses 0.1": {"router": "noisy_top_k", "balance": "importance_and_load", "balance_coef": 0.1},
    "expert choice": {"router": "expert_choice", "allow_lookahead": True},
}
SMEBU = BIASED | {"bias_rule": "smebu", "bias_memory": 0.5}
QUANTILE = BIASED | {"bias_rule": "quantile"}
THRESHOLD = {"router": "expert_threshold", "score": "sigmoid"}
TRIED = {  # values that the race chose among, on its first seed: the lowest loss of those with a CV of at most 0.5
    **{f"Switch loss over {n} batches": BALANCED | {"balance_batches": n} for n in (8, 32)},
    "bias by sign, step 0.0003": BIASED | {"bias_step": 3e-4},
    **{f"SMEBU, step {step:g}": SMEBU | {"bias_step": step} for step in (5e-4, 1e-3, 3e-3)},
    **{f"quantile balancing, memory {keep:g}": QUANTILE | {"bias_memory": keep} for keep in (0.0, 0.9, 0.99)},
    **{
        f"expert threshold, memory {keep:g}, warm-up {steps}": THRESHOLD
        | {"threshold_memory": keep, "threshold_warmup": steps}
        for keep, steps in ((0.99, 30), (0.9, 30), (0.99, 180))
    },
}
RACE = {  # rules that balance, or need not, on one budget; `python -m moe_lite.lab.race` prints how they end
    "no balancing": {},
    "Switch loss": BALANCED,
    "sigmoid, no balancing": {"score": "sigmoid"},  # what the rules that move a bias start from
    "bias by sign, step 0.001": BIASED | {"bias_step": 1e-3},
    **{
        name: TRIED[name]
        for name in (
            "Switch loss over 8 batches",  # none is even: the most even one
            "SMEBU, step 0.0005",
            "quantile balancing, memory 0.99",
            "expert threshold, memory 0.99, warm-up 30",
        )
    },
    "frozen router": {"freeze_router": True},
    "hash table": {"router": "hash"},
}
CHANGES = {"sweep": SWEEP, "bought": BOUGHT, "steered": STEERED, "race": RACE}
SEEDS_OF = {"race": (0, 1, 2, 3, 4)}  # SEEDS for the others
WHAT = ("grid", *CHANGES)


def record(
    config: ModelConfig, train_config: TrainConfig, corpora: dict[str, Corpus], **settings
) -> tuple[LabRun, MoELanguageModel]:
    """Train from scratch; the seed is that of the weights and of the batches."""
    model = MoELanguageModel(config, seed=train_config.seed)
    recorder = Recorder(model, choices=train_config.seed == SEEDS[0], **settings)
    for log in train(model, corpora, train_config):
        recorder.add(log)
    recorder.finish(evaluate(model, corpora, length=train_config.length))
    return recorder.run("recorded"), model


def record_grid(corpora: dict[str, Corpus], folder: Path) -> None:
    head = {"format": FORMAT, "version": VERSION, "model": asdict(MODEL), "train": asdict(TRAIN), **machine()}
    rows = []
    if (folder / "grid.json").is_file():
        found = read_grid(folder)
        if (found.model, found.train) != (MODEL, TRAIN):
            raise SystemExit(f"{folder} was recorded with other settings; delete it to record it anew.")
        rows = [*found.rows]
    for seed in SEEDS:
        for coefficient in COEFFICIENTS:
            for k in TOP_KS:
                settings = {"balance_coef": coefficient, "top_k": k, "seed": seed}
                if any(all(row[name] == value for name, value in settings.items()) for row in rows):
                    continue
                config = lab_model(MODEL, balance_coef=coefficient, top_k=k)
                run, _ = record(config, replace(TRAIN, seed=seed), corpora, **settings)
                rows.append(save_run(folder, run))
                write(folder / "grid.json", head, "rows", rows)
                print(f"{run.name}: {run.final_loss:.4f}", flush=True)


def record_changes(
    corpora: dict[str, Corpus], path: Path, settings: dict[str, dict], seeds: Sequence[int] | None = None
) -> None:
    """One training for each of `settings` and each seed (SEEDS if None); how it ended goes to `path`."""
    rows: list[dict] = []
    head = {"format": FORMAT, "version": VERSION, "model": asdict(MODEL), "train": asdict(TRAIN), **machine()}
    if path.is_file():
        with recorded(path, FORMAT, VERSION) as found:  # settings that came later have their defaults
            if (found["model"], found["train"]) != (MODEL, TRAIN):
                raise SystemExit(f"{path} was recorded with other settings; delete it to record it anew.")
            rows = found["rows"]
    for seed in SEEDS if seeds is None else seeds:
        for name, changes in settings.items():
            if any((row["name"], row["seed"]) == (name, seed) for row in rows):
                continue
            of_model = {key: value for key, value in changes.items() if hasattr(MODEL, key)}
            of_training = {key: value for key, value in changes.items() if key not in of_model}
            config, train_config = lab_model(MODEL, **of_model), replace(TRAIN, seed=seed, **of_training)
            run, model = record(config, train_config, corpora, seed=seed)
            tokens = train_config.steps * train_config.batch_size * train_config.length
            rows.append({
                "name": name, "changes": changes, "seed": seed, "tokens": tokens,
                "final_loss": round(run.final_loss, 4), "final_load": run.final_load.tolist(),
                "dropped_percent": round(100 * run.dropped[-5:].mean().item(), 2),  # in the last 100 steps of training
                "above_1.25_percent": round(100 * run.overflow[-5:, :, FACTORS.index(1.25)].mean().item(), 2),
                "experts_per_token": round(run.final_load.sum().item() / MODEL.n_layers / n_read(corpora), 4),
            } | foreseen(model, corpora) | limited(name, model, corpora))  # fmt: skip
            write(path, head, "rows", rows)
            print(f"{name}, seed {seed}: {run.final_loss:.4f}", flush=True)


def n_read(corpora: dict[str, Corpus]) -> int:
    """Tokens of the whole validation split, as `evaluate` reads them."""
    return sum(batch.ids.numel() for batch in validation_batches(corpora, TRAIN.length).values())


@torch.no_grad()
def foreseen(model: MoELanguageModel, corpora: dict[str, Corpus]) -> dict[str, float]:
    """For a model whose routing looks ahead: the loss of a few texts at once, with another future, and with none.

    Another future: each token is predicted with the rest of the row taken from another text of the same domain, so
    lengths and capacities are the same, and only what could be known is not. None: from the tokens so far, as the model
    would write; there an expert's tables are shorter as well.
    """
    if not model.config.allow_lookahead:
        return {}
    batches = validation_batches(corpora, TRAIN.length, max_windows=2).values()
    ids, targets = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("ids", "targets"))  # (B, T)
    others = ids.view(len(corpora), 2, -1).flip(1).flatten(0, 1)  # (B, T) the other text of the domain
    model.eval()
    logits = {"at_once": model(ids).logits, "other_future": [], "by_prefix": []}  # (B, T, V)
    for t in range(ids.shape[1]):
        changed_after = torch.cat([ids[:, : t + 1], others[:, t + 1 :]], dim=1)  # (B, T)
        logits["other_future"].append(model(changed_after).logits[:, t])
        logits["by_prefix"].append(model(ids[:, : t + 1]).logits[:, t])
    model.train()
    found = {name: value if name == "at_once" else torch.stack(value, dim=1) for name, value in logits.items()}
    return {
        f"loss_{name}": round(F.cross_entropy(value.flatten(0, 1), targets.flatten()).item(), 4)
        for name, value in found.items()
    }


@torch.no_grad()
def limited(name: str, model: MoELanguageModel, corpora: dict[str, Corpus]) -> dict[str, float]:
    """For trainings about capacity: the loss of the same held-out texts with the limit and without.

    Each batch has a row of every domain, because whoever shares a batch shares the experts' room. A model that was
    trained without a limit is measured with a factor of 1.
    """
    if not name.startswith(("no limit", "capacity")):
        return {}
    windows = validation_batches(corpora, TRAIN.length, max_windows=LIMIT_WINDOWS).values()
    ids, targets = (torch.stack([getattr(b, key) for b in windows], dim=1) for key in ("ids", "targets"))  # (W, B, T)
    found = {}
    for key, factor in (("loss_free", None), ("loss_limited", model.config.capacity_factor or 1.0)):
        with admission.limited(model, factor):
            outputs = [model(*batch) for batch in zip(ids, targets, strict=True)]
        found[key] = round(sum(output.cross_entropy.item() for output in outputs) / len(outputs), 4)
        kept = torch.stack([routing.kept.float().mean() for output in outputs for routing in output.routing])
    return found | {"limited_dropped_percent": round(100 * (1 - kept.mean().item()), 2)}


def summarise(folder: Path) -> None:
    """Write the numbers that prose and the ledger quote, once all is recorded."""
    if missing := [name for name in WHAT if not (folder / f"{name}.json").is_file()]:
        print(f"{SUMMARY} waits for {', '.join(missing)}.")
        return
    shipped = read_grid(folder)
    values: dict[str, dict] = {"grid": {}, "sweep": {}, "bought": {}, "steered": {}}
    for k in TOP_KS:
        free = [run.final_loss for run in shipped.runs(0.0, k)]
        for coefficient in COEFFICIENTS:
            runs = shipped.runs(coefficient, k)
            row = ends([(run.final_loss, run.final_load) for run in runs])
            if coefficient:
                row["loss_above_0"] = rounded([run.final_loss - loss for run, loss in zip(runs, free, strict=True)])
            values["grid"].setdefault(f"top-{k}", {})[f"{coefficient:.0e}"] = row
    for name in ("sweep", "bought", "steered"):
        for changed_to, rows in changed(name).items():
            values[name][changed_to] = ends([(row["final_loss"], row["final_load"]) for row in rows])
            for key in (
                "dropped_percent", "loss_at_once", "loss_other_future", "loss_by_prefix", "loss_free", "loss_limited",
                "limited_dropped_percent",
            ):  # fmt: skip
                if all(key in row for row in rows):
                    values[name][changed_to][key] = round(sum(row[key] for row in rows) / len(rows), 3)
    for name, row in values["bought"].items():
        if other := values["bought"].get(name.removesuffix(", balanced") if name.endswith(", balanced") else ""):
            pairs = zip(row["losses"], other["losses"], strict=True)
            row["loss_above_unbalanced"] = rounded([mine - theirs for mine, theirs in pairs])
    (folder / SUMMARY).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {SUMMARY}")


def ends(found: list[tuple[float, torch.Tensor]]) -> dict:
    """Of final losses and loads (L, E), one for each seed."""
    loads = torch.stack([load for _, load in found])  # (S, L, E)
    dead = 100 * dead_experts(loads).sum(dim=1) / loads[0].numel()  # (S,)
    return {
        "losses": [loss for loss, _ in found],
        "loss": round(sum(loss for loss, _ in found) / len(found), 4),
        "dead_percent_least": round(dead.min().item(), 2),
        "dead_percent_most": round(dead.max().item(), 2),
        "cv": round(load_cv(loads).mean().item(), 3),
        "fullest_over_mean": round(1 + max_violation(loads).mean().item(), 3),
    }


def rounded(differences: list[float]) -> dict[str, float]:
    found = interval(differences)
    return {name: round(getattr(found, name), 4) for name in ("mean", "low", "high")}


def machine() -> dict[str, str]:
    return {"torch": torch.__version__.split("+")[0], "machine": f"CPU, {platform.machine()}"}


def write(path: Path, head: dict, name: str, rows: list[dict]) -> None:
    """One line a row: a diff shows what moved."""
    fields = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    text = ",\n  ".join(json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("{\n" + ",\n".join([*fields, f' "{name}": [\n  {text}\n ]']) + "\n}\n", encoding="utf-8")
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=WHAT, default=WHAT)
    a = parser.parse_args()
    torch.set_num_threads(1)
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        sys.exit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    folder = data_dir() / "balance"
    for what in a.what:
        if what == "grid":
            record_grid(corpora, folder)
        else:
            if what == "race":
                record_changes(corpora, folder / f"{what}.json", TRIED, SEEDS_OF[what][:1])
            record_changes(corpora, folder / f"{what}.json", CHANGES[what], SEEDS_OF.get(what))
    summarise(folder)


if __name__ == "__main__":
    main()
