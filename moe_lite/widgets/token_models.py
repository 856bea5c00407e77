"""The models that a token viewer is given: which fit together, and what the one before and the one after are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moe_lite.transformer import MoELanguageModel
from moe_lite.widgets.token_data import MOST_EXPERTS

BEFORE, AFTER, BOTH = SHOWN = ("before", "after", "both")


def checked_models(models: MoELanguageModel | Mapping[int, MoELanguageModel]) -> dict[int, MoELanguageModel]:
    """{n_experts: model}, fewest experts first. Raises ValueError for models that cannot share a viewer."""
    if not isinstance(models, Mapping):
        models = {models.config.n_experts: models}
    for n_experts, model in models.items():
        if model.config.n_experts != n_experts:
            raise ValueError(f"models[{n_experts}] has {model.config.n_experts} experts; the key is the expert count.")
        if not 2 <= n_experts <= MOST_EXPERTS:
            raise ValueError(f"A model with {n_experts} experts: the viewer needs 2 to {MOST_EXPERTS} and a router.")
    layers = {model.config.n_layers for model in models.values()}
    if len(layers) != 1:
        raise ValueError(f"models have {sorted(layers)} layers; expected at least one model, all with equally many.")
    return dict(sorted(models.items()))


def check_before(before: MoELanguageModel | None, models: Mapping[int, MoELanguageModel]) -> None:
    """Raise ValueError unless `before` is None, or reads the same text as the one model does, expert by expert."""
    if before is None:
        return
    if len(models) != 1:
        raise ValueError(
            f"before is compared with one model, but models has {len(models)}: {', '.join(map(str, models))}."
        )
    (model,) = models.values()
    if before is model:
        raise ValueError("before is the model itself. Keep a copy from before the training: copy.deepcopy(model).")
    for name in ("n_experts", "n_layers", "vocab_size", "context_length"):
        then, now = getattr(before.config, name), getattr(model.config, name)
        if then != now:
            raise ValueError(f"before has {name} {then:,}, the model {now:,}; they must agree to be compared.")


@dataclass(frozen=True)
class Names:
    """What the model before and the one after are called: on the badge, over their texts, in the reading line."""

    before: str
    after: str
    source: str  # the badge of the model after

    @classmethod
    def of(cls, names: Sequence[str], source: str | None = None) -> "Names":
        if isinstance(names, str) or len(names) != 2:
            raise ValueError(f"names is {names!r}; expected two, of the model before and of the one after.")
        before, after = map(str, names)
        return cls(before, after, after if source is None else source)

    def badge(self, shown: str) -> str:
        return {BEFORE: self.before, AFTER: self.source, BOTH: f"{self.before} | {self.source}"}[shown]

    def caption(self, side: str) -> str:
        """What stands beside the word "before" or "after"; "" if that word is all."""
        name = getattr(self, side)
        return "" if name == side else name

    def closing(self, side: str) -> str:
        """What closes the reading line where one of the two is seen alone."""
        name = self.caption(side)
        return f" This is the model {side}, {name}." if name else f" This is the model {side}."

    def said(self) -> dict[str, dict[str, str]]:
        """All of it, for the script."""
        sides = (BEFORE, AFTER)
        return {
            "badges": {shown: self.badge(shown) for shown in SHOWN},
            "captions": {side: self.caption(side) for side in sides},
            "closing": {side: self.closing(side) for side in sides},
        }
