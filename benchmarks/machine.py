"""Where a run took place: versions, processors, and the most that its matrix products reach."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch

SIZE = 1024  # of the square matrices whose product gives the peak
SECONDS = 1.0  # spent on looking for the peak


@dataclass(frozen=True)
class Machine:
    """`peak` is in FLOP/s, by number of threads: the fastest float32 product of two large square matrices."""

    system: str
    python: str
    torch: str
    transformers: str
    processors: int
    busy: float  # processes that wanted a processor in the minute before the run; above 0.5, distrust the figures
    device: str
    peak: dict[int, float]

    @classmethod
    def from_dict(cls, found: dict) -> "Machine":
        """From JSON, whose keys are strings."""
        return cls(**found | {"peak": {int(threads): peak for threads, peak in found["peak"].items()}})

    def __str__(self) -> str:
        peaks = ", ".join(f"{peak / 1e9:,.0f} GFLOP/s with {n} thread(s)" for n, peak in self.peak.items())
        return (
            f"{self.system}, {self.processors} processors, {self.busy:.2f} busy before the run\n"
            f"Python {self.python}, torch {self.torch}, transformers {self.transformers}, on {self.device}\n"
            f"matmul peak, measured: {peaks}"
        )


def this_machine(threads: Sequence[int], device: torch.device) -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=version("transformers"),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        busy=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        peak={n: matmul_peak(n, device) for n in threads},
    )


def matmul_peak(threads: int, device: torch.device) -> float:
    """FLOP/s of the fastest product found in a second; a FLOP is a multiplication or an addition."""
    torch.set_num_threads(threads)
    a, b, out = (torch.ones(SIZE, SIZE, device=device) for _ in range(3))
    product = waiting(lambda: torch.mm(a, b, out=out), device)
    fastest, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        product()
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * SIZE**3 / fastest


def waiting(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """`work` until it is done: a GPU only queues it. Not tried on a GPU so far."""
    if device.type != "cuda":
        return work

    def done() -> object:
        result = work()
        torch.cuda.synchronize(device)
        return result

    return done
