def router_z_loss(logits):
    most = logits.max(dim=-1, keepdim=True).values.detach()
    return (most[:, 0] + (logits - most).exp().sum(-1).log()).pow(2).mean()
