"""Guessing a token's expert from one clue."""

import pytest
import torch

from moe_lite import checkpoint
from moe_lite.data import Batch
from moe_lite.lessons.guessing import guess_first_choice, share_right


def test_the_guess_is_what_a_clue_met_most_often_among_the_known():
    clue = torch.tensor([0, 0, 0, 1, 0, 0, 1])
    expert = torch.tensor([2, 2, 1, 3, 2, 1, 3])
    known = torch.tensor([True, True, True, True, False, False, False])
    assert share_right(clue, expert, known) == pytest.approx(2 / 3)  # 2 for 2, 2 for 1, 3 for 3


def test_what_is_marked_was_not_learned_from():
    clue, expert = torch.tensor([5, 6]), torch.tensor([1, 4])
    assert share_right(clue, expert, torch.tensor([True, False])) == 0  # clue 6 was never met: guess 0, not 4


def test_a_row_for_each_clue_and_a_column_for_each_layer():
    torch.manual_seed(0)
    ids = torch.randint(2048, (4, 16))
    batches = {"one": Batch(ids, ids, torch.zeros(4)), "other": Batch(ids.flip(1), ids, torch.ones(4))}
    model = checkpoint.pretrained(4)
    right = guess_first_choice(model, batches)
    assert right.shape == (3, 4)
    layers = [torch.cat([model(b.ids).routing[layer].top_k[1][:, 0] for b in batches.values()]) for layer in range(4)]
    even = (torch.arange(8) % 2 == 0).repeat_interleave(16)
    majority = [(e[~even] == torch.bincount(e[even]).argmax()).float().mean().item() for e in layers]
    assert right[0].tolist() == pytest.approx(majority)


def test_a_text_that_repeats_is_guessed_from_any_clue():
    """One token, twice: no expert but one was met."""
    ids = torch.full((2, 1), 7)
    batches = {"one": Batch(ids, ids, torch.zeros(2))}
    assert (guess_first_choice(checkpoint.pretrained(4), batches) == 1).all()


def test_a_kind_with_one_row_is_refused():
    ids = torch.zeros(1, 8, dtype=torch.int64)
    with pytest.raises(ValueError, match="french has 1 row; expected 2 or more"):
        guess_first_choice(checkpoint.pretrained(4), {"french": Batch(ids, ids, torch.zeros(1))})
