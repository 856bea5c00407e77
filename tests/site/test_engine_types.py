"""TypeScript finds no fault in the types of the page's scripts, and its version is pinned without naming an index."""

import json
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "site"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("project", "folders"), [("tsconfig.json", ("engine", "kernel")), ("tsconfig.page.json", ("page",))]
)
def test_types_fit(tsc: list[str], project: str, folders: tuple[str, ...]):
    done = subprocess.run([*tsc, "--project", FOLDER / project, "--listFiles"], capture_output=True, text=True)
    assert done.returncode == 0, re.sub(r"^/.*\n", "", done.stdout, flags=re.M) + done.stderr
    ours = {path.resolve() for folder in folders for path in (FOLDER / folder).glob("*.js")}
    assert ours and ours <= {Path(line).resolve() for line in done.stdout.splitlines()}


def test_what_npm_brings_is_pinned_exactly_and_the_lock_file_names_no_host():
    package, lock = (json.loads((FOLDER / name).read_text()) for name in ("package.json", "package-lock.json"))
    assert package["devDependencies"].keys() == {"esbuild", "typescript"} and "dependencies" not in package
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert all("resolved" not in entry and entry["integrity"] for name, entry in lock["packages"].items() if name)
