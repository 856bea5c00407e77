"""How fast a model generates text on this machine, by the number of texts at the same time."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from moe_lite.lab.timing import Timing
from moe_lite.model.transformer import MoELanguageModel

BATCHES = (1, 2, 4, 8, 16, 32)
PROMPT, NEW, ROUNDS = 16, 16, 3


@torch.no_grad()
def decoding_speeds(
    model: MoELanguageModel, texts: Tensor, batches: Sequence[int] = BATCHES, *, n_tokens: int = NEW,
    rounds: int = ROUNDS,
) -> dict[int, float]:  # fmt: skip
    """Tokens per second of all texts together, by the size of the batch; reading the prompts is not counted.

    texts (B, T): prompts; a batch takes the first so many of them. The batches take turns, `rounds` times, and the
    median counts. Raises ValueError for a batch larger than B.
    """
    if max(batches) > len(texts):
        raise ValueError(f"A batch of {max(batches)} needs as many texts; there are {len(texts)}.")
    seconds = {n: [] for n in batches}
    for _ in range(rounds):
        for n in batches:
            steps = model.generate(texts[:n], n_tokens + 1, temperature=0)
            next(steps)  # reads the prompts
            began = time.perf_counter()
            for _step in steps:
                pass
            seconds[n].append(time.perf_counter() - began)
    return {n: n * n_tokens / Timing(taken).median for n, taken in seconds.items()}
