"""What a model costs: FLOPs and cache against running models of transformers, bytes by hand; table, closed models."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from hf_settings import RANDOM, R, as_file, hf_config
from small import random_ids, small_config

from moe_lite import families
from moe_lite.metrics import counted_flops

pytestmark = pytest.mark.slow  # in sum

TOKENS, BATCH = 7, 2
# What these classes need to run, beside what they need to be counted
RUNS = {
    "dbrx": {"attn_config": {"clip_qkv": 8}},
    "deepseek_v2": {"qk_nope_head_dim": 6, "kv_lora_rank": 12},
    "longcat_flash": {"head_dim": 4, "qk_rope_head_dim": 4, "zero_expert_num": 0},
}
LINEAR = ("qwen3_next", "jamba", "minimax")
LATENT = ("deepseek_v2", "deepseek_v3", "longcat_flash")


def running(kind: str):
    """A small model of transformers with random sizes, and our count of its config.json."""
    from transformers import AutoModelForCausalLM

    settings = RANDOM[kind](R(f"costs {kind}"))
    if kind in ("deepseek_v2", "deepseek_v3"):
        settings["num_key_value_heads"] = settings["num_attention_heads"]
    for name, value in RUNS.get(kind, {}).items():
        settings[name] = settings[name] | value if isinstance(value, dict) else value
    config = hf_config(kind, settings)
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    model = AutoModelForCausalLM.from_config(config, **plain).eval().requires_grad_(False)
    return model, families.count(families.from_hf_config(as_file(config)))


@pytest.mark.parametrize("kind", [k for k in RANDOM if k not in (*LINEAR, "llama4_text", "switch_transformers")])
def test_flops_are_those_that_pytorch_counts(kind):
    """Not Llama 4, whose class runs every expert on every token, nor linear layers, which run in blocks there."""
    model, found = running(kind)
    ids = random_ids(BATCH, TOKENS, vocab_size=found.model.vocab_size)
    flops = counted_flops(lambda: model(ids, use_cache=False))
    assert flops == BATCH * TOKENS * found.flops_per_token(TOKENS)


@pytest.mark.parametrize("kind", [k for k in RANDOM if k not in (*LATENT, "switch_transformers")])
def test_cache_is_what_transformers_keeps(kind):
    """Not latent attention: its classes keep keys and values unpacked. Convolutions keep one input too many."""
    model, found = running(kind)
    ids = random_ids(BATCH, TOKENS, vocab_size=found.model.vocab_size)
    with torch.no_grad():
        cache = model(ids, use_cache=True).past_key_values
    held = {"keys": 0, "values": 0, "recurrent_states": 0, "conv_states": 0}
    for layer in cache.layers:
        for name in held:
            tensors = getattr(layer, name, None)
            for tensor in tensors.values() if isinstance(tensors, dict) else [tensors]:
                if tensor is not None and tensor.numel():
                    held[name] += tensor[..., 1:].numel() if name == "conv_states" else tensor.numel()
    held["recurrent_states"] += sum(s.numel() for s in getattr(cache, "linear_cache", []) if len(s))
    assert (kind in LINEAR) == (held["recurrent_states"] > 0)
    assert sum(held.values()) == found.kv_cache_bytes(TOKENS, BATCH, bytes_per_value=1)


HAND = families.PublishedModel("hand", 10, 6, 4, n_heads=2, n_kv_heads=1, d_head=4, d_dense=9)


def test_flops_by_hand():
    # a layer: queries 6·8, keys and values 6·8, back 8·6, three matrices 6·9; the head 6·10. Scores and mix: 8 a token
    matrices = 4 * (3 * 48 + 162) + 60
    assert families.count(HAND).flops_per_token(5) == 2 * (matrices + 4 * 2 * 8 * 5)
    windowed = families.count(replace(HAND, window=3, window_layers=(0, 2)))
    assert windowed.flops_per_token(5) == 2 * (matrices + 2 * 2 * 8 * (5 + 3))
    assert windowed.flops_per_token(2) == 2 * (matrices + 4 * 2 * 8 * 2)
    tied = families.count(replace(HAND, tied=True))
    assert tied.flops_per_token(5) == families.count(HAND).flops_per_token(5)  # the head is the same product


# Two linear layers of four. Their matrices, their products with the state, and what they keep for one text
STATES = {
    # in: 6 · (2·6 + 2·20 + 2·4); convolution over 32 channels, 3 wide; back 20 · 6. State: 4 heads of 3 · 5
    "deltanet": (6 * 60 + 32 * 3 + 120, 3 * 60, 60 + 2 * 32),
    # five matrices of 6 · 8. State: 2 heads of 4 · 4
    "lightning": (5 * 48, 2 * 32, 32),
    # in 2 · 6 · 7, convolution 7 · 3, step and B, C 7 · (2 + 10), step up 2 · 7, back 7 · 6. State: 7 · 5
    "mamba": (84 + 21 + 84 + 14 + 42, 2 * 35, 35 + 2 * 7),
}


@pytest.mark.parametrize("linear", STATES)
def test_linear_layers_cost_the_same_at_any_context(linear):
    parts = dict(
        conv_width=3, n_key_heads=2, n_value_heads=4, d_key_head=3, d_value_head=5, d_inner=7, d_state=5, d_step=2
    )
    m = replace(HAND, linear=linear, softmax_layers=(1, 3), **parts)
    matrices, products, state = STATES[linear]
    found = families.count(m)
    fixed = 2 * (2 * 144 + 4 * 162 + 60 + 2 * (matrices + products))
    for context in (1, 5, 1000):
        assert found.flops_per_token(context) == fixed + 2 * 2 * 2 * 8 * context
        assert found.kv_cache_bytes(context, 3, 2) == 3 * 2 * (2 * 2 * 4 * context + 2 * state)


def test_chosen_zero_experts_cost_nothing():
    none, all_of_them = (families.count("LongCat-Flash", zero_chosen=n).flops_per_token(1) for n in (0, 12))
    assert none - all_of_them == 2 * 28 * 12 * 3 * 6144 * 2048


def test_cache_of_published_models():
    """Mixtral: 128 KiB a token and 4 GiB at 32k (moe-families.md, section 7). Latent: 512 + 64 values in 61 layers."""
    mixtral = families.count("Mixtral-8x7B")
    assert mixtral.kv_cache_bytes(1) == 128 * 2**10
    assert mixtral.kv_cache_bytes(32 * 2**10) == 4 * 2**30
    assert families.count("DeepSeek-V3").kv_cache_bytes(10, 3) == 3 * 10 * 61 * (512 + 64) * 2
    assert families.count("LongCat-Flash").kv_cache_bytes(1) == 28 * 2 * (512 + 64) * 2
    oss = families.count("gpt-oss-20b")  # twelve of its layers see 128 tokens
    assert oss.kv_cache_bytes(1000, bytes_per_value=1) == 2 * 8 * 64 * (12 * 1000 + 12 * 128)
    assert mixtral.kv_cache_bytes(2, bytes_per_value=0.5) == 128 * 2**9


def test_bytes_of_mixtral():
    """moe-families.md, section 7: 186.8, 93.4, 46.7 and 23.4 GB; scales add 3 to 6 %."""
    found = families.count("Mixtral-8x7B")
    assert [round(found.weights_bytes(bits) / 1e9, 1) for bits in (32, 16, 8, 4)] == [186.8, 93.4, 46.7, 23.4]
    assert found.weights_bytes() == found.weights_bytes(16) == 2 * 46_702_792_704
    more = [found.weights_bytes(4, group=group) / found.weights_bytes(4) for group in (128, 64)]
    assert more == [pytest.approx(1 + 16 / 128 / 4), pytest.approx(1 + 16 / 64 / 4)]


@pytest.mark.parametrize("name, gib", [("gpt-oss-120b", 60.8), ("gpt-oss-20b", 12.8)])
def test_bytes_of_gpt_oss_are_the_published_ones(name, gib):
    """MXFP4 for the experts: 4 bits and one scale of 8 bits for 32 weights, 4.25 bits each; the rest in bf16."""
    found = families.count(name)
    size = found.weights_bytes(16, expert_bits=4, group=32, scale_bits=8)
    assert round(size / 2**30, 1) == gib
    matrices = found.held["experts"].matrices
    assert size == 2 * (found.total.all - matrices) + matrices * 4.25 / 8


def test_bytes_are_whole_also_of_few_weights():
    # 1,000 weights in 4 bits and 34 scales (1,000 / 30, rounded up) of 5 bits: 4,170 bits
    m = replace(HAND, n_layers=1, vocab_size=1)
    n = families.count(m).total.all
    expected = math.ceil((4 * n + 5 * math.ceil(n / 30)) / 8)
    assert families.count(m).weights_bytes(4, group=30, scale_bits=5) == expected


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda c: c.flops_per_token(0), "context is 0, expected a whole number of at least 1"),
        (lambda c: c.flops_per_token(2.0), "context is 2.0"),
        (lambda c: c.kv_cache_bytes(-1), "context is -1"),
        (lambda c: c.kv_cache_bytes(1, 0), "batch is 0"),
        (lambda c: c.kv_cache_bytes(1, 1, 0), "bytes_per_value is 0, expected a number above 0"),
        (lambda c: c.weights_bytes(12), r"bits is 12, expected 32 \(fp32\), 16 \(bf16\), 8 \(int8\) or 4 \(int4\)"),
        (lambda c: c.weights_bytes(16.0), "bits is 16.0"),
        (lambda c: c.weights_bytes("int4"), "bits is 'int4'"),
        (lambda c: c.weights_bytes(16, expert_bits=3), "bits is 3"),
        (lambda c: c.weights_bytes(4, group=0), "group is 0"),
        (lambda c: c.weights_bytes(4, group=32, scale_bits=0), "scale_bits is 0"),
        (
            lambda c: c.weights_bytes(16, group=32),
            "group=32 gives scales to weights of 8 bits or fewer; here all have 16",
        ),
    ],
)
def test_question_that_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(families.count(small_config()))


def test_encoder_and_decoder_have_no_single_cost():
    switch = families.count("Switch-Base-128")
    with pytest.raises(ValueError, match="Switch-Base-128: a token passes the encoder or the decoder"):
        switch.flops_per_token(10)
    with pytest.raises(ValueError, match="Switch-Base-128: what is cached depends on two lengths"):
        switch.kv_cache_bytes(10)


# The table, and what is not published


def test_table_has_a_row_for_each_model():
    table = families.counting_table()
    assert [row["name"] for row in table.rows] == families.published()
    assert json.loads(json.dumps(table.rows)) == list(table.rows)
    row = next(row for row in table.rows if row["name"] == "GLM-4.5")
    found = families.count("GLM-4.5")
    assert (row["total"], row["active_body"], row["mtp"]) == (found.total.all, found.active.body, found.mtp)
    assert (row["total_error"], row["active_error"]) == found.published_errors
    lines = table.text.splitlines()
    assert lines[0].startswith("Published models, parameters in billions")
    line = next(line for line in lines if line.startswith("GLM-4.5 "))
    assert line.split() == (
        "GLM-4.5 352.798 355 +0.1 % body + mtp 33.632 32.856 32.080 32 +0.3 % body".split()
    )  # fmt: skip
    assert next(line for line in lines if line.startswith("Grok-1 ")).endswith("82.951")  # no active figure
    assert any(line.startswith("Kimi-K2: Published as 1T") for line in lines)
    assert repr(table) == table.text
    assert table._repr_html_().count("<tr>") == 1 + len(table.rows)


def test_closed_models_have_no_sizes_and_all_a_source():
    closed = families.closed_models()
    assert [m.name for m in closed.models] == ["GPT-4", "Gemini", "Claude"]
    for m in closed.models:
        assert m.official and m.rumour and m.source
        assert m.name in repr(closed) and m.name in closed._repr_html_()
        with pytest.raises(ValueError, match=f"the sizes of {m.name} are not published.*closed_models"):
            families.count(m.name)
    assert "&quot;claude_moe&quot;" in closed._repr_html_()
    official = " ".join(m.official for m in closed.models)
    assert re.findall(r"[\d.]*\d\w*", official) == ["1.5", "2.5"]  # versions of Gemini, no sizes
