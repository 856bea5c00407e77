"""What the experts of trained models were found to do: `make experts` measured it and wrote data/experts/.

run = expert_run("e8", seed=0)
run.counts[3]                                # (E, D): layer 4, assignments by expert and domain
run.verdicts()                               # (L, D): where a domain has an expert of its own
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from moe_lite.checkpoint import pretrained
from moe_lite.data import Corpus, data_dir, load_corpora
from moe_lite.lab.recording import recorded
from moe_lite.lessons.expert_groups import Committee, StrongPair, committee, strongest_pair
from moe_lite.lessons.interventions import DomainExpert, domain_expert, judged
from moe_lite.lessons.specialisation import read as read_choices
from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.train import TrainConfig

FORMAT, VERSION = "moe-lite-experts", 1
TITLES = {"e8": "8 experts, top-2", "e16": "16 experts, top-2", "e32": "32 finer experts, top-7 and one shared"}
MOMENTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)  # shares of a training at which it was kept


@dataclass(frozen=True, eq=False)
class Information:
    """What a label tells about the expert of an assignment, in bits, by layer (L,)."""

    observed: Tensor
    chance: Tensor  # the mean after the labels were shuffled

    @property
    def above_chance(self) -> Tensor:
        return self.observed - self.chance


@dataclass(frozen=True, eq=False)
class ExpertRun:
    """One trained model with L sparse layers of E experts, read on D domains."""

    name: str  # a key of TITLES
    seed: int
    model: ModelConfig
    train: TrainConfig
    windows: int  # per domain
    domains: list[str]
    loss: Tensor  # (D,) nats per token, of the whole model
    counts: Tensor  # (L, E, D) int64, assignments
    mass: Tensor  # (L, D, E), weights of each domain's assignments, rows sum to 1
    effect: Tensor  # (L, E, D) nats per token: loss with this one expert muted in this layer, minus `loss`
    ceiling: Tensor  # (L,) bits: the most that any label could tell
    information: dict[str, Information]  # by label: domain, token class, token id, position
    untrained: dict[str, Information]  # the same before the first step; {} where that was not kept
    given_token: Information  # about the domain, where the token id is known; shuffled among tokens of the same id
    through_token: Tensor  # (L,) bits about the domain that are left after that shuffling
    table_agrees: Tensor  # (L,) share of the choices that a table of token ids, made on training text, gets right
    swapped: dict[str, Tensor]  # rule -> (S, L + 1, D): loss with another choice in one layer, or in all, minus `loss`
    saturation: Tensor | None  # (len(MOMENTS), L) share of the final choices made at each moment

    def verdicts(self) -> list[list[DomainExpert]]:
        """L × D."""
        return [
            [domain_expert(counts, effect, domain) for domain in range(len(self.domains))]
            for counts, effect in zip(self.counts, self.effect, strict=True)
        ]

    def drawn_verdicts(self) -> Tensor:
        """(L, D): the share of experts that would pass as candidates, which is what a drawn one may expect."""
        n_experts, n_domains = self.counts.shape[1:]
        return torch.tensor([
            [
                sum(judged(counts, effect, domain, e).holds for e in range(n_experts)) / n_experts
                for domain in range(n_domains)
            ]
            for counts, effect in zip(self.counts, self.effect, strict=True)
        ])  # fmt: skip

    def committees(self, share: float = 0.7) -> list[Committee]:
        """One for each layer."""
        return [committee(mass, share) for mass in self.mass]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two trainings of one model that differ in the seed, read on the same tokens."""

    name: str
    seeds: tuple[int, int]
    share: Tensor  # (L,) of the assignments that agree after the best matching of experts
    chance: Tensor  # (L,) the same for shuffled tokens


@cache
def expert_run(name: str, seed: int = 0) -> ExpertRun:
    """One that the course ships. Raises ValueError for another name or seed."""
    path = folder() / f"{name}-s{seed}.json"
    if not path.is_file():
        there = ", ".join(f"{found} seed {s}" for found, s in runs()) or "none"
        raise ValueError(f"There is no recording of {name!r} with seed {seed}; there are {there}.")
    return read(path)


def runs() -> list[tuple[str, int]]:
    """(name, seed) of those that the course ships, in the order of TITLES."""
    found = [(path.stem.rpartition("-s")[0], int(path.stem.rpartition("-s")[2])) for path in folder().glob("*-s*.json")]
    return sorted(found, key=lambda run: ([*TITLES].index(run[0]), run[1]))


@cache
def pairs() -> tuple[Pair, ...]:
    """Of every two trainings of one model."""
    path = folder() / "pairs.json"
    with recorded(path, FORMAT, VERSION) as values:
        return tuple(
            Pair(row["name"], tuple(row["seeds"]), torch.tensor(row["share"]), torch.tensor(row["chance"]))
            for row in values["pairs"]
        )


