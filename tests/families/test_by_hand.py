"""Rules of papers worked out by hand: what the preset of each family computes for a few tokens (moe_lite/families).

A token's vector is its logits, written as odds: odds (3, 1) are the logits ln 3 and 0, their softmax is 3/4 and 1/4,
and σ(ln 3) is 3/4 as well. Expert e answers ANSWERS[e] in each feature, whatever it is given, so that a layer's answer
shows each weight. Every test has the same tokens under another rule, too, most often one that differs in one setting.
"""

from math import log

import pytest
import torch
from torch import Tensor

from moe_lite import MoELanguageModel, families
from moe_lite.model.balance import BALANCE_LOSSES, z_loss
from moe_lite.model.moe import MoELayer
from moe_lite.model.routing import Routing
from moe_lite.model.transformer import build_moe_layer

D = 4
SIZES = {"vocab_size": 8, "d_model": D, "n_heads": 2, "n_kv_heads": 1, "d_expert": 2, "expert_bias": True}
ANSWERS = torch.tensor([1.0, 10.0, 100.0, 1000.0])
A, B, C = (4, 2, 1, 1), (1, 1, 6, 2), (5, 5, 1, 1)  # tokens, as odds


@torch.no_grad()
def layer(name: str, n_experts: int = 4, **settings) -> MoELayer:
    """The sparse layer of the preset, `settings` winning, in evaluation mode; what is not said above is zero."""
    made = build_moe_layer(families.preset(name, n_experts=n_experts, **(SIZES | settings)))
    for parameter in made.parameters():
        parameter.zero_()
    made.router.weight.copy_(torch.eye(n_experts, D))
    made.experts.down_bias.copy_(ANSWERS[:n_experts, None].expand(-1, D))
    return made.eval()


@torch.no_grad()
def run(made: MoELayer, *tokens: tuple[float, ...], ids: tuple[int, ...] = ()) -> tuple[Tensor, Routing]:
    """The layer's answer (N, D) to tokens given as odds, features without an expert being 0, and its Routing."""
    x = torch.tensor([[*odds, *[1.0] * (D - len(odds))] for odds in tokens]).log()[None]  # (1, N, D)
    y, routing = made(x, **({"token_ids": torch.tensor([ids])} if ids else {}))
    return y[0], routing


def answers(made: MoELayer, *tokens: tuple[float, ...], ids: tuple[int, ...] = ()) -> list[float]:
    """The first feature of the layer's answer to each token."""
    return run(made, *tokens, ids=ids)[0][:, 0].tolist()


def balancing(name: str, routing: Routing) -> float:
    """The balancing loss that the preset names."""
    return BALANCE_LOSSES[families.preset(name).balance]([routing]).item()


def close(*expected: float):
    return pytest.approx(list(expected), rel=1e-5, abs=1e-6)


def test_jacobs_1991_mixes_all_experts_by_a_softmax():
    # A: 4/8, 2/8, 1/8, 1/8 -> 0.5 + 2.5 + 12.5 + 125; of equal odds the mean, 1111/4
    assert answers(layer("jacobs_1991"), A, (1, 1, 1, 1)) == close(140.5, 277.75)
    # the two best alone: 0.5 + 2.5, and of equal ones the first two, 0.25 + 2.5
    assert answers(layer("jacobs_1991", top_k=2), A, (1, 1, 1, 1)) == close(3, 2.75)


