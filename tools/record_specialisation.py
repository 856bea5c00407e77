"""Train the models whose experts lesson 08 looks at, keep them at six moments, and measure them: `make experts`.

    python tools/record_specialisation.py train      # four trainings of 6.1 M tokens, 10 to 20 minutes each
    python tools/record_specialisation.py measure    # writes data/experts/, half an hour

What is there already is not done again. Snapshots stay in data/snapshots/, which git ignores; the first training of the
32 experts is also shipped, as data/checkpoints/moe-e32.safetensors (tools/train_checkpoints.py).
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import torch
from record_runs import MODELS
from torch import Tensor
from train_checkpoints import TRAIN

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.checkpoint import load, pretrained, save
from moe_lite.data import DOMAINS, Corpus, data_dir, load_corpora
from moe_lite.evaluate import evaluate
from moe_lite.lab.expert_runs import FORMAT, MOMENTS, VERSION, folder
from moe_lite.lessons.expert_groups import overlap, saturation
from moe_lite.lessons.interventions import (
    frozen_choice,
    random_choice,
    renumbered_choice,
    routers_of,
    table_choice,
    token_table,
    with_routers,
    without_experts,
)  # fmt: skip
from moe_lite.lessons.specialisation import (
    TOKEN_CLASSES,
    Reading,
    ceiling,
    conditional_information,
    expert_table,
    mutual_information,
    read,
    shuffled_conditional,
    shuffled_information,
    token_classes,
)  # fmt: skip
from moe_lite.train import train

WINDOWS = 8  # of each domain, for all measures
TRAINING_WINDOWS = 16  # of each domain's training text, from which the table of token ids is made
SHUFFLES, DRAWS = 10, 3
POSITIONS = 8  # equal parts of a window


@dataclass(frozen=True)
class Kept:
    """A model that is trained for lesson 08."""

    name: str
    config: ModelConfig
    seed: int

    def path(self, moment: float) -> Path:
        return data_dir() / "snapshots" / f"{self.name}-s{self.seed}-{round(100 * moment):03}.safetensors"


FINE = MODELS["moe-32-shared"][1]
TRAINED = (
    Kept("e32", FINE, 0),
    Kept("e8", ModelConfig(n_experts=8), 1),
    Kept("e16", ModelConfig(n_experts=16), 1),
    Kept("e8", ModelConfig(n_experts=8), 2),
)
ALL = (Kept("e8", ModelConfig(n_experts=8), 0), Kept("e16", ModelConfig(n_experts=16), 0), *TRAINED)


def record(kept: Kept, corpora: dict[str, Corpus]) -> None:
    """Train it, if the last of its snapshots is not there yet."""
    if kept.path(1.0).is_file():
        return
    model = MoELanguageModel(kept.config, seed=kept.seed)
    moments = {round(moment * TRAIN.steps): moment for moment in MOMENTS}
    kept.path(0.0).parent.mkdir(exist_ok=True)
    save(kept.path(0.0), model, extra={"step": 0, "seed": kept.seed})
    for log in train(model, corpora, replace(TRAIN, seed=kept.seed)):
        if log.step in moments:
            save(kept.path(moments[log.step]), model, extra={"step": log.step, "seed": kept.seed})
        if log.step % 300 == 0:
            print(
                f"{kept.name} seed {kept.seed} step {log.step}: {log.cross_entropy:.3f}, {log.seconds:.0f} s",
                flush=True,
            )


# ---- measuring -------------------------------------------------------------------------------------------------------


def measure(kept: Kept, corpora: dict[str, Corpus]) -> None:
    """Write what its experts do, if that is not there yet."""
    path = folder() / f"{kept.name}-s{kept.seed}.json"
    if path.is_file():
        return
    model, reading = model_of(kept), read(model_of(kept), corpora, windows=WINDOWS)
    started = kept.path(0.0).is_file()
    untrained = read(load(kept.path(0.0)), corpora, windows=WINDOWS) if started else None
    n_experts, n_layers = reading.n_experts, len(reading.layers)
    loss = losses(model, corpora)  # (D,)
    given = [conditional(ids, reading) for ids in reading.experts]
    effect = [
        [losses(without_experts(model, [e], [layer]), corpora) - loss for e in range(n_experts)]
        for layer in reading.layers
    ]
    values = {
        "name": kept.name, "seed": kept.seed, "model": asdict(kept.config),
        "train": asdict(replace(TRAIN, seed=kept.seed)),
        "windows": WINDOWS, "domains": [*reading.domain_names], "loss": rounded(loss),
        "counts": [by_domain(ids, reading).tolist() for ids in reading.experts],
        "mass": [rounded(reading.mass(row), 5) for row in range(n_layers)],
        "effect": [[rounded(row) for row in layer] for layer in effect],
        "ceiling": [round(ceiling(by_domain(ids, reading), kept.config.top_k), 4) for ids in reading.experts],
        "information": information(reading), "untrained": information(untrained) if untrained else {},
        "given_token": {"observed": [found[0] for found in given], "chance": [found[1] for found in given]},
        "through_token": [found[2] for found in given],
        **choices(model, reading, corpora, loss),
        "saturation": saturations(kept, corpora, reading),
    }  # fmt: skip
    write(path, values)
    print(f"wrote {path.name}", flush=True)


def model_of(kept: Kept) -> MoELanguageModel:
    """As it was at the end; of seed 0 with 8 or 16 experts the one that the course ships."""
    shipped = kept.seed == 0 and kept.name in ("e8", "e16")
    return pretrained(kept.config.n_experts) if shipped else load(kept.path(1.0)).eval()


def losses(model: MoELanguageModel, corpora: dict[str, Corpus]) -> Tensor:
    """(D,) nats per token."""
    return torch.tensor([*evaluate(model, corpora, max_windows=WINDOWS).loss.values()])


def by_domain(expert_ids: Tensor, reading: Reading) -> Tensor:
    return expert_table(expert_ids, reading.domains, reading.n_experts, len(reading.domain_names))


def information(reading: Reading) -> dict[str, dict[str, list[float]]]:
    """By label and layer, observed and by chance."""
    length = int(reading.positions.max()) + 1
    labels = {
        "domain": (reading.domains, len(reading.domain_names)),
        "token class": (token_classes()[reading.token_ids], len(TOKEN_CLASSES)),
        "token id": (reading.token_ids, len(token_classes())),
        "position": (reading.positions * POSITIONS // length, POSITIONS),
    }
    found = {}
    for name, (label, n) in labels.items():
        tables = [expert_table(ids, label, reading.n_experts, n) for ids in reading.experts]
        chance = [shuffled_information(ids, label, reading.n_experts, n, n=SHUFFLES).mean() for ids in reading.experts]
        found[name] = {
            "observed": [round(mutual_information(table), 4) for table in tables],
            "chance": [round(float(value), 4) for value in chance],
        }
    return found


def conditional(expert_ids: Tensor, reading: Reading) -> tuple[float, float, float]:
    """Bits about the domain where the token id is known; the same by chance; and those that the token id brings."""
    labels, given = reading.domains, reading.token_ids
    observed = conditional_information(expert_ids, labels, given)
    chance = shuffled_conditional(expert_ids, labels, given, n=SHUFFLES).mean()
    through = shuffled_information(
        expert_ids, labels, reading.n_experts, len(reading.domain_names), n=SHUFFLES, within=given
    )
    return round(observed, 4), round(float(chance), 4), round(float(through.mean()), 4)


def choices(model: MoELanguageModel, reading: Reading, corpora: dict[str, Corpus], loss: Tensor) -> dict:
    """Another choice in one layer, then in all: drawn, by a frozen router, by a table of token ids."""
    c, layers = model.config, reading.layers
    seen = read(model, corpora, windows=TRAINING_WINDOWS, split="train")
    tables = [token_table(seen.token_ids, ids, c.n_experts, c.vocab_size) for ids in seen.experts]
    rules: dict[str, Callable[[int, int], Callable]] = {
        "random": lambda row, draw: random_choice(c.n_experts, seed=10 * draw + row),
        "frozen": lambda row, draw: frozen_choice(c.n_experts, c.d_model, seed=10 * draw + row),
        "table of token ids": lambda row, draw: table_choice(tables[row]),
        "renumbered": lambda row, draw: renumbered_choice(routers_of(model)[layers[row]], by=draw + 1),
    }
    swapped = {}
    for name, rule in rules.items():
        draws = []
        for draw in range(1 if name.startswith("table") else DRAWS):
            every = {layer: rule(row, draw) for row, layer in enumerate(layers)}
            sets = [{layer: every[layer]} for layer in layers] + [every]
            draws.append([rounded(losses(with_routers(model, some), corpora) - loss) for some in sets])
        swapped[name] = draws
    agrees = [
        (reading.experts[row][:, :, None] == table[reading.token_ids][:, None, :]).any(dim=-1).double().mean().item()
        for row, table in enumerate(tables)
    ]
    return {"swapped": swapped, "table_agrees": [round(share, 4) for share in agrees]}


def saturations(kept: Kept, corpora: dict[str, Corpus], final: Reading) -> list[list[float]] | None:
    """(moments, L): the share of the final choices that were made at each moment; None without snapshots."""
    if not kept.path(0.0).is_file():
        return None
    readings = (read(load(kept.path(moment)), corpora, windows=WINDOWS) for moment in MOMENTS)
    return [rounded(saturation(reading.experts, final.experts)) for reading in readings]


def compare(corpora: dict[str, Corpus]) -> None:
    """Every two trainings of one model, on the same tokens."""
    rows = []
    for name in dict.fromkeys(kept.name for kept in ALL):
        found = {k.seed: read(model_of(k), corpora, windows=WINDOWS) for k in ALL if k.name == name}
        for a, b in combinations(sorted(found), 2):
            layers = [
                overlap(x, y, found[a].n_experts, n=SHUFFLES)
                for x, y in zip(found[a].experts, found[b].experts, strict=True)
            ]
            share, chance = (
                [round(value, 4) for value in values]
                for values in zip(*((layer.share, float(layer.chance.mean())) for layer in layers), strict=True)
            )
            rows.append({"name": name, "seeds": [a, b], "share": share, "chance": chance})
    config = {"model": asdict(ModelConfig()), "train": asdict(TRAIN)}
    write(folder() / "pairs.json", config | {"pairs": rows})


def rounded(values: Tensor, decimals: int = 4) -> list:
    return values.double().mul(10**decimals).round().div(10**decimals).tolist()


def write(path: Path, values: dict) -> None:
    """One line a field."""
    fields = {"format": FORMAT, "version": VERSION} | values
    path.parent.mkdir(exist_ok=True)
    text = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in fields.items())
    path.write_text("{\n" + text + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "measure"], nargs="*", default=["train", "measure"])
    what = parser.parse_args().what
    torch.set_num_threads(1)
    corpora = load_corpora()
    if [*corpora] != [*DOMAINS]:
        raise SystemExit(f"All nine corpora are needed, found {[*corpora]}: run `python -m moe_lite.corpora` first.")
    if "train" in what:
        for kept in TRAINED:
            record(kept, corpora)
    if "measure" in what:
        for kept in ALL:
            measure(kept, corpora)
        compare(corpora)


if __name__ == "__main__":
    main()
