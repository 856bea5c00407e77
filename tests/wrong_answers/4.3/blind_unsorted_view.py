# expects: The rows were not put back | *
# rows are taken as if they were in token order


def combine(out, order, weights):
    n, k = weights.shape
    return (out.view(n, k, -1) * weights[:, :, None]).sum(dim=1)
