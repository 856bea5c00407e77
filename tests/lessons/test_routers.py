"""How differently two domains use the experts."""

from moe_lite.lessons.routers import load_to_move


def test_load_to_move_by_hand():
    """Layer 1: halves on experts 0, 1 against 1, 2: half has to move. Layer 2: alike. Layer 3: nothing in common."""
    record = {"load_by_domain": {"a": [[5, 5, 0], [2, 1, 1], [4, 0, 0]], "b": [[0, 1, 1], [4, 2, 2], [0, 3, 3]]}}
    assert load_to_move(record, "a", "b").tolist() == [0.5, 0, 1]
    assert load_to_move(record, "b", "a").tolist() == [0.5, 0, 1]
