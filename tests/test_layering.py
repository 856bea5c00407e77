"""The shape of the package: every room imports only what its line allows, and the model can be read in one sitting."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import moe_lite

PACKAGE = Path(moe_lite.__file__).parent

# Room (a folder or a file of moe_lite/): the rooms that it may import.
AROUND = ["metrics", "evaluate", "checkpoint", "train", "hf"]  # around the model; which first, AROUND_ORDER says
WIDGETS = ["model", "data", *AROUND, "families", "lessons", "lab", "course", "look", "plots", "corpora"]
MAY = {
    "model": [],
    "corpora": [],
    "look": [],
    "data": ["corpora"],
    **{name: ["model", "data", *AROUND] for name in AROUND},
    "families": ["model", "metrics", "data"],
    "lessons": ["model", "data"],  # data: lesson 08 reads held-out text and names tokens by their text
    "lab": ["model", "data", *AROUND, "families", "lessons"],
    "course": ["look"],
    "plots": ["lab", "look"],
    "checks": ["model", "lessons", "course", "look"],
    "widgets": WIDGETS,
    "doctor": [*WIDGETS, "checks", "widgets"],
}
ONLY_IN = {
    "matplotlib": {"plots", "widgets"},
    "plotly": {"plots", "widgets"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "transformers": {"hf", "families"},
}
# With the routers beside the usual one. 1,310 before dispatch_fn and layer_fn (readers' code for ours), inputs.py
# (refuses misreadings) and what stays right when a model changes type or device, or a pass is broken off. 1,505 before
# the options that make published routers settings of ours, and 190 more for five routers that no option covers. 1,880
# before the rest of the published layers: other forms of experts, a lower width, a gate on the shared ones or their
# average, dense first layers; each is a few lines in config, experts and transformer, beside what it changes. 2,010
# before the balancing rules of 2025 and 2026 (SMEBU, quantile balancing, expert threshold, choices counted over several
# batches): 10 to 20 lines each in balance.py, a router of its own, and their settings.
# 2,160 before fast_decoding.py: writing a text without modules, at more than twice the speed.
MODEL_LINES = 2290
FUNCTION_LINES, FILE_LINES = 60, 400
ONE_PROGRAM, PROGRAM_LINES = PACKAGE / "checks/program/template.py", 550  # one file is what it is for


def files(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def module(path: Path, package: Path = PACKAGE) -> str:
    """moe_lite.model.routing; a folder's __init__ has the folder's name."""
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path) for path in files()}


@cache
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


@cache
def modules_imported(path: Path) -> set[str]:
    """The modules of moe_lite that a file imports; a short name counts as the place that it stands for."""
    found = set()
    for name in imports(path):
        if name.startswith("moe_lite."):
            name = moe_lite.PLACES.get(name.removeprefix("moe_lite."), name)
            found.add(name if name in MODULES else name.rpartition(".")[0])
    return found - {module(path)}


def room(name: str) -> str:
    """moe_lite.widgets.kit.text -> widgets"""
    return name.split(".")[1] if "." in name else ""


def rooms_imported(path: Path) -> set[str]:
    return {room(name) for name in modules_imported(path)} - {room(module(path))}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Names that import each other in a circle; [] if none do."""
    done, way = set(), []

    def walk(name: str) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name not in done:
            way.append(name)
            for other in sorted(arrows.get(name, ())):
                if found := walk(other):
                    return found
            way.pop()
            done.add(name)
        return []

    return next(filter(None, map(walk, sorted(arrows))), [])


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


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_room_has_its_line():
    assert {room(name) for name in MODULES} - {""} == set(MAY)


@pytest.mark.parametrize("name", MAY)
def test_a_room_imports_what_its_line_allows(name):
    against = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in files()
        if room(module(path)) == name
        for other in sorted(rooms_imported(path) - set(MAY[name]))
    ]
    assert against == []


