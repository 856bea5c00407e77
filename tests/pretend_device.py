"""A pretend accelerator: tensors compute on the CPU, but carry the device "meta", and one that meets a tensor of the
CPU raises, as on a GPU. It tells where tensors are on the wrong device; it is no proof that a kernel exists anywhere.

    with accelerator() as device:
        model = model.to(device)

What PyTorch forbids between devices is forbidden here: operations on tensors of both (but for copies, numbers, and
indices of the CPU into a tensor of the device), and a generator of one for numbers of the other. A tensor of the device
has no NumPy array before `.cpu()`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRETEND = torch.device("meta")  # the one device name besides "cpu" that every build of PyTorch has
ops = torch.ops.aten
INDEXING = {ops.index.Tensor, ops.index_put.default, ops.index_put_.default, ops._index_put_impl_.default}
GENERATOR = torch.Generator
COPYING = {ops.copy_.default, ops._to_copy.default}


class Pretended(Tensor):
    """A tensor of the pretend device; `inner` is the tensor of the CPU that stands behind it."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Pretended":
        made = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=PRETEND, requires_grad=False,
        )  # fmt: skip
        made.inner = inner
        return made

    def __repr__(self) -> str:
        return f"Pretended({self.inner})"

    def __deepcopy__(self, memo: dict) -> "Pretended":
        return Pretended(self.inner.clone()).requires_grad_(self.requires_grad)

    def tolist(self) -> Any:
        return self.inner.tolist()

    def item(self) -> Any:
        return self.inner.item()

    def __bool__(self) -> bool:
        return bool(self.inner)

    def __int__(self) -> int:
        return int(self.inner)

    def __float__(self) -> float:
        return float(self.inner)

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of the pretend device to numpy; use .cpu()")

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


_of_the_device: set[int] = set()  # generators, by their address: PyTorch hands them on in another wrapping


class PretendedGenerator(GENERATOR):
    """Remembers the device that it was made for."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, device="cpu")
        (_of_the_device.add if torch.device(device).type == PRETEND.type else _of_the_device.discard)(made._cdata)
        return made


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        wanted = kwargs.get("device")
        asked = wanted is not None and torch.device(wanted).type == PRETEND.type
        if asked or any(issubclass(kind, Pretended) for kind in types):
            return _run(func, args, kwargs)
        return func(*args, **kwargs)


def _leaves(value: Any) -> Iterator:
    """What stands in lists and tuples: an operation gets no other containers. (`_pytree` knows many, and is slow.)"""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _mapped(change: Callable, value: Any) -> Any:
    return type(value)(_mapped(change, v) for v in value) if isinstance(value, (list, tuple)) else change(value)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Pretended) else value


def _run(func, args: tuple, kwargs: dict) -> Any:
    found = [*_leaves(args), *_leaves(list(kwargs.values()))]
    here = [t for t in found if isinstance(t, Pretended)]
    there = [t for t in found if isinstance(t, Tensor) and not isinstance(t, Pretended) and t.dim() > 0]
    into = args[0] if args else None
    indexed = func in INDEXING and isinstance(into, Pretended)
    if here and there and func not in COPYING and not indexed:
        shapes = [tuple(t.shape) for t in here], [tuple(t.shape) for t in there]
        raise RuntimeError(f"{func}: tensors on two devices: {shapes[0]} on the accelerator, {shapes[1]} on the cpu")
    result_here = bool(here)
    if (wanted := kwargs.get("device")) is not None:
        result_here = torch.device(wanted).type == PRETEND.type
        kwargs = kwargs | {"device": "cpu"}
    for generator in (g for g in found if isinstance(g, GENERATOR)):
        if (generator._cdata in _of_the_device) != result_here:
            raise RuntimeError(f"{func}: the generator and the tensor are on two devices")
    if func is ops.copy_.default and not isinstance(into, Pretended):
        result_here = False
    out = func(*_mapped(_inner, args), **{name: _mapped(_inner, value) for name, value in kwargs.items()})
    in_place = func.__name__.split(".")[0].endswith("_")
    if in_place and isinstance(into, Pretended) and isinstance(out, Tensor):
        return into
    if isinstance(kwargs.get("out"), Pretended):
        return kwargs["out"]
    return _mapped(lambda t: Pretended(t) if isinstance(t, Tensor) and result_here else t, out)


@contextlib.contextmanager
def accelerator() -> Iterator[torch.device]:
    """The device, for as long as the context lasts. Autocast knows it as the CPU; AdamW has no fused step for it."""
    autocast, adamw, tensor = torch.autocast, torch.optim.AdamW, torch.tensor

    def on_cpu(device_type: str, *args, **kwargs):
        return autocast("cpu" if device_type == PRETEND.type else device_type, *args, **kwargs)

    def made(data, *, device="cpu", **options):
        return tensor(data, **options).to(device)  # `torch.tensor` itself would make one without numbers

    enabled, dtype = torch.is_autocast_enabled, torch.get_autocast_dtype
    with (
        patch.object(torch, "Generator", PretendedGenerator),
        patch.object(torch, "tensor", made),
        patch.object(torch, "autocast", on_cpu),
        patch.object(torch.optim, "AdamW", lambda *a, **options: adamw(*a, **options | {"fused": False})),
        patch.object(torch, "is_autocast_enabled", lambda kind="cpu": enabled("cpu" if kind == "meta" else kind)),
        patch.object(torch, "get_autocast_dtype", lambda kind: dtype("cpu" if kind == "meta" else kind)),
        _Mode(),
    ):
        yield PRETEND
