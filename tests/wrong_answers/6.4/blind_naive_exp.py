# expects: `exp` overflows
def router_z_loss(logits):
    return logits.exp().sum(dim=-1).log().square().mean()
