# expects: One answer overwrites the other
def combine(out, order, weights):
    y = out.new_zeros(len(weights), out.shape[1])
    for row, place in zip(out, order.tolist(), strict=True):
        n, j = divmod(place, weights.shape[1])
        y[n] = row * weights[n, j]
    return y
