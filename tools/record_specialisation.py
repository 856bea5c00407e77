"""Train the models whose experts lesson 08 looks at, and keep them at six moments: `make experts`.

    python tools/record_specialisation.py train      # seven trainings of 6.1 M tokens, 10 to 20 minutes each
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from record_runs import MODELS
from train_checkpoints import TRAIN

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.checkpoint import save
from moe_lite.data import DOMAINS, Corpus, data_dir, load_corpora
from moe_lite.train import train

MOMENTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)  # shares of the training


@dataclass(frozen=True)
class Kept:
    """A model that is trained for lesson 08."""

    name: str
    config: ModelConfig
    seed: int

    def path(self, moment: float) -> Path:
        return data_dir() / "snapshots" / f"{self.name}-s{self.seed}-{round(100 * moment):03}.safetensors"


FINE = MODELS["moe-32-shared"][1]
ALL = (
    Kept("e32", FINE, 0),
    Kept("e8", ModelConfig(n_experts=8), 1),
    Kept("e8", ModelConfig(n_experts=8), 0),
    Kept("e16", ModelConfig(n_experts=16), 1),
    Kept("e32", FINE, 1),
    Kept("e8", ModelConfig(n_experts=8), 2),
    Kept("e16", ModelConfig(n_experts=16), 0),
)


def record(kept: Kept, corpora: dict[str, Corpus]) -> None:
    """Train it, if the last of its snapshots is not there yet."""
    if kept.path(1.0).is_file():
        return
    model = MoELanguageModel(kept.config, seed=kept.seed)
    moments = {round(moment * TRAIN.steps): moment for moment in MOMENTS}
    kept.path(0.0).parent.mkdir(exist_ok=True)
    save(kept.path(0.0), model, extra={"step": 0, "seed": kept.seed})
    for log in train(model, corpora, replace(TRAIN, seed=kept.seed)):
        if log.step in moments:
            save(kept.path(moments[log.step]), model, extra={"step": log.step, "seed": kept.seed})
        if log.step % 300 == 0:
            print(f"{kept.name} seed {kept.seed} step {log.step}: {log.cross_entropy:.3f}, {log.seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train"])
    parser.parse_args()
    torch.set_num_threads(1)
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        raise SystemExit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    for kept in ALL:
        record(kept, corpora)


if __name__ == "__main__":
    main()
