def count_moe(config, context):
    from moe_lite import metrics

    found = metrics.budget(config, context)
    idle = 0
    if not config.is_dense:
        per_expert = found.parameters["experts"] // (config.n_experts + config.n_shared_experts)
        idle = (config.n_experts - config.top_k) * per_expert
    return found.total_parameters, found.total_parameters - idle, found.total_flops
