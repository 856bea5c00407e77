# expects: *
import math

import torch


def load_statistics(load):
    x = load.double()
    p = x / x.sum()
    return (
        torch.special.entr(p).sum() / math.log(len(x)),
        x.std(correction=0) / x.mean(),
        x.max() / x.mean() - 1,
        (x < 0.01 * x.mean()).sum(),
    )
