import torch


def sample_token(logits, temperature, generator):
    ids = []
    for row in logits:
        if temperature == 0:
            ids.append(row.argmax())
        else:
            p = torch.softmax(row / temperature, dim=0)
            ids.append(torch.multinomial(p, num_samples=1, generator=generator)[0])
    return torch.stack(ids)
