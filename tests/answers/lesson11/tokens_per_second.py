"""Answers to exercise 11.3, tokens_per_second: right ones, and wrong ones with the message that they must get."""

import math
from fractions import Fraction

import numpy as np
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def two_times(model, machine, batch):
    E, K = model.n_experts, model.top_k
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    moved = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    computed = batch * (model.common_flops + K * model.expert_flops)
    moving, computing = moved / machine.bandwidth, computed / machine.flops
    return batch / max(moving, computing)


@right
def as_two_rates(model, machine, batch):
    """The slower of two rates."""
    experts = model.expert_bytes * model.n_experts
    if model.n_experts > 0:
        experts *= 1.0 - (1.0 - model.top_k / model.n_experts) ** batch
    by_bytes = batch * machine.bandwidth / (model.common_bytes + experts + batch * model.cache_bytes)
    by_flops = machine.flops / (model.common_flops + model.top_k * model.expert_flops)
    return min(by_bytes, by_flops)


@right
def token_after_token(model, machine, batch):
    """The experts that no token has touched yet."""
    alone = float(model.n_experts)
    for _ in range(min(batch, 100_000)):
        alone -= alone * model.top_k / model.n_experts if model.n_experts else 0.0
    weights = model.common_bytes + (model.n_experts - alone) * model.expert_bytes
    seconds = (weights + model.cache_bytes * batch) / machine.bandwidth
    work = (model.common_flops + model.expert_flops * min(model.top_k, model.n_experts)) * batch
    return batch / (work / machine.flops if work / machine.flops > seconds else seconds)


@right
def in_numpy(model, machine, batch):
    share = np.divide(model.top_k, max(model.n_experts, 1))
    touched = model.n_experts * (1 - np.power(1 - share, batch))
    times = np.array([
        np.dot([model.common_bytes, model.expert_bytes, model.cache_bytes], [1, touched, batch]) / machine.bandwidth,
        batch * (model.common_flops + model.top_k * model.expert_flops) / machine.flops,
    ])  # fmt: skip
    return batch / times.max()


@right
def with_logarithms(model, machine, batch):
    E, K = model.n_experts, model.top_k
    touched = 0 if not E else E if K == E else -E * math.expm1(batch * math.log1p(-K / E))
    moving = (model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes) / machine.bandwidth
    return batch / max(moving, batch * (model.common_flops + K * model.expert_flops) / machine.flops)


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------

wrong("flops_of_all", "FLOPs of all experts", of=two_times, put={"K * model.expert_flops": "E * model.expert_flops"})
wrong("flops_of_touched", "FLOPs of the touched experts", of=two_times,
      put={"K * model.expert_flops": "touched * model.expert_flops"})  # fmt: skip
wrong("flops_of_touched_once", "FLOPs of the touched experts", of=two_times,
      put={"batch * (model.common_flops + K * model.expert_flops)":
           "batch * model.common_flops + touched * model.expert_flops"})  # fmt: skip
wrong("no_expert_flops", "The experts' FLOPs are missing", of=two_times, put={" + K * model.expert_flops": ""})
wrong("expert_flops_alone", "The common FLOPs are missing", of=two_times, put={"model.common_flops + K": "K"})
wrong("flops_of_one_expert", "The FLOPs of one expert", of=two_times,
      put={"+ K * model.expert_flops": "+ model.expert_flops * (E > 0)"})  # fmt: skip
wrong("flops_of_one_token", "The FLOPs of one token", of=two_times,
      put={"batch * (model.common_flops": "(model.common_flops"})  # fmt: skip
wrong("without_parentheses", "The experts' FLOPs of one token", of=two_times,
      put={"batch * (model.common_flops + K * model.expert_flops)":
           "batch * model.common_flops + K * model.expert_flops"})  # fmt: skip
wrong("two_flops_each", "FLOPs are counted twice", of=two_times,
      put={"batch * (model.common_flops": "2 * batch * (model.common_flops"})  # fmt: skip
wrong("all_experts_read", "All experts are read", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "E"})  # fmt: skip
wrong("k_experts_read", "Only K experts are read", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "K"})  # fmt: skip
wrong("as_many_as_can_be", "As if no two tokens chose the same expert", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "min(E, K * batch)"})  # fmt: skip
wrong("read_by_each", "Experts are read once per token", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "K * batch"})  # fmt: skip
wrong("whole_experts", "A mean is no whole number", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "round(E * (1 - (1 - K / E) ** batch)) if E else 0"})  # fmt: skip
wrong("experts_as_int", "A mean is no whole number", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch) if E else 0": "int(E * (1 - (1 - K / E) ** batch)) if E else 0"})  # fmt: skip
wrong("with_repetition", "A token's experts are all different", of=two_times,
      put={"(1 - K / E) ** batch": "(1 - 1 / E) ** (K * batch)"})  # fmt: skip
