"""Lesson 09 on transformers: its balancing loss chooses again from the logits, so a selection bias is lost on it."""

import pytest
import torch

from moe_lite import balance

transformers = pytest.importorskip("transformers")

SIZES = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
MODELS = {
    "MiniMaxM2": {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 8, "rotary_dim": 8},
    "Ernie4_5_Moe": {
        "moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 16, "moe_layer_start_index": 0,
        "moe_layer_end_index": 0,
    },
}  # fmt: skip
N_TOKENS = 320


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_transformers_reads_even_while_every_token_takes_one_expert(name):
    config = getattr(transformers, f"{name}Config")(**SIZES, **MODELS[name])
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    (bias,) = (b for n, b in model.state_dict().items() if n.endswith("e_score_correction_bias"))
    bias.zero_()[..., 3] = 5.0
    chosen = []
    (router,) = (part for part in model.modules() if type(part).__name__.endswith("TopKRouter"))
    router.register_forward_hook(lambda part, given, out: chosen.append(out[-1]))
    with torch.no_grad():
        out = model(input_ids=torch.randint(0, 64, (1, N_TOKENS)), output_router_logits=True)
    load = torch.bincount(chosen[0].flatten(), minlength=8)
    assert load[3] == N_TOKENS and load.sum() == 2 * N_TOKENS
    (logits,) = out.router_logits
    scores, again = logits.softmax(dim=-1), logits.softmax(dim=-1).topk(2).indices
    assert torch.bincount(again.flatten(), minlength=8)[3] < N_TOKENS / 2  # what the loss counts for this expert
    torch.testing.assert_close(out.aux_loss, balance.load_balancing_loss(scores, again, count="per_token"))
    assert round(out.aux_loss.item(), 2) == 2.02  # 2 is even, with two experts per token
