"""Speed against peers: every contender computes the same values, and all are timed in turn in one run.

    make bench        layers, whole models, decoding, memory, start: python -m benchmarks --help
    make budget       time and memory of every lesson's notebooks: python -m benchmarks.budget --help

Evidence, not a test: a goal that is missed is said to be missed, and nothing fails.
"""
