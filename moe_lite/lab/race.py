"""The race of the balancing rules: how recorded trainings of one model on one budget ended, rule by rule.

`python -m moe_lite.lab.race` prints the table from data/balance/race.json, which `tools/record_balance.py race` writes.
Every difference is taken seed by seed; where its 95 % interval contains 0, the table says "no difference".
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from moe_lite.data import data_dir
from moe_lite.lab.recording import recorded
from moe_lite.lab.runs import Interval, interval
from moe_lite.lab.sweeps import FORMAT, VERSION, changed, lab_model
from moe_lite.metrics import budget, dead_experts, load_cv, max_violation
from moe_lite.model.config import ModelConfig
from moe_lite.train import TrainConfig

AGAINST = ("no balancing", "Switch loss")  # what each rule is compared with


@dataclass(frozen=True)
class Finish:
    """How the trainings of one rule ended: means over seeds and layers. Loads are those of the validation split."""

    rule: str
    seeds: tuple[int, ...]
    losses: tuple[float, ...]  # of each seed, on the whole validation split, nats per token
    differences: dict[str, Interval]  # from the rules it is compared with, nats per token
    cv: float
    violation: float  # the fullest expert over the mean, less 1
    dead_percent: float
    above_percent: float  # assignments above 1.25 times the fair share of their batch, last 100 steps of training
    experts_per_token: float
    flops_per_token: int  # forward, with a full row to attend to
    looks_ahead: str

    @property
    def loss(self) -> float:
        return statistics.mean(self.losses)


def looks_ahead(config: ModelConfig) -> str:
    """Whether a token's experts can depend on later tokens, and where."""
    if config.router == "expert_threshold":
        return f"training, first {config.threshold_warmup} batches"
    return "yes" if config.allow_lookahead else "no"


def flops(config: ModelConfig, experts_per_token: float, context: int) -> int:
    """Forward FLOPs per token where tokens have so many experts on average, in place of top_k; no expert is shared."""
    whole = budget(config, context)
    return round(whole.total_flops + whole.flops["experts"] * (experts_per_token / config.top_k - 1))


def finishes(against: Sequence[str] = AGAINST, folder: Path | None = None) -> tuple[list[Finish], list[Finish]]:
    """The rules that ran on all seeds, and values tried on one seed, which are compared with nothing.

    Raises ValueError if a rule in `against` was not recorded.
    """
    folder = folder or data_dir() / "balance"
    with recorded(folder / "race.json", FORMAT, VERSION) as head:
        model, training = head["model"], head["train"]
    rows = changed("race", folder)
    whole = [name for name, found in rows.items() if len(found) == max(map(len, rows.values()))]
    if missing := [name for name in against if name not in whole]:
        raise ValueError(f"Not recorded on all seeds: {', '.join(missing)}. There are {', '.join(whole)}.")
    finished = [_finish(name, rows[name], {key: rows[key] for key in against}, model, training) for name in whole]
    tried = [_finish(name, found, {}, model, training) for name, found in rows.items() if name not in whole]
    return finished, tried


def _finish(
    rule: str, rows: list[dict], against: dict[str, list[dict]], model: ModelConfig, training: TrainConfig
) -> Finish:
    losses = {row["seed"]: row["final_loss"] for row in rows}
    loads = torch.stack([row["final_load"] for row in rows])  # (S, L, E)
    config = lab_model(model, **{key: value for key, value in rows[0]["changes"].items() if hasattr(model, key)})
    per_token = statistics.mean(row["experts_per_token"] for row in rows)
    return Finish(
        rule=rule,
        seeds=tuple(losses),
        losses=tuple(losses.values()),
        differences={
            name: interval([losses[row["seed"]] - row["final_loss"] for row in others])
            for name, others in against.items()
            if name != rule
        },
        cv=load_cv(loads).mean().item(),
        violation=max_violation(loads).mean().item(),
        dead_percent=100 * dead_experts(loads).sum().item() / loads.numel(),
        above_percent=statistics.mean(row["above_1.25_percent"] for row in rows),
        experts_per_token=per_token,
        flops_per_token=flops(config, per_token, training.length),
        looks_ahead=looks_ahead(config),
    )


def told(difference: Interval | None) -> str:
    """The mean and its interval, or that there is no difference to be seen."""
    if difference is None:
        return "—"
    found = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]".replace("-", "−")
    return f"no difference {found}" if difference.low <= 0 <= difference.high else found


def table(finished: Sequence[Finish], against: Sequence[str]) -> str:
    """As Markdown."""
    head = [
        "rule", "loss", *(f"minus {name}" for name in against), "CV", "fullest over mean, less 1", "dead",
        "above 1.25 fair shares", "experts per token", "forward kFLOPs per token", "looks ahead",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 2) + "---|"]
    for one in finished:
        cells = [
            one.rule, f"{one.loss:.3f}", *(told(one.differences.get(name)) for name in against), f"{one.cv:.2f}",
            f"{one.violation:.2f}", f"{one.dead_percent:.1f} %", f"{one.above_percent:.0f} %",
            f"{one.experts_per_token:.2f}", f"{one.flops_per_token / 1000:,.0f}", one.looks_ahead,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m moe_lite.lab.race", description="How the balancing rules ended.")
    parser.add_argument("--against", action="append", help="a rule to compare with, in place of the usual two; repeat")
    a = parser.parse_args(arguments)
    against = a.against or AGAINST
    try:
        finished, tried = finishes(against)
    except ValueError as error:
        parser.error(str(error))
    seeds = ", ".join(map(str, finished[0].seeds))
    print(f"Losses in nats per token; means and 95 % intervals over seeds {seeds}, differences seed by seed.\n")
    print(table(finished, against))
    if tried:
        print(f"\nTried on seed {tried[0].seeds[0]} only:\n")
        print(table(tried, ()))


if __name__ == "__main__":
    main()
