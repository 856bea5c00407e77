"""How numbers and lists read in the course's figures."""

import math
from collections.abc import Sequence


def number(value: float, digits: int = 2) -> str:
    """A number as figures print it, with a true minus sign; what rounds to zero has none."""
    text = f"{value:.{digits}f}".replace("inf", "∞")
    return text.replace("-", "" if not text.strip("-0.") else "−")


def percent(share: float) -> str:
    """A share of a whole: 0.163 -> "16 %"; "0 %" only for none at all."""
    return "<1 %" if 0 < share < 0.005 else f"{math.floor(100 * share + 0.5)} %"  # 12.5 -> 13, as the scripts do


def fair_share(n_experts: int) -> str:
    """8 -> "12.5 %" """
    return f"{round(100 / n_experts, 2):g} %"


def listed(texts: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c" """
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
