import math


def load_statistics(load):
    counts = load.tolist()
    mean = sum(counts) / len(counts)
    shares = [c / sum(counts) for c in counts if c]
    entropy = -sum(p * math.log(p) for p in shares) / math.log(len(counts))
    cv = math.sqrt(sum((c - mean) ** 2 for c in counts) / len(counts)) / mean
    return entropy, cv, max(counts) / mean - 1, sum(c < mean / 100 for c in counts)