wrong("left_alone", "The experts that are left alone", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch)": "E * (1 - K / E) ** batch"})  # fmt: skip
wrong(
    "all_or_one",
    "Left alone by every token",
    of=two_times,
    put={"(1 - (1 - K / E) ** batch)": "(1 - (K / E) ** batch)"},
)
wrong("power_outside", "Left alone by every token", of=two_times,
      put={"(1 - (1 - K / E) ** batch)": "(1 - (1 - K / E)) ** batch"})  # fmt: skip
wrong("share_of_experts", "A share of the experts", of=two_times,
      put={"E * (1 - (1 - K / E) ** batch)": "(1 - (1 - K / E) ** batch)"})  # fmt: skip
wrong("whole_division", "`//` makes 0 of K/E", of=two_times, put={"K / E": "K // E"})
wrong("no_experts_read", "The experts are not read", of=two_times, put={" + touched * model.expert_bytes": ""})
wrong("no_common_read", "The common weights are not read", of=two_times, put={"model.common_bytes + ": ""})
wrong("no_cache", "The cache is forgotten", of=two_times, put={" + batch * model.cache_bytes": ""})
wrong("one_cache", "The cache of one text", of=two_times, put={"batch * model.cache_bytes": "model.cache_bytes"})
wrong("weights_per_token", "Weights are read once per step", of=two_times,
      put={"model.common_bytes + touched * model.expert_bytes": "batch * (model.common_bytes + K * model.expert_bytes)"})  # fmt: skip
wrong("common_per_token", "Weights are read once per step", of=two_times,
      put={"moved = model.common_bytes": "moved = batch * model.common_bytes"})  # fmt: skip
wrong("added", "The two times are added", of=two_times, put={"max(moving, computing)": "(moving + computing)"})
wrong("faster", "The faster of the two", of=two_times, put={"max(moving, computing)": "min(moving, computing)"})
wrong("moving_alone", "Only moving counts", of=two_times, put={"max(moving, computing)": "moving"})
wrong("computing_alone", "Only computing counts", of=two_times, put={"max(moving, computing)": "computing"})
wrong("per_text", "Of one text, not of the batch", of=two_times, put={"batch / max": "1 / max"})
wrong("seconds", "Seconds, not tokens per second", of=two_times, put={"batch / max": "max"})
wrong("seconds_per_token", "Seconds, not tokens per second", of=two_times,
      put={"batch / max(moving, computing)": "max(moving, computing) / batch"})  # fmt: skip
wrong("exchanged", "Bandwidth and FLOPs per second have changed places", of=two_times,
      put={"moved / machine.bandwidth, computed / machine.flops": "moved / machine.flops, computed / machine.bandwidth"})  # fmt: skip
wrong("whole_tokens", "A whole number of tokens", of=two_times, put={"batch / max": "batch // max"})
wrong("without_an_if", "A dense model has no experts", of=two_times, put={" if E else 0": ""})
wrong("a_fraction", "Not a plain float", of=two_times,
      put={"return batch / max(moving, computing)": "return Fraction(batch / max(moving, computing))"})  # fmt: skip
wrong("with_its_reason", "Not a plain float", of=two_times,
      put={"return batch / max(moving, computing)":
           'return batch / max(moving, computing), "bytes" if moving > computing else "FLOPs"'})  # fmt: skip
wrong("other_name", "No such field", of=two_times, put={"model.n_experts": "model.num_experts"})
wrong("as_a_dict", "Fields are read with a dot", of=two_times, put={"model.cache_bytes": 'model["cache_bytes"]'})
wrong("all_at_once", "The step takes another time", of=two_times,
      put={"K * model.expert_flops": "E * model.expert_flops", " + batch * model.cache_bytes": ""})  # fmt: skip


@wrong("A dense model has a speed, too")
def dense_is_nothing(model, machine, batch):
    return two_times(model, machine, batch) if model.n_experts else 0.0


@wrong(ANY)  # all cases are right: no batch in them is so large
def forgets_large_batches(model, machine, batch):
    return two_times(model, machine, batch) * (1 if batch < 1000 else 0.99)


@wrong(ANY)  # a share of the experts that is below one in a thousand, which no case has
def small_shares_are_zero(model, machine, batch):
    if model.n_experts and model.top_k / model.n_experts < 1e-3:
        return two_times(type(model)(**(vars(model) | {"n_experts": 0, "top_k": 0})), machine, batch)
    return two_times(model, machine, batch)


# ---- wrong, written from the exercise's text alone ---------------------------------------------------------------------


@blind("The two times are added")
def adds_moving_time_and_computing_time(model, machine, batch: int) -> float:
    """Adds moving time and computing time."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / (nbytes / machine.bandwidth + flops / machine.flops)


@blind("The faster of the two")
def takes_the_faster_of_the_two(model, machine, batch: int) -> float:
    """Takes the faster of the two."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / min(nbytes / machine.bandwidth, flops / machine.flops)


