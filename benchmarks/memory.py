"""Peak memory of a training step, each time in a process of its own: python -m benchmarks.memory {dense,sparse}"""

import json
import sys

from benchmarks.apart import peak_bytes, run_apart
from benchmarks.report import Row
from moe_lite.lab.timing import Timing

STEPS = 3  # the first allocates the optimizer's state
BYTES = 4 * 4  # float32: a parameter, its gradient, AdamW's two averages
KINDS = ("dense", "sparse")


def memory(rounds: int, threads: int) -> list[Row]:
    """Megabytes above what the process held before it built the model; medians over `rounds` processes of each."""
    found: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            found[kind].append(run_apart("-m", "benchmarks.memory", kind, threads=threads))
    return compared(found, threads)


def compared(found: dict[str, list[dict]], threads: int) -> list[Row]:
    """The sparse model over the dense one and what the parameters that it has more must take."""
    extra = BYTES * (found["sparse"][0]["parameters"] - found["dense"][0]["parameters"])
    dense, sparse = ([m["peak"] - m["before"] for m in found[kind]] for kind in KINDS)
    amounts = {"dense": dense, "dense + extra parameters": [peak + extra for peak in dense], "sparse": sparse}
    megabytes = {name: Timing(tuple(peak / 1e6 for peak in peaks)) for name, peaks in amounts.items()}
    over = "dense + extra parameters"
    ratio = megabytes["sparse"].over(megabytes[over])
    low, high = ratio.quartiles
    paired = {"over": over, "ratio": ratio.median, "low": low, "high": high}
    return [
        Row(
            "memory", "peak of a training step", name, amount.median, "MB", threads, note=found["dense"][0]["note"],
            **(paired if name == "sparse" else {}),
        )
        for name, amount in megabytes.items()
    ]  # fmt: skip


def main(kind: str) -> None:
    from benchmarks.model import BATCH, CONFIG, LENGTH, learner_of, random_ids, sizes, step
    from moe_lite import MoELanguageModel
    from moe_lite.model.config import dense_twin

    ids = random_ids(BATCH, LENGTH)
    before = peak_bytes()
    model = MoELanguageModel(CONFIG if kind == "sparse" else dense_twin(CONFIG))
    one = step(learner_of(model), ids)
    for _ in range(STEPS):
        one()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    note = f"{sizes()}, B {BATCH}, T {LENGTH}"
    print(json.dumps({"before": before, "peak": peak_bytes(), "parameters": parameters, "note": note}))


if __name__ == "__main__":
    main(sys.argv[1])
