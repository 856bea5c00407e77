"""The family explorer in words: its sentence is written from what both rules did with the token."""

from collections.abc import Mapping, Sequence

from moe_lite.families.presets import family, preset
from moe_lite.look.words import listed, number
from moe_lite.widgets.family_explorer.view import CHOICE, Band, Comparison, Rule, differing, others, recorded_loss
from moe_lite.widgets.kit.parts import Parts, experts_named, listed_parts

EMPTY = "No token: give FamilyExplorer a sentence."
SHORT = {
    "jacobs_1991": "Jacobs 1991", "nllb_moe": "NLLB", "mixtral": "Mixtral", "deepseek_moe": "DeepSeekMoE",
    "granitemoe": "Granite 3.0", "deepseek_v3": "DeepSeek-V3", "minimax": "MiniMax", "trinity": "Trinity",
    "openai_privacy_filter": "OpenAI’s privacy filter", "flex_olmo": "FlexOlmo",
}  # fmt: skip
COUNTED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SCORES = {"softmax": "softmax", "sigmoid": "sigmoid", "sqrtsoftplus": "√softplus"}


def short(name: str) -> str:
    """A family's name inside a sentence."""
    return SHORT.get(name, family(name).title)


def heading(rule: Rule) -> tuple[str, str]:
    """A family's name, and its date in parentheses or ""."""
    when = family(rule.name).when
    return short(rule.name), f"({when})" if when else ""


# ---- the reading line ------------------------------------------------------------------------------------------------


def reading_parts(now: Comparison) -> Parts:
    """Which experts each rule takes, which of them differ, and why; or, for equal experts, what else differs."""
    parts: Parts = ["For ", {"code": now.text}, " "]
    left, right = (short(band.rule.name) for band in now.bands)
    if now.left.rule == now.right.rule:
        return [*parts, f"{left} takes ", *experts_named(now.left.chosen), ". Choose another family beside it."]
    if now.same_experts:
        who = f"both {left} and {right} take " if now.same_weights else "both take "
        return [*parts, who, *experts_named(now.both), *_weights(now, left, right), *_place(now, left, right)]
    if now.both:
        parts += ["both take ", *experts_named(now.both), f"; {left} also takes ", *_numbers(now.left_only)]
        parts += [f", {right} takes ", *_numbers(now.right_only), " instead. "]
    else:
        parts += [f"{left} takes ", *experts_named(now.left_only), f" and {right} takes ", *_numbers(now.right_only)]
        parts += [": none is the same. " if now.k > 1 else ". "]
    return [*parts, because(now, f"{right} would take the same experts as {left}")]


def because(now: Comparison, then: str) -> str:
    """`then` holds under each of the smallest sets of changes: as a sentence."""
    sets = [[changed(aspect, now.left.rule, now.right.rule) for aspect in taken] for taken in now.causes]
    if not sets:
        return ""
    if len(sets[0]) == 1:
        ways = [each[0] for each in sets]
        either = f"{', or '.join(ways)}, {then}"
        return f"{_capital(either)}{'' if len(ways) == 1 else ': one of these changes is enough'}."
    n = COUNTED[len(sets[0])]
    needed = f"{_capital(n)} changes are needed"
    if len(sets[0]) == n_differing(now):
        needed = "Both differences count" if n == "two" else f"All {n} differences count"
    one_way = ", for example" if len(sets) > 1 else ""
    return f"{needed}{one_way}: {listed(sets[0])}, {then}."


def n_differing(now: Comparison) -> int:
    """In how many options the two rules differ that could matter here."""
    found = differing(now.left.rule, now.right.rule)
    return len(found) if now.same_experts else sum(aspect in CHOICE for aspect in found)


def changed(aspect: str, left: Rule, right: Rule) -> str:
    """What becomes of the right rule when it takes this aspect over from the left one, as "with …" or "without …"."""
    to, own = left.config, right.config
    told: Mapping[str, str] = {
        "score": f"with {SCORES[to.score]} scores",
        "order": f"with the {'choice before the score' if to.order == 'topk_first' else 'score before the choice'}",
        "groups": "without its groups" if to.n_groups == 1 else f"with {to.topk_groups} of {to.n_groups} groups open",
        "group_score": f"with groups worth their {'best expert' if to.group_score == 'max' else 'two best experts'}",
        "group_fill": f"with closed groups {'counted as 0' if to.group_fill == 'zero' else 'out of reach'}",
        "selection_bias": "with a bias for choosing" if to.selection_bias else "without its bias",
        "router_bias": "with a trained bias" if to.router_bias else "without its trained bias",
        "select_on": f"with the choice made on {to.select_on}s",
        "logit_scale": "without scaling its logits" if to.logit_scale == 1
        else f"with logits times {to.logit_scale:.3g}",
        "logit_softcap": "without bending its logits" if to.logit_softcap is None
        else f"with logits bent below {to.logit_softcap:g}",
        "renorm": "with weights divided by their sum" if to.renorm else "without dividing by the sum",
        "renorm_eps": f"with {to.renorm_eps:g} more in the sum" if to.renorm_eps > own.renorm_eps
        else "without the small number in the sum",
        "routed_scale": f"without its factor {own.routed_scale:.3g}" if to.routed_scale == 1
        else f"with the factor {to.routed_scale:.3g}",
    }  # fmt: skip
    return told[aspect]


