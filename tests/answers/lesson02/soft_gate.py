"""Answers to exercise 2.1, soft_gate: right ones, and wrong ones with the message that they must get."""

import math

import torch
import torch.nn.functional as F
from answers import ANY, blind, right, wrong

# ---- right, each in its own way -------------------------------------------------------------------------------------


@right
def input_by_input(x, w_gate, b_gate, outputs):
    rows = [torch.log_softmax(w_gate @ one + b_gate, dim=0) for one in x]
    log_gates = torch.stack(rows)
    return log_gates, torch.stack([row.exp() @ o for row, o in zip(rows, outputs, strict=True)])


@right
def linear_and_einsum(x, w_gate, b_gate, outputs):
    log_gates = F.log_softmax(F.linear(x, w_gate, b_gate), dim=1)
    return log_gates, torch.einsum("ne,ne->n", log_gates.exp(), outputs)


@right
def logsumexp_by_hand(x, w_gate, b_gate, outputs):
    logits = torch.addmm(b_gate, x, w_gate.t())
    logits = logits - logits.max(dim=1, keepdim=True).values
    log_gates = logits - logits.exp().sum(dim=1, keepdim=True).log()
    gates = logits.softmax(dim=1)
    return log_gates, (gates[:, None, :] @ outputs[:, :, None])[:, 0, 0]


# ---- wrong, made up with the check at hand --------------------------------------------------------------------------


@wrong("The logarithm to base 2")
def base_two(x, w_gate, b_gate, outputs):
    gates = (x @ w_gate.T + b_gate).softmax(dim=-1)
    return (x @ w_gate.T + b_gate).log_softmax(dim=-1) / math.log(2), (gates * outputs).sum(dim=-1)


