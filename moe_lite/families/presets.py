"""A published router by its name: as settings of a small model, and described."""

import json
from dataclasses import dataclass, fields
from difflib import get_close_matches
from html import escape

from moe_lite.data import data_dir
from moe_lite.families.compare import effects
from moe_lite.families.table import FAMILIES, Family
from moe_lite.families.words import in_symbols, in_words
from moe_lite.model.config import ModelConfig, from_dict


def names() -> list[str]:
    """All families, oldest first; those without a date after them."""
    return [family.name for family in FAMILIES]


def family(name: str) -> Family:
    """The entry of the table. ValueError that lists near names where there is none."""
    for entry in FAMILIES:
        if entry.name == name:
            return entry
    near = get_close_matches(str(name), names(), n=4, cutoff=0.4)
    meant = f"Did you mean {', '.join(near)}?" if near else "moe_lite.families.names() lists them."
    raise ValueError(f"No family {name!r} among {len(FAMILIES)}. {meant}")


def preset(name: str, **sizes) -> ModelConfig:
    """The family's rule in a small model that trains in seconds; `sizes`, any fields of ModelConfig, win.

    ValueError for a name or a field that does not exist, and where sizes and rule contradict each other.
    """
    try:
        return from_dict(ModelConfig, family(name).settings | sizes)
    except ValueError as error:
        if not sizes or name not in names():
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in sizes.items())
        raise ValueError(f"preset({name!r}) with {given}: {error}") from error


@dataclass(frozen=True)
class Description:
    """What a family's router does, made from its settings: as text, and as a table in Jupyter."""

    family: Family
    config: ModelConfig

    @property
    def rows(self) -> dict[str, str]:
        """What is told, by its heading."""
        told = {"answers": self.family.problem, "rule": in_words(self.config), "in symbols": in_symbols(self.config)}
        told |= {
            "around it": around(self.family, self.config),
            "to train": to_train(self.config),
            "as settings": as_settings(self.config),
        }
        told |= {"not built": self.family.not_built, "equal to": equal_to(self.family, self.config)}
        told |= {"source": self.family.source or f"{self.family.library[1]} in transformers"}
        return {heading: text for heading, text in told.items() if text}

    @property
    def title(self) -> str:
        return f"{self.family.title} ({self.family.when})" if self.family.when else self.family.title

    def __repr__(self) -> str:
        return "\n".join([self.title, *(f"  {heading:12}{text}" for heading, text in self.rows.items())])

    def _repr_html_(self) -> str:
        style = "text-align:left;vertical-align:top;white-space:normal;background:none;border:0"
        rows = "".join(
            f'<tr style="background:none"><th scope="row" style="{style};font-weight:600;white-space:nowrap">'
            f'{escape(heading)}</th><td style="{style}">{escape(text)}</td></tr>'
            for heading, text in self.rows.items()
        )
        caption = f'<caption style="caption-side:top;text-align:left;font-weight:600">{escape(self.title)}</caption>'
        return f'<table style="max-width:860px">{caption}<tbody>{rows}</tbody></table>'


def describe(name: str) -> Description:
    """The family's rule in words and in symbols, its settings, its source, and what it was compared with."""
    return Description(family(name), preset(name))


def around(entry: Family, c: ModelConfig) -> str:
    """What the layer has beside the choice, and how it is balanced where the family's source says so."""
    told = []
    if c.n_shared_experts:
        gate = ", weighed by a sigmoid of the token" if c.shared_gate else ""
        gate += ", averaged with the others" if c.shared_average else ""
        told.append(f"{c.n_shared_experts} shared expert{'s' if c.n_shared_experts > 1 else ''} for every token{gate}")
    if c.n_dense_layers:
        told.append(f"no experts in the first {c.n_dense_layers} of {c.n_layers} layers")
    told += form_of_experts(c)
    if c.gate_on == "input":
        told.append("weights multiply the expert's input")
    if c.capacity_factor is not None:
        first = {"position": "earlier tokens", "score": "the highest scores", "first_choice": "all first choices"}
        told.append(f"capacity factor {c.capacity_factor:g}, {first[c.priority]} find room first")
    if c.jitter and c.router != "sparse_mixer":
        told.append(f"jitter {c.jitter:g} on the router's input")
    if c.selection_bias:
        told.append("balanced by the bias, which a rule moves")
    if c.balance_coef and entry.settings.keys() & {"balance", "balance_coef"}:
        told.append(f"balancing loss {c.balance!r} times {c.balance_coef:g}")
    if c.z_coef and "z_coef" in entry.settings:
        told.append(f"z-loss times {c.z_coef:g}")
    return "; ".join(told)


def form_of_experts(c: ModelConfig) -> list[str]:
    """What an expert computes, where it is not SwiGLU."""
    forms = {"geglu": "experts compute GELU(a) · u of gate a and up u",
             "quick_geglu": "experts compute a · σ(1.702 a) · (u + 1) of gate a and up u",
             "relu2": "experts have no gate and square a ReLU"}  # fmt: skip
    told = [forms[c.expert]] if c.expert in forms else []
    if c.d_latent:
        told.append(f"experts work at a width of {c.d_latent} in place of {c.d_model}")
    if c.expert_clamp is not None:
        told.append(f"gates above {c.expert_clamp:g} and ups beyond ±{c.expert_clamp:g} are cut")
    return told + ["trained biases in the experts"] * c.expert_bias


def to_train(c: ModelConfig) -> str:
    """What TrainConfig must say where the bias alone balances; its default would leave the bias where it is."""
    return "TrainConfig(bias_step=0.001), or nothing balances it" if c.selection_bias and not c.balance_coef else ""


def as_settings(c: ModelConfig) -> str:
    """`score='sigmoid', top_k=4`: the fields that are not ModelConfig's default."""
    changed = [f"{f.name}={getattr(c, f.name)!r}" for f in fields(c) if getattr(c, f.name) != f.default]
    return ", ".join(changed) or "all defaults"


def equal_to(entry: Family, config: ModelConfig) -> str:
    """The class that computes the same, from the committed table, and what an option of `config` changes.

    It says so where there is no class; empty without the table.
    """
    path = data_dir() / "families" / "routers.json"
    if entry.library is None:
        return "not compared: no class in transformers"
    if not path.is_file():
        return ""
    table = json.loads(path.read_text(encoding="utf-8"))
    for row in table["rows"]:
        if (row["family"], row["name"]) == entry.library and row["reproduced"]:
            moved = effects(config)
            nearest = min(moved, key=moved.get)
            return (
                f"{row['name']} of transformers {table['transformers']}, with random weights: largest difference "
                f"{row['difference']:.0e}; with one option changed ({nearest}): {moved[nearest]:.2g}"
            )
    return ""
