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
    return "; ".join([*_logits(config), *_choice(config, k or str(config.top_k)), *_weights(config)])


def in_symbols(config: ModelConfig, k: str | None = None) -> str:
    """z are the logits, s the scores, c what is compared, T the experts chosen, g their weights."""
    c, k = config, k or str(config.top_k)
    z = _bent_symbols(c, "W x + β" if c.router_bias else "W x")
    if c.order == "topk_first":
        chosen, s = f"T = top-{k}(z)", SCORE_SYMBOLS[c.score].format("z") + (" over T" if c.score == "softmax" else "")
        steps = [f"z = {z}", chosen, f"s = {s}"]
    else:
        compared = {"score": "s", "logit": "z"}[c.select_on] + (" + b" if c.selection_bias else "")
        if c.n_groups > 1:
            compared = f"{compared} in the best {c.topk_groups} of {c.n_groups} groups"
        steps = [f"z = {z}", f"s = {SCORE_SYMBOLS[c.score].format('z')}", f"T = top-{k}({compared})"]
    eps = f" + {c.renorm_eps:g}" if c.renorm_eps else ""
    weight = (f"s / (Σ_T s{eps})" if eps else "s / Σ_T s") if c.renorm else "s"
    return ", ".join([*steps, f"g = {f'{c.routed_scale:g} · ' if c.routed_scale != 1 else ''}{weight}"])


def setting_in_words(setting: Mapping[str, object]) -> str:
    """The words of a row of the table: fields of ModelConfig that are not the default, "1/k" for a scale of 1/k."""
    fields = {name: value for name, value in setting.items() if value != "1/k"}
    words = in_words(ModelConfig(n_experts=64, **fields), k="k")
    return words + ("; divided by k" if len(fields) < len(setting) else "")


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
    if c.order == "topk_first":
        return [f"the {k} largest logits are chosen", score.replace("all experts", "these")]
    told = [score]
    if c.selection_bias:
        told.append(f"for choosing, a bias is added to the {c.select_on}s")
    if c.n_groups > 1:
        worth = "its best" if c.group_score == "max" else "the sum of its two best"
        closed = ", the others count as 0" if c.group_fill == "zero" else ""
        told.append(f"only the best {c.topk_groups} of {c.n_groups} groups are open (a group is worth {worth}){closed}")
    return [*told, f"the {k} best are chosen"]


def _weights(c: ModelConfig) -> list[str]:
    told = []
    if c.renorm and not (c.order == "topk_first" and c.score == "softmax"):
        told.append("weights divided by their sum" + (f" + {c.renorm_eps:g}" if c.renorm_eps else ""))
    if c.routed_scale != 1:
        told.append(f"weights times {c.routed_scale:g}")
    return told


def _bent_symbols(c: ModelConfig, z: str) -> str:
    if c.logit_scale != 1:
        z = f"{c.logit_scale:.3g} · ({z})" if "+" in z else f"{c.logit_scale:.3g} · {z}"
    return z if c.logit_softcap is None else f"{c.logit_softcap:g} · tanh(({z}) / {c.logit_softcap:g})"
