"""What a model refuses to read: ids, targets and masks that would fail far from their cause, or count for nothing.

Values are looked at on the CPU only; on another device that would make every pass wait for it.
"""

import torch
from torch import Tensor

IGNORED = -100  # a target that is not counted, as in PyTorch


def check_ids(ids: Tensor, vocab_size: int) -> None:
    """Raises ValueError unless ids are (B, T) whole numbers below vocab_size, int64 or int32."""
    if not isinstance(ids, Tensor):
        raise ValueError(f"ids are a {type(ids).__name__}; expected a tensor (B, T): torch.tensor([ids]) makes one.")
    if ids.dim() != 2 or ids.dtype not in (torch.int64, torch.int32) or 0 in ids.shape:
        hint = " A single text is ids[None]." if ids.dim() == 1 else ""
        raise ValueError(
            f"ids have shape {tuple(ids.shape)}, dtype {ids.dtype}; expected (B, T) integers, B, T ≥ 1.{hint}"
        )
    _check_values("ids", ids, vocab_size)


def check_targets(targets: Tensor, ids: Tensor, vocab_size: int) -> None:
    """Raises ValueError unless targets have the shape of ids and are tokens or −100, at least one a token."""
    if targets.shape != ids.shape or targets.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}, dtype {targets.dtype}; expected integers of ids' shape "
            f"{tuple(ids.shape)}: targets[b, t] is the token that follows ids[b, t]."
        )
    if _can_be_read(targets):
        counted = targets[targets != IGNORED]
        if not len(counted):
            raise ValueError(f"All targets are {IGNORED}: nothing is counted, so there is no loss.")
        _check_values("targets", counted, vocab_size)


def _check_values(name: str, values: Tensor, vocab_size: int) -> None:
    if not _can_be_read(values):
        return
    low, high = (int(end) for end in values.aminmax())
    if low < 0 or high >= vocab_size:
        raise ValueError(
            f"{name} go from {low} to {high}; expected 0 to {vocab_size - 1}, for vocab_size is {vocab_size}. "
            "Were they made with another tokenizer?"
        )


def _can_be_read(values: Tensor) -> bool:
    """Whether a look at the numbers costs little: a GPU would be waited for, and torch.compile would stop there."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def checked_mask(token_mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """token_mask as bool; ones and zeros as tokenizers give them will do.

    Raises ValueError for another shape or other values, and for padding alone.
    """
    if token_mask.shape != shape:
        raise ValueError(
            f"token_mask has shape {tuple(token_mask.shape)}; expected that of the tokens, {tuple(shape)}."
        )
    mask = token_mask.bool()
    if token_mask.device.type == "cpu":
        if token_mask.dtype != torch.bool and not torch.equal(mask.to(token_mask.dtype), token_mask):
            raise ValueError("token_mask has other values than 0 and 1; expected True, or 1, where a token is real.")
        if not mask.any():
            raise ValueError("token_mask is False everywhere: there is no token to route.")
    return mask


def check_padding(token_mask: Tensor, ids: Tensor) -> None:
    """Raises ValueError unless the padding of each row is on its right: positions are counted from the left."""
    mask = checked_mask(token_mask, ids.shape)
    if mask.device.type == "cpu" and (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError("token_mask has padding before a real token; expected padding on the right of each row.")
