"""The language model: shapes of its answers, cache, causality, losses, generation (moe_lite/model/transformer.py)."""

import pytest
import torch
from small import generator, randn, random_ids, small_model

from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.lessons.dispatch import sparse_forward
from moe_lite.model.attention import KVCache, RMSNorm, rotate, turns
from moe_lite.model.balance import load_balancing_loss, router_z_loss, update_selection_bias_
from moe_lite.model.experts import SwiGLU
from moe_lite.model.moe import MoELayer
from moe_lite.model.routing import top_k_route

KINDS = {
    "sparse": {},
    "dense": {"n_experts": 1},
    "shared": {"n_shared_experts": 1, "renorm": False},
    "gated input": {"score": "sigmoid", "order": "topk_first", "top_k": 1, "gate_on": "input", "renorm": False},
    "dense first": {"n_dense_layers": 1, "n_shared_experts": 1, "shared_gate": True},
    "clamped": {"expert": "quick_geglu", "expert_clamp": 0.1, "expert_bias": True},
    "relu2": {"expert": "relu2", "n_shared_experts": 1, "n_dense_layers": 1, "d_latent": 8, "shared_average": True},
    "biased groups": {"n_experts": 6, "score": "sigmoid", "selection_bias": True, "n_groups": 3, "topk_groups": 2},
}

# ---- parts -----------------------------------------------------------------------------------------------------------


def test_norm_by_hand():
    norm = RMSNorm(2, eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 10.0]))
    # mean(3², 4²) = 12.5; 3/√12.5 = 0.848528, 4/√12.5 = 1.131371
    torch.testing.assert_close(norm(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.848528, 11.313708]]))


def test_rotation_by_hand():
    # one pair: at position p it turns by p; (1, 0) at 0, 1, 2 becomes (cos p, sin p)
    x = torch.tensor([1.0, 0.0]).expand(1, 1, 3, 2)
    p = torch.arange(3.0)
    torch.testing.assert_close(rotate(x, turns(3, 2, 10_000.0))[0, 0], torch.stack([p.cos(), p.sin()], dim=1))


def test_rotation_continues_where_the_cache_ends_and_sees_only_distances():
    q, k, table = randn(1, 2, 9, 6), randn(1, 2, 9, 6, seed=1), turns(60, 6, 100.0)
    torch.testing.assert_close(rotate(q[:, :, 4:], table[:, 4:9]), rotate(q, table[:, :9])[:, :, 4:])
    near = rotate(q, table[:, :9]) @ rotate(k, table[:, :9]).mT
    far = rotate(q, table[:, 50:59]) @ rotate(k, table[:, 50:59]).mT
    torch.testing.assert_close(near, far, atol=1e-4, rtol=1e-4)


def test_weights_come_from_the_seed_alone():
    a, b, c = small_model(seed=3), small_model(seed=3), small_model(seed=4)
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name])
        assert "norm" in name or not torch.equal(tensor, c.state_dict()[name])


def test_biases_of_experts_start_at_zero():
    experts = small_model(expert="quick_geglu", expert_bias=True).blocks[1].feed_forward.experts
    assert experts.gate_up_bias.shape == (5, 24) and experts.down_bias.shape == (5, 16)
    assert not experts.gate_up_bias.any() and not experts.down_bias.any() and experts.gate_up.std() > 0.1


def test_what_writes_to_the_residual_stream_starts_smaller():
    state = MoELanguageModel(ModelConfig(n_layers=2, init_std=0.02)).state_dict()
    reads, writes = ("attention.query.weight", "experts.gate_up"), ("attention.out.weight", "experts.down")
    for names, std in ((reads, 0.02), (writes, 0.01)):  # 0.02 / sqrt(2 · 2 layers) = 0.01
        for name in names:
            found = torch.cat([tensor.flatten() for key, tensor in state.items() if key.endswith(name)])
            torch.testing.assert_close(found.std(), torch.tensor(std), atol=0, rtol=0.05)


