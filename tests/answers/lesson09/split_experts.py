"""Answers to exercise 9.1, split_experts: right ones, and wrong ones with the message that they must get."""

from dataclasses import asdict, replace

from answers import blind, right, wrong

from moe_lite.model.config import ModelConfig

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def as_asked(config, parts, shared):
    return replace(
        config,
        n_experts=parts * config.n_experts - shared,
        top_k=parts * config.top_k - shared,
        d_expert=config.d_expert // parts,
        n_shared_experts=shared,
    )


@right
def by_dictionary(config, parts, shared):
    settings = asdict(config)
    settings["n_experts"] = settings["n_experts"] * parts - shared
    settings["top_k"] = settings["top_k"] * parts - shared
    settings["d_expert"] = int(settings["d_expert"] / parts)
    settings["n_shared_experts"] = shared
    return ModelConfig(**settings)


@right
def from_the_widths(config, parts, shared):
    d_expert = config.d_expert // parts
    used, held = config.top_k * config.d_expert, config.n_experts * config.d_expert
    return replace(
        config,
        d_expert=d_expert,
        top_k=used // d_expert - shared,
        n_experts=held // d_expert - shared,
        n_shared_experts=shared,
    )


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("Another setting has changed")
def a_new_config(config, parts, shared):
    return ModelConfig(
        n_experts=parts * config.n_experts - shared,
        top_k=parts * config.top_k - shared,
        d_expert=config.d_expert // parts,
        n_shared_experts=shared,
    )


