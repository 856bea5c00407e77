"""Settings of a model that contradict each other."""

from collections.abc import Iterator


def conflicts(c) -> Iterator[str]:
    """One sentence for each contradiction in the ModelConfig `c`: what is set against what, and the way out."""
    if c.order == "topk_first" and (c.selection_bias or c.n_groups > 1):
        yield (
            "order='topk_first' chooses among logits; selection_bias and n_groups are defined on scores, so they need "
            "order='score_first'."
        )
    if c.priority != "position" and c.capacity_factor is None:
        yield f"priority={c.priority!r} says who finds room at a full expert; with capacity_factor=None none is full."
    if c.balance == "importance_and_load" and c.router != "noisy_top_k":
        yield "balance='importance_and_load' needs the noise of router='noisy_top_k': the load is smooth through it."
    if c.router == "noisy_top_k":
        yield from _noisy(c)
    if c.router == "expert_choice":
        yield from _expert_choice(c)
    elif c.allow_lookahead:
        yield f"allow_lookahead=True is for router='expert_choice'; router={c.router!r} does not look ahead."


def _noisy(c) -> Iterator[str]:
    if c.score != "softmax" or not c.renorm:
        yield "router='noisy_top_k' takes a softmax over the chosen logits: score must be 'softmax' and renorm True."
    if c.selection_bias or c.n_groups > 1:
        yield "router='noisy_top_k' chooses by noisy logits: selection_bias and n_groups are not defined for it."
    if c.jitter:
        yield f"router='noisy_top_k' brings its own noise: jitter={c.jitter} would be a second one."


def _expert_choice(c) -> Iterator[str]:
    if not c.allow_lookahead:
        yield (
            "with router='expert_choice' a token's experts depend on the tokens that follow it, so a language model "
            "learns to look at what it should predict. Set allow_lookahead=True to build it all the same."
        )
    if c.renorm:
        yield "router='expert_choice' weighs an expert's answer with its score alone: renorm must be False."
    if c.capacity_factor is not None:
        yield "router='expert_choice' fills every expert to the same number: capacity_factor must be None."
    if c.selection_bias or c.n_groups > 1 or c.order == "topk_first":
        yield "router='expert_choice' lets experts choose: selection_bias, n_groups and order do not apply to it."
    if c.balance != "switch":
        yield f"router='expert_choice' is balanced by construction: balance={c.balance!r} has nothing to do."
    if c.jitter:
        yield f"router='expert_choice' has no jitter, jitter={c.jitter} was asked for."
