"""The machine and what is installed: Python, packages, device, threads, memory, disk."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from moe_lite.doctor.finding import Finding, described, import_failure, look
from moe_lite.doctor.places import ROOT, install, own_environment, same_folder, shown

OLDEST = (3, 11)
LESSON_GIB = 3.0  # a lesson stays below this
DISK_GIB = 0.5
HEAVY = {"jupyterlab"}  # importing it takes as long as all others together; that its files are there is enough


def python() -> Finding:
    """Version and environment of the Python that runs this."""
    value, home = f"{platform.python_version()} in {shown(sys.prefix)}", own_environment()
    if sys.version_info < OLDEST:
        remedy = "Python 3.11 or newer is needed: `make clean`, then `make lab PYTHON=python3.11` (or a newer one)"
        return Finding("python", value, remedy)
    if home and not same_folder(sys.prefix, home):
        remark = f"the course has an environment of its own, {shown(home)}; `make lab` starts with that"
        return Finding("python", value, remark=remark)
    return Finding("python", value)


# ---- packages --------------------------------------------------------------------------------------------------------


def packages() -> list[Finding]:
    """What pyproject.toml asks for: there, in its range, importable; and how it compares with constraints.txt."""
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    problems = [finding for one in wanted for finding in look(one.name, lambda one=one: _package(one))]
    problems += _of_another_folder()
    there = {one.name: version for one in wanted if (version := installed_version(one.name))}
    return [*problems, _versions(there, len(wanted))]


def _of_another_folder() -> list[Finding]:
    """In a folder that was moved or copied, notebooks use the package of the old one, or find none."""
    try:
        origin = json.loads(metadata.distribution("moe-lite").read_text("direct_url.json") or "{}").get("url", "")
    except (metadata.PackageNotFoundError, ValueError):
        return []
    folder = url2pathname(urlparse(origin).path)
    if not origin.startswith("file:") or same_folder(folder, ROOT):
        return []
    value = f"notebooks would use that of {folder}, not this folder's: was it moved or copied?"
    return [Finding("moe_lite", value, "`make clean`, then `make lab`; notebooks and progress stay")]


def _package(wanted) -> list[Finding]:
    version = installed_version(wanted.name)
    if version is None:
        missing = f"not installed; the course needs {wanted.name}{wanted.specifier}"
        return [Finding(wanted.name, missing, install(wanted.name))]
    if not wanted.specifier.contains(version, prereleases=True):
        return [Finding(wanted.name, f"{version}; the course needs {wanted.specifier}", install(wanted.name))]
    failure = _absence(wanted.name) if wanted.name in HEAVY else import_failure(wanted.name)
    if failure:
        value = f"{version} is installed but cannot be imported: {failure}"
        return [Finding(wanted.name, value, install(wanted.name, again=True))]
    return []


def _versions(there: dict[str, str], n_wanted: int) -> Finding:
    """All versions in one line; those that are not the pinned ones as a remark."""
    pins = read_pins(ROOT / "constraints.txt")
    others = {name: pins[name] for name, version in there.items() if name in pins and public(version) != pins[name]}
    value = f"{len(there)} of {n_wanted}: " + ", ".join(f"{name} {version}" for name, version in there.items())
    if not others:
        return Finding("packages", value)
    tried = ", ".join(f"{name} {pin}" for name, pin in others.items())
    return Finding("packages", value, remark=f"the course was proven with {tried} (constraints.txt)")


def installed_version(name: str) -> str | None:
    """The version by the package's metadata; None if it has none, as after half an uninstall."""
    try:
        return metadata.version(name) or None
    except (metadata.PackageNotFoundError, KeyError):
        return None


def read_pins(path: Path) -> dict[str, str]:
    """name -> version, from lines `name==version`."""
    lines = re.findall(r"^([\w.-]+)==([\w.!]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in lines}


def public(version: str) -> str:
    """Without the build's own suffix: 2.13.0 of 2.13.0+cpu."""
    return version.split("+")[0]


def _absence(package: str) -> str:
    return "" if util.find_spec(package) else f"no module named {package}"


# ---- the machine -----------------------------------------------------------------------------------------------------


def device_found() -> Finding:
    """The device that lessons train on, and why."""
    import torch

    if torch.cuda.is_available():
        try:
            (torch.ones(1, device="cuda") + 1).item()
        except RuntimeError as error:
            reason = f"the GPU was found and cannot be used: {described(error)}"
            return Finding("device", "cpu", remark=f"{reason}. Lessons run on the processor")
        return Finding("device", f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Finding("device", "cpu: an Apple GPU is there, but the course is not tested on one")
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        remark = "there seems to be an NVIDIA GPU, but this build of torch is for processors only; lessons run on those"
        return Finding("device", f"cpu: torch {torch.__version__} knows no CUDA", remark=remark)
    return Finding("device", "cpu: no CUDA GPU was found; every lesson is made for the processor")


def threads() -> Finding:
    """Torch's threads against the processors that this process may use."""
    import torch

    used, usable, asked = torch.get_num_threads(), processors(), os.environ.get("OMP_NUM_THREADS", "")
    value = f"torch uses {used}, processors: {usable}" + (f", OMP_NUM_THREADS={asked}" if asked else "")
    counts = re.fullmatch(r"\s*(\d+)(\s*,\s*\d+)*\s*", asked)  # one number for each level of nesting
    if max(used, int(counts[1]) if counts else 0) > usable:
        better = f"`OMP_NUM_THREADS={usable} make lab`"
        return Finding("threads", value, f"more threads than processors wait for each other; start with {better}")
    if asked and not counts:
        return Finding("threads", value, remark="OMP_NUM_THREADS is not a number, so it is ignored")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if used > 1 and busy >= usable:
        remark = f"programs keep about {busy:.1f} processors busy; if training is slow: `OMP_NUM_THREADS=1 make lab`"
        return Finding("threads", value, remark=remark)
    return Finding("threads", value)


def processors() -> int:
    """Those this process may use: affinity and a container's quota count, not what the machine has."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = ([*_cgroup("cpu.max").split(), "", ""])[:2]
    return min(count, max(1, int(quota) // int(period))) if quota.isdigit() and period.isdigit() else count


def memory() -> Finding:
    """What is free for a lesson, in GiB: of the machine, or of the container that this runs in."""
    total, available = _memory_bytes()
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit.isdigit() and used.isdigit():
        total, available = min(total, int(limit)), min(available, int(limit) - int(used))
    value = f"{available / 2**30:.1f} GiB free of {total / 2**30:.1f}"
    if available / 2**30 >= LESSON_GIB:
        return Finding("memory", value)
    advice = "close other programs, and other notebooks (Kernel, Shut Down All Kernels)"
    return Finding("memory", value, f"a lesson takes up to {LESSON_GIB:.0f} GB: {advice}")


def _memory_bytes() -> tuple[int, int]:
    """Total and available; without psutil what the system says by itself."""
    if not import_failure("psutil"):
        import psutil

        return psutil.virtual_memory().total, psutil.virtual_memory().available
    page = os.sysconf("SC_PAGE_SIZE")
    return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")


def _cgroup(name: str) -> str:
    """A limit of the container; "" where there is none."""
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def disk() -> Finding:
    """Free space where the course lies."""
    free = shutil.disk_usage(ROOT).free / 2**30
    value = f"{free:.1f} GiB free"
    if free >= DISK_GIB:
        return Finding("disk", value)
    return Finding("disk", value, f"corpora and your models need {DISK_GIB} GiB: make room on the disk of {ROOT}")
