"""Train the small models that the course ships: 4, 8 and 16 experts, two a token, and their dense twin, all else equal.

    python tools/train_checkpoints.py                 # all four, about 15 minutes each on one core
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

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig
from moe_lite.checkpoint import pretrained, save, shipped_name
from moe_lite.data import DOMAINS, data_dir, load_corpora
from moe_lite.evaluate import evaluate, report
from moe_lite.metrics import count_parameters
from moe_lite.model.config import dense_twin
from moe_lite.train import train

TRAIN = TrainConfig(steps=3000, batch_size=8, length=256, lr=2e-3, warmup_steps=100, min_lr_ratio=0.05)


def record(n_experts: int, config: TrainConfig) -> None:
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        raise SystemExit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    model = MoELanguageModel(dense_twin(ModelConfig()) if n_experts == 1 else ModelConfig(n_experts=n_experts))
    run = train(model, corpora, config)
    for log in run:
        if log.step % 100 == 0:
            speed = log.tokens / log.seconds
            print(
                f"E={n_experts} step {log.step} cross-entropy {log.cross_entropy:.3f} {speed:,.0f} tokens/s", flush=True
            )
    path = data_dir() / "checkpoints" / f"{shipped_name(n_experts)}.safetensors"
    about = {"step": log.step, "tokens": log.tokens}
    save(path, model, dtype=torch.bfloat16, extra=about)

    shipped = pretrained(n_experts)
    measured = evaluate(shipped, corpora)
    print(report(shipped, measured), flush=True)
    top_ks = range(1, n_experts + 1) if n_experts > 1 else ()
    by_top_k = {k: round(evaluate(shipped, corpora, top_k=k).mean_loss, 4) for k in top_ks}
    about |= {
        "seconds": round(log.seconds),
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
    parser.add_argument("--experts", type=int, nargs="*", default=[8, 16, 4, 1])
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    for n_experts in a.experts:
        record(n_experts, TRAIN)


if __name__ == "__main__":
    main()
