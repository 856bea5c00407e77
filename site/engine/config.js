// @ts-check
// Settings of a model, named as in `moe_lite.model.config.ModelConfig`: what the engine computes with, what it refuses.

/**
 * @typedef {object} ModelConfig
 * @property {number} vocab_size
 * @property {number} n_layers
 * @property {number} d_model
 * @property {number} n_heads
 * @property {number} n_kv_heads fewer than n_heads: grouped-query attention
 * @property {number} context_length
 * @property {number} n_experts 1: a dense model, without a router
 * @property {number} top_k
 * @property {number} d_expert
 * @property {number} n_shared_experts
 * @property {number} n_dense_layers so many first layers have no experts
 * @property {number | null} d_dense
 * @property {boolean} renorm
 * @property {number} routed_scale
 * @property {number} rope_theta
 * @property {number} norm_eps
 */

/** The settings that the engine computes with, and what they are where a file does not name them. */
export const COMPUTED = Object.freeze({
  vocab_size: 2048, n_layers: 4, d_model: 128, n_heads: 4, n_kv_heads: 2, context_length: 256,
  n_experts: 8, top_k: 2, d_expert: 64, n_shared_experts: 0, n_dense_layers: 0, d_dense: null,
  renorm: true, routed_scale: 1, rope_theta: 10000, norm_eps: 1e-5,
});

/** Settings that change nothing once a model is trained, or that only a router refused below would read. */
export const IN_TRAINING_ONLY = Object.freeze([
  "implementation", "jitter", "capacity_factor", "priority", "balance", "balance_coef", "z_coef", "init_std",
  "router_width", "threshold_memory", "threshold_warmup",
]);

/** The settings that have one value here: a model with another one is refused. */
export const USUAL = Object.freeze({
  expert: "swiglu", expert_clamp: null, expert_bias: false, d_latent: null, shared_gate: false, shared_average: false,
  n_zero_experts: 0, router: "top_k", score: "softmax", order: "score_first", renorm_eps: 0, logit_scale: 1,
  logit_softcap: null, select_on: "score", n_groups: 1, topk_groups: 1, group_score: "top2sum", group_fill: "-inf",
  selection_bias: false, router_bias: false, gate_on: "output", allow_lookahead: false, balance_batches: 1,
  qk_norm: "none",
});

/**
 * The settings of a file, completed. Throws an Error that names the setting which the engine does not compute with.
 * @param {Record<string, unknown>} values
 * @returns {ModelConfig}
 */
export function modelConfig(values) {
  for (const [name, value] of Object.entries(values)) {
    if (name in COMPUTED || IN_TRAINING_ONLY.includes(name)) continue;
    const usual = /** @type {Record<string, unknown>} */ (USUAL)[name];
    if (usual === undefined) throw new Error(`The model has the setting ${name}, which this page does not know.`);
    if (value !== usual) {
      const [came, expected] = [JSON.stringify(value), JSON.stringify(usual)];
      throw new Error(`The model has ${name}=${came}; this page computes models with ${name}=${expected} only.`);
    }
  }
  const config = { ...COMPUTED, ...Object.fromEntries(Object.entries(values).filter(([name]) => name in COMPUTED)) };
  for (const [name, value] of Object.entries(config)) {
    const fits = name === "renorm" ? typeof value === "boolean" : Number.isFinite(value) || name === "d_dense";
    if (!fits) throw new Error(`The model has ${name}=${JSON.stringify(value)}, which is no value of that setting.`);
  }
  return config;
}

/**
 * How wide the one feed-forward network of this layer is, counted from 0; 0 where the layer is sparse.
 * @param {ModelConfig} config
 * @param {number} layer
 */
export function denseWidth(config, layer) {
  const dense = config.n_experts === 1;
  if (layer >= config.n_dense_layers) return dense ? config.d_expert : 0;
  return config.d_dense ?? (dense ? 1 : config.top_k + config.n_shared_experts) * config.d_expert;
}