def test_the_lines_are_in_use():
    """The rule above would hold in a package that imports nothing."""
    core = {
        f"moe_lite.model.{name}"
        for name in (
            "attention",
            "balance",
            "config",
            "experts",
            "fast_decoding",
            "inputs",
            "moe",
            "routing",
            "routers",
        )
    }
    assert modules_imported(PACKAGE / "model" / "transformer.py") == core
    assert {"checkpoint", "evaluate", "data"} <= rooms_imported(PACKAGE / "train.py")


def test_no_module_imports_itself_by_way_of_others():
    arrows = {module(path): modules_imported(path) for path in files() if path.name != "__init__.py"}
    assert circle(arrows) == []


def test_a_widget_meets_another_only_at_its_door():
    """A widget's file imports its own folder's files, the kit, and another widget only through that one's __init__."""
    against = []
    for path in files(PACKAGE / "widgets"):
        own = path.parent.name
        for name in modules_imported(path):
            parts = name.split(".")
            if parts[1] == "widgets" and len(parts) == 4 and parts[2] not in (own, "kit") and own != "widgets":
                against.append(f"{own}/{path.name} imports {name}")
            if own == "kit" and parts[1] == "widgets" and parts[2:3] != ["kit"]:
                against.append(f"kit/{path.name} imports {name}")
    assert sorted(against) == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_only_where_it_belongs(library):
    found = {room(module(p)) for p in files() if any(name.split(".")[0] == library for name in imports(p))}
    assert found <= ONLY_IN[library]


@pytest.mark.slow
def test_importing_the_package_is_light():
    code = (
        "import sys, moe_lite; moe_lite.MoELanguageModel, moe_lite.expert_groups, moe_lite.specialisation;"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    loaded = set(run.stdout.split())
    assert {"moe_lite", "torch"} <= loaded
    heavy = {"matplotlib", "plotly", "ipywidgets", "anywidget", "transformers", "IPython", "jupyterlab", "scipy"}
    assert not loaded & heavy


def test_every_short_name_leads_somewhere():
    for name in moe_lite.PLACES:
        assert getattr(moe_lite, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'balancing'"):
        moe_lite.balancing  # noqa: B018


@pytest.mark.slow
def test_every_import_of_the_lessons_is_there():
    """Set-up cells, and the cells that learners have saved, go on working."""
    lines = []
    for source in sorted((PACKAGE.parent / "solutions").glob("[0-9][0-9]_*.py")):
        tree = ast.parse(
            "".join(x for x in source.read_text(encoding="utf-8").splitlines(True) if not x.startswith("%"))
        )
        lines += [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    wanted = sorted({line for line in lines if "moe_lite" in line})
    assert len(wanted) > 20
    run = subprocess.run([sys.executable, "-c", "\n".join(wanted)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_model_can_be_read_in_one_sitting():
    """All files of the folder count, those of its folders as well."""
    assert sum(map(n_lines, (PACKAGE / "model").rglob("*.py"))) <= MODEL_LINES


def test_files_and_functions_can_be_taken_in_at_a_glance():
    most = {path: PROGRAM_LINES if path == ONE_PROGRAM else FILE_LINES for path in files()}
    long = [f"{path.relative_to(PACKAGE)}: {n_lines(path)} lines" for path in files() if n_lines(path) > most[path]]
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
                long.append(f"{path.relative_to(PACKAGE)}: {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert long == []


def test_the_model_stands_in_front():
    """What `ls moe_lite` shows."""
    shown = [p.name for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(shown) <= 18, sorted(shown)


def test_no_drawer_for_odds_and_ends():
    assert [path.name for path in files() if path.stem in ("utils", "util", "helpers", "common", "misc")] == []


def test_dimension_key_names_every_letter_of_the_shape_comments():
    letters = {word for word in moe_lite.__doc__.split() if len(word) == 1 and word.isalpha() and word.isupper()}
    assert letters >= set("BTNDHSEKFCVLA")
