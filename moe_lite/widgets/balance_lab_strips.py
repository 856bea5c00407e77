"""Load strips: one row an expert, one pixel a bin of steps, as a small PNG for each theme."""

import base64
import io
import math

import numpy as np
from matplotlib.image import imsave
from torch import Tensor

from moe_lite.palette import ROLES, channels, mark, mix, tint

HIGHEST = 4.0  # times the fair share: the darkest
LEVELS = 33  # colours a row
INK_BELOW = 12  # px a row, under which hues cannot be told and one ink serves all


def row_height(n_experts: int) -> int:
    return 14 if n_experts <= 8 else 12 if n_experts <= 16 else 8


def ramp(expert: int, n_experts: int, theme: str) -> list[str]:
    """Colours from 0 to HIGHEST times the fair share: the page, the expert's tint at 1, its mark."""
    page = ROLES[theme]["bg"]
    if row_height(n_experts) < INK_BELOW:
        ink = mix(ROLES[theme]["onTint"], page, 0.84)
        fair = mix(ink, page, 0.35)
    else:
        fair, ink = tint(expert, n_experts, theme), mark(expert, n_experts, theme)
    return [_colour(HIGHEST * level / (LEVELS - 1), fair, ink, page) for level in range(LEVELS)]


def _colour(load: float, fair: str, full: str, page: str) -> str:
    if load <= 1:
        return mix(fair, page, load**0.8)
    return mix(full, fair, min(1.0, math.log2(load) / math.log2(HIGHEST)))


def png(shares: Tensor, theme: str) -> str:
    """A data URI; shares (S, E) in multiples of the fair share -> E rows of S pixels."""
    n_experts = shares.shape[1]
    table = np.array(
        [[channels(c) for c in ramp(e, n_experts, theme)] for e in range(n_experts)], dtype=np.uint8
    )  # (E, 33, 3)
    levels = (shares.clamp(0, HIGHEST) * (LEVELS - 1) / HIGHEST).round().long().T.numpy()  # (E, S)
    pixels = table[np.arange(n_experts)[:, None], levels]  # (E, S, 3)
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", pil_kwargs={"optimize": True})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