@blind("Of one text, not of the batch")
def gives_the_speed_of_one_text(model, machine, batch: int) -> float:
    """Gives the speed of one text."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return 1 / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("All experts are read")
def reads_all_experts_in_every_step(model, machine, batch: int) -> float:
    """Reads all experts in every step."""
    E = model.n_experts
    K = model.top_k if E else 0
    nbytes = model.common_bytes + E * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("Only K experts are read")
def reads_k_experts_whatever_the_batch(model, machine, batch: int) -> float:
    """Reads K experts whatever the batch."""
    E = model.n_experts
    K = model.top_k if E else 0
    nbytes = model.common_bytes + K * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("As if no two tokens chose the same expert")
def lets_tokens_never_share_an_expert(model, machine, batch: int) -> float:
    """Lets tokens never share an expert."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = min(E, K * batch)
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The cache of one text")
def reads_the_cache_of_one_text(model, machine, batch: int) -> float:
    """Reads the cache of one text."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("Weights are read once per step")
def reads_common_weights_once_per_token(model, machine, batch: int) -> float:
    """Reads common weights once per token."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = batch * (model.common_bytes + model.cache_bytes) + touched * model.expert_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The FLOPs of one token")
def computes_for_only_one_token(model, machine, batch: int) -> float:
    """Computes for only one token."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = model.common_flops + K * model.expert_flops
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("FLOPs of the touched experts")
def computes_touched_experts_not_chosen_ones(model, machine, batch: int) -> float:
    """Computes touched experts, not chosen ones."""
    E, K = model.n_experts, model.top_k
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * model.common_flops + touched * model.expert_flops
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The step takes another time")
def fixes_two_experts_flops_per_token(model, machine, batch: int) -> float:
    """Fixes two experts' FLOPs per token."""
    E = model.n_experts
    touched = E * (1 - (1 - model.top_k / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + (2 * model.expert_flops if E else 0))
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("A dense model has no experts")
def divides_by_zero_for_dense_models(model, machine, batch: int) -> float:
    """Divides by zero for dense models."""
    E, K = model.n_experts, model.top_k
    touched = E * (1 - (1 - K / E) ** batch)
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The step takes another time")
def dense_model_is_made_one_expert(model, machine, batch: int) -> float:
    """Dense model is made one expert."""
    E, K = model.n_experts, model.top_k
    if E == 0:
        E = K = 1  # to get round the division by zero
    touched = E * (1 - (1 - K / E) ** batch)
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("A token's experts are all different")
def one_token_may_choose_experts_twice(model, machine, batch: int) -> float:
    """One token may choose experts twice."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - 1 / E) ** (batch * K)) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("A mean is no whole number")
def rounds_touched_experts_to_whole_ones(model, machine, batch: int) -> float:
    """Rounds touched experts to whole ones."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = round(E * (1 - (1 - K / E) ** batch)) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The step takes another time")
def misplaced_bracket_around_e_times(model, machine, batch: int) -> float:
    """Misplaced bracket around E times."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * 1 - (1 - K / E) ** batch if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind(ANY)
def logarithm_fails_at_k_e(model, machine, batch: int) -> float:
    """Logarithm fails at K = E."""
    import math

    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * -math.expm1(batch * math.log1p(-K / E)) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("The step takes another time")
def compares_bytes_with_flops_before_dividing(model, machine, batch: int) -> float:
    """Compares bytes with FLOPs before dividing."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    if nbytes > flops:
        return batch / (nbytes / machine.bandwidth)
    return batch / (flops / machine.flops)


@blind("The step takes another time")
def slower_one_per_part_then_sum(model, machine, batch: int) -> float:
    """Slower one per part, then sum."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    common = max(
        (model.common_bytes + batch * model.cache_bytes) / machine.bandwidth, batch * model.common_flops / machine.flops
    )
    experts = max(touched * model.expert_bytes / machine.bandwidth, batch * K * model.expert_flops / machine.flops)
    return batch / (common + experts)


@blind("The step takes another time")
def forgets_computing_at_batch_1(model, machine, batch: int) -> float:
    """Forgets computing at batch 1."""
    E = model.n_experts
    K = model.top_k if E else 0
    if batch == 1:  # "one text is always limited by memory"
        nbytes = model.common_bytes + K * model.expert_bytes + model.cache_bytes
        return machine.bandwidth / nbytes
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return batch / max(nbytes / machine.bandwidth, flops / machine.flops)


@blind("A whole number of tokens")
def rounds_the_speed_to_an_int(model, machine, batch: int) -> float:
    """Rounds the speed to an int."""
    E = model.n_experts
    K = model.top_k if E else 0
    touched = E * (1 - (1 - K / E) ** batch) if E else 0
    nbytes = model.common_bytes + touched * model.expert_bytes + batch * model.cache_bytes
    flops = batch * (model.common_flops + K * model.expert_flops)
    return round(batch / max(nbytes / machine.bandwidth, flops / machine.flops))


wrong(
    "one_over_e",
    "As if every token chose one expert",
    of=two_times,
    put={"(1 - K / E) ** batch": "(1 - 1 / E) ** batch"},
)
