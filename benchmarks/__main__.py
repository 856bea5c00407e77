"""python -m benchmarks: about ten minutes, some of it torch.compile; one table, and the same as JSON."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.decoding import decoding
from benchmarks.goals import goal_of, summary
from benchmarks.layers import growth, layers
from benchmarks.machine import Machine, this_machine
from benchmarks.memory import memory
from benchmarks.report import Report, Row, table
from benchmarks.start import start
from benchmarks.training import training
from benchmarks.watching import watching

SECTIONS = ("layers", "growth", "train", "decode", "memory", "start", "watch")
ONCE = ("memory", "start", "watch")  # for the first number of threads only
ROUNDS, QUICK = 15, 3
PROCESSES = 5  # rounds of what needs a process each


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.only if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: expected some of {','.join(SECTIONS)}")
    rounds = options.rounds or (QUICK if options.quick else ROUNDS)
    device = torch.device(options.device)
    machine = this_machine(options.threads, device)
    print(f"{machine}\nmedians of {rounds} rounds, ratios paired: median [quartiles]\n", flush=True)
    rows: list[Row] = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name in options.only:
            if name in ONCE and threads != options.threads[0]:
                continue
            began = time.perf_counter()
            found = sections(rounds, threads, machine, device)[name]()
            rows += found
            print(table(found, _remark), flush=True)
            print(f"{name}, {threads} thread(s): {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print("Goals\n" + "\n".join(f"  {line}" for line in summary(rows, options.only)))
    if options.json:
        options.json.write_text(Report(machine, tuple(rows)).to_json(), encoding="utf-8")
        print(f"written {options.json}")


def sections(rounds: int, threads: int, machine: Machine, device: torch.device) -> dict[str, Callable[[], list[Row]]]:
    peak, processes = machine.peak[threads], min(rounds, PROCESSES)
    return {
        "layers": lambda: layers(rounds, threads, peak, device),
        "growth": lambda: growth(rounds, threads, device),
        "train": lambda: training(rounds, threads, peak, device),
        "decode": lambda: decoding(rounds, threads, device),
        "memory": lambda: memory(processes, threads),
        "start": lambda: start(processes, threads),
        "watch": lambda: watching(processes, threads),
    }


def _remark(row: Row) -> str:
    goal = goal_of(row)
    return goal.verdict(row) if goal else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    several = {"type": lambda text: text.split(","), "metavar": "NAME,NAME"}
    parser.add_argument("--only", **several, default=list(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="one or more (default: 1 2)")
    parser.add_argument("--rounds", type=int, help=f"of every measurement (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds: does it run?")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows there, too")
    parser.add_argument("--device", default="cpu", help='such as "cuda" (not tried so far); memory stays that of a CPU')
    return parser


if __name__ == "__main__":
    main()
