# expects: Values, not token ids
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = (logits / temperature).softmax(-1)
    ids = torch.multinomial(p, 1, generator=generator)
    return p.gather(1, ids)[:, 0]
