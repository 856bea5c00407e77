# expects: No such setting
def count_dense(config, context):
    D, F = config.d_model, config.d_ff
    return 3 * D * F, 6 * D * F
