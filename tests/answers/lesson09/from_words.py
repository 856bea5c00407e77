"""Answers to exercise 9.4, from_words: right ones, and wrong ones with the message that they must get."""

from answers import blind, right, wrong

from moe_lite.families import preset
from moe_lite.model.config import ModelConfig

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(n_experts, top_k):
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, order="topk_first", router_bias=True, routed_scale=1 / top_k
    )  # fmt: skip


@right
def renormalised(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, router_bias=True, renorm=True, routed_scale=top_k**-1)


@right
def not_renormalised(n_experts, top_k):
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, order="topk_first", renorm=False, router_bias=True, routed_scale=1 / top_k
    )


@right
def divided_while_renormalising(n_experts, top_k):
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, router_bias=True, order="topk_first", renorm_eps=top_k - 1.0
    )  # fmt: skip


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Another setting has changed")  # its experts, too, which the description does not mention
def the_family_itself(n_experts, top_k):
    return preset("openai_privacy_filter", n_experts=n_experts, top_k=top_k, routed_scale=1 / top_k)


@wrong("Another setting has changed")
def another_width(n_experts, top_k):
    return ModelConfig(d_model=64, n_experts=n_experts, top_k=top_k, router_bias=True, routed_scale=1 / top_k)


@wrong("Another setting has changed")
def a_narrow_model(n_experts, top_k):
    return ModelConfig(
        d_model=32, n_layers=1, context_length=64, n_experts=n_experts, top_k=top_k, router_bias=True,
        routed_scale=1 / top_k, n_shared_experts=1, balance_coef=0.0,
    )  # fmt: skip


@wrong("The scale is another number")
def family_with_its_scale(n_experts, top_k):
    return preset("openai_privacy_filter", n_experts=n_experts, top_k=top_k)


@wrong("Another number of experts")
def family_without_sizes(n_experts, top_k):
    return preset("openai_privacy_filter")


@wrong("The weights are not divided by K")
def gpt_oss(n_experts, top_k):
    return preset("gpt_oss", n_experts=n_experts, top_k=top_k)


@wrong("Another number of experts")
def swapped_and_bounded(n_experts, top_k):
    return ModelConfig(n_experts=top_k, top_k=min(n_experts, top_k), router_bias=True, routed_scale=1 / top_k)


@wrong("Another number of experts")
def experts_forgotten(n_experts, top_k):
    return ModelConfig(n_experts=128, top_k=top_k, router_bias=True, routed_scale=1 / top_k)


@wrong("Another number of experts per token")
def choice_forgotten(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, router_bias=True, routed_scale=1 / top_k)


@wrong("One expert is no mixture")
def dense(n_experts, top_k):
    return ModelConfig(n_experts=1, top_k=1, router_bias=True, routed_scale=1 / top_k)


@wrong("Far too many experts")
def too_many(n_experts, top_k):
    return ModelConfig(n_experts=10**9, top_k=top_k, router_bias=True)


@wrong("A router of another kind")
def noisy(n_experts, top_k):
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, router="noisy_top_k", router_bias=True, routed_scale=1 / top_k
    )  # fmt: skip


@wrong("A router of another kind")
def hashed(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, router="hash", router_bias=True)


@wrong("Experts that compute nothing")
def zero_experts(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, n_zero_experts=2, router_bias=True, routed_scale=1 / top_k)


@wrong("Jitter that nobody asked for")
def jitter(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, jitter=0.01, router_bias=True, routed_scale=1 / top_k)


@wrong("The bias is of the wrong kind")
def selection_bias_of_logits(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, order="topk_first", selection_bias=True)


@wrong("No such setting")
def a_setting_that_is_none(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, bias=True)


@wrong("Divided by the number of experts")
def divided_by_all(n_experts, top_k):
    return ModelConfig(n_experts=n_experts, top_k=top_k, router_bias=True, routed_scale=1 / n_experts)


@wrong("Not a ModelConfig")
def a_dictionary(n_experts, top_k):
    return dict(n_experts=n_experts, top_k=top_k, order="topk_first", router_bias=True, routed_scale=1 / top_k)


