"""A piece of work in a fresh process, which answers with JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_apart(*arguments: str, threads: int) -> dict:
    """What `python ARGUMENTS` prints as JSON. RuntimeError with its stderr if it fails."""
    env = os.environ | {"OMP_NUM_THREADS": str(threads)}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with {run.returncode}:\n{run.stderr}")
    return json.loads(run.stdout)


def peak_bytes() -> int:
    """The most memory that this process has held so far (resident)."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage starts from the size of the parent
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(line.split()[1])
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
