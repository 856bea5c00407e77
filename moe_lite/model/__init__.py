"""The model, from token ids to loss.

Read config, routing, balance, experts, moe, attention, transformer, in this order. `routers/` has routers beside the
usual one, and `fast` what is there only for speed.
"""
