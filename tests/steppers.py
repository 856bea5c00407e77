"""Router steppers on logits that one can compute with, and what their pictures show."""

import xml.etree.ElementTree as ET

import torch

from moe_lite.widgets import RouterStepper
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.router_stepper.words import reading_parts

SVG = "{http://www.w3.org/2000/svg}"
LOGITS = torch.tensor([[1.9, -0.6, 0.8, 2.4, -1.3, 0.3, 2.1, -0.2], [0.0, 1, 2, 3, 4, 5, 6, 7]])
ONE = LOGITS[0]  # best: 3, then 6, then 0


def stepper(**settings) -> RouterStepper:
    return RouterStepper(**{"logits": LOGITS, "token": 0} | settings)


def rows(widget: RouterStepper) -> dict[int, ET.Element]:
    """expert -> its row in the SVG"""
    figure = ET.fromstring(widget.figure)
    return {int(g.get("data-expert")): g for g in figure.iter(f"{SVG}g") if g.get("data-expert")}


def part(row: ET.Element, name: str) -> ET.Element | None:
    """The element of a row whose class begins with `name`."""
    return next((child for child in row if child.get("class").split()[0] == name), None)


def weights_shown(widget: RouterStepper) -> list[float]:
    return [float(row.get("data-weight")) for row in rows(widget).values()]


def noise(n_experts: int, seed: int) -> torch.Tensor:
    """(E,) logits with a spread of 2."""
    return torch.randn(n_experts, generator=torch.Generator().manual_seed(seed)) * 2


def say(now, before=None) -> str:
    """The reading line as text."""
    return plain(reading_parts(now, before))
