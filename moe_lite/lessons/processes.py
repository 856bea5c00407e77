"""Real processes on one machine that work on one thing and talk through gloo. One that fails ends the others."""

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


class RankError(RuntimeError):
    """A process ended without a result; says which one, and why."""


def run(work: Callable, n_ranks: int, *args, timeout: float = 300.0) -> list:
    """What work(rank, n_ranks, *args) returns on each of n_ranks new processes, which can talk to each other.

    work: a function of a module, so that another process can import it; args can be pickled. Where one process fails,
    the others are ended and RankError tells which; so they are at an interrupt, and after `timeout` seconds.
    """
    if n_ranks < 1:
        raise ValueError(f"n_ranks is {n_ranks}, expected at least 1.")
    context = _context(work.__module__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processes = [
            context.Process(target=_process, args=(work, rank, n_ranks, folder, timeout, args), daemon=True)
            for rank in range(n_ranks)
        ]
        try:
            for process in processes:
                process.start()
            _wait(processes, folder, time.monotonic() + timeout)
        finally:
            for process in processes:
                if process.pid is not None:
                    process.kill()  # no effect where it has ended
                    process.join()
        return [torch.load(folder / f"{rank}.result", weights_only=False) for rank in range(n_ranks)]


def _context(module: str):
    """On Linux, processes begin as copies of one that has imported `module` once; elsewhere each imports it itself."""
    if sys.platform != "linux":
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([module, "torch._dynamo"])  # an optimizer imports the second, in a second or more
    return context


def _process(work: Callable, rank: int, n_ranks: int, folder: Path, timeout: float, args: tuple) -> None:
    torch.set_num_threads(1)
    try:
        meet = f"file://{folder / 'meet'}"
        dist.init_process_group("gloo", meet, timedelta(seconds=timeout), n_ranks, rank)
        torch.save(work(rank, n_ranks, *args), folder / f"{rank}.result")
        dist.barrier()  # nobody leaves while another one still talks
    except BaseException as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        (folder / f"{rank}.error").write_text(f"{time.time()}\n{text}", encoding="utf-8")
        os._exit(1)  # at once: gloo's threads do not survive an ordinary end
    dist.destroy_process_group()


def _wait(processes: Sequence, folder: Path, until: float) -> None:
    """Until all have ended well; RankError as soon as one has not."""
    alive = {process.sentinel: process for process in processes}
    while alive:
        ended = wait([*alive], timeout=max(until - time.monotonic(), 0))
        if not ended:
            ranks = [rank for rank, process in enumerate(processes) if process.is_alive()]
            raise RankError(f"After the time limit, processes {ranks} of {len(processes)} were still at work.")
        for sentinel in ended:
            alive.pop(sentinel).join()
        if any(process.exitcode for process in processes):
            raise _failure(processes, folder)


def _failure(processes: Sequence, folder: Path) -> RankError:
    """Of the processes that failed, the first: others fail because they miss it."""
    time.sleep(0.2)  # let the others write down what they know
    n = len(processes)
    for rank, process in enumerate(processes):
        if (process.exitcode or 0) < 0 and not (folder / f"{rank}.error").is_file():
            return RankError(f"Process {rank} of {n} was ended from outside, by signal {-process.exitcode}.")
    notes = {}
    for rank in range(n):
        if (path := folder / f"{rank}.error").is_file():
            when, text = path.read_text(encoding="utf-8").split("\n", 1)
            notes[rank] = (float(when), text)
    if not notes:
        rank = next(rank for rank, process in enumerate(processes) if process.exitcode)
        return RankError(f"Process {rank} of {n} ended with exit code {processes[rank].exitcode} and said nothing.")
    rank = min(notes, key=lambda rank: notes[rank][0])
    return RankError(f"Process {rank} of {n} failed: {notes[rank][1]}")