def read(path: Path) -> ExpertRun:
    """The recording in `path`. Raises ValueError that names the file if it is none of this version."""
    with recorded(path, FORMAT, VERSION) as values:
        for name in ("loss", "counts", "mass", "effect", "ceiling", "through_token", "table_agrees"):
            values[name] = torch.tensor(values[name])
        values["mass"] = values["mass"].double() / values["mass"].double().sum(
            dim=-1, keepdim=True
        )  # undo the rounding
        for name in ("information", "untrained"):
            values[name] = {label: _information(found) for label, found in values[name].items()}
        values["given_token"] = _information(values["given_token"])
        values["swapped"] = {rule: torch.tensor(found) for rule, found in values["swapped"].items()}
        if values["saturation"] is not None:
            values["saturation"] = torch.tensor(values["saturation"])
        return ExpertRun(**values)


def _information(found: Mapping) -> Information:
    return Information(torch.tensor(found["observed"]), torch.tensor(found["chance"]))


def folder() -> Path:
    return data_dir() / "experts"


# ---- the tables ------------------------------------------------------------------------------------------------------


def main() -> None:
    """`python -m moe_lite.lab.expert_runs`: what lesson 08 quotes, from the recorded files; and which experts work
    together, from the models that the course ships (some seconds)."""
    for name, seed in runs():
        print(f"\n{TITLES[name]}, seed {seed}\n" + "\n".join(_rows(expert_run(name, seed))))
    print("\nthe same model with two seeds: share of the assignments that agree (by chance), by layer")
    for pair in pairs():
        cells = zip(pair.share.tolist(), pair.chance.tolist(), strict=True)
        print(
            f"  {pair.name} {pair.seeds}  " + "  ".join(f"{100 * share:.0f} % ({100 * by:.0f})" for share, by in cells)
        )

    print(
        "\nthe two experts that share most tokens against what their loads let expect, by layer: how many times as many"
    )
    print("  (in brackets the percentage of tokens that have both)")
    try:
        print("\n".join(_pair_rows(load_corpora())))
    except FileNotFoundError as error:
        print(f"  This table is made from held-out text, and there is {error}")


def strongest_pairs(model: MoELanguageModel, corpora: Mapping[str, Corpus], windows: int) -> list[StrongPair]:
    """One for each sparse layer, on so many windows of each domain's held-out text."""
    reading = read_choices(model, corpora, windows=windows)
    return [strongest_pair(expert_ids, reading.n_experts) for expert_ids in reading.experts]


def _pair_rows(corpora: Mapping[str, Corpus]) -> list[str]:
    rows = []
    for name in dict.fromkeys(name for name, _ in runs()):
        run = expert_run(name)
        found = strongest_pairs(pretrained(run.model.n_experts), corpora, run.windows)
        cells = (f"{a} + {b}: {pair.ratio:.1f} ({100 * pair.found:.1f})" for pair in found for a, b in [pair.experts])
        rows.append(f"  {TITLES[name]:41}" + "".join(f"{cell:20}" for cell in cells).rstrip())
    return rows


def _rows(run: ExpertRun) -> list[str]:
    def row(what: str, values: Tensor | list, form: str = "{:.3f}") -> str:
        cells = values.tolist() if isinstance(values, Tensor) else values
        return f"  {what:58}" + "  ".join(f"{form.format(cell):>7}" for cell in cells)

    rows = [row("bits that any label could tell, at most", run.ceiling)]
    for label, found in run.information.items():
        rows.append(row(f"bits about the expert, {label}, above chance", found.above_chance))
        if label in run.untrained:
            rows.append(row("  before the first step", run.untrained[label].above_chance))
    rows.append(row("bits, domain, token id known, above chance", run.given_token.above_chance))
    rows.append(row("table of token ids agrees", run.table_agrees))
    for rule, found in run.swapped.items():
        mean = found.mean(dim=(0, 2))  # (L + 1,)
        rows.append(row(f"nats for another choice, {rule}; the last: in all layers", mean))
    own = [sum(verdict.holds for verdict in layer) for layer in run.verdicts()]
    rows.append(row(f"domains of {len(run.domains)} with an expert of their own", own, "{}"))
    rows.append(row("committee for 70 %, experts", [len(c.experts) for c in run.committees()], "{}"))
    rows.append(row("  of as many, if all were used evenly", [c.even for c in run.committees()], "{}"))
    if run.saturation is not None:
        for moment, shares in zip(MOMENTS, run.saturation, strict=True):
            rows.append(row(f"final choices made at {100 * moment:.0f} % of the training", shares))
    return rows


if __name__ == "__main__":
    main()
