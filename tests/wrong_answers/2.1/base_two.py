# expects: The logarithm to base 2
import math


def soft_gate(x, w_gate, b_gate, outputs):
    gates = (x @ w_gate.T + b_gate).softmax(dim=-1)
    return (x @ w_gate.T + b_gate).log_softmax(dim=-1) / math.log(2), (gates * outputs).sum(dim=-1)
