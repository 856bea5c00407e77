# expects: Not a tensor
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    ids = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
    return ids.tolist()
