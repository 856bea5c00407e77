// @ts-check
// How surprised a model is: −log of the probability that it gave to the token that came, in nats.
import { forward, linear } from "./model.js";

/** @typedef {import("./model.js").Model} Model */

const ROWS = 16; // read by the head at once: the logits of a whole text would take 8 kB per token

/**
 * What each row of `hidden` (N, D) loses on the token that follows it: targets (N) -> (N).
 * @param {Model} model
 * @param {Float64Array} hidden
 * @param {ArrayLike<number>} targets
 */
export function tokenLosses({ config, head }, hidden, targets) {
  const D = config.d_model, V = config.vocab_size, losses = new Float32Array(targets.length);
  for (let first = 0; first < targets.length; first += ROWS) {
    const stop = Math.min(first + ROWS, targets.length);
    const logits = linear(hidden.subarray(first * D, stop * D), head, D); // (n, V)
    for (let row = first; row < stop; row++) losses[row] = crossEntropy(logits, (row - first) * V, V, targets[row]);
  }
  return losses;
}

/**
 * log(sum of exp(z)) − z[target], of the V logits from `at` on.
 * @param {Float64Array} z
 * @param {number} at
 * @param {number} V
 * @param {number} target
 */
export function crossEntropy(z, at, V, target) {
  let top = -Infinity, sum = 0;
  for (let i = at; i < at + V; i++) if (z[i] > top) top = z[i];
  for (let i = at; i < at + V; i++) sum += Math.exp(z[i] - top);
  return Math.log(sum) + top - z[at + target];
}

/**
 * The loss of each token of a text that fits into the context, given the ones before it; NaN for the first.
 * @param {Model} model
 * @param {ArrayLike<number>} ids
 * @param {import("./model.js").ForwardOptions} [options]
 */
export function losses(model, ids, options = {}) {
  const { hidden } = forward(model, ids, { ...options, logits: "none" });
  const following = Array.prototype.slice.call(ids, 1);
  return Float32Array.of(NaN, ...tokenLosses(model, hidden, following));
}
