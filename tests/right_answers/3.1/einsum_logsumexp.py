import torch


def router_scores(x, w_router):
    logits = torch.einsum("nd,ed->ne", x.float(), w_router.float())
    return (logits - logits.logsumexp(dim=-1, keepdim=True)).exp()
