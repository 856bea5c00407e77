"""The tokenizer, the samples, and the corpora with their token cache."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from moe_lite import data
from moe_lite.data import (
    DOMAINS,
    SAMPLES,
    encode,
    load_corpora,
    token_bytes,
    token_pieces,
)

TEXTS = {
    "empty": "",
    "plain": "Are we all met?",
    "accents": "Comment Candide fut élevé; Fühl ich; perché, sì",
    "emoji": "a 😀 family 👩‍👩‍👧 and a flag 🇮🇹",
    "right to left": "שלום עולם مرحبا",
    "chinese": "专家混合模型",
    "combining": "e\u0301 o\u0308",
    "control": "\x00\x01\t\r\n\x1b[31m\x7f\u200b\ufeff",
    "white space": "   \n\n\t  x  \n",
    "markup": "<b>&amp;</b> </script><!-- -->",
    "long": "word 12 é 😀\n" * 1000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_text_comes_back_from_its_tokens(text):
    ids = encode(text)
    assert b"".join(token_bytes(ids)) == text.encode()
    assert data.tokenizer().decode(ids) == text
    assert all(0 <= token < 2048 for token in ids)


def test_half_a_surrogate_pair_is_read_as_a_question_mark():
    assert b"".join(token_bytes(encode("a\ud83dz"))) == b"a?z"


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_pieces_of_whole_characters_join_to_the_text(text):
    assert "".join(token_pieces(encode(text))) == text


def test_part_of_a_character_is_shown_as_its_byte():
    # "日" is e6 97 a5 in UTF-8, and no merge of the tokenizer joins them
    assert token_pieces(encode("日")) == ["⟨e6⟩", "⟨97⟩", "⟨a5⟩"]


def test_pieces_keep_markup_and_control_characters_as_they_are():
    assert "".join(token_pieces(encode("<b>\x1b&\n"))) == "<b>\x1b&\n"


def test_each_digit_is_a_token():
    assert token_pieces(encode("612 - 361")) == ["6", "1", "2", " -", " ", "3", "6", "1"]


def test_id_outside_the_vocabulary_is_named():
    with pytest.raises(ValueError, match=r"ids\[1\] is 2048"):
        token_bytes([0, 2048])
    with pytest.raises(ValueError, match=r"ids\[0\] is -1"):
        token_pieces([-1])


def test_vocabulary_has_2048_entries_and_every_byte():
    assert data.tokenizer().get_vocab_size() == 2048
    assert {bytes([byte]) for byte in range(256)} <= set(token_bytes(range(2048)))
    assert len(set(token_bytes(range(2048)))) == 2048


@pytest.mark.slow
@pytest.mark.corpus
def test_tokenizer_is_what_its_program_trains(corpus_folder, root):
    result = subprocess.run(
        [sys.executable, root / "tools" / "train_tokenizer.py", "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_samples_are_short_and_cover_all_domains_in_order():
    assert tuple(SAMPLES) == DOMAINS
    assert all(0 < len(text) <= 200 for text in SAMPLES.values())
    assert "\n            " in SAMPLES["python"]  # nested blocks: indentation is worth routing


@pytest.mark.corpus
@pytest.mark.parametrize("domain", DOMAINS)
def test_samples_are_quoted_from_the_held_out_text(domain, corpus_folder):
    assert SAMPLES[domain] in (corpus_folder / f"{domain}.val.txt").read_text(encoding="utf-8")


@pytest.fixture
def small_data(tmp_path, monkeypatch, root) -> Path:
    """A data folder with the tokenizer and two small domains."""
    (tmp_path / "tokenizer.json").write_bytes((root / "data" / "tokenizer.json").read_bytes())
    (tmp_path / "corpus").mkdir()
    for domain in ("math", "french"):
        for split, copies in (("train", 20), ("val", 2)):
            text = f"{SAMPLES[domain]}\n" * copies
            (tmp_path / "corpus" / f"{domain}.{split}.txt").write_text(text, encoding="utf-8", newline="\n")
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    return tmp_path


def forbid_encoding(monkeypatch):
    def encode(text):
        raise AssertionError("the cache should have been used")

    monkeypatch.setattr(data, "encode", encode)


def test_corpus_holds_the_ids_and_bytes_of_its_files(small_data):
    corpus = load_corpora(["french"])["french"]
    text = f"{SAMPLES['french']}\n" * 20
    assert corpus.train.dtype == corpus.val.dtype == torch.int32
    assert corpus.train.tolist() == encode(text)
    assert corpus.train_bytes == len(text.encode())
    assert corpus.val_bytes == len(f"{SAMPLES['french']}\n".encode()) * 2


def test_missing_domains_are_named_in_one_warning_with_the_command(small_data):
    with pytest.warns(UserWarning) as caught:
        corpora = load_corpora()
    assert list(corpora) == ["french", "math"]  # the order of DOMAINS, not of the files
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "shakespeare, german, italian, facts, json, python, dialogue" in message
    assert "python -m moe_lite.corpora" in message


def test_asking_for_what_is_there_warns_of_nothing(small_data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(load_corpora(["math", "french"])) == ["french", "math"]


def test_no_corpus_at_all_is_an_error_that_names_the_command(small_data):
    with pytest.raises(FileNotFoundError, match="python -m moe_lite.corpora"):
        load_corpora(["german", "italian"])


def test_unknown_domain_is_refused(small_data):
    with pytest.raises(ValueError, match="no such domain: klingon"):
        load_corpora(["french", "klingon"])


def test_second_load_reads_the_ids_that_the_first_wrote(small_data, monkeypatch):
    first = load_corpora(["math"])["math"]
    forbid_encoding(monkeypatch)
    second = load_corpora(["math"])["math"]
    assert torch.equal(first.train, second.train) and torch.equal(first.val, second.val)


@pytest.mark.parametrize("changed", ["corpus/math.val.txt", "tokenizer.json"])
def test_ids_of_another_text_or_tokenizer_are_not_used(small_data, monkeypatch, changed):
    load_corpora(["math"])
    with (small_data / changed).open("a") as file:
        file.write("\n")
    forbid_encoding(monkeypatch)
    with pytest.raises(AssertionError, match="the cache should have been used"):
        load_corpora(["math"])


def test_truncated_cache_is_written_anew(small_data):
    first = load_corpora(["math"])["math"]
    cache = small_data / "corpus" / "math.tokens.safetensors"
    whole = cache.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2])
    assert torch.equal(load_corpora(["math"])["math"].train, first.train)
    assert cache.read_bytes() == whole


def test_cache_that_cannot_be_written_is_a_warning(small_data):
    (small_data / "corpus" / "math.tokens.safetensors").mkdir()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(load_corpora(["math"])["math"].train) > 0
    assert not list((small_data / "corpus").glob("*.partial"))


def test_tokenizer_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LITE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="MOE_LITE_DATA"):
        encode("x")


@pytest.mark.corpus
def test_second_load_of_all_domains_encodes_nothing(corpora, monkeypatch, took):
    monkeypatch.setattr(data, "encode", lambda text: pytest.fail("the ids are kept beside the texts"))
    began = time.perf_counter()
    again = load_corpora()
    took("second load of all domains", [1000 * (time.perf_counter() - began)])
    assert tuple(again) == DOMAINS
    assert sum(len(corpus.train) for corpus in again.values()) > 3_000_000


def test_tokenizer_file_is_byte_level_without_special_tokens(root):
    content = json.loads((root / "data" / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["added_tokens"] == []
    assert content["model"]["unk_token"] is None


def test_what_is_done_to_the_tokenizer_stays_with_whoever_did_it(small_data):
    text = "The same text, long enough to be cut. " * 5
    before, corpora = data.encode(text), data.load_corpora(["french", "math"])
    for cache in (data.data_dir() / "corpus").glob("*.tokens.safetensors"):
        cache.unlink()
    mine = data.tokenizer()
    mine.enable_truncation(4)
    mine.enable_padding(length=9)
    mine.add_tokens(["long enough"])
    assert len(mine.encode(text).ids) == 9
    assert data.encode(text) == before and data.tokenizer().truncation is None
    again = data.load_corpora(["french", "math"])
    assert all(torch.equal(again[name].train, corpora[name].train) for name in corpora)


def test_a_text_is_not_a_list_of_domains_and_an_iterator_is(small_data):
    with pytest.raises(ValueError, match=r"domains is the text 'python'; expected a list of names"):
        data.load_corpora("python")
    assert [*data.load_corpora(name for name in ("math", "french"))] == ["french", "math"]
