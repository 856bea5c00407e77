"""How long a training takes on this machine: some steps of the default one, on made-up tokens."""

from __future__ import annotations

import statistics
import time

from moe_lite.doctor.finding import Finding

SECONDS = 0.5  # to measure for, after a first step that also sets things up
PATIENCE = 2.0  # if the first step takes longer, it is the only one
MANY_MINUTES = 5  # the most that all cells of the longest lesson may take together


def speed() -> Finding:
    """Seconds of a training step, and what that makes of the default training."""
    from moe_lite.train import TrainConfig

    config = TrainConfig()
    first, later = measured(config)
    seconds, most = (statistics.median(later), "") if later else (first, "at most ")
    minutes = seconds * config.steps / 60
    tokens = config.batch_size * config.length
    value = f"{most}{seconds:.2f} s a training step of {tokens:,} tokens: {config.steps} steps take {_said(minutes)}"
    if minutes <= MANY_MINUTES:
        return Finding("speed", value)
    remark = "close other programs, or try `OMP_NUM_THREADS=1 make lab`; `MOE_LITE_BUDGET=ci make lab` trains less"
    return Finding("speed", value, remark=remark)


def measured(config) -> tuple[float, list[float]]:
    """Seconds of the first training step of the default model, which also sets things up, and of some later ones."""
    import torch

    from moe_lite.data import Corpus
    from moe_lite.model.config import ModelConfig
    from moe_lite.model.transformer import MoELanguageModel
    from moe_lite.train import train

    settings = ModelConfig()
    ids = torch.randint(settings.vocab_size, (4 * config.length,), generator=torch.Generator().manual_seed(0))
    corpus = Corpus("made up", ids.int(), ids.int(), train_bytes=0, val_bytes=0)
    run = train(MoELanguageModel(settings), {corpus.domain: corpus}, config)
    next(run)
    first, later, began = run.seconds, [], time.perf_counter()
    while first < PATIENCE and (not later or time.perf_counter() - began < SECONDS):
        before = run.seconds
        next(run)
        later.append(run.seconds - before)
    return first, later


def _said(minutes: float) -> str:
    return f"about {60 * minutes:.0f} seconds" if minutes < 1 else f"about {minutes:.1f} minutes"
