"""Does transformers read the same model there? What loads without a word can still be wrong: gate and up swapped, two
experts swapped, a square matrix transposed. So every tensor is compared, and then the logits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from moe_lite.checkpoint import CheckpointError
from moe_lite.hf.layouts import require_ours, tensors_by_name
from moe_lite.model.transformer import MoELanguageModel

TOLERANCE = 1e-5  # of the largest logit, and at least this
N_TEXTS, N_TOKENS = 2, 32


def verify(model: MoELanguageModel, folder: str | Path) -> float:
    """The largest difference between the logits of `model` and of what transformers reads in `folder`, in float32.

    Random tokens are read twice: as the model is, and with every expert working on every token, so that no expert is
    left out. Raises FileNotFoundError for a folder without a config.json, and CheckpointError if the two are not the
    same model: it names each tensor that differs and, where it can, what was swapped; if no tensor does, a setting of
    config.json must.
    """
    require_ours(model)
    folder = Path(folder).expanduser()
    if not (folder / "config.json").is_file():  # transformers would look for such a name on the network
        raise FileNotFoundError(f"No config.json in {folder}; expected a folder that export or save_pretrained wrote.")
    with torch.random.fork_rng(devices=[]):
        ours = MoELanguageModel(model.config).eval()
    ours.load_state_dict(model.state_dict())
    config, generator = ours.config, torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (N_TEXTS, min(N_TOKENS, config.context_length)), generator=generator)
    theirs = _read(folder)
    if told := differences(tensors_by_name(ours, of=Tensor.detach), theirs.state_dict()):
        raise CheckpointError("transformers reads other weights there:\n  " + "\n  ".join(told))
    largest = _largest_difference(ours, theirs, ids, "as it is")
    if not config.is_dense:
        theirs = _read(folder, num_experts_per_tok=config.n_experts)
        largest = max(largest, _largest_difference(ours, theirs, ids, "with all experts", top_k=config.n_experts))
    return largest


def _read(folder: str | Path, **settings) -> PreTrainedModel:
    with _quiet():
        try:
            model, info = AutoModelForCausalLM.from_pretrained(
                folder, output_loading_info=True, dtype=torch.float32, **settings
            )
        except Exception as error:  # of many classes: settings, names, shapes, files
            raise CheckpointError(f"transformers cannot read it: {error}") from error
    if problems := {name: sorted(map(str, keys)) for name, keys in info.items() if keys}:
        told = "; ".join(f"{name.replace('_', ' ')}: {', '.join(keys[:3])}" for name, keys in problems.items())
        raise CheckpointError(f"transformers finds other tensors than it expects. {told}.")
    return model.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar for a moment."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@torch.no_grad()
def _largest_difference(ours: MoELanguageModel, theirs: PreTrainedModel, ids: Tensor, how: str, **options) -> float:
    expected, found = ours(ids, **options).logits, theirs(ids).logits  # (B, T, V)
    largest = (found - expected).abs().max().item()
    allowed = TOLERANCE * max(1.0, expected.abs().max().item())
    if not largest <= allowed:  # NaN is not either
        raise CheckpointError(
            f"Read {how}, the logits in transformers differ by {largest:.3g} ({allowed:.3g} would be rounding), though "
            "all weights agree: a setting of config.json must say something else than the model's."
        )
    return largest


# ---- which tensors ---------------------------------------------------------------------------------------------------


def differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> list[str]:
    """One sentence for each tensor of `theirs` that is not as in `ours`, both as `tensors_by_name` names them."""
    told = [f"{name} is missing." for name in ours if name not in theirs]
    told += [f"{name} is not expected." for name in theirs if name not in ours]
    for name, tensor in ours.items():
        if name in theirs and not torch.equal(tensor, theirs[name].float()):
            told.append(f"{name} {_what_happened(name, theirs[name].float(), ours)}.")
    return told


def _what_happened(name: str, found: Tensor, ours: Mapping[str, Tensor]) -> str:
    expected = ours[name]
    for other, tensor in ours.items():
        if found.shape == tensor.shape and torch.equal(found, tensor):
            return f"holds what belongs to {other}"
    if found.shape != expected.shape:
        return f"is {tuple(found.shape)}, expected {tuple(expected.shape)}"
    if expected.dim() == 3:
        return _in_experts(found, expected)
    return _turned(found, expected) or f"differs by up to {(found - expected).abs().max():.3g}"


def _in_experts(found: Tensor, expected: Tensor) -> str:
    """found, expected (E, …)."""
    wrong = [e for e in range(len(expected)) if not torch.equal(found[e], expected[e])]
    places = {e: [f for f in wrong if torch.equal(found[e], expected[f])] for e in wrong}
    if all(places.values()):
        return "has " + ", ".join(f"expert {places[e][0]} in the place of {e}" for e in wrong)
    causes = {_turned(found[e], expected[e]) for e in wrong}
    what = causes.pop() if len(causes) == 1 else ""
    what = what or f"differs by up to {(found - expected).abs().max():.3g}"
    return f"{what} in expert{'s' * (len(wrong) > 1)} {', '.join(map(str, wrong))}"


def _turned(found: Tensor, expected: Tensor) -> str:
    """found, expected: one matrix. "" if the one is not made from the other in a known way."""
    if found.dim() == 2 and torch.equal(found, torch.cat(expected.chunk(2)[::-1])):
        return "has its halves, gate and up, in each other's place"
    if found.dim() == 2 and found.shape[0] == found.shape[1] and torch.equal(found, expected.T):
        return "is transposed"
    return ""
