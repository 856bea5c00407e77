"""moe-lite: a small mixture-of-experts language model, made to be read.

Dimension key, used in every shape comment:

    B batch          T time            N = B·T tokens     D width of the model
    H heads          S head size       E experts          K experts per token
    F expert width   C capacity        V vocabulary       L layers
    A assignments of a token to an expert (N·K where K is fixed)
"""

import importlib

# Loaded when first asked for: importing the package stays light, and `python -m moe_lite.doctor` starts without torch.
_LATER = {
    "ModelConfig": "moe_lite.config",
    "MoELanguageModel": "moe_lite.transformer",
    "TrainConfig": "moe_lite.config",
    "claims": "moe_lite.claims",
    "model_diagram": "moe_lite.diagram",
    "progress": "moe_lite.checks.course_map",
    "reset": "moe_lite.checks.unstuck",
    "skip": "moe_lite.checks.unstuck",
    "start_again": "moe_lite.checks.unstuck",
}
__all__ = [*_LATER]


def __getattr__(name: str):
    if name in _LATER:
        found = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = found  # importing a submodule of the same name would otherwise leave that here
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