@torch.no_grad()
def test_shazeer_2017_takes_a_softmax_over_the_kept_logits():
    made = layer("shazeer_2017")
    made.router.noise_weight.fill_(9.0)  # there is noise in training only
    y, routing = run(made, A, B, C)
    # A keeps 4 and 2: 2/3, 1/3 -> 2/3 + 10/3. B keeps 6 and 2: 3/4, 1/4 -> 75 + 250. C keeps 5 and 5: 0.5 + 5
    assert y[:, 0].tolist() == close(4, 325, 5.5)
    # importance: 2/3 + 1/2, 1/3 + 1/2, 3/4, 1/4; its mean is 3/4, so in twelfths it is off by 5, 1, 0, −6
    # variance (25 + 1 + 36) / 144 / 4 = 62/576, CV² = 62/576 · 16/9 = 31/162
    importance = BALANCE_LOSSES["importance"]([routing]).item()
    assert importance == pytest.approx(31 / 162, rel=1e-5)
    # load (2, 2, 1, 1), its mean is 3/2: CV² = (1/4) / (9/4) = 1/9; both together
    assert balancing("shazeer_2017", routing) == pytest.approx(31 / 162 + 1 / 9, rel=1e-5)
    # a softmax over all: A 0.5 + 2.5, B 60 + 200, C 5/12 + 50/12
    other = layer("shazeer_2017", router="top_k", renorm=False, balance="importance")
    assert answers(other, A, B, C) == close(3, 260, 55 / 12)
    made.train()
    assert answers(made, A, B, C) != close(4, 325, 5.5)


GSHARD = (2, 3, 1), (3, 1, 2), (3, 2, 1)


def test_gshard_gives_room_to_first_choices_before_second_ones():
    made = layer("gshard", 3)
    # the two best of each, of sum 5: (0.4, 0.6, 0), (0.6, 0, 0.4), (0.6, 0.4, 0)
    assert answers(made, *GSHARD) == close(0.4 + 6, 0.6 + 40, 0.6 + 4)
    # in training there is room for 1.0 · 3 · 2 / 3 = 2 tokens; expert 0 is the first choice of tokens 1 and 2, so
    # token 0, for which it is the second, loses it; what it keeps is not renormalised
    y, routing = run(made.train(), *GSHARD)
    assert y[:, 0].tolist() == close(6, 40.6, 4.6) and routing.load_kept.tolist() == [2, 2, 1]
    # by place it would be token 2 that loses expert 0
    assert answers(layer("gshard", 3, priority="position").train(), *GSHARD) == close(6.4, 40.6, 4)


def test_gshard_loss_counts_first_choices():
    _, routing = run(layer("gshard", 3), *GSHARD)
    # first choices f = (2/3, 1/3, 0); in sixths the scores are (2, 3, 1), (3, 1, 2), (3, 2, 1): P = (8, 6, 4) / 18
    # 3 · (2/3 · 8/18 + 1/3 · 6/18) = 3 · 22/54 = 11/9
    assert balancing("gshard", routing) == pytest.approx(11 / 9, rel=1e-5)
    # with all choices f = (3, 2, 1) / 6: 3 · (3 · 8 + 2 · 6 + 1 · 4) / 108 = 10/9
    assert balancing("switch", routing) == pytest.approx(10 / 9, rel=1e-5)


SWITCH = (3, 1, 1, 1), (1, 1, 1, 5), (5, 1, 1, 1), (9, 1, 1, 1)


@pytest.mark.filterwarnings("ignore:ModelConfig")  # weights of 1 have no gradient: the control's point
def test_switch_weighs_the_best_expert_with_its_probability_and_drops_by_place():
    # 3/6 of 1, 5/8 of 1000, 5/8 of 1, 9/12 of 1
    assert answers(layer("switch"), *SWITCH) == close(0.5, 625, 0.625, 0.75)
    # in training there is room for 1.25 · 4 · 1 / 4, rounded up to 2: expert 0 is full when the last token comes,
    # though that one is the surest
    y, routing = run(layer("switch", jitter=0.0).train(), *SWITCH)
    assert y[:, 0].tolist() == close(0.5, 625, 0.625, 0)
    # dropped or not, f = (3/4, 0, 0, 1/4); in 24ths the scores of expert 0 are 12, 3, 15, 18, of expert 3 4, 15, 3, 2:
    # P = 48/96 and 24/96; 4 · (3/4 · 1/2 + 1/4 · 1/4) = 7/4
    assert balancing("switch", routing) == pytest.approx(7 / 4, rel=1e-5)
    assert answers(layer("switch", jitter=0.0, priority="score").train(), *SWITCH) == close(0, 625, 0.625, 0.75)
    assert answers(layer("switch", jitter=0.0, capacity_factor=3.0).train(), *SWITCH) == close(0.5, 625, 0.625, 0.75)
    assert answers(layer("switch", renorm=True), *SWITCH) == close(1, 1000, 1, 1)


