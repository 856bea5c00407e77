"""What a router is given, and how differently two domains use the experts."""

import pytest
import torch

from moe_lite import checkpoint
from moe_lite.lessons.routers import load_to_move, router_inputs


@pytest.fixture(scope="module")
def model():
    return checkpoint.pretrained(4)


@pytest.mark.parametrize("layer", [1, 4])
def test_the_inputs_are_those_that_the_router_decided_by(model, layer):
    texts = [[5, 6, 7], [9, 8]]
    x = router_inputs(model, texts, layer)  # (5, D)
    logits = torch.cat([model(torch.tensor([ids])).routing[layer - 1].logits for ids in texts])  # (5, E)
    torch.testing.assert_close(x @ model.blocks[layer - 1].feed_forward.router.weight.T, logits)


def test_no_hook_stays_and_nothing_needs_a_gradient(model):
    x = router_inputs(model, [[5, 6]], 2)
    assert not x.requires_grad
    assert not model.blocks[1].feed_forward.router._forward_pre_hooks


@pytest.mark.parametrize("layer", [0, 5])
def test_a_layer_that_is_not_there_is_refused(model, layer):
    with pytest.raises(ValueError, match=f"layer is {layer}; expected 1 to 4"):
        router_inputs(model, [[5]], layer)


def test_a_model_without_routers_is_refused():
    with pytest.raises(ValueError, match="in a model with routers"):
        router_inputs(checkpoint.pretrained(1), [[5]], 1)


def test_load_to_move_by_hand():
    """Layer 1: halves on experts 0, 1 against 1, 2: half has to move. Layer 2: alike. Layer 3: nothing in common."""
    record = {"load_by_domain": {"a": [[5, 5, 0], [2, 1, 1], [4, 0, 0]], "b": [[0, 1, 1], [4, 2, 2], [0, 3, 3]]}}
    assert load_to_move(record, "a", "b").tolist() == [0.5, 0, 1]
    assert load_to_move(record, "b", "a").tolist() == [0.5, 0, 1]
