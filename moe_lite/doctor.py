"""Is everything there? `python -m moe_lite.doctor` prints the findings; status 1 if something is wrong."""

import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass
from importlib import metadata

import torch

from moe_lite import data
from moe_lite.checkpoint import CheckpointError, pretrained

PACKAGES = ("torch", "numpy", "jupyterlab", "ipywidgets", "anywidget", "tokenizers", "safetensors")
N_TOKENS = 1024  # of the timing


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is what to do about a problem; None where there is none."""

    name: str
    value: str
    remedy: str | None = None


def examine() -> list[Finding]:
    """Look at versions, device, threads, memory, corpora, the shipped models and one timing."""
    return [_python(), *map(_package, PACKAGES), _device(), _threads(), _memory(), _corpora(), _model()]


def report(findings: list[Finding]) -> str:
    """The findings as aligned text, each problem with its remedy below it."""
    lines = []
    for finding in findings:
        lines.append(f"{'ok' if finding.remedy is None else '!!'}  {finding.name:11} {finding.value}")
        if finding.remedy is not None:
            lines.append(f"{'':16}{finding.remedy}")
    wrong = sum(finding.remedy is not None for finding in findings)
    lines.append(
        "Everything is there." if wrong == 0 else f"{wrong} of {len(findings)} need attention: see the lines with !!"
    )
    return "\n".join(lines)


def device() -> tuple[torch.device, str]:
    """The device lessons train on, and why."""
    if torch.cuda.is_available():
        return torch.device("cuda"), f"a CUDA GPU was found: {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return torch.device("cpu"), "an Apple GPU is there, but the course is not tested on one"
    return torch.device("cpu"), "no CUDA GPU was found; every lesson is made for the processor"


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding(
        "python",
        platform.python_version(),
        None if good else "Python 3.11 or newer is needed: make clean, then make lab",
    )


def _package(name: str) -> Finding:
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", f"pip install -c constraints.txt {name}   (or: make lab)")


def _device() -> Finding:
    chosen, reason = device()
    return Finding("device", f"{chosen}: {reason}")


def _threads() -> Finding:
    return Finding("threads", f"{torch.get_num_threads()} used by torch, {os.cpu_count()} processors")


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "not known on this system")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding("memory", f"{gib:.0f} GiB", None if gib >= 3.5 else "lessons need up to 3 GB: close other programs")


def _corpora() -> Finding:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the warning says is what this finding says
        try:
            corpora = data.load_corpora()
        except FileNotFoundError:
            corpora = {}
    size = sum(corpus.train_bytes for corpus in corpora.values()) / 1e6
    missing = [domain for domain in data.DOMAINS if domain not in corpora]
    value = f"{len(corpora)} of {len(data.DOMAINS)} kinds of text, {size:.1f} MB"
    return Finding("corpora", value, f"missing: {', '.join(missing)}. {data.BUILD}" if missing else None)


def _model() -> Finding:
    try:
        model = pretrained(8)
    except (CheckpointError, OSError, ValueError) as error:
        return Finding(
            "model", str(error), "restore data/checkpoints from the repository: git checkout data/checkpoints"
        )
    rows = torch.arange(N_TOKENS).view(-1, model.config.context_length) % model.config.vocab_size  # (B, T)
    with torch.no_grad():
        seconds = min(_timed(lambda: model(rows)) for _ in range(4))  # the first pass also sets things up
    return Finding("model", f"8 experts; reads {N_TOKENS:,} tokens in {1000 * seconds:.0f} ms")


def _timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    found = examine()
    print(report(found))
    sys.exit(any(finding.remedy is not None for finding in found))