def test_st_moe_charges_the_squared_logarithm_of_the_sum_of_odds():
    y, routing = run(layer("st_moe", 2), (1, 1), (3, 1))
    # sums of 2 and 4: ((ln 2)² + (2 ln 2)²) / 2 = 2.5 (ln 2)²
    assert z_loss([routing]).item() == pytest.approx(2.5 * log(2) ** 2, rel=1e-5)
    # twice the odds are the same weights, and sums of 4 and 8: (2² + 3²) / 2 = 6.5
    twice, routing = run(layer("st_moe", 2), (2, 2), (6, 2))
    torch.testing.assert_close(y, twice)
    assert z_loss([routing]).item() == pytest.approx(6.5 * log(2) ** 2, rel=1e-5)


def test_st_moe_adds_a_thousandth_of_it_to_the_loss():
    def loss(**settings) -> float:
        """Of a model whose parameters are all zero, so that every token and every expert is as likely as the others."""
        model = MoELanguageModel(families.preset("st_moe", n_experts=4, **(SIZES | settings))).eval()
        for parameter in model.parameters():
            parameter.data.zero_()
        ids = torch.arange(8)[None]
        return model(ids, ids).loss.item()

    # ln 8 for one of 8 tokens, 0.01 · 1 for even scores, 0.001 · (ln 4)² for the odds of 4 experts
    assert loss() == pytest.approx(log(8) + 0.01 + 0.001 * log(4) ** 2, abs=1e-6)
    assert loss(z_coef=0.0) == pytest.approx(log(8) + 0.01, abs=1e-6)


def test_st_moe_has_room_for_a_quarter_more_than_the_fair_share():
    # the weights of A are 4/6 and 2/6: 4 in all; room is for 1.25 · 4 · 2 / 4, rounded up to 3
    assert answers(layer("st_moe").train(), A, A, A, A) == close(4, 4, 4, 0)
    assert answers(layer("st_moe", capacity_factor=1.0).train(), A, A, A, A) == close(4, 4, 0, 0)
    assert answers(layer("st_moe", renorm=False).train(), A, A, A, A) == close(3, 3, 3, 0)


@pytest.mark.filterwarnings("ignore:ModelConfig")
def test_base_layers_weigh_the_best_expert_with_the_sigmoid_of_its_logit():
    tokens = (3, 1, 0.5), (0.5, 0.25, 0.25), (1, 4, 2)
    # σ(ln a) = a / (1 + a): 3/4 of 1, 1/3 of 1 and 4/5 of 10; in evaluation expert 0 may have two of three tokens
    y, routing = run(layer("base_layers", 3), *tokens)
    assert y[:, 0].tolist() == close(3 / 4, 1 / 3, 8) and routing.load.tolist() == [2, 1, 0]
    # a softmax: 3/4.5, 0.5/1, 4/7 of 10
    assert answers(layer("base_layers", 3, score="softmax"), *tokens) == close(2 / 3, 1 / 2, 40 / 7)
    assert answers(layer("base_layers", 3, renorm=True), *tokens) == close(1, 1, 10)


@torch.no_grad()
def test_hash_layers_look_the_expert_up_whatever_the_scores():
    def looked_up(**settings) -> MoELayer:
        made = layer("hash_layers", 3, **settings)
        made.router.table.copy_(torch.tensor([1, 0, 2, 0, 0, 0, 0, 0])[:, None])  # token 0: expert 1, 2: expert 2
        return made

    tokens, ids = ((2, 1, 1), (9, 1, 1), (1, 2, 5)), (2, 0, 2)
    assert answers(looked_up(), *tokens, ids=ids) == close(100, 10, 100)
    assert answers(looked_up(), *tokens, ids=(0, 0, 1)) == close(10, 10, 1)
    # weighed by the scores it would be 1/4 of 100, 1/11 of 10 and 5/8 of 100
    assert answers(looked_up(renorm=False), *tokens, ids=ids) == close(25, 10 / 11, 62.5)
    # and chosen by them: 2/4 of 1, 9/11 of 1, 5/8 of 100
    assert answers(layer("hash_layers", 3, router="top_k", renorm=False), *tokens) == close(0.5, 9 / 11, 62.5)


