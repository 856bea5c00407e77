"""Published mixtures as settings of our one router, and the proof: `python -m moe_lite.families`.

families.names()                    # all of them
families.preset("deepseek_v3")      # a small ModelConfig with its rule
families.describe("deepseek_v3")    # the rule in words and in symbols, with its source
"""

from moe_lite.families.presets import describe, names, preset

__all__ = ["describe", "names", "preset"]