@wrong("Not a ModelConfig")
def the_class(n_experts, top_k):
    return ModelConfig


@wrong("The router is another one")
def with_groups(n_experts, top_k):
    groups = next(g for g in (2, 3, 5, 7, 11, 1) if n_experts % g == 0)
    return ModelConfig(
        n_experts=n_experts, top_k=top_k, n_groups=groups, topk_groups=max(groups - 1, 1), router_bias=True,
        routed_scale=1 / top_k, logit_scale=1.2,
    )  # fmt: skip


kept = "n_experts=n_experts, top_k=top_k, "
for name, title, settings in (
    ("selected", "The bias does not weigh", "selection_bias=True, routed_scale=1 / top_k"),
    ("selected_by_logit", "The bias does not weigh", "selection_bias=True, select_on='logit', routed_scale=1 / top_k"),
    ("selected_undivided", "The bias does not weigh", "selection_bias=True"),
    ("both", "Two biases", "selection_bias=True, router_bias=True, routed_scale=1 / top_k"),
    ("no_bias", "The bias is missing", "order='topk_first', routed_scale=1 / top_k"),
    ("defaults", "Bias and division are missing", "order='topk_first'"),
    ("undivided", "The weights are not divided by K", "order='topk_first', router_bias=True"),
    ("multiplied", "Multiplied by K", "order='topk_first', router_bias=True, routed_scale=top_k"),
    ("quarter", "The scale is another number", "order='topk_first', router_bias=True, routed_scale=0.25"),
    ("all_shares", "The softmax runs over all experts", "router_bias=True, renorm=False, routed_scale=1 / top_k"),
    ("all_shares_undivided", "The softmax runs over all experts", "router_bias=True, renorm=False"),
    ("sigmoid", "Sigmoid, not softmax", "router_bias=True, score='sigmoid', routed_scale=1 / top_k"),
    ("sigmoid_raw", "Sigmoid, not softmax", "router_bias=True, score='sigmoid', renorm=False, routed_scale=1 / top_k"),
    ("cold", "The logits are divided, not the weights", "router_bias=True, logit_scale=1 / top_k"),
    ("rounded", "The scale is another number", "router_bias=True, routed_scale=round(1 / top_k, 2)"),
):
    put = {'order="topk_first", router_bias=True, routed_scale=1 / top_k': settings}
    wrong(name, title, of=as_asked, put=put)

# ---- by readers of the text alone -----------------------------------------------------------------------------------


@blind("More experts chosen than there are")
def swapped(n_experts, top_k):
    return ModelConfig(
        n_experts=top_k, top_k=n_experts, router_bias=True, order="topk_first", routed_scale=1 / top_k
    )  # fmt: skip


for name, title, settings in (
    ("on_the_input", "Another setting has changed", "gate_on='input'"),
    ("with_capacity", "Another setting has changed", "capacity_factor=1.0"),
    ("with_a_shared_expert", "Another setting has changed", "n_shared_experts=1"),
    ("larger", "Another setting has changed", "n_layers=8, d_expert=128"),
    ("both_of_logits", "The bias is of the wrong kind", "selection_bias=True"),
    ("of_the_experts", "Settings that contradict each other", "router='expert_choice'"),
    ("renormalised_by_k", "Divided by K twice", "renorm_eps=top_k - 1.0"),
):
    blind(name, title, of=as_asked, put={"router_bias=True": "router_bias=True, " + settings})
for name, title, put in (
    ("selected_of_logits", "The bias is of the wrong kind", {"router_bias": "selection_bias"}),
    ("misspelt", "A value that a config refuses", {"topk_first": "top_k_first"}),
    ("whole_division", "A value that a config refuses", {"1 / top_k": "1 // top_k"}),
    ("added_k", "Divided by K + 1", {"routed_scale=1 / top_k": "renorm_eps=float(top_k)"}),
):
    blind(name, title, of=as_asked, put=put)
