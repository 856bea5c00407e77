"""Published mixtures as settings of our one router, and the proof: `python -m moe_lite.families`."""
