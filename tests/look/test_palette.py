"""The colours of the experts: told apart by every kind of colour vision, and readable in both themes."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from moe_lite.look import palette

# dichromats in linear RGB: protanopia, deuteranopia after Machado 2009; tritanopia after Brettel 1997, two half planes
PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TRITAN = [[1.01277, 0.13548, -0.14826], [-0.01243, 0.86812, 0.14431], [0.07589, 0.80500, 0.11911]]
TRITAN_BELOW = [[0.93678, 0.18979, -0.12657], [0.06154, 0.81526, 0.12320], [-0.37562, 1.12767, 0.24796]]
TRITAN_PLANE = [0.03901, -0.02788, -0.01113]

SEEN_BY = {
    "normal": lambda rgb: rgb,
    "protanopia": lambda rgb: np.array(PROTAN) @ rgb,
    "deuteranopia": lambda rgb: np.array(DEUTAN) @ rgb,
    "tritanopia": lambda rgb: np.array(TRITAN if rgb @ TRITAN_PLANE >= 0 else TRITAN_BELOW) @ rgb,
}


def linear(colour: str) -> np.ndarray:
    """ "#rrggbb" -> linear RGB (3,), IEC 61966-2-1."""
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """WCAG 2: (L₁ + 0.05) / (L₂ + 0.05) of the relative luminances."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB (3,) -> CIELAB for D65."""
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(matrix) @ rgb.clip(0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e(lab_1: np.ndarray, lab_2: np.ndarray) -> float:
    """CIEDE2000 (Sharma, Wu, Dalal 2005), all weights 1."""
    (l1, a1, b1), (l2, a2, b2) = lab_1, lab_2
    mean_c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, d_hue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = h1 + h2 if c1 * c2 == 0 else (h1 + dh / 2) % 360
    cosines = zip((-0.17, 0.24, 0.32, -0.20), (1, 2, 3, 4), (-30, 0, 6, -63), strict=True)
    t = 1 + sum(w * np.cos(np.radians(n * mean_h + shift)) for w, n, shift in cosines)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    turn = 30 * np.exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(2 * turn))
    x, y, z = dl / s_l, dc / s_c, d_hue / s_h
    return float(np.sqrt(x * x + y * y + z * z + r_t * y * z))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # pairs 1, 7, 16 and 25 of the table in Sharma, Wu, Dalal 2005
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_delta_e_agrees_with_the_published_pairs(first, second, expected):
    assert delta_e(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("vision", SEEN_BY)
@pytest.mark.parametrize("lightness", ["bright", "mid", "deep"])
def test_every_pair_of_hues_can_be_told_apart(lightness, vision):
    labs = [lab(SEEN_BY[vision](linear(getattr(hue, lightness)))) for hue in palette.HUES]
    distances = {(a, b): delta_e(labs[a], labs[b]) for a, b in combinations(range(palette.N_HUES), 2)}
    assert len(distances) == 28
    closest = min(distances, key=distances.get)
    assert distances[closest] >= 8, f"experts {closest}"


@pytest.mark.parametrize("theme", palette.THEMES)
@pytest.mark.parametrize("n_experts", [8, 16, 64])
def test_text_on_every_tint_and_marks_on_the_page_have_enough_contrast(theme, n_experts):
    roles = palette.ROLES[theme]
    for expert in range(n_experts):
        assert contrast(roles["onTint"], palette.tint(expert, n_experts, theme)) >= 4.5
        assert contrast(palette.mark(expert, n_experts, theme), roles["bg"]) >= 3


@pytest.mark.parametrize("theme", palette.THEMES)
def test_words_and_controls_have_enough_contrast(theme):
    roles = palette.ROLES[theme]
    for role in ("fg2", "brandInk", "ok", "bad", "warn"):
        assert contrast(over(roles[role], roles["bg"]), roles["bg"]) >= 4.5, role
    for role in ("line1", "brand"):
        assert contrast(roles[role], roles["bg"]) >= 3, role
    assert contrast(roles["onBtn"], roles["btn"]) >= 4.5


def over(colour: str, page: str) -> str:
    """A colour, which may be rgba(…), on the page, as "#rrggbb"."""
    if colour.startswith("#"):
        return colour
    red, green, blue, alpha = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([.\d]+)\)", colour).groups()
    return palette.mix(f"#{int(red):02x}{int(green):02x}{int(blue):02x}", page, float(alpha))


def test_expert_number_gives_hue_up_to_eight_and_block_beyond():
    assert [palette.expert_class(e, 8) for e in range(8)] == [f"e{e}" for e in range(8)]
    assert [palette.expert_class(e, 16) for e in (0, 1, 2, 15)] == ["e0", "e0 alt", "e1", "e7 alt"]
    assert [palette.hue_of(e, 64) for e in (0, 7, 8, 63)] == [0, 0, 1, 7]
    assert palette.tint(1, 16) == palette.mix("#ffc867", "#ffffff", 0.55) != palette.tint(0, 16)
    with pytest.raises(ValueError, match="expert is 8; with n_experts=8 it is 0 to 7"):
        palette.hue_of(8, 8)


def test_style_sheet_holds_every_colour_of_the_table_in_its_theme():
    css = palette.css_variables(".root")
    light, by_system, by_host = css.splitlines()[:3]
    assert by_system.startswith("@media(prefers-color-scheme:dark)") and "data-jp-theme-light" in by_host
    for i, hue in enumerate(palette.HUES):
        assert f"--t{i}:{hue.bright}" in light and f"--m{i}:{hue.mid}" in light
        for dark in (by_system, by_host):
            assert f"--t{i}:{hue.deep}" in dark and f"--m{i}:{hue.bright}" in dark
        assert f".root .e{i}{{--t:var(--t{i});--m:var(--m{i})}}" in css


def test_no_other_file_of_the_widgets_holds_a_colour():
    folder = Path(palette.__file__).parents[1] / "widgets"
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".js", ".css"))
    assert len(files) >= 5
    for path in files:
        found = re.findall(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b|rgba?\(|hsla?\(", path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(folder)}: {found}"
