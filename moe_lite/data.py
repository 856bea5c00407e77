"""The text that models read: the tokenizer, the corpora as token ids, and batches with a domain label for each row.

The corpora are built by `python -m moe_lite.corpora`; what has not been built is named in a warning and left out.
"""

import codecs
import hashlib
import os
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor

from moe_lite.corpora import BUILD, DOMAINS, SAMPLES_FILE, SPLITS

__all__ = [
    "DOMAINS",
    "SAMPLES",
    "Batch",
    "Corpus",
    "data_dir",
    "encode",
    "load_corpora",
    "sample_batch",
    "token_bytes",
    "token_pieces",
    "tokenizer",
    "validation_batches",
]

# domain -> a short text from its held-out split; needs no corpus
SAMPLES: dict[str, str] = tomllib.loads(SAMPLES_FILE.read_text(encoding="utf-8"))


def data_dir() -> Path:
    """$MOE_LITE_DATA, or the folder `data` beside the package."""
    return Path(os.environ.get("MOE_LITE_DATA") or Path(__file__).resolve().parents[1] / "data")


# ---- tokens ----------------------------------------------------------------------------------------------------------


def tokenizer() -> Tokenizer:
    """The course's tokenizer: byte-level BPE, 2,048 entries, no special tokens. Any text can be encoded.

    A copy: truncation, padding or tokens that you add to it stay with you, and reach no text that is kept on disk.
    """
    return Tokenizer.from_str(_own_tokenizer().to_str())


def _own_tokenizer() -> Tokenizer:
    return _read_tokenizer(data_dir() / "tokenizer.json")


@lru_cache(maxsize=1)
def _read_tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise FileNotFoundError(
            f"no tokenizer at {path}: it is part of the repository; does $MOE_LITE_DATA point there?"
        )
    return Tokenizer.from_file(str(path))


def encode(text: str) -> list[int]:
    """Token ids of `text`. Half of a surrogate pair, which no file can hold, is read as "?"."""
    return _own_tokenizer().encode(text.encode(errors="replace").decode()).ids


def token_bytes(ids: Sequence[int]) -> list[bytes]:
    """The bytes that each token stands for; joined, they are the encoded text.

    Raises ValueError if an id is not in the vocabulary.
    """
    vocabulary = _vocabulary_bytes(_own_tokenizer())
    for position, token in enumerate(ids):
        if not 0 <= token < len(vocabulary):
            raise ValueError(f"ids[{position}] is {token}; the vocabulary has the ids 0 to {len(vocabulary) - 1}")
    return [vocabulary[token] for token in ids]


def token_pieces(ids: Sequence[int]) -> list[str]:
    """What each token shows: its characters, and ⟨c3⟩ for a byte that is only a part of a character.

    Where every character lies in one token, the pieces joined are the text; where tokens share a character (rare
    letters, emoji), each shows its own bytes, and `token_bytes` joined has the character. Control characters and
    markup are shown as they are: who puts pieces on a page escapes them.
    """
    return [piece.decode(errors="moe_lite.part") for piece in token_bytes(ids)]


