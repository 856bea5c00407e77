"""What the budget explorer counts: shapes to begin with, the shape that the sliders make, a learner's own count."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd
from operator import index

from moe_lite.metrics import Budget, budget
from moe_lite.model.config import ModelConfig, dense_twin
from moe_lite.widgets.kit.widget import called, name_of

Count = Callable[[ModelConfig, int], tuple[int, int]]

_OLMOE = ModelConfig(vocab_size=50_304, n_layers=16, d_model=2048, n_heads=16, n_kv_heads=16, context_length=4096,
                     n_experts=64, top_k=8, d_expert=1024)  # fmt: skip
_MIXTRAL = ModelConfig(vocab_size=32_000, n_layers=32, d_model=4096, n_heads=32, n_kv_heads=8, context_length=32_768,
                       n_experts=8, top_k=2, d_expert=14_336)  # fmt: skip
_DBRX = ModelConfig(vocab_size=100_352, n_layers=40, d_model=6144, n_heads=48, n_kv_heads=8, context_length=32_768,
                    n_experts=16, top_k=4, d_expert=10_752)  # fmt: skip

COURSE = "course model"
PRESETS = {
    COURSE: dense_twin(ModelConfig()),
    "OLMoE, 8 experts as one": dense_twin(_OLMOE),
    "Mixtral 8x7B, one expert": replace(_MIXTRAL, n_experts=1, top_k=1),
    "DBRX, 4 experts as one": dense_twin(_DBRX),
}
# what stands behind a name: whose sizes, and what was made dense
ABOUT = {
    COURSE: "The course’s dense model.",
    "OLMoE, 8 experts as one": "OLMoE-1B-7B (arXiv 2409.02060), the 8 experts that work on a token as one network a "
    "layer; without its norms on queries and keys.",
    "Mixtral 8x7B, one expert": "Mixtral 8x7B (arXiv 2401.04088) with one of its 8 experts in each layer.",
    "DBRX, 4 experts as one": "DBRX (Databricks 2024), the 4 experts that work on a token as one network a layer.",
}

LETTERS = {"d_model": "D", "n_layers": "L", "d_expert": "F", "vocab_size": "V", "context": "context"}
LOWEST = {"d_model": 2, "n_layers": 1, "d_expert": 1, "vocab_size": 1, "context": 1}
HIGHEST = {"d_model": 65_536, "n_layers": 1000, "d_expert": 1 << 20, "vocab_size": 1 << 22, "context": 1 << 22}
STEPS = {
    "d_model": (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192),
    "n_layers": (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80),
    "d_expert": (64, 128, 256, 384, 512, 1024, 1536, 2048, 4096, 6144, 8192, 14_336, 20_480, 28_672, 43_008),
    "vocab_size": (256, 1024, 2048, 4096, 8192, 16_384, 32_000, 50_304, 65_536, 100_352, 131_072, 262_144),
    "context": (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072),
}
SIZES = ("d_model", "n_layers", "d_expert", "vocab_size")


@dataclass(frozen=True)
class BudgetView:
    """One shape with its counts. `name` is the preset's, "" for a shape of one's own."""

    config: ModelConfig
    context: int
    name: str

    @property
    def budget(self) -> Budget:
        return budget(self.config, self.context)

    def shares(self, kind: str) -> dict[str, float]:
        """part -> its share of all `kind`, "parameters" or "flops"."""
        amounts = getattr(self.budget, kind)
        return {part: amount / sum(amounts.values()) for part, amount in amounts.items()}


@dataclass(frozen=True)
class Counted:
    """What a learner's function gives for the shape that is shown."""

    name: str
    parameters: int
    flops: int


def shaped(base: ModelConfig, sizes: dict[str, int]) -> ModelConfig:
    """`base` with other sizes (SIZES; D even). Heads keep their size where it divides D, else the largest that does."""
    d_head = gcd(sizes["d_model"], base.d_head)
    n_heads = sizes["d_model"] // d_head
    sharing = gcd(n_heads, base.n_heads // base.n_kv_heads)  # query heads to a key and value head
    return replace(base, **sizes, n_heads=n_heads, n_kv_heads=n_heads // sharing)


def same_shape(one: ModelConfig, other: ModelConfig) -> bool:
    """Whether two dense models have equal sizes; other settings do not matter here."""
    names = (*SIZES, "n_heads", "n_kv_heads")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def counted(count: Count, view: BudgetView) -> Counted:
    """Ask a learner's function. CallbackError if it raises, TypeError unless it gives two whole numbers."""
    name, result = name_of(count), called(count, view.config, view.context)
    try:
        parameters, flops = map(index, result)
    except (TypeError, ValueError) as problem:
        kinds = f" of {', '.join(type(part).__name__ for part in result)}" if isinstance(result, (tuple, list)) else ""
        raise TypeError(
            f"{name} returned {type(result).__name__}{kinds}; expected two whole numbers, parameters and FLOPs."
        ) from problem
    return Counted(name, parameters, flops)
