"""What notebooks need: JupyterLab, a kernel in this environment, widgets and their part in the browser."""

from __future__ import annotations

import importlib
import json
import os
import sys
from importlib import metadata, util
from pathlib import Path

from moe_lite.doctor.environment import installed_version
from moe_lite.doctor.finding import Finding, import_failure
from moe_lite.doctor.places import install, python, same_folder, shown

# folder below share/jupyter/labextensions -> the package that brings it
EXTENSIONS = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets"}
KERNEL = "python3"  # what the lessons' notebooks ask for


def jupyterlab() -> list[Finding]:
    """Whether JupyterLab and the page that it serves are there. (Its version is looked at with the packages.)"""
    if util.find_spec("jupyterlab") is None:
        return []
    pages = [folder.parent / "lab" / "static" / "index.html" for folder in _extension_folders()]
    if any(page.is_file() for page in pages):
        return [Finding("jupyterlab", f"{installed_version('jupyterlab')}, its page is there")]
    value = f"its page is missing: no index.html in {shown(pages[0].parent)}"
    return [Finding("jupyterlab", value, install("jupyterlab", again=True))]


def extensions() -> list[Finding]:
    """Whether the browser's half of the widgets is installed, whole, and as old as Python's half."""
    problems = [problem for name in EXTENSIONS for problem in _extension(name)]
    return problems or [Finding("extensions", f"in JupyterLab: {', '.join(EXTENSIONS)}")]


def _extension(name: str) -> list[Finding]:
    package, folders = EXTENSIONS[name], [folder / name for folder in _extension_folders()]
    folder = next((folder for folder in folders if (folder / "package.json").is_file()), None)
    if folder is None:
        value = f"{name} is not in {shown(folders[0].parents[name.count('/')])}: widgets stay blank"
        return [Finding("extensions", value, install(package, again=True))]
    about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    script = folder / about["jupyterlab"]["_build"]["load"]
    if not script.is_file():
        return [Finding("extensions", f"{name} is damaged: no {shown(script)}", install(package, again=True))]
    version = installed_version(package)
    if name == package and version and about["version"] != version:
        value = f"{name} {about['version']} in JupyterLab, {version} in Python"
        return [Finding("extensions", value, install(package, again=True))]
    return []


def _extension_folders() -> list[Path]:
    """Where JupyterLab looks, this environment first."""
    own = [Path(sys.prefix, "share", "jupyter", "labextensions")]
    if import_failure("jupyter_core"):
        return own
    from jupyter_core.paths import jupyter_path

    return own + [Path(folder) for folder in jupyter_path("labextensions") if not same_folder(folder, own[0])]


def kernel() -> Finding:
    """Whether notebooks run in this environment's Python, and not in one that lacks the course's packages."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    mend = f"`{python()} -m ipykernel install --sys-prefix`"
    try:
        spec = KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        return Finding("kernel", f"Jupyter knows no kernel {KERNEL}", mend)
    program = spec.argv[0]
    if program in ("python", "python3", f"python3.{sys.version_info[1]}"):
        program = sys.executable  # as jupyter_client does
    if same_folder(os.path.dirname(program), os.path.dirname(sys.executable)):
        return Finding("kernel", f"notebooks run in {shown(program)}, as this does")
    value = f"notebooks run in {shown(program)}; this is {python()}"
    return Finding("kernel", value, f"{mend}, or remove the kernel in {shown(spec.resource_dir)}")


def widgets() -> list[Finding]:
    """Whether the packages fit each other, and the course's widgets can be made with their scripts."""
    misfits = [misfit for name in ("ipywidgets", "anywidget") for misfit in _misfits(name)]
    if misfits:
        return [Finding("widgets", "; ".join(misfits), install("ipywidgets", "anywidget", *EXTENSIONS.values()))]
    # by name: the doctor looks at what stands above it, and depends on none of it
    course = importlib.import_module("moe_lite.widgets")
    made = [name for name in course.__all__ if _scripted(getattr(course, name))]
    if len(made) < len(course.__all__):
        bare = ", ".join(name for name in course.__all__ if name not in made)
        return [Finding("widgets", f"without a script: {bare}", "restore them: `git checkout moe_lite/widgets`")]
    return [Finding("widgets", ", ".join(made))]


def _misfits(package: str) -> list[str]:
    """What `package` requires of others and does not get."""
    from packaging.requirements import Requirement

    found = []
    for line in metadata.requires(package) or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = installed_version(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{package} needs {wanted.name}{wanted.specifier}, here is {version or 'none'}")
    return found


def _scripted(widget: type) -> bool:
    return bool(str(getattr(widget, "_esm", ""))) and bool(str(getattr(widget, "_css", "")))
