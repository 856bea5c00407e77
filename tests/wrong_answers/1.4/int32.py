# expects: `token_ids` has the wrong type
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0].int()