def _weights(now: Comparison, left: str, right: str) -> Parts:
    """The end of a sentence about equal experts."""
    if now.same_weights:
        return [", with the same weights."]
    sums = [number(band.total) for band in now.bands]
    if sums[0] != sums[1]:
        parts: Parts = [f"; their weights sum to {sums[0]} in {left} and to {sums[1]} in {right}. "]
    else:
        pairs = zip(now.left.weights, now.right.weights, strict=True)
        e, (a, b) = max(enumerate(pairs), key=lambda pair: abs(pair[1][0] - pair[1][1]))
        digits = next((d for d in range(2, 7) if number(a, d) != number(b, d)), 6)
        values = f"{number(a, digits)} in {left} and {number(b, digits)} in {right}"
        parts = ["; their weights differ, most for ", {"expert": e}, f": {values}. "]
    return [*parts, because(now, f"{right} would give them the same weights")]


def _place(now: Comparison, left: str, right: str) -> Parts:
    """Where the weight acts, if that differs."""
    gates = [band.rule.config.gate_on for band in now.bands]
    if gates[0] == gates[1]:
        return []
    name, other = (left, right) if gates[0] == "input" else (right, left)
    return [f" {name} multiplies an expert’s input by its weight, {other} the expert’s output."]


def _numbers(experts: Sequence[int]) -> Parts:
    return listed_parts([{"expert": e} for e in experts])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- around the figure -----------------------------------------------------------------------------------------------


def badge(origin: str, now: Comparison) -> str:
    """Where the numbers come from."""
    return f"{origin} · example bias" if any(band.rule.has_bias for band in now.bands) else origin


def note(now: Comparison, corrected: Sequence[str]) -> str:
    """What was corrected, and what holds in this state and is easily missed."""
    parts = [*corrected]
    biased = [band.rule for band in now.bands if band.rule.has_bias]
    if not biased:
        parts.append("Neither family has a bias.")
    elif now.strength == 0:
        parts.append("The bias is 0 for every expert: it changes nothing.")
    else:
        whose = listed([short(rule.name) for rule in {rule.name: rule for rule in biased}.values()])
        parts.append(f"The bias of {whose} is an example, made up for this figure.")
        parts.append("It is striped where it adds and dashed where it takes away.")
    for rule in {band.rule.name: band.rule for band in now.bands}.values():
        if (own := preset(rule.name)).top_k == own.n_experts:
            parts.append(f"{short(rule.name)} let every expert work; here it takes {now.k} like the other.")
    learns_nothing = [short(band.rule.name) for band in now.bands if band.rule.config.router_without_gradient]
    if learns_nothing and now.left.rule != now.right.rule:
        whose = listed(learns_nothing)
        parts.append(f"With one expert the weight of {whose} is the same whatever the logits are.")
    return " ".join(parts)


def not_offered() -> str:
    """The families that have a router of their own."""
    return f"Not offered, because they have routers of their own (families.describe tells them): {listed(others())}."


def setting_text(now: Comparison) -> str:
    """What the controls would show, for the picture that has none."""
    names = " against ".join(" ".join(heading(band.rule)).strip() for band in now.bands)
    bias = f" · bias × {now.strength:g}" if any(band.rule.has_bias for band in now.bands) else ""
    return f"{names} · {now.n_experts} experts · top-{now.k}{bias}"


def told(band: Band) -> dict[str, str]:
    """The rule in words and symbols, what is around it, and the loss of a recorded training, for one family."""
    rows = band.rule.described
    kept = {"rule": _capital(rows["rule"]) + ".", "in symbols": rows["in symbols"]}
    if rows["around it"]:
        kept["around it"] = f"Around it: {rows['around it']}."
    if loss := recorded_loss(band.rule.name):
        value, n, sizes = loss
        seeds = COUNTED[n] if n < len(COUNTED) else str(n)
        kept["loss"] = f"Validation loss {value} nats per token: trained here, {seeds} seeds, with {sizes}."
    return kept


def compared_name(band: Band) -> str:
    """What the experts are compared by."""
    c = band.rule.config
    base = "logit" if band.on_logits else "score"
    return f"{base} + bias" if c.selection_bias or (c.router_bias and band.on_logits) else base


def score_name(band: Band) -> str:
    return SCORES[band.rule.config.score]
