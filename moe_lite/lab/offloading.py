"""A model whose experts lie in a file: only those in a cache are in memory, the others are read when they are needed.

model = offloaded(16, slots=4)          # 4 of 16 experts per layer in memory
run = decode(model, ids, 100)           # tokens per second, experts loaded, bytes read

python -m moe_lite.lab.offloading       # tokens per second by size of the cache, and by domain
"""

import argparse
import json
import mmap
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moe_lite.checkpoint import FORMAT, MODEL, CheckpointError, restore, shipped
from moe_lite.data import load_corpora
from moe_lite.lessons.expert_cache import LRU, ExpertCache
from moe_lite.model.config import ModelConfig, from_dict
from moe_lite.model.experts import swiglu
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import MoELanguageModel

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
PROMPT, NEW = 32, 96  # tokens of the table

MakeCache = Callable[[int], ExpertCache]  # of a layer


class WeightFile:
    """A safetensors file that is mapped into memory: its bytes are read from the disk when they are touched.

    https://github.com/huggingface/safetensors#format. Where the system can, `cold` makes it forget what was read, so
    that the next time is read from the disk again; else it keeps files that were read lately in memory.
    """

    def __init__(self, path: str | Path, cold: bool = False):
        self.path, self.cold = Path(path), cold
        with self.path.open("rb") as file:
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        try:
            (length,) = struct.unpack("<Q", self.mapped[:8])
            self.tensors = json.loads(self.mapped[8 : 8 + length])
        except (ValueError, struct.error) as error:
            raise CheckpointError(f"{path}: not a safetensors file: {error}.") from error
        self.metadata, self.start = self.tensors.pop("__metadata__", {}), 8 + length
        self.bytes_read, self.seconds = 0, 0.0  # so far

    def read(self, name: str, row: int | None = None) -> Tensor:
        """A copy as float32 of the tensor called `name`, or of one of its rows: row (C, …) of (R, C, …)."""
        began = time.perf_counter()
        entry = self.tensors[name]
        shape, dtype = entry["shape"], DTYPES[entry["dtype"]]
        start, end = (self.start + offset for offset in entry["data_offsets"])
        if row is not None:
            size, shape = (end - start) // shape[0], shape[1:]
            start = start + row * size
            end = start + size
        self._advise("MADV_WILLNEED", start, end)  # in one go, not page by page
        tensor = torch.frombuffer(self.mapped, dtype=dtype, count=(end - start) // dtype.itemsize, offset=start)
        copy = tensor.view(shape).to(torch.float32, copy=True)
        del tensor
        self._advise("MADV_DONTNEED", start, end)  # the copy is what is in memory
        if self.cold:
            self.forget(start, end)
        self.bytes_read, self.seconds = self.bytes_read + end - start, self.seconds + time.perf_counter() - began
        return copy

    def forget(self, start: int = 0, end: int = 0) -> None:
        """Ask the system to drop its copy of these bytes, or of all (end 0). Does nothing where it cannot be asked."""
        if hasattr(os, "posix_fadvise"):
            with self.path.open("rb") as file:
                os.posix_fadvise(file.fileno(), start, end - start if end else 0, os.POSIX_FADV_DONTNEED)

    def _advise(self, advice: str, start: int, end: int) -> None:
        if hasattr(mmap, advice):
            start -= start % mmap.PAGESIZE
            self.mapped.madvise(getattr(mmap, advice), start, end - start)


class CachedExperts(nn.Module):
    """A layer's experts, in place of `Experts`: `cache` decides which of them are in memory."""

    def __init__(self, file: WeightFile, prefix: str, cache: ExpertCache):
        super().__init__()
        self.file, self.prefix, self.cache = file, prefix, cache
        self.resident: dict[int, tuple[Tensor, Tensor]] = {}  # gate_up (2F, D) and down (D, F) by expert
        self.loaded: list[list[int]] = []  # experts, step by step
        self.needed = 0

    def forward(self, x: Tensor, routing: Routing, *, gate_on: str = "output") -> Tensor:
        """x (N, D) -> (N, D), expert by expert, those in memory first."""
        y, loaded = torch.zeros_like(x), []
        for expert, missing, evicted in self.cache.step(routing.expert_ids.unique().tolist()):
            if evicted is not None:
                del self.resident[evicted]
            if missing:
                names = (f"{self.prefix}.gate_up", f"{self.prefix}.down")
                self.resident[expert] = tuple(self.file.read(name, expert) for name in names)
                loaded.append(expert)
            self.needed += 1
            mine = routing.expert_ids == expert  # (A,)
            tokens, weights = routing.token_ids[mine], routing.weights[mine, None].to(x.dtype)  # (n,), (n, 1)
            y.index_add_(0, tokens, swiglu(x[tokens], *self.resident[expert]) * weights)
        self.loaded.append(loaded)
        return y


def offloaded(
    n_experts: int, slots: int, cache: MakeCache | None = None, *, cold: bool = False
) -> MoELanguageModel:  # fmt: skip
    """A model that the course ships, its experts in their file. They are never in memory all at once.

    slots: experts per layer that are. cache: one for each layer number, in place of LRU with so many slots.
    """
    file = WeightFile(shipped(n_experts), cold)
    config = from_dict(ModelConfig, json.loads(file.metadata[FORMAT])["model"])
    if config.is_dense:
        raise ValueError("The dense model has no experts to leave in a file.")
    with torch.device("meta"):
        model = MoELanguageModel(config)
    for number, block in enumerate(model.blocks):
        prefix = f"{MODEL}blocks.{number}.feed_forward.experts"
        block.feed_forward.experts = CachedExperts(file, prefix, LRU(slots) if cache is None else cache(number))
    model.to_empty(device="cpu")
    restore(model, {name: file.read(name) for name in file.tensors if ".experts." not in name}, file.path)
    file.bytes_read, file.seconds = 0, 0.0
    return model.eval()


class Decoded(NamedTuple):
    """What generating a text took; of the experts, reading the prompt not counted."""

    ids: list[int]
    seconds: float
    reading: float  # seconds of it for reading the file
    needed: int  # experts, in all layers
    loaded: int
    bytes_read: int

    @property
    def tokens_per_second(self) -> float:
        return len(self.ids) / self.seconds


def experts_of(model: MoELanguageModel) -> list[CachedExperts]:
    """Those of its layers. ValueError if a layer has its experts in memory."""
    found = [layer.experts for layer in model.moe_layers]
    if not found or not all(isinstance(experts, CachedExperts) for experts in found):
        raise ValueError("This model has its experts in memory; expected one that `offloaded` made.")
    return found


def decode(model: MoELanguageModel, ids: Tensor, n_tokens: int = NEW) -> Decoded:
    """Read the prompt ids (1, T), generate one token, which is not counted, and then n_tokens, the most probable."""
    layers = experts_of(model)
    steps = model.generate(ids, n_tokens + 1, temperature=0)
    next(steps)  # reads the prompt, which is not counted
    file, before = layers[0].file, [(e.needed, sum(map(len, e.loaded))) for e in layers]
    bytes_before, reading, began = file.bytes_read, file.seconds, time.perf_counter()
    new = [int(token) for token, _ in steps]
    seconds = time.perf_counter() - began
    needed = sum(e.needed - n for e, (n, _) in zip(layers, before, strict=True))
    loaded = sum(sum(map(len, e.loaded)) - n for e, (_, n) in zip(layers, before, strict=True))
    return Decoded(new, seconds, file.seconds - reading, needed, loaded, file.bytes_read - bytes_before)


def prompts(domains: Sequence[str] | None = None, n: int = 1, length: int = PROMPT) -> dict[str, list[Tensor]]:
    """By domain, n prompts (1, length) from the validation split, evenly spread over it."""
    found = {}
    for domain, corpus in load_corpora(domains).items():
        starts = torch.linspace(0, len(corpus.val) - length, n).long().tolist()
        found[domain] = [corpus.val[start : start + length][None] for start in starts]
    return found


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m moe_lite.lab.offloading", description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=int, default=16, help="of the shipped model: 4, 8, 16 or 32 (default 16)")
    parser.add_argument("--prompts", type=int, default=2, help="per domain (default 2)")
    parser.add_argument("--tokens", type=int, default=NEW, help=f"to write after each prompt (default {NEW})")
    given = parser.parse_args(arguments)
    texts = [ids for of_domain in prompts(n=given.prompts).values() for ids in of_domain]
    print(f"| {given.experts} experts, in memory per layer | experts loaded of those needed | kB read per token |"
          " tokens/s, file kept by the system | tokens/s, read from the disk |\n|---|---|---|---|---|")  # fmt: skip
    sizes = [n for n in (1, 2, 4, 8, 12, 16, 24, 32) if n <= given.experts]
    for slots in sizes:
        runs = {cold: [] for cold in (False, True)}
        for ids in texts:
            for cold in runs:
                runs[cold].append(decode(offloaded(given.experts, slots, cold=cold), ids, given.tokens))
        warm = runs[False]
        missed = sum(run.loaded for run in warm) / sum(run.needed for run in warm)
        kilobytes = sum(run.bytes_read for run in warm) / sum(len(run.ids) for run in warm) / 1e3
        speeds = [median(run.tokens_per_second for run in runs[cold]) for cold in runs]
        print(f"| {slots} | {missed:.3f} | {kilobytes:.1f} | {speeds[0]:.0f} | {speeds[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
