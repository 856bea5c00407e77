"""A router's rule in words and in symbols, made from its settings."""

from collections.abc import Mapping

from moe_lite.model.config import ModelConfig

SCORE_WORDS = {
    "softmax": "softmax over all experts",
    "sigmoid": "a sigmoid for each expert alone",
    "sqrtsoftplus": "the square root of softplus for each expert alone",
}
SCORE_SYMBOLS = {"softmax": "softmax({})", "sigmoid": "σ({})", "sqrtsoftplus": "√softplus({})"}


def in_words(config: ModelConfig, k: str | None = None) -> str:
    """One clause per step, in the order in which they happen. `k` in place of the number of experts per token."""
    c, k = config, k or str(config.top_k)
    if c.router == "sparse_mixer":
        return (
            f"{k} experts one after the other: each is the best one left, or in training one drawn among those that "
            f"fall short of it by at most {200 * c.jitter:g} % of the larger of both; its weight is its probability "
            "among those"
        )
    if c.router == "expert_choice":
        takes = f"each expert takes the tokens that score it highest, so that a token has {k} experts on average"
        return f"{SCORE_WORDS[c.score]}; {takes}"
    if c.router == "expert_threshold":
        takes = f"each expert takes every token above its threshold, so that a token has {k} experts on average"
        return f"{takes}; weights by {SCORE_WORDS[c.score]}"
    return "; ".join([*_before(c), *_logits(c), *_choice(c, k), *_weights(c), *_after(c)])


def in_symbols(config: ModelConfig, k: str | None = None) -> str:
    """z are the logits, s the scores, T the experts chosen, g their weights; b only chooses, β is trained."""
    c, k = config, k or str(config.top_k)
    if c.router == "sparse_mixer":
        near = f"(z_i − z) / max(|z|, z_i) ≤ {2 * c.jitter:g}"
        return f"z = W x, {k} times: i = argmax(z left), g_i = softmax(z left where {near})"
    if c.router == "expert_choice":
        return f"z = W x, s = {SCORE_SYMBOLS[c.score].format('z')}, T = top-(N·{k}/E) tokens of each expert, g = s"
    if c.router == "expert_threshold":
        return f"z = W x, s = {SCORE_SYMBOLS[c.score].format('z')}, T = all i with z_i > c_i, g = s"
    z = f"z = {_bent_symbols(c, _product(c) + (' + β' if c.router_bias else ''))}"
    score = SCORE_SYMBOLS[c.score].format("z")
    if c.order == "topk_first":
        steps = [z, f"T = top-{k}(z)", f"s = {score}{' over T' if c.score == 'softmax' else ''}"]
    else:
        steps = [z, f"s = {score}", f"T = {_chosen_symbols(c, k)}"]
    return ", ".join([*steps, f"g = {_weight_symbols(c)}"])


def _product(c: ModelConfig) -> str:
    return {"normed": "W (a ⊙ x / |x|)", "mlp": "MLP(U x + a ⊙ state before)", "noisy_top_k": "W x + noise"}.get(
        c.router, "W x"
    )


def _chosen_symbols(c: ModelConfig, k: str) -> str:
    if c.router == "hash":
        return "table[token]"
    compared = {"score": "s", "logit": "z"}[c.select_on] + (" + b" if c.selection_bias else "")
    groups = f" in the best {c.topk_groups} of {c.n_groups} groups" if c.n_groups > 1 else ""
    return f"top-{k}({compared}{groups})"


def _weight_symbols(c: ModelConfig) -> str:
    total = "Σ_T s" + (" + Σ_shared s" if c.router == "competing_shared" else "")
    total += f" + {c.renorm_eps:g}" if c.renorm_eps else ""
    divided = c.renorm and not (c.order == "topk_first" and c.score == "softmax")  # there they sum to 1 already
    weight = (f"s / ({total})" if "+" in total else f"s / {total}") if divided else "s"
    learned = {"normed": "e ⊙ ", "competing_shared": "e · "}.get(c.router, "")
    return f"{f'{c.routed_scale:g} · ' if c.routed_scale != 1 else ''}{learned}{weight}"


def setting_in_words(setting: Mapping[str, object]) -> str:
    """The words of a row of the table: fields of ModelConfig that are not the default, "1/k" for a scale of 1/k."""
    fields = {name: value for name, value in setting.items() if value != "1/k"}
    words = in_words(ModelConfig(n_experts=64, **fields), k="k")
    return words + ("; divided by k" if len(fields) < len(setting) else "")


def _before(c: ModelConfig) -> list[str]:
    return {
        "normed": ["the token divided by its length, its features scaled"],
        "mlp": ["a small network on a narrow state, to which the state of the layer before is added"],
        "noisy_top_k": ["in training, learned noise on the logits"],
    }.get(c.router, [])


def _after(c: ModelConfig) -> list[str]:
    return ["weights times the learned scale of their expert"] if c.router == "normed" else []


def _logits(c: ModelConfig) -> list[str]:
    told = []
    if c.router_bias:
        told.append("logits with a trained bias")
    if c.logit_scale != 1:
        told.append(f"logits times {c.logit_scale:.3g}")
    if c.logit_softcap is not None:
        told.append(f"logits bent to stay below {c.logit_softcap:g}")
    return told


def _choice(c: ModelConfig, k: str) -> list[str]:
    score = SCORE_WORDS[c.score]
    if c.router == "hash":
        whose = "the expert" if k == "1" else f"the {k} experts"
        return [score, f"a table gives {whose} of each token, whatever its scores"]
    if c.order == "topk_first":
        largest = "the largest logit is chosen" if k == "1" else f"the {k} largest logits are chosen"
        return [largest, score.replace("all experts", "these")]
    told = [score]
    if c.selection_bias:
        told.append(f"for choosing, a bias is added to the {c.select_on}s")
    if c.n_groups > 1:
        worth = "its best" if c.group_score == "max" else "the sum of its two best"
        closed = ", the others count as 0" if c.group_fill == "zero" else ""
        told.append(f"only the best {c.topk_groups} of {c.n_groups} groups are open (a group is worth {worth}){closed}")
    if c.n_zero_experts:
        also = f" of the experts and {c.n_zero_experts} zero experts, which return the token as it is,"
    else:
        also = " of the experts and the choice to skip" if c.router == "mlp" else ""
    return [*told, f"the best{also} is chosen" if k == "1" else f"the {k} best{also} are chosen"]


def _weights(c: ModelConfig) -> list[str]:
    told = []
    if c.renorm and not (c.order == "topk_first" and c.score == "softmax"):
        whose = "the sum of chosen and shared scores" if c.router == "competing_shared" else "their sum"
        told.append(f"weights divided by {whose}" + (f" + {c.renorm_eps:g}" if c.renorm_eps else ""))
    if c.routed_scale != 1:
        told.append(f"weights times {c.routed_scale:g}")
    return told


def _bent_symbols(c: ModelConfig, z: str) -> str:
    if c.logit_scale != 1:
        z = f"{c.logit_scale:.3g} · ({z})" if "+" in z else f"{c.logit_scale:.3g} · {z}"
    return z if c.logit_softcap is None else f"{c.logit_softcap:g} · tanh(({z}) / {c.logit_softcap:g})"
