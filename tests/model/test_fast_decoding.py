"""Writing without modules gives the model's own tokens and logits, and steps aside where a model is an unusual one."""

from dataclasses import replace

import pytest
import torch
from small import random_ids, small_config, small_model
from torch import nn

from moe_lite import MoELanguageModel
from moe_lite.checkpoint import pretrained
from moe_lite.lab.offloading import offloaded
from moe_lite.lessons.interventions import frozen_choice, with_routers, without_experts
from moe_lite.model.fast_decoding import can_decode
from moe_lite.model.moe import moe_layer
from moe_lite.model.routing import top_k_route
from moe_lite.model.transformer import Block

OWN = (MoELanguageModel, Block)


class Negated(MoELanguageModel):
    """A model of a learner's own, whose `forward` does something else."""

    def forward(self, *arguments, **options):
        output = super().forward(*arguments, **options)
        return replace(output, logits=-output.logits)


class Reversed(Block):
    """A block of a learner's own."""

    def forward(self, x, *arguments, **options):
        y, routing = super().forward(x, *arguments, **options)
        return x - (y - x), routing


def written(model: MoELanguageModel, ids: torch.Tensor, n: int, routing: bool, **options):
    return [(token, output) for token, output in model.generate(ids, n, routing=routing, **options)]


@pytest.mark.parametrize("n_experts", [1, 4, 8, 16, 32])
def test_the_shipped_models_write_the_same(n_experts: int) -> None:
    model, ids = pretrained(n_experts), random_ids(1, 20, vocab_size=2048)
    assert can_decode(model, OWN)
    for first, second in zip(
        written(model, ids, 40, True, temperature=0), written(model, ids, 40, False, temperature=0), strict=True
    ):
        assert torch.equal(first[0], second[0])
        assert second[1].logits.shape[0] == 1
        torch.testing.assert_close(first[1].logits[:, -1], second[1].logits[:, -1], atol=1e-4, rtol=1e-4)


def test_new_tokens_come_without_routing_and_the_prompt_with_it() -> None:
    model = small_model().train()
    outputs = [output for _, output in written(model, random_ids(1, 5), 4, False)]
    assert [bool(output.routing) for output in outputs] == [True, False, False, False]
    assert model.training


def test_drawing_with_a_generator_gives_the_same_text() -> None:
    model, ids = small_model(n_shared_experts=1), random_ids(1, 6)
    texts = [
        [int(t) for t, _ in written(model, ids, 12, routing, generator=torch.Generator().manual_seed(5))]
        for routing in (True, False)
    ]
    assert texts[0] == texts[1]


def test_weights_that_change_in_place_are_used_at_once() -> None:
    texts = []
    for routing in (True, False):
        model, new = small_model(), []
        for token, _ in model.generate(random_ids(1, 6), 10, temperature=0, routing=routing):
            new.append(int(token))
            with torch.no_grad():
                model.head.weight.add_(0.02 * torch.randn(61, 16, generator=torch.Generator().manual_seed(len(new))))
        texts.append(new)
    assert texts[0] == texts[1]


def listening(model: MoELanguageModel) -> MoELanguageModel:
    model.blocks[1].attention.register_forward_hook(lambda *_: None)
    return model


def with_own_head(model: MoELanguageModel) -> MoELanguageModel:
    model.head = nn.Sequential(model.head)
    return model


def with_own_block(model: MoELanguageModel) -> MoELanguageModel:
    model.blocks[1].__class__ = Reversed
    return model


UNUSUAL = {
    "a model of another class": lambda: Negated(small_config()),
    "a block of another class": lambda: with_own_block(small_model()),
    "a part that somebody listens to": lambda: listening(small_model()),
    "another head": lambda: with_own_head(small_model()),
    "a rule for the router": lambda: with_routers(small_model(), {1: frozen_choice(5, 16)}),
    "muted experts": lambda: without_experts(small_model(), {0: [1]}),
    "experts in a file": lambda: offloaded(8, 3),
    "own top-k": lambda: small_model(top_k_fn=top_k_route),
    "own layer": lambda: small_model(layer_fn=lambda *parts: moe_layer(*parts)),
    "half precision": lambda: small_model().bfloat16(),
    **{
        f"{name}={value}": lambda name=name, value=value: small_model(**{name: value})
        for name, value in {
            "score": "sigmoid", "renorm": False, "order": "topk_first", "router": "noisy_top_k", "gate_on": "input",
            "expert": "geglu", "selection_bias": True, "router_bias": True, "qk_norm": "head", "n_zero_experts": 1,
            "routed_scale": 2.0, "logit_scale": 0.5,
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSUAL)
def test_other_models_write_by_themselves(what: str) -> None:
    model = UNUSUAL[what]()
    assert not can_decode(model, OWN)
    ids = random_ids(1, 6, vocab_size=model.config.vocab_size)
    first, second = (written(model, ids, 5, routing, temperature=0) for routing in (True, False))
    assert [int(token) for token, _ in first] == [int(token) for token, _ in second]
    assert all(output.routing for _, output in second)


@pytest.mark.parametrize("n_experts", [1, 8, 32])
@pytest.mark.parametrize("batch", [2, 5])
def test_several_texts_are_written_together(n_experts: int, batch: int) -> None:
    model, ids = pretrained(n_experts), random_ids(batch, 9, vocab_size=2048)
    first, second = (written(model, ids, 12, routing, temperature=0) for routing in (True, False))
    for (token, output), (same, other) in zip(first, second, strict=True):
        assert torch.equal(token, same)
        torch.testing.assert_close(output.logits[:, -1], other.logits[:, -1], atol=1e-4, rtol=1e-4)
    assert not any(output.routing for _, output in second[1:])


def test_a_setting_that_is_new_is_not_known_until_somebody_says_so() -> None:
    from moe_lite.model.fast_decoding import SIZES

    names = set(small_config().__dataclass_fields__)
    assert set(SIZES) <= names
