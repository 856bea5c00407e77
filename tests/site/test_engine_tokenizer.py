"""The page's tokenizer gives the ids of `moe_lite.data.encode`, and back the text that `tokenizers` gives, for texts of
every kind; it reads the course's tokenizer.json and no other one."""

import json
import random
import unicodedata
from collections.abc import Iterator

import pytest
from engine_page import Engine, opened
from lab import Driver

from moe_lite.corpora import DOMAINS
from moe_lite.data import data_dir, encode, token_bytes, tokenizer

LONG = 10_000  # characters


@pytest.fixture(scope="module")
def engine(browser: Driver, tmp_path_factory) -> Iterator[Engine]:
    with opened(browser, tmp_path_factory.mktemp("models")) as engine:
        yield engine


def characters(rng: random.Random, n: int, *spans: tuple[int, int]) -> str:
    return "".join(chr(rng.randint(*rng.choice(spans))) for _ in range(n))


PIECES = ["def ", "x_1", "()", ":\n", "    ", "'s", "'ll", "''", "==", "\t", "'re "]
FAMILY = "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 "
SCRIPTS = {
    "any character": lambda rng: characters(rng, 60, (0, 0xD7FF), (0xE000, 0x10FFFF)),
    "half surrogate pairs": lambda rng: characters(rng, 8, (0xDC00, 0xDFFF)) + characters(rng, 9, (97, 122)) + "\ud83d",
    "emoji": lambda rng: FAMILY + characters(rng, 20, (0x1F300, 0x1FAFF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (32, 32)),
    "right to left": lambda rng: "\u202b" + characters(rng, 60, (0x590, 0x6FF), (0x200E, 0x200F), (32, 32)),
    "control characters": lambda rng: characters(rng, 60, (0, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0xFEFF, 0xFEFF)),
    "white space": lambda rng: "".join(rng.choices(" \t\n\r\v\f\x85\xa0\u2003\u2028\u202f\u3000\ufeffab1.'", k=80)),
    "marks and letters": lambda rng: unicodedata.normalize("NFD", characters(rng, 40, (0xC0, 0x17F), (0x370, 0x3FF))),
    "digits": lambda rng: characters(rng, 40, (48, 57), (0x660, 0x669), (0xB2, 0xB9), (0x2460, 0x249B), (44, 46)),
    "Chinese, Japanese, Korean": lambda rng: characters(rng, 40, (0x4E00, 0x9FFF), (0x3040, 0x30FF), (0xAC00, 0xD7A3)),
    "code": lambda rng: "".join(rng.choices(PIECES, k=40)),
    "ASCII": lambda rng: characters(rng, 100, (32, 126)),
}  # fmt: skip
ONE_WORD = {
    "one letter": lambda rng: "a" * LONG,
    "letters": lambda rng: characters(rng, LONG, (97, 122)),
    "signs": lambda rng: characters(rng, LONG, (33, 47)),
    "spaces": lambda rng: " " * LONG + "end",
    "digits": lambda rng: characters(rng, LONG, (48, 57)),
}


def excerpts(folder, rng: random.Random, n: int) -> Iterator[str]:
    texts = {domain: (folder / f"{domain}.val.txt").read_text(encoding="utf-8") for domain in DOMAINS}
    for i in range(n):
        text = texts[DOMAINS[i % len(DOMAINS)]]
        start = rng.randrange(len(text) - 300)
        yield text[start : start + rng.randint(1, 300)]


def a_thousand_texts(corpus_folder) -> list[str]:
    rng = random.Random(0)
    texts = ["", " ", "\n", "a", *(make(rng) for make in ONE_WORD.values())]
    texts += [make(rng) for make in SCRIPTS.values() for _ in range(50)]
    texts += excerpts(corpus_folder, rng, 999 - len(texts))
    texts.append("\n\n".join(excerpts(corpus_folder, rng, 80))[:LONG])
    assert len(texts) == 1000 and len(texts[-1]) == LONG
    return texts


@pytest.mark.corpus
def test_a_thousand_texts_of_every_kind_have_the_ids_of_the_package(engine: Engine, corpus_folder, took):
    texts = a_thousand_texts(corpus_folder)
    script = """
      const times = [], ids = given.texts.map((text) => {
        const began = performance.now(), ids = tokenizer.encode(text);
        times.push(performance.now() - began);
        return ids;
      });
      return { ids, times };"""
    found = engine.run(script, texts=texts)
    for text, ids in zip(texts, found["ids"], strict=True):
        assert ids == encode(text), f"other ids for {text[:80]!r}"
    for name, milliseconds in zip(ONE_WORD, found["times"][4:], strict=False):
        took(f"tokens of a word of {LONG:,} characters, {name}", [milliseconds])
    took(f"tokens of {LONG:,} characters of the corpora, after a thousand texts", [found["times"][-1]])


def test_ids_are_written_as_the_package_writes_them(engine: Engine):
    rng, size = random.Random(1), tokenizer().get_vocab_size()
    rows = [encode(make(rng)) for make in SCRIPTS.values()]
    rows += [[rng.randrange(size) for _ in range(50)] for _ in range(100)]  # bytes that are no character among them
    rows += [[], encode("\ufeffbegins with a mark")]
    found = engine.run("return given.rows.map((ids) => tokenizer.decode(ids))", rows=rows)
    assert found == [tokenizer().decode(ids) for ids in rows]


def test_each_token_has_the_bytes_of_the_package(engine: Engine):
    size = tokenizer().get_vocab_size()
    found = engine.run("return Array.from({ length: tokenizer.size }, (_, id) => [...tokenizer.bytes(id)])")
    assert [bytes(each) for each in found] == token_bytes(range(size))
    for absent in (-1, size, 0.5):
        with pytest.raises(Exception, match="the vocabulary has 0 to 2047"):
            engine.run("return tokenizer.bytes(given.id)", id=absent)


def test_a_tokenizer_of_another_kind_is_refused(engine: Engine):
    own = json.loads((data_dir() / "tokenizer.json").read_text(encoding="utf-8"))
    for change in ({"model": {"type": "WordPiece"}}, {"normalizer": {"type": "NFC"}}, {"pre_tokenizer": None}):
        with pytest.raises(Exception, match="no tokenizer of the course"):
            engine.run("engine.makeTokenizer(given.json)", json=own | change)
