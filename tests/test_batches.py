"""Training batches and validation windows (moe_lite/data.py)."""

import pytest
import torch

from moe_lite.data import Corpus, sample_batch, validation_batches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counting(domain: str, n_train: int, n_val: int = 20, start: int = 0) -> Corpus:
    """A corpus whose token ids count up from `start`, so that a window shows where it was cut."""
    ids = torch.arange(start, start + max(n_train, n_val), dtype=torch.int32)
    return Corpus(domain, ids[:n_train], ids[:n_val], train_bytes=2 * n_train, val_bytes=2 * n_val)


def test_targets_are_the_ids_one_step_later():
    batch = sample_batch({"a": counting("a", 100)}, 8, 5, generator())
    assert batch.ids.shape == batch.targets.shape == (8, 5)
    assert batch.ids.dtype == batch.targets.dtype == batch.domains.dtype == torch.int64
    assert torch.equal(batch.targets, batch.ids + 1)  # the corpus counts up by one


def test_batches_repeat_with_the_generator_and_leave_global_chance_alone():
    corpora = {"a": counting("a", 100), "b": counting("b", 400, start=1000)}
    before = torch.get_rng_state()
    first, again = (sample_batch(corpora, 16, 5, generator(3)) for _ in range(2))
    other = sample_batch(corpora, 16, 5, generator(4))
    assert torch.equal(first.ids, again.ids) and torch.equal(first.domains, again.domains)
    assert not torch.equal(first.ids, other.ids)
    assert torch.equal(torch.get_rng_state(), before)


def test_domain_label_is_the_corpus_that_the_row_was_cut_from():
    corpora = {"a": counting("a", 100), "b": counting("b", 100, start=1000)}
    batch = sample_batch(corpora, 64, 5, generator())
    assert torch.equal(batch.domains, (batch.ids[:, 0] >= 1000).long())
    assert set(batch.domains.tolist()) == {0, 1}


def test_domains_are_drawn_by_the_square_root_of_their_size():
    # sqrt(400) : sqrt(1600) : sqrt(3600) = 20 : 40 : 60 = 1/6 : 2/6 : 3/6; by size it would be 1/14 : 4/14 : 9/14
    corpora = {str(n): counting(str(n), n) for n in (400, 1600, 3600)}
    domains = sample_batch(corpora, 12_000, 5, generator()).domains
    shares = torch.bincount(domains, minlength=3) / 12_000
    torch.testing.assert_close(shares, torch.tensor([1 / 6, 2 / 6, 3 / 6]), atol=0.015, rtol=0)


def test_every_window_can_be_drawn_and_none_beyond_the_end():
    batch = sample_batch({"a": counting("a", 6)}, 200, 3, generator())
    assert set(batch.ids[:, 0].tolist()) == {0, 1, 2}  # 6 tokens: three windows of 3 and a target after each
    assert batch.targets.max() == 5


@pytest.mark.parametrize("length", [0, 20, 100])
def test_window_that_does_not_fit_is_refused(length):
    with pytest.raises(ValueError, match=f"length is {length}; a's train split of 20 tokens fits 1 to 19"):
        sample_batch({"a": counting("a", 20)}, 2, length, generator())
    with pytest.raises(ValueError, match=f"length is {length}; a's val split"):
        validation_batches({"a": counting("a", 200)}, length)


def test_validation_windows_cover_the_split_without_overlap():
    batches = validation_batches({"a": counting("a", 9, n_val=20), "b": counting("b", 9, n_val=16)}, 5)
    # 20 tokens: windows 0-4, 5-9, 10-14; 15-19 has no token after it to predict. 16 tokens: the same three.
    for index, batch in enumerate(batches.values()):
        assert batch.ids.flatten().tolist() == list(range(15))
        assert batch.targets.flatten().tolist() == list(range(1, 16))
        assert batch.domains.tolist() == [index] * 3


def test_fewer_validation_windows_are_spread_evenly():
    batch = validation_batches({"a": counting("a", 9, n_val=101)}, 10, max_windows=5)["a"]
    assert batch.ids[:, 0].tolist() == [0, 20, 40, 60, 80]
    everything = validation_batches({"a": counting("a", 9, n_val=101)}, 10, max_windows=50)["a"]
    assert len(everything.ids) == 10


def test_no_validation_windows_at_all_are_refused():
    with pytest.raises(ValueError, match="max_windows is 0"):
        validation_batches({"a": counting("a", 9)}, 5, max_windows=0)