@wrong("Your function changed its input")
def changed_by_force(config, parts, shared):
    object.__setattr__(config, "n_experts", parts * config.n_experts - shared)
    object.__setattr__(config, "top_k", parts * config.top_k - shared)
    object.__setattr__(config, "d_expert", config.d_expert // parts)
    object.__setattr__(config, "n_shared_experts", shared)
    return config


@wrong("A config cannot be changed")
def changed_in_place(config, parts, shared):
    config.n_experts = parts * config.n_experts - shared
    return config


@wrong("Not a ModelConfig")
def four_numbers(config, parts, shared):
    return parts * config.n_experts - shared, parts * config.top_k - shared, config.d_expert // parts, shared


@wrong("Not a ModelConfig")
def a_dictionary(config, parts, shared):
    return asdict(as_asked(config, parts, shared))


@wrong("Nothing is returned")
def nothing(config, parts, shared):
    replace(config, n_experts=parts * config.n_experts)


@wrong("Nothing has changed")
def the_same(config, parts, shared):
    return replace(config)


@wrong("Only the width is cut")
def only_the_width(config, parts, shared):
    return replace(config, d_expert=config.d_expert // parts, n_shared_experts=shared)


@wrong("The experts are not cut")
def not_cut(config, parts, shared):
    return replace(config, n_experts=config.n_experts - shared, top_k=config.top_k - shared, n_shared_experts=shared)


@wrong("`d_expert` is not right yet")
def one_wider(config, parts, shared):
    return replace(as_asked(config, parts, shared), d_expert=config.d_expert // parts + 1)


@wrong("`top_k` is not right yet")
def one_more(config, parts, shared):
    return replace(as_asked(config, parts, shared), top_k=parts * config.top_k - shared + 1)


PUT = {
    "on_top": ("The shared experts come on top", {"n_experts - shared": "n_experts", "top_k - shared": "top_k"}),
    "holds_more": ("The layer holds more than before", {"n_experts - shared": "n_experts"}),
    "uses_more": ("A token uses more than before", {"top_k - shared": "top_k"}),
    "none_shared": ("No expert is shared", {"n_shared_experts=shared": "n_shared_experts=0"}),
    "shared_forgotten": (
        "No expert is shared",
        {"n_experts - shared": "n_experts", "top_k - shared": "top_k", "        n_shared_experts=shared,\n": ""},
    ),
    "width_kept": ("The experts keep their width", {"        d_expert=config.d_expert // parts,\n": ""}),
    "width_kept_on_top": (
        "The experts keep their width",
        {"n_experts - shared": "n_experts", "top_k - shared": "top_k", " // parts": ""},
    ),
    "wider": ("The experts become wider", {"d_expert // parts": "d_expert * parts"}),
    "chosen_kept": ("A token still chooses as many as before", {"top_k=parts * config.top_k - shared": "top_k=config.top_k"}),
    "held_kept": (
        "There are as many experts as before",
        {"n_experts=parts * config.n_experts - shared": "n_experts=config.n_experts"},
    ),
    "added": (
        "The shared experts are added",
        {"n_experts - shared": "n_experts + shared", "top_k - shared": "top_k + shared"},
    ),
    "added_to_the_held": ("The shared experts are added", {"n_experts - shared": "n_experts + shared"}),
    "whole_ones": ("The shared experts count as whole ones", {"n_shared_experts=shared": "n_shared_experts=parts * shared"}),
    "other_way_round": (
        "`parts` and `shared` have changed places",
        {
            "parts * config.n_experts - shared": "shared * config.n_experts - parts",
            "parts * config.top_k - shared": "shared * config.top_k - parts",
            "d_expert // parts": "d_expert // shared",
            "n_shared_experts=shared": "n_shared_experts=parts",
        },
    ),
    "before_the_cut": (
        "Taken away before the cut",
        {
            "parts * config.n_experts - shared": "parts * (config.n_experts - shared)",
            "parts * config.top_k - shared": "parts * (config.top_k - shared)",
        },
    ),
    "float_width": ("A float, where a whole number is asked", {"d_expert // parts": "d_expert / parts"}),
    "other_way_to_route": ("Another setting has changed", {"n_shared_experts=shared": "n_shared_experts=shared, score='softmax'"}),
    "balanced_otherwise": ("Another setting has changed", {"n_shared_experts=shared": "n_shared_experts=shared, balance_coef=0.1"}),
}  # fmt: skip
for name, (title, put) in PUT.items():
    wrong(name, title, of=as_asked, put=put)

# ---- by readers of the text alone -----------------------------------------------------------------------------------


@blind("The shared experts count as whole ones")
def whole_experts_shared(config, parts, shared):
    return replace(
        config,
        n_experts=config.n_experts * parts - shared * parts,
        n_shared_experts=shared * parts,
        top_k=max(1, config.top_k * parts - shared * parts),
        d_expert=config.d_expert // parts,
    )


@blind("Taken away before the cut")
def shared_first(config, parts, shared):
    return replace(
        as_asked(config, parts, shared),
        n_experts=(config.n_experts - shared) * parts,
        top_k=max(1, (config.top_k - shared) * parts),
    )


@blind("Taken away before the cut")
def shared_first_and_after(config, parts, shared):
    rest = (config.n_experts - shared) * parts
    top_k = 1 if config.n_experts <= shared else config.top_k * parts - shared
    return replace(as_asked(config, parts, shared), n_experts=max(1, rest), top_k=top_k)


@blind("Nothing is cut where nothing is shared")
def uncut_if_none_is_shared(config, parts, shared):
    return as_asked(config, parts, shared) if shared else config


@blind("Cut once too often")
def number_of_cuts(config, parts, shared):
    m = parts + 1
    return replace(
        config,
        n_experts=config.n_experts * m - shared,
        top_k=config.top_k * m - shared,
        d_expert=max(1, config.d_expert // m),
        n_shared_experts=shared,
    )


@blind("`n_shared_experts` is not right yet")
def one_shared_for_all(config, parts, shared):
    return replace(as_asked(config, parts, shared), n_shared_experts=min(shared, 1))


@blind("`top_k` is not right yet")
def in_proportion(config, parts, shared):
    n_experts = config.n_experts * parts - shared
    return replace(as_asked(config, parts, shared), top_k=max(1, n_experts * config.top_k // config.n_experts))


@blind("`n_experts` is not right yet")
def one_expert_halved(config, parts, shared):
    asked = as_asked(config, parts, shared)
    if asked.d_expert % 2:
        return asked
    n_experts, top_k = 2 * asked.n_experts + shared, 2 * asked.top_k + shared
    return replace(asked, n_experts=n_experts, top_k=top_k, d_expert=asked.d_expert // 2)
