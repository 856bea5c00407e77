"""Record trainings that are too long for a lesson: `make runs`.

    python tools/record_runs.py                                 # all of them: about 20 hours on one core
    python tools/record_runs.py --only moe-8-top2 --budget 1M   # three learning rates, then four more seeds
    python tools/record_runs.py --speed                         # how long a step of each takes; keep the machine quiet

All models of a budget see as many tokens, the learning-rate schedule matched to it; of three learning rates on seed 0
(more, if the best is the lowest or the highest of them) the best is run on the other seeds; one budget takes the best
of another (TUNED_ON). data/runs/<name>.json is written after each run, other budgets than 2M in a folder of their own;
what is there already is not run again, unless a setting has changed: then the tool says so and stops.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import torch

from moe_lite import ModelConfig, MoELanguageModel, TrainConfig
from moe_lite.data import DOMAINS, Corpus, load_corpora
from moe_lite.evaluate import evaluate
from moe_lite.families import preset
from moe_lite.lab.comparison import speeds
from moe_lite.lab.runs import (
    BUDGET,
    FORMAT,
    SHARED_SEEDS,
    SPEED,
    SUMMARY,
    VERSION,
    Recording,
    Run,
    folder,
    interval,
    names,
    read,
    recording,
    summary,
)
from moe_lite.lab.timing import interleaved
from moe_lite.metrics import count_parameters, flops_per_token
from moe_lite.model.config import dense_twin
from moe_lite.train import train

SPARSE = ModelConfig()  # 8 experts of width 64, two a token
MODELS = {
    "dense-equal-active": ("dense, equal active parameters", dense_twin(SPARSE)),
    "dense-equal-total": ("dense, equal total parameters", replace(dense_twin(SPARSE), d_expert=8 * SPARSE.d_expert)),
    "moe-8-top2": ("8 experts, top-2", SPARSE),
    "moe-32-shared": (
        "32 finer experts, top-7 and one shared",
        replace(SPARSE, n_experts=32, top_k=7, d_expert=SPARSE.d_expert // 4, n_shared_experts=1),
    ),
    # as much work per token as SPARSE, more or fewer experts to choose from
    "moe-4-top2": ("4 experts, top-2", replace(SPARSE, n_experts=4)),
    "moe-16-top2": ("16 experts, top-2", replace(SPARSE, n_experts=16)),
    "moe-32-top2": ("32 experts, top-2", replace(SPARSE, n_experts=32)),
    # what moe-32-shared changes, one at a time
    "moe-32-fine": ("32 finer experts, top-8", replace(SPARSE, n_experts=32, top_k=8, d_expert=SPARSE.d_expert // 4)),
    "moe-8-shared": (
        "7 experts, top-1, and one shared",
        replace(SPARSE, n_experts=7, top_k=1, n_shared_experts=1, order="score_first", renorm=False),
    ),
    # published rules at the size of SPARSE: 128 hidden channels of experts per token, about 512 in a layer
    "switch": ("Switch: 4 wide experts, top-1", preset("switch", n_experts=4, d_expert=128)),
    "hash_layers": ("hash layers: 4 wide experts, by token id", preset("hash_layers", n_experts=4, d_expert=128)),
    "qwen3_moe": ("Qwen3: 16 experts, top-4", preset("qwen3_moe")),
    "olmoe": ("OLMoE: 16 experts, top-4, weights not renormalised", preset("olmoe")),
    "llama4": ("Llama 4: 7 experts, top-1, and one shared", preset("llama4", n_experts=7)),
    "deepseek_v3": (
        "DeepSeek-V3: 32 finer experts in 4 groups, top-7 and one shared",
        preset("deepseek_v3", n_experts=32, top_k=7, d_expert=16, n_dense_layers=0),
    ),
}
BASELINE = "dense-equal-active"  # what the others are compared with
COMPARED = [*MODELS][:9]  # lesson 10 asks whether one is better than another: five seeds
SCALED = COMPARED[:4]
BUDGETS = {  # who is trained on how many tokens
    "0.5M": SCALED, "1M": COMPARED, "2M": [*MODELS], "8M": SCALED,
    # as many seconds as 8M take the baseline, so that no line is needed where models are compared in that time
    "718s": [*SCALED[1:], "moe-8-shared"],
}  # fmt: skip
STEPS = {"0.5M": 250, "1M": 500, "2M": 1000, "8M": 4000}
AS_LONG_AS = {"718s": "8M"}  # budgets in seconds: those that this budget takes the baseline
# the budget, recorded before it, whose best learning rate is taken; a model that it lacks is tuned itself
TUNED_ON = {"718s": "8M"}
LEARNING_RATES = (1e-3, 2e-3, 4e-3)
BIAS_STEP = 0.001  # where a bias balances
SEEDS = (0, 1, 2, 3, 4)  # of the models compared; the others have the first SHARED_SEEDS
NOTE_EVERY = 10  # steps


def settings(name: str, budget: str = BUDGET) -> TrainConfig:
    """How a model is trained on this budget, seed and learning rate aside."""
    config, steps = MODELS[name][1], n_steps(name, budget)
    plain = TrainConfig(steps=steps, warmup_steps=50, validate_every=steps // 20, validation_windows=8)
    return replace(plain, bias_step=BIAS_STEP) if config.selection_bias else plain


def n_steps(name: str, budget: str) -> int:
    """As many as the budget has tokens for, or seconds: by the time of a step, which `--speed` measured."""
    if budget in STEPS:
        return STEPS[budget]
    seconds = speeds()
    return int(STEPS[AS_LONG_AS[budget]] * seconds[BASELINE] / seconds[name])


def tuned_on(name: str, budget: str) -> str | None:
    """The budget whose best learning rate is taken; None if this one is tuned itself."""
    other = TUNED_ON.get(budget)
    return other if other and name in BUDGETS[other] else None


def seeds(name: str) -> tuple[int, ...]:
    return SEEDS if name in COMPARED else SEEDS[:SHARED_SEEDS]


def record(name: str, corpora: dict[str, Corpus], train_config: TrainConfig, budget: str = BUDGET) -> None:
    """All runs of one model on one budget that its file does not hold yet."""
    title, config = MODELS[name]
    path = folder(budget) / f"{name}.json"
    found = begin(path, name, title, config, train_config)
    if other := tuned_on(name, budget):
        found = add(path, found, SEEDS[0], read(folder(other) / path.name).lr, corpora)
    else:
        for lr in LEARNING_RATES:
            found = add(path, found, SEEDS[0], lr, corpora)
        while (lr := beyond(found)) is not None:
            found = add(path, found, SEEDS[0], lr, corpora)
    for seed in seeds(name)[1:]:
        found = add(path, found, seed, found.lr, corpora)
    print(f"{name}, {budget}: {interval(found.losses)} with learning rate {found.lr}", flush=True)


def beyond(found: Recording) -> float | None:
    """The next learning rate to try while the best is the lowest or the highest so far; None if it is neither."""
    tried = [*found.learning_rates]
    return {tried[0]: tried[0] / 2, tried[-1]: tried[-1] * 2}.get(found.lr)


def begin(path: Path, name: str, title: str, config: ModelConfig, train_config: TrainConfig) -> Recording:
    """The recording in `path` if it was made with these settings, else an empty one."""
    if path.is_file():
        found = read(path)
        if (found.model, found.train) != (config, train_config):
            raise SystemExit(f"{path} was recorded with other settings; delete it to record {name} anew.")
        return found
    model = MoELanguageModel(config)
    return Recording(
        name=name, title=title, model=config, train=train_config, parameters=asdict(count_parameters(model)),
        flops_per_token=flops_per_token(model, train_config.length), torch=torch.__version__.split("+")[0],
        threads=torch.get_num_threads(), machine=f"CPU, {platform.machine()}", all_runs=(),
    )  # fmt: skip


def add(path: Path, recording: Recording, seed: int, lr: float, corpora: dict[str, Corpus]) -> Recording:
    """The recording with this run, written to `path`."""
    if any((run.seed, run.lr) == (seed, lr) for run in recording.all_runs):
        return recording
    run = one_run(recording.model, replace(recording.train, seed=seed, lr=lr), corpora)
    print(f"{recording.name} seed {seed} lr {lr}: {run.loss:.4f} in {run.seconds:.0f} s", flush=True)
    recording = replace(recording, all_runs=(*recording.all_runs, run))
    write(path, recording)
    return recording


def one_run(config: ModelConfig, train_config: TrainConfig, corpora: dict[str, Corpus]) -> Run:
    """Train from scratch; the seed is that of the weights and of the batches."""
    model = MoELanguageModel(config, seed=train_config.seed)
    logs = [*train(model, corpora, train_config)]
    notes = [0, *(log.step for log in logs if log.step % NOTE_EVERY == 0)]
    validated = [log for log in logs if log.validation]
    measured = evaluate(model, corpora, length=train_config.length)
    return Run(
        seed=train_config.seed,
        lr=train_config.lr,
        seconds=round(logs[-1].seconds, 1),
        tokens=[logs[end - 1].tokens for end in notes[1:]],
        train_loss=[
            round(statistics.mean(log.cross_entropy for log in logs[a:b]), 4) for a, b in pairwise(notes)
        ],
        validation_tokens=[log.tokens for log in validated],
        validation=[round(statistics.mean(log.validation.values()), 4) for log in validated],
        final={domain: round(loss, 4) for domain, loss in measured.loss.items()},
        load=[] if config.is_dense else measured.load.tolist(),
    )  # fmt: skip


def write(path: Path, recording: Recording) -> None:
    """One line a field and a run: small in git, and a diff shows what moved."""
    values = {"format": FORMAT, "version": VERSION, **asdict(recording)}
    runs = ",\n  ".join(json.dumps(run) for run in values.pop("all_runs"))
    fields = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()]
    text = "{\n" + ",\n".join([*fields, f' "all_runs": [\n  {runs}\n ]']) + "\n}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def record_speed(corpora: dict[str, Corpus], rounds: int = 15, steps: int = 4) -> None:
    """Seconds of a training step, the models compared taking turns.

    Each is the baseline's median times the median ratio to the baseline in the same round: a slow moment of the
    machine meets neighbours alike.
    """
    longer = replace(settings(BASELINE), steps=10_000, validate_every=0)

    def works(name: str) -> Callable[[], object]:
        steps_of = iter(train(MoELanguageModel(MODELS[name][1]), corpora, longer))
        return lambda: [next(steps_of) for _ in range(steps)]

    timings = interleaved({name: works(name) for name in COMPARED}, rounds)
    base = timings[BASELINE]
    ratios = {name: timing.over(base).median for name, timing in timings.items()}
    values = {
        "torch": torch.__version__.split("+")[0], "threads": torch.get_num_threads(),
        "machine": f"CPU, {platform.machine()}", "rounds": rounds, "steps_a_round": steps,
        "tokens_per_step": longer.batch_size * longer.length,
        "seconds_per_step": {name: round(base.median / steps * ratio, 5) for name, ratio in ratios.items()},
        "over_baseline": {name: round(ratio, 4) for name, ratio in ratios.items()},
        "quartiles_over_baseline": {
            name: [round(ratio, 4) for ratio in timing.over(base).quartiles] for name, timing in timings.items()
        },
    }  # fmt: skip
    (folder() / SPEED).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(values, indent=1))


def summarise() -> None:
    """Write the numbers that prose quotes, of the models that have as many seeds as all must have."""
    there = [recording(name) for name in MODELS if name in names()]
    whole = [one for one in there if len(one.runs) == SHARED_SEEDS]
    (folder() / SUMMARY).write_text(json.dumps(summary(whole, BASELINE), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {SUMMARY}, without {', '.join(sorted(MODELS.keys() - {one.name for one in whole})) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=MODELS, default=[*MODELS], metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--budget", nargs="*", choices=BUDGETS, default=[*BUDGETS], metavar="TOKENS")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="time the steps of the models compared, and nothing else")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        sys.exit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    if a.speed:
        return record_speed(corpora)
    for budget in a.budget:
        for name in (name for name in a.only if name in BUDGETS[budget]):
            record(name, corpora, settings(name, budget), budget)
    summarise()


if __name__ == "__main__":
    main()
