# expects: The best expert takes all
import torch.nn.functional as F


def responsibilities(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return F.one_hot(z.argmax(dim=-1), z.shape[1]).to(z.dtype)
