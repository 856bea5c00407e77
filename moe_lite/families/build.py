"""A router class of `transformers`, built small with random weights, and what it chose, in one form for all.

A class is built with its own family's configuration, in which sizes are replaced by small ones. What it reads of it is
noted: these are its own settings (renormalise or not, groups, a scale), and they say most of what our setting must be.
"""

import importlib
import importlib.util
import inspect
from dataclasses import dataclass, field
from types import ModuleType

import torch
from torch import Tensor, nn

from moe_lite.families.find import Found, models_folder

N_TOKENS, D_STATE, N_ZERO, N_SHARED, VOCABULARY = 64, 12, 4, 2, 50
WIDTHS = ("hidden_size", "input_size", "d_model")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
TOP_K = ("num_experts_per_tok", "moe_topk", "moe_k", "moe_top_k", "top_k_experts", "top_k")
OTHER_SIZES = {
    "router_hidden_size": D_STATE, "zero_expert_num": N_ZERO, "n_shared_experts": N_SHARED, "vocab_size": VOCABULARY,
    "ffn_hidden_size": 8, "expert_capacity": N_TOKENS,  # room for all: capacity is tried elsewhere
    "moe_eval_capacity_token_fraction": 1.0,
}  # fmt: skip


class CannotBuild(ValueError):
    """Why a class could not be built, called or read."""


@dataclass(frozen=True)
class Probe:
    """How a class is tried: sizes, a seed, other values for its own settings, and whether all logits are low.

    Low logits make sums of scores small and biased scores negative: only there an eps or a mask of 0 shows.
    """

    seed: int
    n_experts: int
    d_model: int
    top_k: int
    moves: dict[str, object] = field(default_factory=dict)  # the class's own settings -> another value
    low: bool = False


@dataclass
class Built:
    """A class with random weights, its input, and its answer."""

    found: Found
    probe: Probe
    module: nn.Module
    read: dict[str, object]  # what it read of its configuration, sizes replaced
    x: Tensor  # (N, D)
    given: dict[str, Tensor]  # further arguments of its forward, by name
    top_k: int
    answer: "Answer"

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, and the arguments that are no part of the batch."""
        own = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        return {name: t.detach() for name, t in (own | self.given).items()}


@dataclass
class Answer:
    """weights (N, K) and expert_ids (N, K), or both in one matrix (N, E); and whatever else was returned."""

    matrix: Tensor | None = None  # (N, E)
    weights: Tensor | None = None  # (N, K)
    expert_ids: Tensor | None = None  # (N, K)
    others: tuple[Tensor, ...] = ()  # floats, (N, …)

    def dense(self, width: int) -> Tensor | None:
        """(N, width): each expert's weight; None if there are more experts than that."""
        if self.matrix is not None:
            return self.matrix if self.matrix.shape[1] == width else None
        if int(self.expert_ids.max()) >= width:
            return None
        empty = torch.zeros(len(self.weights), width)
        return empty.scatter_add(1, self.expert_ids.long(), self.weights.float())

    @property
    def k(self) -> int:
        """How many experts the tokens have, at most."""
        return int((self.matrix != 0).sum(dim=1).max()) if self.weights is None else self.weights.shape[1]


class Noted:
    """A configuration whose sizes are replaced, and that notes what is read of it."""

    def __init__(self, config: object, replaced: dict[str, object], read: dict[str, object]):
        self._config, self._replaced, self._read = config, replaced, read

    def __getattr__(self, name: str):
        value = getattr(self._config, name)  # AttributeError: it is the configuration of something else
        value = self._replaced.get(name, value)
        if type(value).__name__.endswith("Config"):
            return Noted(value, self._replaced, self._read)
        self._read[name] = value
        return value


