"""The cache explorer in words: what had to be loaded, what one token needed, what a batch touches."""

from collections.abc import Mapping

from moe_lite.corpora import BUILD
from moe_lite.lab.decoding import BATCHES
from moe_lite.look.words import listed, percent
from moe_lite.widgets.cache_explorer.view import MIXED, RULES, Batch, Moment, Setting, Written
from moe_lite.widgets.kit.parts import Parts, code, experts_named

EMPTY = "Type a text: the model reads it and goes on writing."
POINT = (
    "Point at a column, or focus the figure and press ← or →: here stand the experts of that token, which of them had "
    "to be loaded, and what made room."
)
RULE_HOW = {
    "lru": "LRU, least recently used: the expert whose last step is longest ago makes room.",
    "lfu": "LFU, least frequently used: the expert that was needed in the fewest steps so far makes room.",
    "favourites": "The layer's favourites stay: the expert that {texts} chose least makes room, whatever happens now.",
    "belady": "The expert that is needed again latest makes room. No program can do this while a text is written: it "
    "is the bound for all rules, for the steps of writing, whose experts always fit.",
}
MARKS = {"in": "in memory", "use": "used, was in memory", "load": "used, had to be loaded"}
LINES = {
    "even": "if choices were even",
    "shares": "by the shares of {domain}",
    "counted": "counted in validation texts",
}
SPEEDS = {"timed": "measured here", "ahead": "if only bytes of weights counted, from the speed with one text"}
UNITS = ((1e6, "MB"), (1e3, "kB"))


# ---- numbers ---------------------------------------------------------------------------------------------------------


def bytes_text(n: float) -> str:
    """98304 -> "98 kB": two digits at least."""
    size, unit = next(((size, unit) for size, unit in UNITS if n >= 0.9995 * size), UNITS[-1])
    value = n / size
    return f"{value:,.{0 if value >= 9.95 or value == 0 else 1}f} {unit}"


def speed_text(speed: float) -> str:
    return f"{float(f'{speed:.3g}'):,.0f}" if speed >= 10 else f"{speed:.1f}"


