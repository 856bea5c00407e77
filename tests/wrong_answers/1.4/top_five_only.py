# expects: Some tokens can never come
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    values, ids = logits.topk(min(5, logits.shape[-1]))
    places = torch.multinomial((values / temperature).softmax(-1), 1, generator=generator)
    return ids.gather(1, places)[:, 0]
