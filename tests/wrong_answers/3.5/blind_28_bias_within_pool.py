# expects: `weights` is not right yet | *
# the bias only picks among the 2k best by score, so an expert with a low score and a large bias never gets in
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    pool = torch.argsort(s, dim=-1, descending=True, stable=True)[:, : 2 * k].sort(dim=-1).values
    biased = (s + bias).gather(1, pool)
    order = pool.gather(1, torch.argsort(biased, dim=-1, descending=True, stable=True)[:, :k])
    w = s.gather(1, order)
    return w / w.sum(dim=-1, keepdim=True), order
