# expects: The blend weighs with logits
def soft_gate(x, w_gate, b_gate, outputs):
    logits = x @ w_gate.T + b_gate
    return logits.log_softmax(dim=-1), (logits * outputs).sum(dim=-1)
