"""Train the small models that the course ships: 4, 8 and 16 experts, two per token, their dense twin, all else equal,
and 32 finer experts, seven per token beside a shared one.

    python tools/train_checkpoints.py                 # all five, about 15 minutes each on one core
    python tools/train_checkpoints.py --experts 8     # 1 is the dense one

Writes data/checkpoints/moe-e{E}.safetensors (bfloat16; dense.safetensors for one expert) and a .json beside it: how it
was trained, and what the *saved* model scores on the whole validation split, by domain and by top-k, with the load of
every expert.
"""

import argparse
import hashlib
import json
import platform
from dataclasses import asdict

import torch
from record_runs import MODELS

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig
from moe_lite.checkpoint import pretrained, save, shipped_name
from moe_lite.data import DOMAINS, data_dir, load_corpora
from moe_lite.evaluate import evaluate, report
from moe_lite.metrics import count_parameters
from moe_lite.model.config import dense_twin
from moe_lite.train import train

TRAIN = TrainConfig(steps=3000, batch_size=8, length=256, lr=2e-3, warmup_steps=100, min_lr_ratio=0.05)
CONFIGS = {n: ModelConfig(n_experts=n) for n in (8, 16, 4)} | {
    1: dense_twin(ModelConfig()), 32: MODELS["moe-32-shared"][1],
}  # fmt: skip
MOST = 16  # experts per token for which the loss is measured


def record(n_experts: int, config: TrainConfig) -> None:
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        raise SystemExit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    model = MoELanguageModel(CONFIGS[n_experts])
    run = train(model, corpora, config)
    for log in run:
        if log.step % 100 == 0:
            speed = log.tokens / log.seconds
            print(
                f"E={n_experts} step {log.step} cross-entropy {log.cross_entropy:.3f} {speed:,.0f} tokens/s", flush=True
            )
    ship(n_experts, model, {"step": log.step, "tokens": log.tokens}, round(log.seconds), config)


def ship(n_experts: int, model: MoELanguageModel, about: dict, seconds: int, config: TrainConfig) -> None:
    """Save a trained model, and what the saved one scores."""
    corpora = load_corpora()
    path = data_dir() / "checkpoints" / f"{shipped_name(n_experts)}.safetensors"
    save(path, model, dtype=torch.bfloat16, extra=about)

    shipped = pretrained(n_experts)
    measured = evaluate(shipped, corpora)
    print(report(shipped, measured), flush=True)
    top_ks = range(1, min(n_experts, MOST) + 1) if n_experts > 1 else ()
    by_top_k = {k: round(evaluate(shipped, corpora, top_k=k).mean_loss, 4) for k in top_ks}
    about |= {
        "seconds": seconds,
        "parameters": asdict(count_parameters(shipped)),
        "train": asdict(config),
        "val_loss": {domain: round(loss, 4) for domain, loss in measured.loss.items()},
        "val_loss_mean": round(measured.mean_loss, 4),
        "val_loss_by_top_k": by_top_k,
        "load": measured.load.tolist(),
        "load_by_domain": {domain: load.tolist() for domain, load in measured.load_by_domain.items()},
        "torch": torch.__version__.split("+")[0],
        "threads": torch.get_num_threads(),
        "machine": f"CPU, {platform.machine()}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),  # of the weights' file; the doctor compares
    }
    path.with_suffix(".json").write_text(_json(about), encoding="utf-8")
    print(f"wrote {path.name}, {path.stat().st_size:,} bytes", flush=True)


def _json(values: dict) -> str:
    """One line a field: small in git, and a diff shows which figure moved."""
    rows = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    return "{\n" + rows + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experts", type=int, nargs="*", choices=CONFIGS, default=[*CONFIGS])
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    for n_experts in a.experts:
        record(n_experts, TRAIN)


if __name__ == "__main__":
    main()
