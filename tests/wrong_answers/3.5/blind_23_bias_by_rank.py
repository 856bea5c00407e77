# expects: `weights` is not right yet | *
# sorts the scores first and adds the bias to the sorted columns: the bias goes by rank, not by expert
import torch


def sigmoid_route(logits: torch.Tensor, k: int, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(logits)
    values, by_score = torch.sort(s, dim=-1, descending=True, stable=True)
    again = torch.argsort(values + bias, dim=-1, descending=True, stable=True)[:, :k]
    w = values.gather(1, again)
    return w / w.sum(dim=-1, keepdim=True), by_score.gather(1, again)
