"""Make the README's moving picture: the token viewer in JupyterLab, one frame a layer.

python tools/photograph_viewer.py      # needs a chromium on the path; writes data/pictures/token-viewer.gif
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from lab import browse, open_lab, serve  # noqa: E402 - the tests' browser

CELL = """
from moe_lite.checkpoint import pretrained, pretrained_record
from moe_lite.widgets import TokenViewer
viewer = TokenViewer(pretrained(8), domains=["shakespeare", "french", "python"], records={8: pretrained_record(8)})
viewer
"""
FRAME_MS = 1600


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), [sys.executable]) as server,
        browse(shutil.which("chromium")) as browser,
        open_lab(server, browser, 1040, 1100) as lab,
    ):
        lab.write("viewer.ipynb", CELL)
        lab.open("viewer.ipynb")
        lab.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        lab.run_all()
        widget = lab.page.locator(".jp-OutputArea .mx:not(.twin)")
        slider = widget.get_by_label("layer", exact=True)
        frames = []
        for _layer in range(4):
            lab.page.mouse.move(5, 5)
            lab.page.wait_for_timeout(500)
            frames.append(Image.open(io.BytesIO(widget.screenshot())).convert("P", palette=Image.Palette.ADAPTIVE))
            slider.press("ArrowRight")
    path = ROOT / "data" / "pictures" / "token-viewer.gif"
    path.parent.mkdir(exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, optimize=True)
    print(f"wrote {path.relative_to(ROOT)}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