# ---- one pass --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_output_has_a_routing_for_each_sparse_layer(kind):
    model, ids = small_model(**KINDS[kind]), random_ids(2, 7)
    output = model(ids)
    assert output.logits.shape == (2, 7, 61) and output.loss is None and output.cross_entropy is None
    sparse = {"dense": [], "dense first": [1, 2], "relu2": [1, 2]}.get(kind, [0, 1, 2])
    assert [routing.layer for routing in output.routing] == sparse
    for routing in output.routing:
        assert routing.batch_shape == (2, 7) and routing.n_tokens == 14
        assert int(routing.load.sum()) == 14 * model.config.top_k


def test_dense_first_layers_are_dense_networks_and_the_others_know_their_number():
    model, ids = small_model(n_dense_layers=2, d_dense=21, n_shared_experts=1), random_ids(2, 9)
    assert [type(block.feed_forward) for block in model.blocks] == [SwiGLU, SwiGLU, MoELayer]
    assert [block.feed_forward.down.shape for block in model.blocks[:2]] == [(16, 21)] * 2
    assert model.moe_layers == [model.blocks[2].feed_forward] and model.config.n_sparse_layers == 1
    (routing,) = model(ids).routing
    assert routing.layer == 2
    usual = small_model(n_dense_layers=1, n_shared_experts=1)  # as wide as 2 experts and the shared one, 12 each
    assert usual.blocks[0].feed_forward.down.shape == (16, 36)
    assert [routing.layer for routing in usual(ids).routing] == [1, 2]


def test_loss_is_the_sum_of_its_terms():
    model = small_model(balance_coef=0.3, z_coef=0.2)
    ids, targets = random_ids(2, 9), random_ids(2, 9, seed=1)
    targets[0, 4:7] = -100
    output = model(ids, targets)
    logs = output.logits.log_softmax(dim=-1).flatten(0, 1)
    counted = [(place, int(t)) for place, t in enumerate(targets.flatten()) if t != -100]
    expected = -torch.stack([logs[place, t] for place, t in counted]).mean()
    torch.testing.assert_close(output.cross_entropy, expected)
    balance = [load_balancing_loss(r.scores, r.expert_ids) for r in output.routing]
    z = [router_z_loss(r.logits) for r in output.routing]
    torch.testing.assert_close(output.balance_loss, sum(balance) / 3)
    torch.testing.assert_close(output.z_loss, sum(z) / 3)
    torch.testing.assert_close(output.loss, expected + 0.3 * sum(balance) / 3 + 0.2 * sum(z) / 3)


def test_dense_model_has_only_cross_entropy():
    output = small_model(n_experts=1)(random_ids(2, 9), random_ids(2, 9, seed=1))
    assert torch.equal(output.loss, output.cross_entropy)
    assert output.balance_loss.item() == output.z_loss.item() == 0 and output.routing == []


@pytest.mark.parametrize("kind", ["sparse", "shared", "gated input"])
def test_sorted_and_loop_give_the_same_model(kind):
    results = []
    for implementation in ("sorted", "loop"):
        model = small_model(implementation=implementation, **KINDS[kind])
        output = model(random_ids(3, 9), random_ids(3, 9, seed=1))
        output.loss.backward()
        results.append([output.logits, output.loss, *[p.grad for p in model.parameters()]])
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)


