# expects: The most probable token, every time
def sample_token(logits, temperature, generator):
    if temperature == 0:
        return logits.argmax(dim=-1)
    return (logits / temperature).softmax(dim=-1).argmax(dim=-1)