def times_text(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


def tokens(n: int) -> str:
    return "1 token" if n == 1 else f"{n:,} tokens"


def experts(n: int) -> str:
    return "1 expert" if n == 1 else f"{n:,} experts"


def of_domain(domain: str) -> str:
    return "all domains" if domain == MIXED else domain


def at_a_time(n: int, domain: str) -> str:
    """ "One text from french", "8 texts from all domains" """
    return f"{'One text' if n == 1 else f'{n} texts'} from {of_domain(domain)}"


def with_rule(rule: str) -> str:
    return "with a rule that knows the future" if rule == "belady" else f"with {RULES[rule]}"


# ---- a text ----------------------------------------------------------------------------------------------------------


def sentence(setting: Setting, written: Written | None) -> str:
    """What had to be loaded while the text was written: in the layer, beside other rules, in all layers, in bytes."""
    if written is None:
        return EMPTY
    return f"{_in_layer(setting, written)} {_beside(setting, written)} {_in_all(setting, written)}"


def _in_layer(setting: Setting, written: Written) -> str:
    loads, needed = written.loads(setting.layer, setting.rule, setting.slots), written.needed(setting.layer)
    many = "none" if loads == 0 else f"{loads:,}"
    share = f" ({percent(loads / needed)})" if loads else ""
    return (
        f"With room for {setting.slots} of {setting.n_experts} experts, {many} of the {needed:,} experts needed while "
        f"writing had to be loaded in layer {setting.layer}{share}."
    )


def _beside(setting: Setting, written: Written) -> str:
    at = setting.layer, setting.slots
    if setting.rule == "belady":
        return f"No rule loads fewer in these steps; LRU would have loaded {written.loads(at[0], 'lru', at[1]):,}."
    fewest = written.loads(at[0], "belady", at[1])
    return f"A rule that knows the future would have loaded {f'{fewest:,}' if fewest else 'none'}."


def _in_all(setting: Setting, written: Written) -> str:
    loads, needed = written.loads_in_all(setting.rule, setting.slots), written.needed_in_all()
    moved = loads * setting.expert_bytes / written.new
    if not loads:
        return f"The same holds for all {setting.n_layers} layers together: no weights moved."
    return (
        f"In all {setting.n_layers} layers together {loads:,} of {needed:,} were loaded ({percent(loads / needed)}), "
        f"which moved {bytes_text(moved)} of bfloat16 weights per new token."
    )


def rule_how(setting: Setting, sampled: bool) -> str:
    texts = "the course's sample texts" if sampled else "the validation texts of all domains"
    return RULE_HOW[setting.rule].format(texts=texts)


def room_note(n_experts: int, top_k: int, slots: int) -> str:
    """Why another model has other room than was set."""
    if slots == n_experts:
        return f"This model has {n_experts} experts per layer, so there is room for all of them."
    return f"This model needs {top_k} experts per token and layer at once, so there is room for {slots}."


def cut_note(setting: Setting, written: Written | None) -> str:
    """Where the prompt is too long, what is read of it."""
    if written is None or written.n_prompt == written.n_typed:
        return ""
    context = setting.model.config.context_length
    return (
        f"The model reads {context} tokens at once, {setting.new} of them new: of the prompt's {written.n_typed:,} "
        f"tokens it read the last {written.n_prompt}."
    )


def told(setting: Setting, written: Written | None) -> list[Parts]:
    """A sentence for each step: which experts it needed, which were loaded, what made room."""
    if written is None:
        return []
    moments = written.moments(setting.layer, setting.rule, setting.slots)
    new = [
        [f"New token {i}, ", code(face), f", needs {experts(len(moment.needed))} in layer {setting.layer}."]
        + _use(moment)
        for i, (face, moment) in enumerate(zip(written.faces, moments[1:], strict=True), start=1)
    ]
    return [_prompt(setting, written), *new]


def _prompt(setting: Setting, written: Written) -> Parts:
    moment = written.moments(setting.layer, setting.rule, setting.slots)[0]
    n, left = len(moment.needed), moment.resident
    said = (
        f"The prompt is read in one step: its {tokens(written.n_prompt)} need {n} of the {setting.n_experts} experts "
        f"of layer {setting.layer}. Memory is empty before, so {'it is' if n == 1 else 'all of them are'} loaded."
    )
    if n <= setting.slots:
        return [said]
    stay = [experts(len(left))] if len(left) > 8 else experts_named(left)
    return [f"{said} Only {setting.slots} fit: of those that were used, ", *stay, " stay."]


def _use(moment: Moment) -> Parts:
    """What was there, what was loaded, what made room."""
    came = [expert for expert, _ in moment.loaded]
    gone = [evicted for _, evicted in moment.loaded if evicted is not None]
    there = [expert for expert in moment.needed if expert not in came]
    said: Parts = []
    if there:
        said += [" ", *_named(there), f"{_were(there)} in memory."]
    if came:
        said += [" ", *_named(came), f"{_were(came)} loaded"]
        said += [", and ", *experts_named(gone), " made room."] if gone else [" into free room."]
    return said


def _named(numbers: list[int]) -> Parts:
    """Experts, at the beginning of a sentence."""
    return ["Expert " if len(numbers) == 1 else "Experts ", *experts_named(numbers)[1:]]


def _were(numbers: list[int]) -> str:
    return " was" if len(numbers) == 1 else " were"


# ---- a batch ---------------------------------------------------------------------------------------------------------


def batch_sentence(batch: Batch) -> str:
    """How many experts a step touches, and what that means in bytes."""
    setting, n = batch.setting, batch.setting.batch
    who, layer = at_a_time(n, setting.domain), f"layer {setting.layer}'s {setting.n_experts} experts"
    by_shares, even = f"{batch.by_shares(n):.1f}", f"{batch.even(n):.1f}"
    if batch.measured:
        said = (
            f"{who} touch{'es' if n == 1 else ''} {batch.counted(n):.1f} of {layer} in one step, on average over "
            f"validation texts. The shares of {of_domain(setting.domain)} predict {by_shares}, even choices {even}."
        )
    else:
        said = (
            f"By the shares of {of_domain(setting.domain)} in the course's sample texts, {who.lower()} "
            f"touch{'es' if n == 1 else ''} {by_shares} of {layer} in one step; even choices predict {even}."
        )
    return f"{said} {_bytes(batch)}"


def _bytes(batch: Batch) -> str:
    n = batch.setting.batch
    step = f"The step reads {bytes_text(batch.bytes(n))} of this layer's experts"
    if n == 1:
        return f"{step}, all of it for one token."
    return (
        f"{step}, {bytes_text(batch.bytes(n) / n)} for each of {n} tokens, where a text alone reads "
        f"{bytes_text(batch.bytes(1))} for its one."
    )


def missing_note(batch: Batch) -> str:
    """What was not counted, and how it is to be had."""
    if not batch.missing:
        return ""
    names = "any domain" if len(batch.missing) == 9 else listed(batch.missing)
    if batch.measured:
        return f"Not built yet, and so left out: {names}. This builds them: {BUILD}"
    return (
        f"The validation texts of {names} are not built, so nothing was counted in them, and shares come from the "
        f"course's short sample texts. This builds them: {BUILD}"
    )


def keys(batch: Batch) -> list[tuple[str, str]]:
    """Key figures: value, and what it is."""
    n = batch.setting.batch
    return [
        (bytes_text(batch.bytes(n)), f"of layer {batch.setting.layer}'s experts read per step"),
        (bytes_text(batch.bytes(n) / n), "per token"),
        (bytes_text(batch.bytes(1)), "per token with one text alone"),
    ]


def speed_sentence(batch: Batch, speeds: Mapping[int, float]) -> str:
    """Measured beside predicted at the largest batch."""
    n, alone = max(BATCHES), speeds[1]
    return (
        f"On this machine one text makes {speed_text(alone)} tokens per second, and {n} texts from "
        f"{of_domain(batch.setting.domain)} together make {speed_text(speeds[n])}, "
        f"{times_text(speeds[n] / alone)} times as many. If only the bytes of weights counted, it would be "
        f"{times_text(batch.predicted(n, alone) / alone)} times as many."
    )


# ---- figures in words ------------------------------------------------------------------------------------------------


def settings_text(setting: Setting) -> str:
    """The settings on one line, for pages without controls."""
    return (
        f"{setting.n_experts} experts, {setting.top_k} per token · layer {setting.layer} · {RULES[setting.rule]} · "
        f"room for {setting.slots} · {setting.new} new tokens"
    )


def batch_settings(setting: Setting) -> str:
    return f"layer {setting.layer} · {at_a_time(setting.batch, setting.domain)}"


def strip_text(setting: Setting, written: Written) -> str:
    return (
        f"Experts of layer {setting.layer} in memory, one row per expert: first the prompt of "
        f"{tokens(written.n_prompt)}, then {written.new} new tokens. {sentence(setting, written)}"
    )


def charts_text(setting: Setting, written: Written) -> str:
    layer = setting.layer
    rules = ", ".join(f"{name}: {written.loads(layer, rule, setting.slots)}" for rule, name in RULES.items())
    room = ", ".join(
        f"{slots}: {written.loads(layer, setting.rule, slots)}" for slots in range(setting.top_k, setting.n_experts + 1)
    )
    return f"Experts loaded while writing, by rule: {rules}. W{with_rule(setting.rule)[1:]}, by room: {room}."


def touched_text(batch: Batch) -> str:
    said = []
    for n in (1, 4, 16, 64):
        counted = f", counted {batch.counted(n):.1f}" if batch.measured else ""
        said.append(f"{n}: even {batch.even(n):.1f}, by shares {batch.by_shares(n):.1f}{counted}")
    return f"Experts of layer {batch.setting.layer} that one step touches, by texts at a time. {'; '.join(said)}."


def speeds_text(batch: Batch, speeds: Mapping[int, float]) -> str:
    rows = (
        f"{n}: {speed_text(speed)} measured, {speed_text(batch.predicted(n, speeds[1]))} predicted"
        for n, speed in speeds.items()
    )
    return f"Tokens per second by texts at a time. {'; '.join(rows)}."
