"""Greedy decoding of one text and of many: tokens a second, with the same weights over `generate` of transformers."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.machine import waiting
from benchmarks.model import CONFIG, random_ids, sizes
from benchmarks.report import Row
from moe_lite import ModelConfig, MoELanguageModel
from moe_lite.hf import twin
from moe_lite.lab.timing import Timing, interleaved
from moe_lite.model.config import dense_twin

PROMPT, NEW = 32, 64  # tokens
MANY = 16  # texts at the same time
DENSE, GENERATE = "own dense", "transformers Mixtral, generate"

Decode = Callable[[], list]


def decoders(
    config: ModelConfig = CONFIG, device: torch.device | str = "cpu", *, batch: int = 1, prompt: int = PROMPT,
    new: int = NEW,
) -> tuple[dict[str, Decode], dict[str, Decode]]:  # fmt: skip
    """Ways to decode a dense model, and ways to decode a sparse one; each gives the new tokens of every text."""
    ids = random_ids(batch, prompt, device, config.vocab_size)
    dense = MoELanguageModel(dense_twin(config)).to(device)
    sparse = MoELanguageModel(config).to(device)
    loop = MoELanguageModel(replace(config, implementation="loop")).to(device)
    mixtral = twin(sparse)
    return (
        {DENSE: _own(dense, ids, new), "transformers Llama, generate": _generate(twin(dense), ids, new)},
        {
            "own sorted": _own(sparse, ids, new),
            "own sorted, with its Routing": _own(sparse, ids, new, routing=True),
            "own loop, with its Routing": _own(loop, ids, new, routing=True),
            GENERATE: _generate(mixtral, ids, new),
            "transformers Mixtral, plain loop": _plain_loop(mixtral, ids, new),
        },
    )


def decoding(rounds: int, threads: int, device: torch.device, config: ModelConfig = CONFIG) -> list[Row]:
    """Tokens a second of all texts together. "time over dense" has ratios of times, the others of speeds."""
    rows = []
    for batch, told in ((1, ""), (MANY, f", {MANY} texts")):
        dense, sparse = decoders(config, device, batch=batch)
        require_equal(dense)
        require_equal(sparse)
        timings = interleaved({name: waiting(work, device) for name, work in (dense | sparse).items()}, rounds)
        times = {name: timing.over(timings[DENSE]) for name, timing in timings.items()}
        speeds = {name: timings[GENERATE].over(timings[name]) for name in sparse}
        rows += _rows(f"time over dense{told}", DENSE, times, timings, threads, batch)
        rows += _rows(f"speed over generate of transformers{told}", GENERATE, speeds, timings, threads, batch)
    return rows


def require_equal(works: Mapping[str, Decode]) -> None:
    """AssertionError unless all give the tokens that the first gives."""
    results = {name: work() for name, work in works.items()}
    first, expected = next(iter(results.items()))
    for name, found in results.items():
        if found != expected:
            raise AssertionError(f"{name} decodes {found}, {first} decodes {expected}; their weights are equal.")


def _rows(
    case: str, over: str, ratios: Mapping[str, Timing], timings: Mapping[str, Timing], threads: int, batch: int
) -> list[Row]:  # fmt: skip
    rows, note = [], f"{sizes()}, B {batch}, {NEW} tokens after {PROMPT}"
    for name, ratio in ratios.items():
        low, high = ratio.quartiles
        paired = {"over": over, "ratio": ratio.median, "low": low, "high": high} if name != over else {}
        speed = batch * NEW / timings[name].median
        rows.append(Row("decode", case, name, speed, "tok/s", threads, note=note, **paired))
    return rows


def _own(model: MoELanguageModel, ids: Tensor, new: int, routing: bool = False) -> Decode:
    return lambda: torch.stack(
        [token for token, _ in model.generate(ids, new, temperature=0, routing=routing)], dim=1
    ).tolist()


def _generate(model: nn.Module, ids: Tensor, new: int) -> Decode:
    model.generation_config.eos_token_id = None  # a random model may draw it; all decode equally far
    model.generation_config.pad_token_id = 0
    settings = {"attention_mask": torch.ones_like(ids), "do_sample": False, "max_new_tokens": new}
    return lambda: model.generate(ids, **settings)[:, ids.shape[1] :].tolist()


def _plain_loop(model: nn.Module, ids: Tensor, new: int) -> Decode:
    """Their model without what `generate` does around it."""

    @torch.no_grad()
    def decode() -> list[int]:
        tokens, latest, cache = [], ids, None
        for _ in range(new):
            output = model(latest, past_key_values=cache, use_cache=True)
            cache, latest = output.past_key_values, output.logits[:, -1].argmax(dim=-1, keepdim=True)
            tokens.append(latest)
        return torch.cat(tokens, dim=1).tolist()

    return decode
