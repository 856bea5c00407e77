"""Train data/tokenizer.json on the training corpora. Run again, it writes the same bytes; --check compares only.

Byte-level BPE with 2,048 entries: the 256 bytes and 1,792 merges; no special tokens, every text can be encoded.
Words keep the space before them, and every digit is a token of its own, so that numbers share what is learned about
digits and no merge is spent on them. The smallest domain is used whole; of a domain n times its size, sqrt(n) times as
much, in pieces from all over it: as in training (`moe_lite.data.sample_batch`), small languages are not drowned.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from moe_lite.corpora import DOMAINS

DATA = Path(__file__).resolve().parents[1] / "data"
VOCAB_SIZE = 2048
PIECE = 2000  # characters
# English contractions | a word | one digit | a run of signs | white space; a last space belongs to the next word
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def untrained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sample(corpus: Path) -> Iterator[str]:
    """Pieces of every domain's training text, as many as the square root of its size allows it."""
    texts = {domain: (corpus / f"{domain}.train.txt").read_text(encoding="utf-8") for domain in DOMAINS}
    smallest = min(map(len, texts.values()))
    for text in texts.values():
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
        n_kept = round(len(pieces) / math.sqrt(len(text) / smallest))
        yield from (pieces[i * len(pieces) // n_kept] for i in range(n_kept))


def trained(corpus: Path) -> str:
    """The tokenizer as the text of its JSON file."""
    tokenizer = untrained()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sample(corpus), trainer)
    return tokenizer.to_str(pretty=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if the file would change")
    check = parser.parse_args().check
    path, text = DATA / "tokenizer.json", trained(DATA / "corpus")
    same = path.is_file() and path.read_text(encoding="utf-8") == text
    print(f"{path}: {'unchanged' if same else 'would change' if check else 'written'}")
    if check or same:
        return 0 if same else 1
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
