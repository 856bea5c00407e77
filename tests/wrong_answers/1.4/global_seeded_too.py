# expects: The global generator was touched
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    torch.manual_seed(0)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