def test_top_k_can_be_changed_for_one_call():
    model, ids = small_model(), random_ids(2, 7)
    before = model(ids).logits
    changed = model(ids, top_k=4)
    assert all(routing.top_k[1].shape == (14, 4) for routing in changed.routing)
    assert (changed.logits - before).abs().max() > 1e-3
    assert torch.equal(model(ids).logits, before)


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        (
            torch.zeros(4, dtype=torch.int64),
            {},
            r"ids have shape \(4,\), dtype torch.int64; expected \(B, T\) integers",
        ),
        (torch.zeros(1, 4), {}, r"ids have shape \(1, 4\), dtype torch.float32"),
        (torch.zeros(1, 0, dtype=torch.int64), {}, r"ids have shape \(1, 0\)"),
        (random_ids(1, 33), {}, "33 tokens, but context_length is 32"),
        (random_ids(1, 4), {"top_k": 6}, "top_k is 6, expected a number from 1 to n_experts=5"),
        (random_ids(1, 4), {"top_k": 0}, "top_k is 0, expected a number from 1 to n_experts=5"),
        ([[1, 2]], {}, r"ids are a list; expected a tensor \(B, T\)"),
        (torch.tensor([[0, 61]]), {}, "ids go from 0 to 61; expected 0 to 60"),
        (torch.tensor([[-1, 3]]), {}, "ids go from -1 to 3; expected 0 to 60"),
        (torch.ones(1, 4, dtype=torch.bool), {}, "ids have shape .* dtype torch.bool"),
        (random_ids(2, 8), {"targets": random_ids(8, 2)}, r"targets have shape \(8, 2\).* ids' shape \(2, 8\)"),
        (random_ids(2, 8), {"targets": random_ids(2, 8).flatten()}, r"targets have shape \(16,\)"),
        (random_ids(1, 4), {"targets": torch.rand(1, 4)}, "targets have shape .* dtype torch.float32"),
        (random_ids(1, 2), {"targets": torch.tensor([[3, 61]])}, "targets go from 3 to 61; expected 0 to 60"),
        (random_ids(1, 2), {"targets": torch.tensor([[3, -1]])}, "targets go from -1 to 3; expected 0 to 60"),
        (random_ids(1, 2), {"targets": torch.tensor([[-100, -100]])}, "All targets are -100"),
        (random_ids(1, 3), {"token_mask": torch.tensor([[0, 1, 1]])}, "padding before a real token"),
        (random_ids(1, 3), {"token_mask": torch.tensor([[1, 0, 1]])}, "padding before a real token"),
        (random_ids(1, 3), {"token_mask": torch.tensor([[2, 1, 0]])}, "other values than 0 and 1"),
        (random_ids(1, 3), {"token_mask": torch.zeros(1, 3)}, "False everywhere"),
        (random_ids(1, 3), {"token_mask": torch.ones(3, 1)}, r"token_mask has shape \(3, 1\); expected .* \(1, 3\)"),
    ],
)
def test_unfit_call_is_refused_with_what_came(ids, options, message):
    with pytest.raises(ValueError, match=message):
        small_model()(ids, **options)


@pytest.mark.parametrize("ids", [[[1, 2]], random_ids(1, 4)[0], random_ids(1, 4) + 61, random_ids(1, 4) - 61])
def test_generation_refuses_the_same_ids(ids):
    with pytest.raises(ValueError, match="^ids "):
        next(small_model().generate(ids, 2))


def test_a_mask_of_ones_and_zeros_is_one_of_bools():
    """As tokenizers give it. Taken as an index, it would be two tokens, again and again."""
    model, ids = small_model(capacity_factor=1.0), random_ids(2, 8)
    mask = torch.arange(8) < torch.tensor([[8], [3]])  # (2, 8)
    expected = model(ids, ids, token_mask=mask)
    for kind in (torch.int64, torch.uint8, torch.float32):
        output = model(ids, ids, token_mask=mask.to(kind))
        assert torch.equal(output.loss, expected.loss)
        assert [r.load.tolist() for r in output.routing] == [r.load.tolist() for r in expected.routing]
    assert expected.routing[0].load.sum() == 11 * model.config.top_k


def test_ids_and_targets_may_be_int32_as_corpora_are():
    model, ids = small_model(), random_ids(2, 8)
    assert torch.equal(model(ids.int(), ids.int()).loss, model(ids, ids).loss)


# ---- the learner's own choice ----------------------------------------------------------------------------------------


