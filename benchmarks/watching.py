"""What watching costs: training in the background with the dashboard, over the same without it, in a real kernel."""

import json

import nbformat
from nbclient import NotebookClient

from benchmarks.report import Row
from moe_lite.lab.timing import Timing

STEPS = 20  # of 2,048 tokens, a round
CELL = """
import json, time
import torch
from moe_lite import ModelConfig, MoELanguageModel, TrainConfig, data
from moe_lite.live import LiveRun
from moe_lite.train import train
from moe_lite.widgets import TrainingDashboard
torch.set_num_threads({threads})
corpora, config = data.load_corpora(), TrainConfig(steps={steps})
build = lambda n_experts, top_k: MoELanguageModel(ModelConfig(n_experts=n_experts, top_k=top_k))
dashboard = TrainingDashboard(build, corpora, config)

def seconds(begin):
    run = begin()
    began = time.perf_counter()
    run.wait()
    return time.perf_counter() - began

def unwatched():
    return LiveRun(train(build(8, 2), corpora, config)).start()

def watched():
    dashboard.runs.clear()
    return dashboard.start()

seconds(unwatched), seconds(watched)
rounds = [(seconds(unwatched), seconds(watched)) for _ in range({rounds})]
print(json.dumps(rounds))
"""


def watching(rounds: int, threads: int) -> list[Row]:
    """Seconds of STEPS steps, in turn; the dashboard's messages go to a client that reads them."""
    cells = [nbformat.v4.new_code_cell(CELL.format(threads=threads, steps=STEPS, rounds=rounds))]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=600, kernel_name="python3")
    client.execute()
    return compared(json.loads(client.nb.cells[0].outputs[-1].text), threads)


def compared(found: list[tuple[float, float]], threads: int) -> list[Row]:
    """Rows from the seconds of each round, without and with the dashboard."""
    plain, drawn = (Timing(tuple(column)) for column in zip(*found, strict=True))
    ratio = drawn.over(plain)
    case, over, note = f"{STEPS} training steps", "unwatched", "L 4, D 128, F 64, E 8, K 2, V 2,048, B 16, T 128"
    return [
        Row("watch", case, over, plain.median, "s", threads, note=note),
        Row("watch", case, "dashboard", drawn.median, "s", threads, over, ratio.median, *ratio.quartiles, note=note),
    ]
