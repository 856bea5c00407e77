"""The one table of colours: eight experts and the page around them, in JupyterLab's light and dark theme.

Widgets, figures and check cards take their colours from here; no other file holds a colour value. The eight hues stay
apart under protanopia, deuteranopia and tritanopia; `tests/test_palette.py` recomputes that and the text contrast.
Colour is never the only carrier: an expert is always shown with its number.
"""

from collections.abc import Mapping
from dataclasses import dataclass

THEMES = ("light", "dark")
N_HUES = 8
ALT = 0.55  # strength of every second tint where experts share a hue


@dataclass(frozen=True)
class Hue:
    """One expert's colour at three lightnesses."""

    name: str
    bright: str  # tint in the light theme, mark in the dark one
    mid: str  # mark in the light theme
    deep: str  # tint in the dark theme


HUES = (
    Hue("amber", "#ffc867", "#b08d39", "#826417"),
    Hue("violet", "#a18be4", "#574587", "#34216d"),
    Hue("coral", "#e57859", "#8a1f21", "#a64549"),
    Hue("jade", "#4fad89", "#046850", "#007961"),
    Hue("ice", "#a5eeff", "#0d909a", "#00515e"),
    Hue("rose", "#d891b2", "#c23c71", "#61022e"),
    Hue("lime", "#ddf3bc", "#797200", "#3c4202"),
    Hue("periwinkle", "#b1bdfe", "#8e87e4", "#685f99"),
)

# role -> colour. `bg`, `fg`, `line` and `brand` stand in where JupyterLab's own variables are missing.
ROLES: Mapping[str, Mapping[str, str]] = {
    "light": {
        "bg": "#ffffff",
        "wash": "#f5f5f5",  # behind code and input
        "fg": "rgba(0,0,0,.87)",
        "fg2": "rgba(0,0,0,.6)",  # secondary text
        "onTint": "#1a1a1a",  # text on a tint
        "line": "#e0e0e0",  # rules and grid
        "line1": "#8c8c8c",  # borders of controls, axes, outlines of unchosen bars
        "brand": "#1976d2",  # control, live, today
        "brandInk": "#1565c0",  # the same as text
        "btn": "#1976d2",
        "onBtn": "#ffffff",
        "ok": "#2e7d32",
        "bad": "#c62828",  # wrong, dead
        "warn": "#b45309",  # stopped
    },
    "dark": {
        "bg": "#111111",
        "wash": "#212121",
        "fg": "rgba(255,255,255,.87)",
        "fg2": "rgba(255,255,255,.66)",
        "onTint": "#f2f2f2",
        "line": "#424242",
        "line1": "#7d7d7d",
        "brand": "#2196f3",
        "brandInk": "#64b5f6",
        "btn": "#1976d2",
        "onBtn": "#ffffff",
        "ok": "#81c784",
        "bad": "#ff8a80",
        "warn": "#ffb74d",
    },
}

# roles that follow the theme of JupyterLab or VS Code where there is one
_HOSTS = {
    "bg": ("--jp-layout-color0", "--vscode-editor-background"),
    "wash": ("--jp-cell-editor-background",),
    "fg": ("--jp-ui-font-color1",),
    "line": ("--jp-border-color2",),
    "brand": ("--jp-brand-color1",),
}
_OPEN = "body:not([data-jp-theme-light],[data-vscode-theme-kind])"  # a page that says nothing of its theme
_DARK = (
    'body:is([data-jp-theme-light="false"],[data-vscode-theme-kind="vscode-dark"],'
    '[data-vscode-theme-kind="vscode-high-contrast"])'
)


def hue_of(expert: int, n_experts: int) -> int:
    """The hue 0…7 of an expert: its own number up to eight experts, beyond that its block of n_experts / 8."""
    if not 0 <= expert < n_experts:
        raise ValueError(f"expert is {expert}; with n_experts={n_experts} it is 0 to {n_experts - 1}.")
    return expert if n_experts <= N_HUES else N_HUES * expert // n_experts


def expert_class(expert: int, n_experts: int) -> str:
    """CSS classes that give an element its expert's colours: "e5", or "e2 alt" for a paler neighbour in its block."""
    pale = n_experts > N_HUES and expert % 2
    return f"e{hue_of(expert, n_experts)}{' alt' if pale else ''}"


def tint(expert: int, n_experts: int = N_HUES, theme: str = "light") -> str:
    """The colour behind text and in bars, "#rrggbb"."""
    hue = HUES[hue_of(expert, n_experts)]
    full = hue.bright if theme == "light" else hue.deep
    pale = n_experts > N_HUES and expert % 2
    return mix(full, ROLES[theme]["bg"], ALT) if pale else full


def mark(expert: int, n_experts: int = N_HUES, theme: str = "light") -> str:
    """The colour of lines and outlines on the page, "#rrggbb"."""
    hue = HUES[hue_of(expert, n_experts)]
    return hue.mid if theme == "light" else hue.bright


def mix(colour: str, other: str, share: float) -> str:
    """`share` of `colour` and the rest of `other`, both "#rrggbb", mixed in sRGB as CSS color-mix does."""
    pairs = zip(channels(colour), channels(other), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def channels(colour: str) -> list[int]:
    """Red, green and blue of "#rrggbb", 0 to 255."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def css_variables(root: str = ".mx") -> str:
    """CSS that defines every colour as a variable on `root`, for both themes, and the expert classes e0…e7.

    The theme is that of JupyterLab or VS Code, which have it on body, elsewhere the reader's own setting. `root` has a
    background of its own, so that it can be read on a page that keeps to neither. --inLight and --inDark are a
    `display` for what is drawn once for each theme.
    """
    dark = _variables("dark")
    rules = [
        f"{root}{{background:var(--bg);{_variables('light')}}}",
        f"@media(prefers-color-scheme:dark){{{_OPEN} {root}{{{dark}}}}}",
        f"{_DARK} {root}{{{dark}}}",
    ]
    for i in range(N_HUES):
        rules.append(f"{root} .e{i}{{--t:var(--t{i});--m:var(--m{i})}}")
        rules.append(f"{root} .e{i}.alt{{--t:var(--h{i})}}")
    return "\n".join(rules)


def _variables(theme: str) -> str:
    roles = ROLES[theme]
    pairs = {}
    for name, colour in roles.items():
        for variable in reversed(_HOSTS.get(name, ())):
            colour = f"var({variable},{colour})"
        pairs[name] = colour
    pairs |= {"inLight": "inline", "inDark": "none"} if theme == "light" else {"inLight": "none", "inDark": "inline"}
    for i, hue in enumerate(HUES):
        full, line = (hue.bright, hue.mid) if theme == "light" else (hue.deep, hue.bright)
        pairs |= {f"t{i}": full, f"h{i}": mix(full, roles["bg"], ALT), f"m{i}": line}
    return ";".join(f"--{name}:{value}" for name, value in pairs.items())
