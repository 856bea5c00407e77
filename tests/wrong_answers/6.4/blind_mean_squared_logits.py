# expects: The logits' own squares
def router_z_loss(logits):
    return logits.square().mean()
