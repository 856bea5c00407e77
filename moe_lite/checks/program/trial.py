"""A text of the program, tried on a tiny model: it must run, and give the template's numbers."""

import contextlib
import io
import math
import sys
import types
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

TINY = {
    "vocab_size": 11, "n_layers": 2, "d_model": 8, "n_heads": 2, "n_kv_heads": 1, "context_length": 8, "n_experts": 4,
    "top_k": 2, "d_dense": 12,
}  # fmt: skip
WAYS = ({}, {"capacity_factor": 1.0, "n_shared_experts": 1}, {"bias_step": 0.01})


@lru_cache(maxsize=64)
def trial(text: str) -> str:
    """What goes wrong when `text` runs, as the end of a sentence; "" if nothing does."""
    try:
        with _quietly():
            got = _numbers(text)
    except Exception as error:  # the learner's functions may do anything
        what = f"it stops with {type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        return what if len(what) <= 100 else f"{what[:99]}…"
    expected = _expected()
    if not all(math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4) for a, b in zip(got, expected, strict=True)):
        return "it gives other numbers than the package's"
    return ""


@cache
def _expected() -> list[float]:
    with _quietly():
        return _numbers(Path(__file__).with_name("template.py").read_text(encoding="utf-8"))


def _numbers(text: str) -> list[float]:
    module = types.ModuleType("my_moe as it is tried")
    module.__file__ = __file__
    sys.modules[module.__name__] = module  # dataclasses look there for the names in annotations
    try:
        exec(compile(text, "my_moe.py", "exec"), vars(module))
        return _losses(vars(module))
    finally:
        del sys.modules[module.__name__]


def _losses(program: dict[str, Any]) -> list[float]:
    """Losses and gradients of two batches in each way; sampling and reports only have to run."""
    generator, numbers = torch.Generator().manual_seed(0), []
    corpora = {"text": torch.randint(11, (40,), generator=generator)}
    for way in WAYS:
        config = program["Config"](**TINY, **way)
        model = program["Model"](config)
        program["size_report"](config)
        for _ in range(2):
            loss, _, routings = program["losses"](model.train(), *program["batch"](corpora, 2, 6, generator))
            loss.backward()
            numbers += [loss.item(), *(p.grad.double().norm().item() for p in model.parameters())]
            program["move_biases"](model)
            program["load_report"](routings, config.n_experts)
        for temperature in (0, 0.8):
            ids = program["generate"](model, [1, 2], 2, temperature)
            numbers.append(float(len(ids)) if all(0 <= id < 11 for id in ids) else math.nan)
    return numbers


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Gradients on, float32, nothing printed; generators and settings as before afterwards."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad(),
            contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()),
        ):  # fmt: skip
            yield
    finally:
        torch.set_default_dtype(dtype)
