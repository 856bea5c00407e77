"""The shipped models and held-out texts of the course, each loaded once for all widgets that count in them."""

from functools import lru_cache

import torch
from torch import Tensor

from moe_lite import data
from moe_lite.checkpoint import pretrained
from moe_lite.corpora import SPLITS
from moe_lite.model.transformer import MoELanguageModel

PER_DOMAIN, WINDOW = 64, 64  # validation texts of each domain, and their tokens


@lru_cache(maxsize=3)
def shown_model(n_experts: int) -> MoELanguageModel:
    return pretrained(n_experts).eval()


def there() -> tuple[str, ...]:
    """The domains whose texts have been built."""
    folder = data.data_dir() / "corpus"
    return tuple(d for d in data.DOMAINS if all((folder / f"{d}.{split}.txt").is_file() for split in SPLITS))


@lru_cache(maxsize=2)
def validation_texts(built: tuple[str, ...]) -> dict[str, Tensor]:
    """domain -> (B, T) ids of its validation texts, in random order. `built` as `there` gives it."""
    if not built:
        return {}
    batches = data.validation_batches(data.load_corpora(built), WINDOW, max_windows=PER_DOMAIN)
    order = torch.Generator().manual_seed(0)
    return {d: batch.ids[torch.randperm(len(batch.ids), generator=order)] for d, batch in batches.items()}
