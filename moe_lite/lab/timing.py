"""Measuring time: several works in turn, so that what disturbs the machine disturbs all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, over all rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third; both the one value there is if there was one round."""
        if len(self.seconds) == 1:
            return self.seconds * 2
        first, _, third = statistics.quantiles(self.seconds, method="inclusive")
        return first, third

    def over(self, other: "Timing") -> "Timing":
        """The ratios to `other`, round by round: paired, so a slow moment counts in both."""
        return Timing(tuple(a / b for a, b in zip(self.seconds, other.seconds, strict=True)))


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, Timing]:
    """Call every work in turn, A B C A B C …, after one unmeasured round. Raises ValueError for rounds below 1."""
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected at least 1.")
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: Timing(tuple(taken)) for name, taken in seconds.items()}
