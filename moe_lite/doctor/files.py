"""The files of the course: corpora, tokenizer, shipped models, the learner's progress."""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from pathlib import Path

from moe_lite.doctor.finding import Finding, described, look
from moe_lite.doctor.places import DATA_VARIABLE, ROOT, data_folder, python, restore, same_folder, shown

SHIPPED = (1, 4, 8, 16)  # experts; 1 is the dense twin
VOCABULARY = 2048
SENTENCE = "Are we all met? Il fait 20 °C: naïve façade, 東."


def data() -> list[Finding]:
    """Whether $MOE_LITE_DATA, or the folder beside the package, is the course's data at all."""
    folder = data_folder()
    moved = not same_folder(folder, ROOT / "data")
    if (folder / "SHA256SUMS").is_file():
        return [Finding("data", shown(folder), remark=f"{DATA_VARIABLE} is set")] if moved else []
    if moved:
        remedy = f"{DATA_VARIABLE} is set to a folder that is not the course's data: `unset {DATA_VARIABLE}`"
        return [Finding("data", f"no SHA256SUMS in {folder}", remedy)]
    return [Finding("data", f"no SHA256SUMS in {shown(folder)}", restore("data"))]


def corpora() -> list[Finding]:
    """Which of the nine kinds of text are there, missing, or other than they were built."""
    from moe_lite.corpora import DOMAINS
    from moe_lite.corpora.build import file_names, intact, read_sums

    folder = data_folder() / "corpus"
    sums = read_sums(data_folder() / "SHA256SUMS") if (data_folder() / "SHA256SUMS").is_file() else None
    paths = {domain: [folder / name for name in file_names(domain)] for domain in DOMAINS}
    there = [domain for domain in DOMAINS if all(path.is_file() for path in paths[domain])]
    whole = there if sums is None else [domain for domain in intact(folder, sums) if domain in there]
    missing = [domain for domain in DOMAINS if domain not in there]
    damaged = [domain for domain in there if domain not in whole]
    size = sum(path.stat().st_size for domain in whole for path in paths[domain]) / 1e6
    value = f"{len(whole)} of {len(DOMAINS)} kinds of text, {size:.1f} MB"
    if not missing and not damaged:
        return [Finding("corpora", value if sums else f"{value}; not compared with SHA256SUMS, which is missing")]
    wrong = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"damaged: {', '.join(damaged)}"] * bool(damaged)
    without = "" if damaged or not there else " Lessons run with what is there, with other numbers."
    return [Finding("corpora", f"{value}; {'; '.join(wrong)}", f"with a network: {_build()}.{without}")]


def _build() -> str:
    """The command that completes the corpora; `make data` knows only the folder beside the package."""
    if same_folder(data_folder(), ROOT / "data"):
        return f"`make data`, or `{python()} -m moe_lite.corpora`"
    return f"`{python()} -m moe_lite.corpora --data-dir {data_folder()}`"


def tokenizer() -> Finding:
    """Whether it loads, has the vocabulary that the models know, and gives a text back."""
    from tokenizers import Tokenizer

    path = data_folder() / "tokenizer.json"
    if not path.is_file():
        return Finding("tokenizer", f"no {shown(path)}", restore(shown(path)))
    try:
        tokens = Tokenizer.from_file(str(path))
        ids = tokens.encode(SENTENCE).ids
    except Exception as error:  # the library raises bare Exception for a damaged file
        return Finding("tokenizer", f"{shown(path)} cannot be read: {described(error)}", restore(shown(path)))
    if tokens.get_vocab_size() != VOCABULARY or tokens.decode(ids) != SENTENCE:
        value = f"{shown(path)} is another tokenizer: {tokens.get_vocab_size():,} entries, expected {VOCABULARY:,}"
        return Finding("tokenizer", value, restore(shown(path)))
    return Finding("tokenizer", f"{VOCABULARY:,} entries")


def models() -> list[Finding]:
    """Whether every shipped model loads, with its record."""
    problems = [finding for n_experts in SHIPPED for finding in look("models", lambda n=n_experts: _model(n))]
    sizes = ", ".join("dense" if n == 1 else f"{n} experts" for n in SHIPPED)
    return problems or [Finding("models", f"{len(SHIPPED)} of {len(SHIPPED)} load: {sizes}")]


def _model(n_experts: int) -> list[Finding]:
    from moe_lite.checkpoint import pretrained, pretrained_record, shipped_name

    stem = data_folder() / "checkpoints" / shipped_name(n_experts)
    for ending, read in ((".safetensors", pretrained), (".json", pretrained_record)):
        path = stem.with_suffix(ending)
        if not path.is_file():
            return [Finding("models", f"no {shown(path)}", restore(shown(path)))]
        try:
            found = read(n_experts)
        except (OSError, ValueError, KeyError) as error:
            return [Finding("models", f"{shown(path)} cannot be read: {_cause(error, path)}", restore(shown(path)))]
        if ending == ".safetensors" and not all(weights.isfinite().all() for weights in found.parameters()):
            return [Finding("models", f"{shown(path)} holds values that are no numbers", restore(shown(path)))]
    weights = stem.with_suffix(".safetensors")
    if hashlib.sha256(weights.read_bytes()).hexdigest() != found.get("sha256"):
        value = f"{shown(weights)} is not the file that {path.name} beside it describes: damaged, or another one"
        return [Finding("models", value, restore(f"{shown(weights)} {shown(path)}"))]
    return []


def _cause(error: Exception, path: Path) -> str:
    """What went wrong, without the path that the sentence already names."""
    return described(error).replace(f"{path}: ", "")


def progress() -> Finding:
    """Whether the file that keeps what a learner has passed can be read and written."""
    # by name: the doctor looks at what stands above it, and depends on none of it
    kept = importlib.import_module("moe_lite.course.progress")
    file = kept.path()
    elsewhere = f"make it writable, or keep the file elsewhere: `export {kept.FILE_VARIABLE}=…/progress.json`"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".doctor-"):
            pass
        if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
            raise PermissionError(13, "no regular file that may be read and written", str(file))
    except OSError as error:
        return Finding("progress", f"{shown(file)} cannot be written: {error.strerror}", elsewhere)
    found = kept.load()
    passed = sum(entry["status"] == "pass" for entry in found.entries.values())
    where = f"the file that ${kept.FILE_VARIABLE} names" if os.environ.get(kept.FILE_VARIABLE) else shown(file)
    value = f"{where}, {passed} exercise{'' if passed == 1 else 's'} passed"
    if found.problem:
        return Finding("progress", value, remark=f"{found.problem}. Lessons and checks work all the same")
    return Finding("progress", value)
