"""moe-lite: a small mixture-of-experts language model, made to be read.

Dimension key, used in every shape comment:

    B batch          T time            N = B·T tokens     D width of the model
    H heads          S head size       E experts          K experts per token
    F expert width   C capacity        V vocabulary       L layers
    A assignments of a token to an expert (N·K where K is fixed)
"""

from moe_lite.config import ModelConfig, TrainConfig
from moe_lite.transformer import MoELanguageModel

__all__ = ["ModelConfig", "MoELanguageModel", "TrainConfig"]
