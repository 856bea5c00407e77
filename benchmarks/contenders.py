"""One feed-forward layer, by several hands, with the same weights. None is timed before its values are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, MixtralConfig
from transformers.models.llama.modeling_llama import LlamaMLP
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from moe_lite import ModelConfig
from moe_lite.model.experts import SwiGLU
from moe_lite.model.moe import MoELayer
from moe_lite.model.transformer import build_moe_layer

TOLERANCE = 1e-4  # of the largest number compared; float32 summed in another order


@dataclass(frozen=True)
class Shape:
    """N tokens of width D, E experts of width F, K of them a token."""

    N: int
    D: int
    F: int
    E: int
    K: int

    def __str__(self) -> str:
        return f"N {self.N:,}, D {self.D}, F {self.F}, E {self.E}, K {self.K}"

    @property
    def flops(self) -> int:
        """Of the forward pass: three matrices, two FLOPs a weight, K experts per token. The router is not counted."""
        return 6 * self.N * self.K * self.D * self.F


SHAPES = {
    "S1": Shape(N=512, D=64, F=256, E=8, K=2),
    "S2": Shape(N=2048, D=128, F=256, E=8, K=2),
    "S4": Shape(N=2048, D=128, F=128, E=64, K=4),
    "S6": Shape(N=8192, D=128, F=512, E=4, K=1),
}


@dataclass(frozen=True)
class Contender:
    """A layer as a function of x (1, N, D), and the gradients of its weights by our names and in our shapes."""

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    gradients: Callable[[], dict[str, Tensor]]

    def both(self, x: Tensor, dy: Tensor) -> None:
        """Forward and backward; dy (1, N, D) is the gradient that comes from above."""
        x.grad = None
        self.module.zero_grad()
        self.forward(x).backward(dy)


def sparse(shape: Shape, device: torch.device | str = "cpu") -> dict[str, Contender]:
    """Sparse layers with equal weights. The first, the plain loop, is the reference."""
    config = ModelConfig(d_model=shape.D, d_expert=shape.F, n_experts=shape.E, top_k=shape.K, implementation="loop")
    loop = _filled(build_moe_layer(config)).to(device)
    fast = build_moe_layer(replace(config, implementation="sorted")).to(device)
    fast.load_state_dict(loop.state_dict())
    found = {"own loop": _own(loop), "own sorted": _own(fast)}
    for implementation in ("eager", "grouped_mm"):
        found[f"transformers Mixtral, {implementation}"] = _mixtral(loop, shape, implementation, device)
    return found


def dense(shape: Shape, device: torch.device | str = "cpu") -> dict[str, Contender]:
    """Dense layers that spend the same FLOPs on a token. The first, ours, is the reference."""
    own = _filled(SwiGLU(shape.D, shape.K * shape.F)).to(device)
    config = LlamaConfig(
        hidden_size=shape.D, intermediate_size=shape.K * shape.F, num_attention_heads=1, num_key_value_heads=1
    )
    llama = LlamaMLP(config).to(device)
    gate, up = own.gate_up.detach().chunk(2)
    llama.load_state_dict({"gate_proj.weight": gate, "up_proj.weight": up, "down_proj.weight": own.down.detach()})
    return {
        "own dense": Contender(own, own, lambda: {"gate_up": own.gate_up.grad, "down": own.down.grad}),
        "transformers Llama MLP": Contender(
            llama,
            llama,
            lambda: {
                "gate_up": torch.cat([llama.gate_proj.weight.grad, llama.up_proj.weight.grad]),
                "down": llama.down_proj.weight.grad,
            },
        ),
    }


def require_equal(contenders: Mapping[str, Contender], x: Tensor, dy: Tensor) -> None:
    """AssertionError that names the contender whose values or gradients are not those of the first."""
    expected: dict[str, Tensor] = {}
    for name, contender in contenders.items():
        contender.both(x, dy)
        found = {"output": contender.forward(x).detach(), "gradient of x": x.grad, **contender.gradients()}
        expected = expected or {key: value.clone() for key, value in found.items()}
        for key, value in found.items():
            close(value, expected[key], f"{name}: its {key}")


def close(found: Tensor, expected: Tensor, what: str) -> None:
    """AssertionError unless both are equal within TOLERANCE of the largest expected number."""
    found, expected = found.detach(), expected.detach()
    difference, largest = (found - expected).abs().max().item(), expected.abs().max().item()
    if not difference <= TOLERANCE * largest:
        raise AssertionError(f"{what} differs from the reference by {difference:.3g}; its largest is {largest:.3g}.")


def _filled(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.02, generator=generator)
    return module.train()


def _own(layer: MoELayer) -> Contender:
    named = {"router": layer.router.weight, "gate_up": layer.experts.gate_up, "down": layer.experts.down}
    return Contender(layer, lambda x: layer(x)[0], lambda: {name: weight.grad for name, weight in named.items()})


def _mixtral(layer: MoELayer, shape: Shape, implementation: str, device: torch.device | str) -> Contender:
    config = MixtralConfig(
        hidden_size=shape.D, intermediate_size=shape.F, num_local_experts=shape.E, num_experts_per_tok=shape.K,
        experts_implementation=implementation,
    )  # fmt: skip
    block = MixtralSparseMoeBlock(config).to(device).train()
    named = {"router": block.gate.weight, "gate_up": block.experts.gate_up_proj, "down": block.experts.down_proj}
    ours = {"router": layer.router.weight, "gate_up": layer.experts.gate_up, "down": layer.experts.down}
    with torch.no_grad():
        for name, weight in named.items():
            weight.copy_(ours[name])
    return Contender(block, block, lambda: {name: weight.grad for name, weight in named.items()})
