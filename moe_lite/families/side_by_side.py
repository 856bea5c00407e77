"""Families beside each other: what parts two of them, what each of them answered, and which classes share a rule."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from html import escape
from textwrap import fill

from moe_lite.data import data_dir
from moe_lite.families.presets import around, family, names, preset
from moe_lite.families.table import Family
from moe_lite.families.words import in_symbols, setting_in_words
from moe_lite.model.config import ModelConfig

SHORT = 22  # letters: up to here a cell stays on one line
_CELL = "text-align:left;vertical-align:top;background:none"
SIZES = {
    "n_experts", "top_k", "d_expert", "n_shared_experts", "n_zero_experts", "n_dense_layers", "d_dense", "d_latent"
}  # fmt: skip


@dataclass(frozen=True)
class WordTable:
    """A table of words: as text, and as HTML in Jupyter."""

    caption: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    fold: bool = False  # whether the page shows the caption alone until it is opened

    def folded(self) -> "WordTable":
        """The same table, to be opened by its caption."""
        return replace(self, fold=True)

    def __repr__(self) -> str:
        first, *others = self.heading
        lines = [self.caption]
        for title, *cells in self.rows:
            told = [f"  {name}: {cell}" for name, cell in zip(others, cells, strict=True) if cell]
            lines.append(f"{first}: {title}" if title.isdigit() else title)
            lines += [fill(line, 110, subsequent_indent="    ") for line in told]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heads = "".join(f'<th scope="col" style="{_CELL}">{escape(text)}</th>' for text in self.heading)
        looks = [f"{_CELL};white-space:nowrap" if max(map(len, column)) <= SHORT else _CELL for column in self._columns]
        body = ""
        for row in self.rows:
            first, *others = (f'style="{look}">{escape(text)}' for look, text in zip(looks, row, strict=True))
            cells = "".join(f"<td {cell}</td>" for cell in others)
            body += f'<tr style="background:none"><th scope="row" {first}</th>{cells}</tr>'
        caption = f'<caption style="caption-side:top;text-align:left;font-weight:600">{escape(self.caption)}</caption>'
        table = f'<table style="max-width:860px">{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        opened = f'<summary style="cursor:pointer">Open the table: {escape(self.caption)}</summary>'
        return f"<details>{opened}{table}</details>" if self.fold else table

    @property
    def _columns(self) -> list[tuple[str, ...]]:
        return [*zip(*self.rows, strict=True)] if self.rows else [()] * len(self.heading)


def difference(a: str, b: str) -> dict[str, tuple[object, object]]:
    """The settings in which the rules of two families differ, sizes left out: {field: (of a, of b)}.

    Empty where both have one rule. ValueError for an unknown name.
    """
    ours, theirs = preset(a), preset(b)
    of_rule = [f.name for f in fields(ours) if f.name not in SIZES]
    pairs = {name: (getattr(ours, name), getattr(theirs, name)) for name in of_rule}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def timeline(*chosen: str) -> WordTable:
    """When each family came, what it answered, its rule in symbols, and what its layer has beside; of all families
    where none is named.

    z are logits, s scores, T the chosen experts, g weights, b a bias that only chooses, β a trained one. Numbers are
    those of the small presets; a family without a date has none that its source states.
    """
    rows = []
    for name in chosen or names():
        entry, config = family(name), preset(name)
        k = "E" if config.top_k == config.n_experts else "K"
        rows.append((name, entry.when or "–", entry.problem, in_symbols(config, k), _beside(entry, config)))
    caption = f"{len(rows)} families of routers: what each answered, and its rule"
    return WordTable(caption, ("family", "when", "what it answers", "in symbols", "beside it"), rows)


def _beside(entry: Family, config: ModelConfig) -> str:
    """What the layer has beside its rule; without its losses, since all presets that train have one or a bias."""
    told = around(entry, config).split("; ")
    return "; ".join(part for part in told if not part.startswith(("balancing loss", "z-loss")))


@dataclass(frozen=True)
class Rules:
    """Which classes of one version of transformers compute the same rule, as compared with random weights."""

    version: str  # of transformers
    of_class: dict[str, str]  # the rule in words by the name of the class
    own_router: tuple[str, ...]  # classes whose rule no setting of `route` is, so that a router of its own has it
    not_reproduced: tuple[str, ...]  # names of classes

    @cached_property
    def shared_by(self) -> dict[str, list[str]]:
        """The classes of each rule, the most common rule first."""
        found: dict[str, list[str]] = {}
        for name, rule in self.of_class.items():
            found.setdefault(rule, []).append(name)
        return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))

    def most_common(self, n: int | None = None) -> WordTable:
        """The n rules that most classes share, with one of the classes each; all rules, with all of them, if None."""
        groups = [*self.shared_by.items()][:n]
        rows = [(str(len(group)), rule, group[0] if n else ", ".join(group)) for rule, group in groups]
        shown = f"the {n} most common rules" if n else "all rules"
        caption = f"{shown} of {len(self.of_class)} router classes in transformers {self.version}"
        return WordTable(caption, ("classes", "rule", "one of them" if n else "names"), rows)

    def __repr__(self) -> str:
        return repr(self.most_common())

    def _repr_html_(self) -> str:
        return self.most_common()._repr_html_()


def rules() -> Rules:
    """The committed table of `python -m moe_lite.families`, grouped by rule. FileNotFoundError without that table."""
    kept = json.loads((data_dir() / "families" / "routers.json").read_text(encoding="utf-8"))
    done = {row["name"]: setting_in_words(row.get("setting", {})) for row in kept["rows"] if row["reproduced"]}
    left = tuple(row["name"] for row in kept["rows"] if not row["reproduced"])
    own = tuple(row["name"] for row in kept["rows"] if "router" in row.get("setting", {}))
    return Rules(kept["transformers"], done, own, left)
