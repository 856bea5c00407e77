"""The shape of the package: imports point one way, importing it is light, files stay small enough to read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import moe_lite

PACKAGE = Path(moe_lite.__file__).parent

# A module may import those of earlier lines, and its own line's.
ORDER = """
    fields
    conflicts
    config palette corpora picture timing course
    top_k
    routing attention
    balance data
    choices
    balancing routers
    experts
    moe dispatch
    transformer
    metrics hf lab_model
    checkpoint costs
    evaluate
    train runs live
    balance_runs symptoms failures diagnosis failure_runs
    toy_problems
    mixture
    plots doctor diagram ledger
    claims
    widgets
    checks
"""
RANK = {name: rank for rank, line in enumerate(ORDER.strip().splitlines()) for name in line.split()}
CORE = ("config", "top_k", "routing", "balance", "experts", "moe", "attention", "transformer")  # what lessons read
ONLY_IN = {
    "matplotlib": {"plots", "widgets"},
    "plotly": {"plots", "widgets"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "transformers": {"hf"},
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The module or subpackage of moe_lite that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, package: Path = PACKAGE) -> set[str]:
    """Full names of all that a file imports, anywhere in it; `from a import b` counts as a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = [package.name, *path.relative_to(package).parts][: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def parts_imported(path: Path) -> set[str]:
    """The parts of moe_lite that a file imports; `from moe_lite import ModelConfig` counts as the transformer."""
    names = [name.split(".")[1] for name in imports(path) if name.startswith("moe_lite.")]
    return {name if name in RANK else "transformer" for name in names} - {part_of(path)}


def test_imports_are_read_from_every_form_of_import(tmp_path):
    path = tmp_path / "a" / "b.py"
    path.parent.mkdir()
    lines = [
        "import x.y as z",
        "from p import q, r",
        "from . import s",
        "from ..t import u",
        "def f(): from v import w",
    ]
    path.write_text("\n".join(lines))
    expected = {"x.y", "p.q", "p.r", f"{tmp_path.name}.a.s", f"{tmp_path.name}.t.u", "v.w"}
    assert imports(path, tmp_path) == expected


def test_every_part_of_the_package_has_its_place():
    parts = {part_of(path) for path in files()} - {"__init__"}
    assert parts == set(RANK)


def test_imports_point_one_way():
    against = [
        f"{path.relative_to(PACKAGE)} imports {part}"
        for path in files()
        if part_of(path) != "__init__"
        for part in parts_imported(path)
        if RANK[part] > RANK[part_of(path)]
    ]
    assert against == []


def test_the_order_is_in_use():
    """The rule above would hold in a package that imports nothing."""
    core = {"attention", "config", "experts", "moe", "routing"}
    assert parts_imported(PACKAGE / "transformer.py") == core | {"balancing", "routers"}
    assert {"checkpoint", "evaluate", "data"} <= parts_imported(PACKAGE / "train.py")


@pytest.mark.parametrize(
    ("part", "importers"), [("checks", set()), ("widgets", set()), ("plots", {"widgets"}), ("doctor", set())]
)
def test_nothing_imports_what_stands_on_top(part, importers):
    found = {part_of(path) for path in files() if part in parts_imported(path)}
    assert found <= importers


def test_checks_need_neither_widgets_nor_figures():
    assert not {"widgets", "plots"} & set().union(*map(parts_imported, (PACKAGE / "checks").glob("*.py")))


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_only_where_it_belongs(library):
    found = {part_of(p) for p in files() if any(name.split(".")[0] == library for name in imports(p))}
    assert found <= ONLY_IN[library]


def test_importing_the_package_is_light():
    code = (
        "import sys, moe_lite; moe_lite.MoELanguageModel; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120, check=True
    )
    loaded = set(run.stdout.split())
    assert {"moe_lite", "torch"} <= loaded
    assert not loaded & {"matplotlib", "plotly", "ipywidgets", "anywidget", "transformers", "IPython", "jupyterlab"}


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_can_be_read_in_one_sitting():
    long = {str(path.relative_to(PACKAGE)): n_lines(path) for path in files() if part_of(path) != "checks"}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}


def test_what_lessons_read_stays_tiny():
    assert sum(n_lines(PACKAGE / f"{name}.py") for name in CORE) <= 1000


def test_no_drawer_for_odds_and_ends():
    assert [path.name for path in files() if path.stem in ("utils", "util", "helpers", "common", "misc")] == []


def test_dimension_key_names_every_letter_of_the_shape_comments():
    letters = {word for word in moe_lite.__doc__.split() if len(word) == 1 and word.isalpha() and word.isupper()}
    assert letters >= set("BTNDHSEKFCVLA")
