"""Every router class of the installed `transformers` beside our one function: `python -m moe_lite.families`."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields

from moe_lite.families.build import EXPERTS, N_TOKENS, OTHER_SIZES, TOP_K, WIDTHS, Built, CannotBuild, Probe, build
from moe_lite.families.compare import DIFFERENT, SAME, changed, difference, settings
from moe_lite.families.find import Found, find
from moe_lite.families.rules import OVER_K, Rule, candidates, moves
from moe_lite.families.words import setting_in_words

PLAIN = {"seed": 1, "n_experts": 32, "d_model": 24, "top_k": 4}
MOVED = {"seed": 2, "n_experts": 16, "d_model": 18, "top_k": 3}
LOW = {"seed": 3, "n_experts": 16, "d_model": 20, "top_k": 8, "low": True}
# as many experts chosen as stand in open groups; a small scale, for a large one makes rounding large
LOW_MOVES = ("n_group", "topk_group", "topk_method", "routed_scaling_factor", "router_scaling_factor", "route_scale")


SIZES = {
    "vocab_size", "d_model", "n_experts", "top_k", "n_heads", "n_kv_heads", "n_layers", "d_expert", "router_width",
}  # fmt: skip


LEGEND = (
    f"differs: the largest difference of a weight of any expert, {N_TOKENS} random tokens in each of three tries with "
    f"random weights; up to {SAME:.0e} the class is reproduced.",
    "control: the option of the rule that is shown which, changed, differs least, and by how much; it must be above "
    f"{DIFFERENT:.0e}.",
)


@dataclass(frozen=True)
class Row:
    """What became of one class."""

    family: str
    name: str
    reproduced: bool
    setting: dict[str, object] = field(default_factory=dict)  # fields of ModelConfig that are not the default
    moved: dict[str, object] = field(default_factory=dict)  # the same with the class's own settings at other values
    own: tuple[str, ...] = ()  # settings of the class itself, tried at two values each
    untried: tuple[str, ...] = ()  # and those that it reads and that were left as they are
    difference: float | None = None  # the largest, over all probes
    control: str = ""  # the option of `setting` that, changed, comes nearest
    control_difference: float | None = None
    equal: tuple[str, ...] = ()  # changed options that give the same function
    problem: str = ""  # why it was not reproduced, and what was tried


def table(found: Iterable[Found] | None = None) -> list[Row]:
    """One row for each class that routes, by family."""
    return [row(one) for one in (find() if found is None else found) if not one.reason]


def row(found: Found) -> Row:
    """Build the class, find our setting, compare with three probes, and spoil the setting one option at a time."""
    try:
        plain = build(found, Probe(**PLAIN))
        moved = build(found, Probe(**MOVED, moves=moves(plain.read)))
        low = build(found, Probe(**LOW, moves=moves(plain.read, LOW_MOVES) | _renormalised(plain.read)))
    except CannotBuild as problem:
        return Row(found.family, found.name, False, problem=f"not built: {problem}")
    tried: list[float] = []
    rules = next(_matching((plain, moved, low), {}, tried), None)
    if rules is None:
        told = f"unknown rule: {len(tried)} settings tried, the nearest differs by {min(tried, default=1):.2g}"
        return Row(found.family, found.name, False, problem=told)
    return _reproduced(found, rules, (plain, moved, low))


def _matching(probes: tuple[Built, ...], fixed: dict[str, object], tried: list[float]) -> Iterator[list[Rule]]:
    """One rule for each probe, all with the same answer to what the class's configuration leaves open."""
    if not probes:
        yield []
        return
    for rule in candidates(probes[0], fixed):
        tried.append(difference(rule, probes[0]))
        if tried[-1] <= SAME:
            for others in _matching(probes[1:], fixed | rule.tried, tried):
                yield [rule, *others]


