# expects: A normalised density
import math


def mixture_nll(log_gates, outputs, targets, sigma):
    z = log_gates - 0.5 * ((targets[:, None] - outputs) / sigma) ** 2
    return -z.logsumexp(dim=-1).mean() + math.log(sigma * math.sqrt(2 * math.pi))
