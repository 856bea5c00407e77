"""What a learner waits for before anything happens: imports, and loading what was prepared. In fresh processes."""

from benchmarks.apart import run_apart
from benchmarks.report import Row
from moe_lite.lab.timing import Timing

# case -> what runs before the clock starts, then one thing after the other by name
CASES = {
    "import after torch": (
        "import torch",
        {
            "moe_lite": "import moe_lite",
            "moe_lite and its model": "from moe_lite import ModelConfig, MoELanguageModel, TrainConfig",
            "... and its training": "import moe_lite.train",
        },
    ),
    "second load": (
        "from moe_lite import data",
        {"tokenizer": "data.tokenizer()", "corpora and tokenizer": "data.load_corpora()"},
    ),
}


def start(rounds: int, threads: int) -> list[Row]:
    """Seconds since the clock started, so each includes what stands above it."""
    rows = []
    for case, (before, works) in CASES.items():
        code = timed(before, works)
        run_apart("-c", code, threads=threads)  # not counted: it fills the caches
        found = [run_apart("-c", code, threads=threads) for _ in range(rounds)]
        for name in works:
            median = Timing(tuple(seconds[name] for seconds in found)).median
            rows.append(Row("start", case, name, median, "s", threads))
    return rows


def timed(before: str, works: dict[str, str]) -> str:
    """A program that prints, as JSON, the seconds after each of `works`."""
    lines = ["import json, time", before, "found, began = {}, time.perf_counter()"]
    for name, work in works.items():
        lines += [work, f"found[{name!r}] = time.perf_counter() - began"]
    return "\n".join([*lines, "print(json.dumps(found))"])
