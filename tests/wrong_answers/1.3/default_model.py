# expects: *
def count_dense(config, context):
    return 1_500_000, 3_000_000