def _show_part(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"⟨{byte:02x}⟩" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("moe_lite.part", _show_part)


@lru_cache(maxsize=1)
def _vocabulary_bytes(tokens: Tokenizer) -> list[bytes]:
    """id -> bytes. Byte-level BPE (GPT-2) writes a byte as itself if it is printable, the others as U+0100 onwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
    return [bytes(byte_of[sign] for sign in tokens.id_to_token(i)) for i in range(tokens.get_vocab_size())]


# ---- corpora ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """One domain as token ids, with the size of the texts in bytes (for bits per byte)."""

    domain: str
    train: Tensor  # (n,) int32
    val: Tensor  # (n,) int32
    train_bytes: int
    val_bytes: int


def load_corpora(domains: Iterable[str] | None = None) -> dict[str, Corpus]:
    """domain -> Corpus, in the order of DOMAINS, for all domains or those named.

    The ids are kept beside the texts, so that only the first call encodes them. Domains that have not been built are
    left out with one warning; raises FileNotFoundError if none is there, ValueError for a name that is no domain.
    """
    if isinstance(domains, str):
        raise ValueError(f"domains is the text {domains!r}; expected a list of names, such as [{domains!r}].")
    domains = None if domains is None else list(domains)
    if unknown := set(domains or ()) - set(DOMAINS):
        raise ValueError(f"no such domain: {', '.join(sorted(unknown))}; there are {', '.join(DOMAINS)}")
    folder = data_dir() / "corpus"
    wanted = [domain for domain in DOMAINS if domains is None or domain in domains]
    present = [d for d in wanted if all((folder / f"{d}.{split}.txt").is_file() for split in SPLITS)]
    missing = ", ".join(domain for domain in wanted if domain not in present)
    if missing and not present:
        raise FileNotFoundError(f"no corpus of {missing} in {folder}. Build them with\n  {BUILD}")
    if missing:
        warnings.warn(f"not built yet: {missing}. Going on without; to build them:\n  {BUILD}", stacklevel=2)
    return {domain: _load_corpus(domain, folder) for domain in present}


def _load_corpus(domain: str, folder: Path) -> Corpus:
    texts = {split: (folder / f"{domain}.{split}.txt").read_bytes() for split in SPLITS}
    key = _key(*texts.values(), (data_dir() / "tokenizer.json").read_bytes())
    cache = folder / f"{domain}.tokens.safetensors"
    ids = _read_cache(cache, key)
    if ids is None:
        ids = {split: torch.tensor(encode(text.decode()), dtype=torch.int32) for split, text in texts.items()}
        _write_cache(cache, key, ids)
    return Corpus(domain, **ids, **{f"{split}_bytes": len(text) for split, text in texts.items()})


def _key(*contents: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()


def _read_cache(path: Path, key: str) -> dict[str, Tensor] | None:
    """The ids of both splits, or None if they are not there, cut short, or of another text or tokenizer."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            current = (file.metadata() or {}).get("key") == key
            return {split: file.get_tensor(split) for split in SPLITS} if current else None
    except SafetensorError:
        return None  # damaged: it is written anew


def _write_cache(path: Path, key: str, ids: dict[str, Tensor]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(save(ids, metadata={"key": key}))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        warnings.warn(f"the token ids could not be kept in {path} ({error}): every start encodes again", stacklevel=4)


# ---- batches ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Rows of consecutive tokens, each from one domain; `domains` indexes the corpora in their order."""

    ids: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64, the next token at each position
    domains: Tensor  # (B,) int64


def sample_batch(corpora: Mapping[str, Corpus], batch_size: int, length: int, generator: torch.Generator) -> Batch:
    """`batch_size` random training windows of `length` tokens; all chance comes from `generator` (on the CPU).

    A row's domain is drawn in proportion to the square root of its number of training tokens, its window uniformly.
    Raises ValueError if a domain is too short for a window.
    """
    splits = [_long_enough(corpus.domain, "train", corpus.train, length) for corpus in corpora.values()]
    sizes = torch.tensor([len(split) for split in splits], dtype=torch.float64)  # (domains,)
    domains = torch.multinomial(sizes.sqrt(), batch_size, replacement=True, generator=generator)  # (B,)
    places = torch.rand(batch_size, dtype=torch.float64, generator=generator)  # (B,) in [0, 1)
    starts = (places * (sizes[domains] - length)).long()  # (B,)
    rows = zip(domains.tolist(), starts.tolist(), strict=True)
    return _batch([splits[domain][start : start + length + 1] for domain, start in rows], domains)


def validation_batches(
    corpora: Mapping[str, Corpus], length: int, *, max_windows: int | None = None
) -> dict[str, Batch]:
    """domain -> its held-out text, cut into consecutive windows of `length` tokens (a rest is left out).

    With `max_windows`, that many windows evenly spread over the split. Raises ValueError if not even one window fits.
    """
    if max_windows is not None and max_windows < 1:
        raise ValueError(f"max_windows is {max_windows}; it is at least 1, or None for all windows")
    batches = {}
    for index, (domain, corpus) in enumerate(corpora.items()):
        split = _long_enough(domain, "val", corpus.val, length)
        n_windows = (len(split) - 1) // length
        n_kept = min(n_windows, max_windows or n_windows)
        starts = [i * n_windows // n_kept * length for i in range(n_kept)]
        windows = [split[start : start + length + 1] for start in starts]
        batches[domain] = _batch(windows, torch.full((n_kept,), index))
    return batches


def _long_enough(domain: str, name: str, split: Tensor, length: int) -> Tensor:
    """`split` (n,), if a window of `length` tokens and the token after it fit into it."""
    if not 0 < length < len(split):
        raise ValueError(
            f"length is {length}; {domain}'s {name} split of {len(split)} tokens fits 1 to {len(split) - 1}"
        )
    return split


def _batch(windows: list[Tensor], domains: Tensor) -> Batch:
    rows = torch.stack(windows).long()  # (B, T+1)
    return Batch(ids=rows[:, :-1].contiguous(), targets=rows[:, 1:].contiguous(), domains=domains)
