# expects: No such setting
def count_dense(config, context):
    return config.V * config.D, 0