@wrong("Only the best expert answers")
def best_only(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, outputs.gather(1, log_gates.argmax(dim=-1, keepdim=True))[:, 0]


@wrong("The bias is subtracted")
def bias_subtracted(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T - b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong(ANY)
def blend_detached(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp().detach() * outputs).sum(dim=-1)


@wrong("The blend weighs with logits")
def blend_of_logits(x, w_gate, b_gate, outputs):
    logits = x @ w_gate.T + b_gate
    return logits.log_softmax(dim=-1), (logits * outputs).sum(dim=-1)


@wrong("The blend weighs with logarithms")
def blend_of_logs(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates * outputs).sum(dim=-1)


@wrong("The logarithms have a floor")
def clamped(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1).clamp(min=-30)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("A column, not a row of answers")
def column(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1, keepdim=True)


@wrong("The logarithms have a floor")
def eps_in_log(x, w_gate, b_gate, outputs):
    gates = (x @ w_gate.T + b_gate).softmax(dim=-1)
    return (gates + 1e-20).log(), (gates * outputs).sum(dim=-1)


@wrong("The logarithm of 0")
def exp_overflows(x, w_gate, b_gate, outputs):
    powers = (x @ w_gate.T + b_gate).exp()
    gates = powers / powers.sum(dim=-1, keepdim=True)
    return gates.log(), (gates * outputs).sum(dim=-1)


@wrong("No gradient reaches `w_gate`", "No gradient reaches `x`")
def gate_detached(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1).detach()
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The gates themselves")
def gates_not_logs(x, w_gate, b_gate, outputs):
    gates = (x @ w_gate.T + b_gate).softmax(dim=-1)
    return gates, (gates * outputs).sum(dim=-1)


@wrong(ANY)
def half_precision(x, w_gate, b_gate, outputs):
    log_gates = (x.half() @ w_gate.half().T + b_gate.half()).float().log_softmax(dim=-1)
    return log_gates.to(x.dtype), (log_gates.exp().to(x.dtype) * outputs).sum(dim=-1)


@wrong(ANY)
def halved_logits(x, w_gate, b_gate, outputs):
    log_gates = ((x @ w_gate.T + b_gate) / 2).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("Your function changed its input")
def in_place(x, w_gate, b_gate, outputs):
    x *= 1.5
    x /= 3
    log_gates = (2 * x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The input is not read")
def input_not_read(x, w_gate, b_gate, outputs):
    log_gates = b_gate.log_softmax(dim=-1).expand(len(x), -1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The logarithm of 0")
def log_of_softmax(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).softmax(dim=-1).log()
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The softmax is missing")
def logits(x, w_gate, b_gate, outputs):
    logits = x @ w_gate.T + b_gate
    return logits, (logits.softmax(dim=-1) * outputs).sum(dim=-1)


@wrong("A mean, not a sum")
def mean_for_sum(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).mean(dim=-1)


@wrong("The bias is missing")
def no_bias(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The answers are not added up")
def not_added(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, log_gates.exp() * outputs


@wrong("Two matrices do not fit", ANY)
def not_transposed(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("One blend for all inputs")
def one_for_all(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum()


@wrong("Wrong number of results")
def one_result(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates


@wrong("Softmax over the inputs")
def over_the_inputs(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=0)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The blend is a plain mean")
def plain_mean(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, outputs.mean(dim=-1)


@wrong("Sigmoid, not softmax")
def sigmoid(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).sigmoid().log()
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("Softmax of the answers")
def softmax_of_answers(x, w_gate, b_gate, outputs):
    log_gates = outputs.log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


@wrong("The blend sums over the inputs")
def sum_over_inputs(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return log_gates, (log_gates.exp() * outputs).sum(dim=0)


@wrong("`log_gates` and `y` have changed places")
def swapped(x, w_gate, b_gate, outputs):
    log_gates = (x @ w_gate.T + b_gate).log_softmax(dim=-1)
    return (log_gates.exp() * outputs).sum(dim=-1), log_gates


@wrong("One softmax over the whole table")
def whole_table(x, w_gate, b_gate, outputs):
    logits = x @ w_gate.T + b_gate
    log_gates = logits.flatten().log_softmax(dim=0).view_as(logits)
    return log_gates, (log_gates.exp() * outputs).sum(dim=-1)


# ---- wrong, written by readers of the exercise's text alone ---------------------------------------------------------


@blind("The blend weighs with logarithms", ANY)  # the answers are weighed by the logarithms
def blend_by_logs(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg * outputs).sum(-1)


@blind("The logarithms have a floor", ANY)  # log of a share held above 1e-8
def blind_clamped(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g.clamp(min=1e-8).log(), (g * outputs).sum(-1)


@blind("A column, not a row of answers", ANY)  # the blend keeps a column
def blind_column(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg.exp() * outputs).sum(-1, keepdim=True)


@blind("The gradient for `x` differs", ANY)  # the gate gets no gradient from the blend
def detached_gate(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg.exp().detach() * outputs).sum(-1)


@blind("The gates themselves", ANY)  # the gates, not their logarithms
def blind_gates_not_logs(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g, (g * outputs).sum(-1)


@blind("Only the best expert answers", ANY)  # only the expert with the largest gate answers
def hard_choice(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, outputs.gather(1, lg.argmax(-1, keepdim=True))[:, 0]


@blind("The logarithm of 0", ANY)  # the logarithm of a share that may be 0
def blind_log_of_softmax(x, w_gate, b_gate, outputs):
    g = (x @ w_gate.T + b_gate).softmax(-1)
    return g.log(), (g * outputs).sum(-1)


@blind("The softmax is missing", ANY)  # raw logits are returned
def blind_logits(x, w_gate, b_gate, outputs):
    z = x @ w_gate.T + b_gate
    return z, (z.softmax(-1) * outputs).sum(-1)


@blind("A mean, not a sum", ANY)  # mean instead of sum
def mean_of_products(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(-1)
    return lg, (lg.exp() * outputs).mean(-1)


@blind("The bias is missing", ANY)  # the bias is forgotten
def blind_no_bias(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T).log_softmax(-1)
    return lg, (lg.exp() * outputs).sum(-1)


@blind("Softmax over the inputs", ANY)  # softmax over the inputs
def over_inputs(x, w_gate, b_gate, outputs):
    lg = (x @ w_gate.T + b_gate).log_softmax(0)
    return lg, (lg.exp() * outputs).sum(-1)
