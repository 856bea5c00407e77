# expects: Some tokens can never come | *
import torch


def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(-1)
    v, i = logits.topk(min(5, logits.shape[-1]))
    return i.gather(1, torch.multinomial((v / temperature).softmax(-1), 1, generator=generator))[:, 0]
