"""Figures, tables and twins are dark where the page around them is: in JupyterLab, in VS Code and elsewhere."""

import pytest
import torch

from moe_lite import lesson_header, plots
from moe_lite.widgets import BalanceLab, RouterStepper

pytestmark = pytest.mark.browser
HOSTS = {  # a body, the reader's own setting, and whether what is drawn there is dark
    "nothing said, light": ("<body>", "light", False),
    "nothing said, dark": ("<body>", "dark", True),
    "JupyterLab, light": ('<body data-jp-theme-light="true">', "dark", False),
    "JupyterLab, dark": ('<body data-jp-theme-light="false">', "light", True),
    "VS Code, light": ('<body class="vscode-light" data-vscode-theme-kind="vscode-light">', "dark", False),
    "VS Code, dark": ('<body class="vscode-dark" data-vscode-theme-kind="vscode-dark">', "light", True),
    "VS Code, high contrast": ('<body data-vscode-theme-kind="vscode-high-contrast">', "light", True),
    "VS Code, high contrast on white": ('<body data-vscode-theme-kind="vscode-high-contrast-light">', "dark", False),
}
ROOTS = ".mx, .mx-map, .mx-check"
LIGHTNESS = """(roots) => [...document.querySelectorAll(roots)].map((root) => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part) / 765, 0);
  const style = getComputedStyle(root);
  return [root.className, light(style.backgroundColor), light(style.color)];
})"""
DRAWN = "() => [...document.querySelectorAll('image.light, image.dark')].filter((one) => one.getClientRects().length)"


@pytest.fixture(scope="module")
def outputs() -> list[str]:
    """One of each kind, as a saved notebook has it."""
    figures = [
        plots.table(torch.eye(2), "a table"),
        plots.loads({"a": torch.tensor([3, 1])}, "loads"),
        lesson_header(3),
    ]
    return [one._repr_html_() for one in figures] + [RouterStepper().static_html(), BalanceLab().static_html()]


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_drawn_has_the_theme_of_the_page(browser, outputs, host):
    body, setting, dark = HOSTS[host]
    with browser.page_that(viewport={"width": 900, "height": 900}, color_scheme=setting) as page:
        page.set_content(f"{body}{''.join(outputs)}</body>")
        found = page.evaluate(LIGHTNESS, ROOTS)
        strips = page.evaluate(f"({DRAWN})().map((one) => one.classList.contains('dark'))")
    assert len(found) >= len(outputs) and len(strips) >= 1
    for name, ground, ink in found:
        assert (ground < 0.2 < 0.6 < ink) if dark else (ink < 0.4 < 0.9 < ground), (name, ground, ink)
    assert set(strips) == {dark}