def test_function_passed_in_chooses_in_every_layer():
    calls = []

    def worst(scores, k):
        calls.append((tuple(scores.shape), k))
        weights, expert_ids = top_k_route(1 - scores, k)
        return weights, expert_ids

    model, ids = small_model(top_k_fn=worst), random_ids(2, 7)
    output = model(ids, top_k=3)
    assert calls == [((14, 5), 3)] * 3
    for routing in output.routing:
        assert torch.equal(routing.load, 14 - torch.bincount(routing.scores.topk(2).indices.flatten(), minlength=5))
    assert (output.logits - small_model()(ids, top_k=3).logits).abs().max() > 1e-3


def test_own_function_with_the_same_rule_gives_the_same_model():
    def mine(scores, k):
        order = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
        chosen = scores.gather(1, order)
        return chosen / chosen.sum(dim=-1, keepdim=True), order

    model, ids, targets = small_model(top_k_fn=mine), random_ids(2, 7), random_ids(2, 7, seed=1)
    output, expected = model(ids, targets), small_model()(ids, targets)
    assert torch.equal(output.logits, expected.logits) and torch.equal(output.loss, expected.loss)


def test_wrong_function_is_refused_in_the_model():
    with pytest.raises(ValueError, match=r"top_k_fn: weights have shape \(2, 14\), expected \(N, k\) = \(14, 2\)"):
        small_model(top_k_fn=lambda scores, k: tuple(t.T for t in top_k_route(scores, k)))(random_ids(2, 7))


# ---- a dispatch passed in --------------------------------------------------------------------------------------------


def test_dispatch_passed_in_computes_every_layer():
    sizes = []

    def nothing(x, weights, expert_ids, gate_up, down):
        sizes.append((tuple(x.shape), tuple(weights.shape), tuple(expert_ids.shape), len(gate_up), len(down)))
        return torch.zeros_like(x)

    ids = random_ids(2, 7)
    output = small_model(dispatch_fn=nothing)(ids, top_k=3)
    assert sizes == [((14, 16), (14, 3), (14, 3), 5, 5)] * 3
    assert (output.logits - small_model()(ids, top_k=3).logits).abs().max() > 1e-3


def test_dispatch_of_lesson_04_gives_the_same_model_and_gradients():
    ids, targets = random_ids(2, 7), random_ids(2, 7, seed=1)
    model, own = small_model(dispatch_fn=sparse_forward), small_model()
    output, expected = model(ids, targets), own(ids, targets)
    torch.testing.assert_close(output.logits, expected.logits)
    for each in (output, expected):
        each.loss.backward()
    for parameter, right in zip(model.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, right.grad)


def test_dispatch_passed_in_generates():
    ids = random_ids(1, 3)
    model, own = small_model(dispatch_fn=sparse_forward), small_model()
    drawn = [[token.item() for token, _ in each.generate(ids, 5, temperature=0)] for each in (model, own)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    "returned, came",
    [
        (lambda x: x[:, :3], r"\(14, 3\)"),
        (lambda x: x.T, r"\(16, 14\)"),
        (lambda x: (x, 28), "tuple"),
        (lambda x: None, "NoneType"),
    ],
)
def test_dispatch_that_returns_something_else_is_refused(returned, came):
    model = small_model(dispatch_fn=lambda x, *rest: returned(x))
    with pytest.raises(ValueError, match=rf"dispatch_fn returned {came}, expected y \(N, D\) = \(14, 16\)"):
        model(random_ids(2, 7))


