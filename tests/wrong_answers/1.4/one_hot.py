# expects: One-hot rows, not ids
import torch
import torch.nn.functional as F


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
    return F.one_hot(ids, logits.shape[1])