def test_expert_choice_lets_each_expert_take_as_many_tokens():
    tokens = (4, 3, 1), (1, 1, 2), (3, 2, 3)
    # in eighths (4, 3, 1), (2, 2, 4), (3, 2, 3). Each of 3 experts takes 3 · 1 / 3 = 1 token: experts 0 and 1 take
    # token 0 (4/8, 3/8), expert 2 takes token 1 (4/8); nobody takes token 2
    y, routing = run(layer("expert_choice", 3, top_k=1), *tokens)
    assert y[:, 0].tolist() == close(0.5 + 3.75, 50, 0)
    assert routing.load.tolist() == [1, 1, 1] and routing.per_token.tolist() == [2, 1, 0]
    # two tokens each, 3 · 2 / 3: the second one of experts 0 and 2 is token 2, that of expert 1 the earlier of equals
    y, routing = run(layer("expert_choice", 3, top_k=2), *tokens)
    assert y[:, 0].tolist() == close(0.5 + 3.75, 2.5 + 50, 0.375 + 37.5) and routing.load.tolist() == [2, 2, 2]
    # tokens that choose: the best one of each
    other = layer("expert_choice", 3, top_k=1, router="top_k", allow_lookahead=False)
    assert answers(other, *tokens) == close(0.5, 50, 0.375)


def test_grok_1_takes_the_weights_of_the_softmax_as_they_are():
    # A: 4/8 + 2/8 of 10. B: 6/10 of 100 + 2/10 of 1000. C: 5/12 + 5/12 of 10
    y, routing = run(layer("grok_1"), A, B, C)
    assert y[:, 0].tolist() == close(3, 260, 55 / 12)
    assert routing.combine.sum(dim=1).tolist() == close(6 / 8, 8 / 10, 10 / 12)
    assert answers(layer("grok_1", renorm=True), A, B, C) == close(4, 325, 5.5)


@torch.no_grad()
def test_deepseek_moe_adds_shared_experts_with_a_weight_of_one():
    def with_shared(**settings) -> MoELayer:
        """The hidden units 0 and 2 belong to shared experts 0 and 1; each reads a feature as its gate."""
        made = layer("deepseek_moe", top_k=2, **settings)
        if made.shared is not None:
            gate, up = made.shared.gate_up.chunk(2)
            gate[0, 0] = up[0, 0] = made.shared.down[0, 0] = 1.0
            gate[2, 1] = up[2, 1] = made.shared.down[1, 2] = 1.0
        return made

    token = (3, 9, 2, 2)
    # routed: 9/16 of 10 + 3/16 = 93/16 in every feature. Shared: silu(z) · z with z = ln 3 gives 3/4 (ln 3)² in the
    # first feature, with z = 2 ln 3 it is 9/10 · 4 (ln 3)² in the second
    routed, first, second = 93 / 16, 0.75 * log(3) ** 2, 3.6 * log(3) ** 2
    y, routing = run(with_shared(), token)
    assert y[0].tolist() == close(routed + first, routed + second, routed, routed)
    assert routing.combine.sum().item() == pytest.approx(12 / 16)
    # divided by their sum the weights are 3/4 and 1/4: 7.5 + 0.25
    y, _ = run(with_shared(renorm=True), token)
    assert y[0].tolist() == close(7.75 + first, 7.75 + second, 7.75, 7.75)
    y, _ = run(with_shared(n_shared_experts=0), token)
    assert y[0].tolist() == close(*[routed] * 4)