def _reproduced(found: Found, rules: list[Rule], probes: tuple[Built, ...]) -> Row:
    pairs, plain = list(zip(rules, probes, strict=True)), probes[0]
    printed = _setting(rules[0], plain)
    spoiled: dict[str, float] = {}  # over all probes
    of_printed: dict[str, float] = {}  # over those of the setting that the row shows
    for rule, built in pairs:
        for name, other in changed(rule, settings(rule, built)).items():
            gap = difference(other, built)
            if gap < float("inf"):
                spoiled[name] = max(spoiled.get(name, 0.0), gap)
                if _setting(rule, built) == printed:
                    of_printed[name] = max(of_printed.get(name, 0.0), gap)
    equal = tuple(sorted(name for name, gap in spoiled.items() if gap <= SAME))
    control = min((name for name, gap in of_printed.items() if gap > DIFFERENT), key=of_printed.get)
    return Row(
        found.family, found.name, True, printed, _setting(rules[1], probes[1]),
        *_own(plain), max(difference(rule, built) for rule, built in pairs), control,
        of_printed[control], equal,
    )  # fmt: skip


def _own(plain: Built) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Settings that the class reads of its configuration: those that were moved, and the others; sizes left out."""
    moved, sizes = set(moves(plain.read)), {*WIDTHS, *EXPERTS, *TOP_K, *OTHER_SIZES}
    return tuple(sorted(moved)), tuple(sorted(plain.read.keys() - moved - sizes))


def _renormalised(read: dict[str, object]) -> dict[str, object]:
    return {"norm_topk_prob": True} if "norm_topk_prob" in read else {}


def _setting(rule: Rule, built: Built) -> dict[str, object]:
    """The fields that are not ModelConfig's defaults; sizes left out."""
    config = settings(rule, built)
    values = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in SIZES}
    default = {f.name: f.default for f in fields(config)}
    return {name: value for name, value in values.items() if value != default[name]} | {
        name: value for name, value in rule.tried.items() if value == OVER_K
    }


def summary(rows: list[Row]) -> str:
    """`74 of 76 router classes reproduced; largest difference 2e-07, nearest changed option 0.04. Not: …`"""
    done, open_ = [r for r in rows if r.reproduced], [r for r in rows if not r.reproduced]
    text = f"{len(done)} of {len(rows)} router classes in {len({r.family for r in rows})} families reproduced"
    if done:
        nearest = min(done, key=lambda r: r.control_difference)
        text += (
            f"; largest difference {max(r.difference for r in done):.0e}, nearest changed option "
            f"{nearest.control_difference:.2g} ({nearest.control} of {nearest.family})"
        )
    return f"{text}. Not: {', '.join(f'{r.family} ({r.name})' for r in open_)}." if open_ else f"{text}."


def as_text(rows: list[Row], found: Iterable[Found] = ()) -> str:
    """The table as text, and under it the classes that look like routers and were left out."""
    lines, found = [], list(found)
    width = max(map(len, ["class", *(one.name for one in [*rows, *(f for f in found if f.reason)])])) + 2
    for r in rows:
        if r.reproduced:
            seen = f"{r.difference:7.0e}  {r.control} {r.control_difference:.2g}: {setting_in_words(r.setting)}"
        else:
            seen = f"      –  {r.problem}"
        lines.append(f"{r.family:24}{r.name:{width}}{seen}")
    left = [f"{one.family:24}{one.name:{width}}{one.reason}" for one in found if one.reason]
    head = f"{'family':24}{'class':{width}}{'differs':7}  control, rule"
    return "\n".join([head, *lines, "", *LEGEND, *(["", "left out:", *left] if left else []), ""])


def as_json(rows: list[Row], found: Iterable[Found]) -> str:
    """The table as it is kept in data/families/routers.json."""
    import transformers

    kept = [{name: value for name, value in asdict(r).items() if value not in ({}, (), "", None)} for r in rows]
    left = [{"family": one.family, "name": one.name, "reason": one.reason} for one in found if one.reason]
    whole = {"transformers": transformers.__version__, "summary": summary(rows), "rows": kept, "left_out": left}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
