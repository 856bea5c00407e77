# expects: The most probable token, every time
def sample_token(logits, temperature, generator):
    return logits.argmax(dim=-1)