def test_dispatch_is_refused_where_there_is_nothing_to_dispatch():
    with pytest.raises(ValueError, match=r"this model is dense \(n_experts=1\)"):
        small_model(dispatch_fn=sparse_forward, n_experts=1, top_k=1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"capacity_factor": 1.25}, r"nothing of capacity_factor=1.25; expected None"),
        ({"gate_on": "input"}, r"nothing of gate_on='input'; expected 'output'"),
        ({"expert": "relu2"}, r"nothing of expert='relu2'; expected 'swiglu'"),
        ({"expert_clamp": 7.0}, r"nothing of expert_clamp=7.0; expected None"),
        ({"expert_bias": True}, r"nothing of expert_bias=True; expected False"),
        ({"router": "expert_choice", "allow_lookahead": True, "renorm": False}, "needs K experts for every token"),
    ],
)
def test_dispatch_is_refused_with_settings_that_it_would_ignore(settings, message):
    with pytest.raises(ValueError, match="dispatch_fn.*" + message):
        small_model(dispatch_fn=sparse_forward, **settings)


def test_dispatch_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="dispatch_fn is a Tensor, expected a function of .*, not what it returns"):
        small_model(dispatch_fn=torch.zeros(3))


# ---- cache and causality ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [[1] * 11, [4, 1, 1, 1, 1, 1, 1, 1], [5, 6], [1, 3, 1, 4, 2], [11]])
@torch.no_grad()
def test_cached_decoding_equals_uncached(kind, chunks):
    model, ids = small_model(**KINDS[kind]).eval(), random_ids(3, 11)
    whole, cache, logits, chosen = model(ids), KVCache(3), [], []
    for part in ids.split(chunks, dim=1):
        output = model(part, cache=cache)
        logits.append(output.logits)
        chosen.append([r.combine.view(*r.batch_shape, -1) for r in output.routing])
    assert len(cache) == 11
    torch.testing.assert_close(torch.cat(logits, dim=1), whole.logits, atol=1e-5, rtol=1e-5)
    for routing, *parts in zip(whole.routing, *chosen, strict=True):
        combine = routing.combine.view(3, 11, -1)
        torch.testing.assert_close(torch.cat(parts, dim=1), combine, atol=1e-5, rtol=1e-5)


def test_a_pass_that_was_broken_off_leaves_no_trace_in_the_cache():
    model, cache, ids = small_model().eval(), KVCache(3), random_ids(2, 9)
    model(ids[:, :5], cache=cache)
    stop = model.blocks[1].feed_forward.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(ids[:, 5:], cache=cache)
    stop.remove()
    assert [pair[0].shape[2] for pair in cache.layers] == [9, 9, 5] and len(cache) == 5
    torch.testing.assert_close(model(ids[:, 5:], cache=cache).logits, model(ids).logits[:, 5:])
    assert len(cache) == 9


def test_a_model_that_comes_from_the_meta_device_computes_the_same():
    model, ids = small_model(selection_bias=True, score="sigmoid").eval(), random_ids(2, 7)
    with torch.device("meta"):
        empty = small_model(selection_bias=True, score="sigmoid").eval()
    empty = empty.to_empty(device="cpu")
    empty.load_state_dict(model.state_dict())
    torch.testing.assert_close(empty(ids).logits, model(ids).logits)


def test_the_selection_bias_stays_float32_in_a_bfloat16_model():
    model = small_model(selection_bias=True, score="sigmoid")
    bias = model.blocks[0].feed_forward.router.bias
    bias += 0.5003
    model = model.bfloat16()
    kept = model.blocks[0].feed_forward.router.bias
    assert kept.dtype == torch.float32 and model.head.weight.dtype == torch.bfloat16 and torch.equal(kept, bias)
    for _ in range(100):
        update_selection_bias_(kept, torch.tensor([9, 3, 6, 6, 6])[: len(kept)], 0.001)
    assert kept[0].item() == pytest.approx(0.4003, abs=1e-5)
    assert model(random_ids(1, 4)).logits.isfinite().all()


