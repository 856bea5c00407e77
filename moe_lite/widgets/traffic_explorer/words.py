"""The traffic explorer in words: how many vectors travel, who sends them to whom, who computes most."""

from moe_lite.corpora import BUILD
from moe_lite.look.words import listed, number, percent
from moe_lite.widgets.kit.parts import Parts, experts_named, plain
from moe_lite.widgets.traffic_explorer.view import KINDS, PLACEMENTS, TEXTS, Setting, Traffic

POINT = (
    "Point at a cell, or focus the matrix and press the arrow keys: here stands what one device sends to another, and "
    "for which expert most of it."
)
MANY = 8  # experts that a sentence names, at most
ONE_MORE = "Each device has room for one expert more, and there stand copies of what is hottest in these very texts"

# ---- numbers ---------------------------------------------------------------------------------------------------------


def per_hundred(value: float) -> str:
    """38.2 -> "38", 4.24 -> "4.2", 0 -> "0" """
    return f"{value:.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def bytes_text(n: float) -> str:
    """Always in kB, so that numbers beside each other can be compared: 717 -> "0.72 kB" """
    return f"{n / 1000:.2f} kB"


def experts(n: int) -> str:
    return "1 expert" if n == 1 else f"{n} experts"


def devices(n: int) -> str:
    return "1 device" if n == 1 else f"{n} devices"


# ---- the sentence ----------------------------------------------------------------------------------------------------


def sentence(view: Traffic, before: Traffic | None) -> str:
    """How many vectors travel, the load, and what both were before the last move."""
    setting = view.setting
    said = (
        f"With {setting.devices} devices and {experts(setting.top_k)} per token, {number(view.copies)} copies of a "
        f"token's vector travel to other devices, {compared(view)}. The busiest device has {number(view.imbalance)} "
        "times the mean load."
    )
    if before is None or before.setting == setting:
        return said
    return (
        f"{said} {earlier(before.setting, setting)}, {number(before.copies)} copies travelled, and the busiest device "
        f"had {number(before.imbalance)} times the mean load."
    )


def compared(view: Traffic) -> str:
    """Beside experts drawn at random; the difference is that of the numbers as they are printed."""
    difference = round(view.copies, 2) - round(view.at_random, 2)
    if abs(difference) < 0.005:
        return "as many as if experts were drawn at random"
    return f"{number(abs(difference))} {'fewer' if difference < 0 else 'more'} than if experts were drawn at random"


def earlier(before: Setting, now: Setting) -> str:
    """How it was before, if one setting has moved: "With 2 devices"."""
    said = {
        "n_experts": f"With {before.n_experts} experts in the layer",
        "layer": f"In layer {before.layer}",
        "devices": f"With {devices(before.devices)}",
        "top_k": f"With {experts(before.top_k)} per token",
        "limit": f"With {limit_text(before.limit)}",
        "placement": {
            "neighbours": "With neighbouring experts together", "load": "With experts placed by load",
            "copies": "With copies of hot experts",
        }[before.placement],
        "once": f"With a vector sent {once_text(before.once)}",
        "texts": {"mixed": "With mixed texts", "kinds": "With one kind of text per device"}[before.texts],
    }  # fmt: skip
    moved = [words for name, words in said.items() if getattr(before, name) != getattr(now, name)]
    return moved[0] if len(moved) == 1 else "Before the move"


def limit_text(limit: int | None) -> str:
    return "no limit of devices" if limit is None else f"experts from at most {devices(limit)}"


def once_text(once: bool) -> str:
    return "once per device" if once else "once per expert"


# ---- what has to be known --------------------------------------------------------------------------------------------


def note(view: Traffic) -> str:
    """What the settings mean: where experts stand, what the limit does, whose texts these are."""
    return " ".join(filter(None, [placement_note(view), limit_note(view), once_note(view), texts_note(view)]))


def placement_note(view: Traffic) -> str:
    setting = view.setting
    if setting.placement == "neighbours":
        if setting.per_device == 1:
            return "Each device holds one expert."
        return f"Each device holds {setting.per_device} experts with neighbouring numbers."
    if setting.placement == "load":
        return (
            "Experts are placed by their load in these very texts: the hottest first, each on the device that has the "
            "least load so far and room left."
        )
    which = plain(experts_named(view.copied)) if len(view.copied) <= MANY else f"{len(view.copied)} experts"
    are = "is" if len(view.copied) == 1 else "are"
    return (
        f"{ONE_MORE}: {which} {are} on several devices. A token goes to the copy on its "
        "own device if there is one, else to the copies in turn."
    )


def limit_note(view: Traffic) -> str:
    if view.setting.limit is None:
        return ""
    one = view.setting.limit == 1
    which = (
        "the device whose best expert scores" if one else f"the {view.setting.limit} devices whose best experts score"
    )
    return (
        f"A token's experts come from {which} highest, as in DeepSeek-V2. This changes {percent(view.replaced)} of the "
        "choices in this layer; the other layers choose freely. What it costs in loss is not measured here."
    )


