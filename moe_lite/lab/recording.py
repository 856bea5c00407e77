"""Reading the JSON files that hold recorded trainings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moe_lite.model.config import ModelConfig, from_dict
from moe_lite.train import TrainConfig


@contextmanager
def recorded(path: Path, format: str, version: int) -> Iterator[dict]:
    """The values of the recording in `path`, its `model` and `train` made settings again; the block takes the rest.

    Raises ValueError that names the file if it is none of this format and version, or if the block finds a value
    missing or wrong.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != format or values.pop("version") != version:
            raise ValueError(f"expected format {format}, version {version}")
        values["model"] = from_dict(ModelConfig, values["model"])
        values["train"] = from_dict(TrainConfig, values["train"])
        yield values
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no recording that this version reads: {error}") from error