def test_cache_that_is_full_is_refused_before_anything_is_added():
    model, cache = small_model().eval(), KVCache(3)
    model(random_ids(1, 30), cache=cache)
    with pytest.raises(ValueError, match="33 tokens, but context_length is 32"):
        model(random_ids(1, 3), cache=cache)
    assert len(cache) == 30
    model(random_ids(1, 2), cache=cache)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_past_does_not_see_the_future(kind, training):
    model = small_model(**KINDS[kind]).train(training)
    ids = random_ids(2, 12)
    changed = torch.cat([ids[:, :7], (ids[:, 7:] + 1) % 61], dim=1)
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before.logits[:, :7], after.logits[:, :7], atol=1e-5, rtol=1e-5)
    assert (before.logits[:, 7:] - after.logits[:, 7:]).abs().amax(dim=-1).min() > 1e-3
    for a, b in zip(before.routing, after.routing, strict=True):
        a, b = (r.combine.view(2, 12, -1)[:, :7] for r in (a, b))
        assert torch.equal(a != 0, b != 0)
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_rows_of_a_batch_do_not_see_each_other():
    model, ids = small_model().eval(), random_ids(3, 9)
    torch.testing.assert_close(model(ids).logits[1:2], model(ids[1:2]).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("score", ["softmax", "sigmoid"])
def test_padding_leaves_logits_loads_and_losses_of_the_real_tokens_as_they_were(score):
    model, ids, targets = small_model(score=score), random_ids(2, 9), random_ids(2, 9, seed=1)
    mask = torch.arange(9) < torch.tensor([[9], [4]])
    padded = model(ids, targets.masked_fill(~mask, -100), token_mask=mask)
    long, short = model(ids[:1], targets[:1]), model(ids[1:, :4], targets[1:, :4])
    torch.testing.assert_close(padded.logits[1, :4], short.logits[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded.cross_entropy, (9 * long.cross_entropy + 4 * short.cross_entropy) / 13)
    balance, z = [], []
    for with_padding, a, b in zip(padded.routing, long.routing, short.routing, strict=True):
        assert torch.equal(with_padding.load, a.load + b.load)
        scores = torch.cat([a.scores, b.scores])
        scores = scores / scores.sum(dim=1, keepdim=True)
        balance.append(load_balancing_loss(scores, torch.cat([a.expert_ids, b.expert_ids])))
        z.append(router_z_loss(torch.cat([a.logits, b.logits])))
    torch.testing.assert_close(padded.balance_loss, sum(balance) / 3, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded.z_loss, sum(z) / 3, atol=1e-5, rtol=1e-5)


# ---- learning --------------------------------------------------------------------------------------------------------


def router_gradient(**coefficients: float) -> torch.Tensor:
    model = small_model(**({"balance_coef": 0.0, "z_coef": 0.0} | coefficients))
    model(random_ids(2, 9), random_ids(2, 9, seed=1)).loss.backward()
    return torch.stack([block.feed_forward.router.weight.grad for block in model.blocks])


@pytest.mark.parametrize("name", ["balance_coef", "z_coef"])
def test_router_gradient_of_an_auxiliary_loss_is_in_proportion_to_its_coefficient(name):
    without, once, thrice = (router_gradient(**{name: value}) for value in (0.0, 1.0, 3.0))
    assert (without.abs().amax(dim=(1, 2)) > 1e-4).all()  # cross-entropy alone reaches every router
    assert ((once - without).abs().amax(dim=(1, 2)) > 1e-3).all()
    torch.testing.assert_close(thrice - without, 3 * (once - without), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_receives_gradient(kind):
    model = small_model(**KINDS[kind])
    model(random_ids(4, 20), random_ids(4, 20, seed=1)).loss.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_can_be_learned_by_heart(kind):
    model = small_model(**KINDS[kind])
    ids, targets = random_ids(2, 10), random_ids(2, 10, seed=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    first = model(ids, targets).cross_entropy.item()
    for _ in range(30):
        optimizer.zero_grad()
        model(ids, targets).loss.backward()
        optimizer.step()
    assert first > 3 and model(ids, targets).cross_entropy.item() < 0.05


def test_evaluation_changes_no_state():
    model = small_model(jitter=0.1, capacity_factor=0.5, selection_bias=True, score="sigmoid").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chance = torch.get_rng_state()
    first, again = (model(random_ids(2, 9), random_ids(2, 9, seed=1)).logits for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.training


def test_all_chance_in_training_comes_from_the_generator():
    model, ids = small_model(jitter=0.2), random_ids(2, 9)
    chance = torch.get_rng_state()
    a, b, c = (model(ids, generator=generator(seed)).logits for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(torch.get_rng_state(), chance)


# ---- generation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@torch.no_grad()
def test_temperature_zero_is_the_most_probable_token_each_time(kind):
    model, ids = small_model(**KINDS[kind]), random_ids(3, 5)
    drawn = list(model.generate(ids, 8, temperature=0))
    again = [token for token, _ in model.generate(ids, 8, temperature=0)]
    assert [output.logits.shape[1] for _, output in drawn] == [5] + [1] * 7  # the prompt once, then one token a step
    model.eval()
    for (token, output), repeated in zip(drawn, again, strict=True):
        logits = model(ids).logits[:, -1]
        torch.testing.assert_close(output.logits[:, -1], logits, atol=1e-5, rtol=1e-5)
        assert torch.equal(token, logits.argmax(dim=-1)) and torch.equal(token, repeated)
        ids = torch.cat([ids, token[:, None]], dim=1)


def test_sampling_repeats_with_its_generator_and_follows_the_probabilities():
    model, ids = small_model(init_std=0.05), random_ids(1, 3).expand(4000, 3)
    first, again, other = (next(model.generate(ids, 1, generator=generator(seed)))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    with torch.no_grad():
        logits = model.eval()(ids[:1]).logits[0, -1]
    for temperature in (1.0, 0.3):
        drawn, _ = next(model.generate(ids, 1, temperature=temperature, generator=generator(3)))
        expected = (logits / temperature).softmax(dim=-1)
        torch.testing.assert_close(torch.bincount(drawn, minlength=61) / 4000, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_generation_leaves_the_mode_as_it_was(training):
    model = small_model(capacity_factor=1e-9).train(training)
    for _, output in model.generate(random_ids(1, 3), 4):
        assert model.training is training  # between two tokens, too
        assert all(routing.kept.all() for routing in output.routing)  # evaluation: nothing dropped
    assert model.training is training


def test_mode_chosen_between_two_tokens_stays():
    model = small_model().train()
    tokens = model.generate(random_ids(1, 3), 4)
    next(tokens)
    model.eval()
    tokens.close()
    assert not model.training


def test_failure_in_generation_leaves_the_mode_as_it_was():
    def fails(scores, k):
        assert not model.training
        raise RuntimeError("no choice today")

    model = small_model(top_k_fn=fails).train()
    with pytest.raises(RuntimeError, match="no choice today"):
        next(model.generate(random_ids(1, 3), 4))
    assert model.training


def test_generation_beyond_the_context_is_refused():
    model = small_model()
    assert len(list(model.generate(random_ids(1, 30), 2))) == 2
    with pytest.raises(ValueError, match=r"30 tokens of prompt \+ 3 new, but context_length is 32"):
        next(model.generate(random_ids(1, 30), 3))


def test_negative_temperature_is_refused():
    with pytest.raises(ValueError, match="temperature is -1, expected a number of at least 0"):
        next(small_model().generate(random_ids(1, 3), 4, temperature=-1))


def test_generation_builds_no_graph():
    _, output = next(small_model().generate(random_ids(1, 3), 1))
    assert not output.logits.requires_grad


@pytest.mark.parametrize("settings", [{"selection_bias": True}, {"n_groups": 5, "topk_groups": 2}])
def test_a_choice_of_ones_own_excludes_settings_that_it_would_ignore(settings):
    with pytest.raises(ValueError, match="selection_bias and n_groups would have no effect"):
        small_model(top_k_fn=top_k_route, **settings)