def once_note(view: Traffic) -> str:
    if view.setting.once:
        return ""
    return "A vector is sent anew for each expert, also where two of them stand on the same device."


def texts_note(view: Traffic) -> str:
    """Which texts are missing, and how they are to be had."""
    setting = view.setting
    if view.sampled:
        names = "any domain" if not view.built else listed(view.sampled)
        return (
            f"The validation texts of {names} are not built, so pieces of the course's short sample texts stand in for "
            f"them. This builds them: {BUILD}"
        )
    if setting.texts == "mixed" and len(view.built) < len(KINDS):
        left_out = [domain for domain in KINDS if domain not in view.built]
        return f"Not built yet, and so left out: {listed(left_out)}. This builds them: {BUILD}"
    return ""


# ---- corrections -----------------------------------------------------------------------------------------------------


def room_correction(asked: Setting, wanted: int, limit: int | None) -> str:
    """Why another limit holds than was set. `asked` has none."""
    why = f"{experts(asked.top_k)} per token {'does' if asked.top_k == 1 else 'do'} not fit on {devices(wanted)} here"
    if wanted >= asked.devices:
        why = f"There are only {asked.devices} devices"
    return f"{why}, so {'the limit is off' if limit is None else f'the limit is {devices(limit)} now'}."


def top_k_correction(top_k: int, limit: int) -> str:
    hold = "One device holds" if limit == 1 else f"{limit} devices hold"
    return f"{hold} {experts(top_k)}, so top-k is {top_k}."


COPIES_FIRST = "A limit is not combined with copies of experts here, so the limit is off."
LIMIT_FIRST = "A limit is not combined with copies of experts here, so neighbouring experts stand together."


# ---- cells -----------------------------------------------------------------------------------------------------------


def told(view: Traffic) -> list[list[Parts]]:
    """A sentence for each cell of the matrix."""
    every = range(view.setting.devices)
    return [[_cell(view, i, j) for j in every] for i in every]


def _cell(view: Traffic, home: int, device: int) -> Parts:
    return [_sent(view, home, device), *_favourite(view, home, device), *_holds(view, device)]


def _sent(view: Traffic, home: int, device: int) -> str:
    n = view.shown[home][device]
    if home == device:
        if view.setting.once:
            return f"Of 100 tokens on device {home}, {per_hundred(n)} choose experts there: for these nothing is sent."
        return f"Of 100 tokens on device {home}, {per_hundred(n)} choices are experts there: for these nothing is sent."
    if n == 0:
        return f"Device {home} sends nothing to device {device}."
    return (
        f"Device {home} sends {per_hundred(n)} vectors to device {device} per 100 of its tokens: "
        f"{bytes_text(n / 100 * view.copy_bytes)} per token, there and back."
    )


def _favourite(view: Traffic, home: int, device: int) -> Parts:
    expert, n = view.favourite(home, device)
    if n == 0 or len(view.held[device]) == 1:
        return []
    return [" Of the experts there, ", *experts_named([expert]), f" gets most, from {per_hundred(n)} of 100 tokens."]


def _holds(view: Traffic, device: int) -> Parts:
    held = view.held[device]
    named = experts_named(held) if len(held) <= MANY else [experts(len(held))]
    return [f" Device {device} holds ", *named, "."]


# ---- beside the figures ----------------------------------------------------------------------------------------------


def keys(view: Traffic) -> list[tuple[str, str]]:
    """Key figures: value, and what it is."""
    return [
        (number(view.copies), "copies of a token's vector leave their device"),
        (number(view.at_random), "if its experts were drawn at random, each on one device"),
        (bytes_text(view.bytes), "per token and layer, there and back, 2 bytes per number"),
        (f"{number(view.over_even)} ×", "time of the all-to-all, over that of an even one"),
        (f"{number(view.imbalance)} ×", "load of the busiest device, over the mean"),
    ]


def source(view: Traffic) -> str:
    return f"{view.setting.n_experts}-expert model, counted in {view.n_tokens:,} tokens"


def settings_text(setting: Setting) -> str:
    """The settings on one line, for pages without controls."""
    return (
        f"{setting.n_experts} experts, {setting.top_k} per token · layer {setting.layer} · {setting.devices} devices · "
        f"{limit_text(setting.limit)} · placement: {PLACEMENTS[setting.placement]} · a vector is sent "
        f"{once_text(setting.once)} · texts: {TEXTS[setting.texts]}"
    )


def matrix_text(view: Traffic) -> str:
    rows = (
        f"Device {i} sends {', '.join(f'{per_hundred(n)} to device {j}' for j, n in enumerate(row) if j != i)}; "
        f"{per_hundred(row[i])} stay."
        for i, row in enumerate(view.shown)
    )
    return f"Vectors from device to device, per 100 tokens. {' '.join(rows)}"


def loads_text(view: Traffic) -> str:
    rows = ", ".join(f"device {i} {number(load)}" for i, load in enumerate(view.loads))
    return f"Load of each device over the mean: {rows}."
