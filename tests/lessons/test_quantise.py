"""Rounding weights to few bits: by hand, by its bound, and on a model that must come back unchanged."""

import pytest
import torch
from small import small_model

from moe_lite.lessons import quantise as q
from moe_lite.lessons.quantise import dequantise, quantise


def test_codes_and_scales_by_hand() -> None:
    codes, scales, bits = quantise(torch.tensor([[1.0, -3.5, 0.4, 7.0, 0.0, 0.0, 0.0, 0.0]]), bits=4, group=4)
    assert codes.tolist() == [[1, -4, 0, 7, 0, 0, 0, 0]]  # a half goes to the even number
    assert scales.tolist() == [[1.0, 1.0]]
    assert (codes.dtype, bits) == (torch.int8, 4)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [None, 4, 16])
def test_no_weight_moves_by_more_than_half_a_step(bits: int, group: int | None) -> None:
    weight = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(bits))
    found = quantise(weight, bits, group)
    step = found.scales.repeat_interleave(group or 16, dim=-1)
    assert ((dequantise(found) - weight).abs() <= step / 2 + 1e-6).all()
    assert int(found.codes.abs().max()) == 2 ** (bits - 1) - 1
    assert found.scales.shape == (3, 5, 16 // (group or 16))


def test_what_cannot_be_rounded_is_refused() -> None:
    weight = torch.randn(2, 6)
    with pytest.raises(ValueError, match="bits is 9, expected 2 to 8"):
        quantise(weight, 9)
    with pytest.raises(ValueError, match="Rows of 6 weights cannot be cut into groups of 4"):
        quantise(weight, 8, 4)
    with pytest.raises(ValueError, match="nan or inf"):
        quantise(weight / 0, 8)


def test_a_group_of_its_own_is_not_spoiled_by_one_large_weight() -> None:
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    weight[0, 0] = 100.0
    by_group = {g: (dequantise(quantise(weight, 4, g)) - weight).abs().amax(dim=1) for g in (None, 8)}
    assert float(by_group[8][0]) == float(by_group[None][0]) > 2  # the small ones beside it are lost
    lost = {g: int((dequantise(quantise(weight, 4, g))[0] == 0).sum()) for g in (None, 8)}
    assert lost[None] == 31 > 10 > lost[8]


def test_a_rounded_model_is_rounded_in_its_parts_only_and_comes_back() -> None:
    model = small_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with q.rounded(model, ["router"], bits=4) as same:
        assert same is model
        changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
        assert changed == set(q.names_of(model, ["router"])) != set()
    with pytest.raises(RuntimeError, match="in between"), q.rounded(model, bits=2):
        raise RuntimeError("in between")
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_a_function_of_one_s_own_rounds_matrix_by_matrix() -> None:
    model, seen = small_model(), []
    with q.rounded(model, ["experts"], fn=lambda w: seen.append(tuple(w.shape)) or torch.zeros_like(w)):
        assert all(float(layer.experts.down.detach().abs().sum()) == 0 for layer in model.moe_layers)
    assert len(seen) == 2 * model.config.n_experts * len(model.moe_layers)
    assert all(len(shape) == 2 for shape in seen)


def test_every_matrix_belongs_to_a_part() -> None:
    model = small_model()
    named = q.names_of(model, list(q.PARTS))
    assert {n for n, p in model.named_parameters() if p.dim() > 1} == set(named)
    with pytest.raises(ValueError, match="no part 'gate'; there are experts, router, attention, vocabulary"):
        q.names_of(model, ["gate"])


def test_bytes_of_the_whole_model() -> None:
    model = small_model()
    all_at_16 = 2 * sum(p.numel() for p in model.parameters())
    assert q.stored_bytes(model, [], 8) == all_at_16
    layer = model.moe_layers[0].experts
    saved = sum(w.numel() for w in (layer.gate_up, layer.down)) * len(model.moe_layers)
    rows = sum(w.shape[0] * w.shape[1] for w in (layer.gate_up, layer.down)) * len(model.moe_layers)
    assert q.stored_bytes(model, ["experts"], 8) == all_at_16 - saved + 2 * rows
