import torch


def soft_gate(x, w_gate, b_gate, outputs):
    logits = torch.addmm(b_gate, x, w_gate.t())
    logits = logits - logits.max(dim=1, keepdim=True).values
    log_gates = logits - logits.exp().sum(dim=1, keepdim=True).log()
    gates = logits.softmax(dim=1)
    return log_gates, (gates[:, None, :] @ outputs[:, :, None])[:, 0, 0]
