# expects: *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    values, ids = logits.topk(2, dim=-1)
    place = torch.multinomial((values / temperature).softmax(-1), 1, generator=generator)
    return ids.gather(1, place)[:, 0]
