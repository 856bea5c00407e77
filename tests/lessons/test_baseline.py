"""A dense model taken apart (moe_lite/lessons/baseline.py): what is left out adds nothing, what is put in is used."""

import pytest
import torch

from moe_lite.lessons.baseline import PARTS, swiglu, with_feed_forward, without
from moe_lite.model.config import ModelConfig
from moe_lite.model.transformer import MoELanguageModel

IDS = torch.tensor([[3, 1, 4, 1, 5]])


@pytest.fixture
def dense() -> MoELanguageModel:
    config = ModelConfig(vocab_size=11, n_layers=2, d_model=8, n_heads=2, n_kv_heads=1, n_experts=1, d_expert=6)
    return MoELanguageModel(config).eval()


def test_without_both_halves_of_all_blocks_the_output_head_reads_the_embedding(dense):
    bare = without(without(dense, "attention", range(2)), "feed-forward", range(2))
    assert torch.equal(bare(IDS).logits, dense.head(dense.norm(dense.embed(IDS))))


@pytest.mark.parametrize("part", PARTS)
def test_one_half_of_one_block_is_left_out_of_a_copy(dense, part):
    whole = dense(IDS).logits
    changed = without(dense, part, [1])
    assert not torch.equal(changed(IDS).logits, whole)
    names = {"attention": ["attention.out.weight"], "feed-forward": ["feed_forward.down"]}
    emptied = [name for name, weight in changed.named_parameters() if weight.dim() > 1 and not weight.any()]
    assert emptied == [f"blocks.1.{name}" for name in names[part]]
    assert torch.equal(dense(IDS).logits, whole) and not changed.training
    assert torch.equal(without(dense, part, [])(IDS).logits, whole)


def test_the_function_that_is_put_in_gets_tokens_as_rows_and_the_three_matrices(dense):
    shapes = []

    def noted(x, w_gate, w_up, w_down):
        shapes.append([tuple(each.shape) for each in (x, w_gate, w_up, w_down)])
        return swiglu(x, w_gate, w_up, w_down)

    changed = with_feed_forward(dense, noted)
    torch.testing.assert_close(changed(IDS).logits, dense(IDS).logits)
    assert shapes == 2 * [[(5, 8), (6, 8), (6, 8), (8, 6)]]
    assert changed.state_dict().keys() == dense.state_dict().keys()
    changed(IDS, IDS).loss.backward()
    assert all(parameter.grad is not None for parameter in changed.parameters())
    assert all(parameter.grad is None for parameter in dense.parameters())
    doubled = with_feed_forward(dense, lambda *args: 2 * swiglu(*args))
    assert not torch.allclose(doubled(IDS).logits, dense(IDS).logits)


def test_swiglu_with_two_matrices_by_hand():
    # gate 0: silu is 0 and nothing passes; gate 2 · 1 = 2: silu(2) · 3 = 2 · sigmoid(2) · 3
    y = swiglu(torch.ones(1, 1), torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [3.0]]), torch.ones(1, 2))
    torch.testing.assert_close(y, 6 * torch.tensor([[2.0]]).sigmoid())


def test_what_cannot_be_taken_apart_is_refused(dense):
    with pytest.raises(ValueError, match="part is 'norm', expected one of"):
        without(dense, "norm", [0])
    sparse = MoELanguageModel(ModelConfig(vocab_size=11, n_layers=1, d_model=8, n_heads=2, n_experts=4, d_expert=6))
    for attempt in (lambda: without(sparse, "attention", [0]), lambda: with_feed_forward(sparse, swiglu)):
        with pytest.raises(ValueError, match="has 4 experts, expected a dense one"):
            attempt()
