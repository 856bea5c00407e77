# expects: The largest logit is not put back
def router_z_loss(logits):
    m = logits.amax(dim=-1, keepdim=True)
    z = (logits - m).exp().sum(dim=-1).log()
    return z.square().mean()
