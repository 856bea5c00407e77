"""Put the lessons' page style where this environment's JupyterLab looks for it: `python -m moe_lite.look.page`.

JupyterLab, started with --custom-css, loads custom/custom.css from the user's own Jupyter folder or else from the
installed Jupyter server. The second is written, and only inside this Python's environment; a style of the user's own
goes before it.
"""

import sys
from pathlib import Path

import jupyter_server

STYLE = Path(__file__).with_name("page.css")


def place() -> Path:
    """Where this environment's Jupyter server keeps the page style."""
    return Path(jupyter_server.__file__).parent / "static" / "custom" / "custom.css"


def install(path: Path, environment: Path) -> None:
    """Write the style to `path`; ValueError if that lies outside of the environment."""
    if not path.resolve().is_relative_to(environment.resolve()):
        raise ValueError(f"{path} is not inside the environment {environment}; nothing was written.")
    path.parent.mkdir(exist_ok=True)
    path.write_text(STYLE.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    install(place(), Path(sys.prefix))