def build(found: Found, probe: Probe) -> Built:
    """The class with random weights and its answer to random input. CannotBuild says what stood in the way."""
    module_of = load(found)
    problem, most = CannotBuild("it has no configuration that fits"), -1
    for config in configurations(found, module_of):
        for k in dict.fromkeys((probe.top_k, 2, 1)):  # some refuse any other number than their own
            read: dict[str, object] = {}
            try:
                module = _construct(found.name, module_of, config, probe, k, read)
                return _tried(found, probe, module, module_of, read, k)
            except (AttributeError, TypeError, ValueError, KeyError, IndexError, RuntimeError, AssertionError) as error:
                if len(read) > most:  # the attempt that came furthest says most
                    told = str(error) if isinstance(error, CannotBuild) else f"{type(error).__name__}: {error}"
                    problem, most = CannotBuild(told.splitlines()[0]), len(read)
    raise problem


def load(found: Found) -> ModuleType:
    """The module of the class: one of `transformers`, or a file that is none."""
    if found.path.is_relative_to(models_folder()):
        return importlib.import_module(f"transformers.models.{found.family}.{found.path.stem}")
    spec = importlib.util.spec_from_file_location(found.path.stem, found.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configurations(found: Found, module: ModuleType) -> list[object]:
    """Configurations of the family at their defaults, those with the name of the class first, layers' own after all."""
    places = [module]
    try:
        places.append(importlib.import_module(f"transformers.models.{found.family}.configuration_{found.family}"))
    except ModuleNotFoundError:
        pass
    kinds = {name: kind for place in places for name, kind in vars(place).items() if name.endswith("Config")}
    kinds.pop("PreTrainedConfig", None)
    annotated = inspect.signature(getattr(module, found.name).__init__).parameters.get("config")
    wanted = getattr(annotated.annotation, "__name__", "") if annotated else ""
    ours = sorted(kinds, key=lambda name: (name != wanted, -_common(name, found.name)))
    made = []
    for name in ours:
        try:
            made.append(kinds[name]())
        except Exception:  # whatever it needs, there are others
            continue
    return made + [layer for config in made if (layer := _last_layer(config)) is not None]


def _last_layer(config: object) -> object | None:
    """The configuration of the last layer, where layers have their own."""
    try:
        layers = config.per_layer_config
        return layers[max(layers) if isinstance(layers, dict) else len(layers) - 1]
    except (AttributeError, ValueError, IndexError, TypeError):
        return None


def _common(a: str, b: str) -> int:
    """How many characters two names have in common at their beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _construct(name: str, module: ModuleType, config: object, probe: Probe, k: int, read: dict) -> nn.Module:
    """The class with our sizes; what it reads of `config` goes into `read`."""
    sizes = dict.fromkeys(WIDTHS, probe.d_model) | dict.fromkeys(EXPERTS, probe.n_experts) | dict.fromkeys(TOP_K, k)
    sizes |= OTHER_SIZES
    replaced = sizes | probe.moves
    kind, arguments = getattr(module, name), {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name == "config":
            arguments[name] = Noted(config, replaced, read)
        elif name == "layer_idx":
            arguments[name] = 1  # a layer that is not the first
        elif name in sizes:
            arguments[name] = read[name] = sizes[name]
        elif name != "self" and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            raise CannotBuild(f"its constructor asks for {name}")
    return kind(**arguments).eval()


@torch.no_grad()
def _tried(found: Found, probe: Probe, module: nn.Module, module_of: ModuleType, read: dict, k: int) -> Built:
    generator = torch.Generator().manual_seed(probe.seed)
    fill(module, probe, generator)
    x = torch.randn(N_TOKENS, probe.d_model, generator=generator)  # (N, D)
    if probe.low:
        x[:, 0] = 1.0  # the weights' first column then is a number added to every logit
    given = _arguments(module, probe, generator)
    problem = None
    forms = (x, x[None])  # some take (N, D), some (B, T, D)
    for form in reversed(forms) if any(t.dim() == 3 for t in given.values()) else forms:
        try:
            output = module(form.clone(), **given)
            answer = read_answer(output, probe) or _completed(found, module_of, output, read, probe, k)
            return Built(found, probe, module, read, x, given, answer.k, answer)
        except (TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
            problem = error if isinstance(error, CannotBuild) else problem or error
    raise problem


def fill(module: nn.Module, probe: Probe, generator: torch.Generator) -> None:
    """Random numbers for every parameter and buffer; where asked, a low first column and low biases for choosing."""
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.is_floating_point():
            rows = [torch.randperm(probe.n_experts, generator=generator)[: tensor.shape[1]] for _ in tensor]
            tensor.copy_(torch.stack(rows))  # a table of experts: all different in a row
            continue
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * (0.5 if tensor.dim() > 1 else 0.3))
        if probe.low and tensor.dim() == 2 and tensor.shape[1] == probe.d_model and tensor.shape[0] != D_STATE:
            tensor[:, 0] = -10.0
        if probe.low and tensor.numel() >= probe.n_experts and tensor.squeeze().dim() == 1 and name not in trained:
            tensor.sub_(3.0)


def _arguments(module: nn.Module, probe: Probe, generator: torch.Generator) -> dict[str, Tensor]:
    """What a router's forward asks for beside the tokens, by what its name says."""
    parameters = list(inspect.signature(module.forward).parameters.items())[1:]
    given = {}
    for name, parameter in parameters:
        if "bias" in name:
            given[name] = 0.3 * torch.randn(probe.n_experts, generator=generator) - (3.0 if probe.low else 0.0)
        elif "input_ids" in name:
            given[name] = torch.randint(0, VOCABULARY, (1, N_TOKENS), generator=generator)
        elif "state" in name:
            given[name] = torch.randn(1, N_TOKENS, D_STATE, generator=generator)
        elif parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise CannotBuild(f"its forward asks for {name}")
    return given


def read_answer(output: object, probe: Probe) -> Answer | None:
    """Weights and experts in what a router returned; None if there are none in it."""
    parts = [p for p in (output if isinstance(output, tuple | list) else (output,)) if p is not None]
    if sizes := next((p for p in parts if isinstance(p, list)), None):
        return _sorted_by_expert(parts, sizes)
    tensors = [p.squeeze(0) if p.dim() > 2 and p.shape[0] == 1 else p for p in parts if isinstance(p, Tensor)]
    floats = [t for t in tensors if t.is_floating_point() and len(t) == N_TOKENS]
    whole = [t for t in tensors if not t.is_floating_point() and t.dim() == 2 and len(t) == N_TOKENS]
    for ids in whole:
        k = ids.shape[1]
        if k < probe.n_experts:
            for weights in floats:
                if weights.shape == ids.shape:
                    return Answer(None, weights, ids, tuple(t for t in floats if t is not weights))
    for matrix in floats:
        if matrix.dim() == 2 and matrix.shape[1] >= probe.n_experts and (matrix == 0).any(dim=1).all():
            return Answer(matrix, others=tuple(t for t in floats if t is not matrix))
    one_hot = next((t for t in whole if t.shape[1] >= probe.n_experts), None)
    weight = next((t for t in floats if t.dim() == 2 and t.shape[1] == 1), None)
    if one_hot is not None and weight is not None:
        return Answer(one_hot * weight, others=tuple(t for t in floats if t is not weight))
    return None


def _sorted_by_expert(parts: list, sizes: list[int]) -> Answer | None:
    """Assignments expert by expert: how many each has, and for every one its token and its weight."""
    n = sum(sizes)
    rows = [p for p in parts if isinstance(p, Tensor) and p.shape == (n,)]
    weights = next((p for p in rows if p.is_floating_point()), None)
    tokens = next((p for p in rows if not p.is_floating_point() and int(p.max()) < N_TOKENS), None)
    if weights is None or tokens is None:
        return None
    experts = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))  # (A,)
    return Answer(torch.zeros(N_TOKENS, len(sizes)).index_put((tokens, experts), weights, accumulate=True))


def _completed(found: Found, module: ModuleType, output: object, read: dict, probe: Probe, k: int) -> Answer:
    """Where a router returns logits alone, the class that holds it chooses (`route_tokens_to_experts`)."""
    if not found.owner:
        raise CannotBuild("its output shows neither choice nor weights")
    for config in configurations(found, module):
        noted: dict[str, object] = {}
        try:
            owner = _construct(found.owner, module, config, probe, k, noted)
        except (AttributeError, TypeError, CannotBuild):
            continue
        read |= noted
        return read_answer(owner.route_tokens_to_experts(output), probe)
    raise CannotBuild(f"its choice is made by {found.owner}, which could not be built")
