// @ts-check
// A token's experts chosen by hand: how much the rest of the text surprises the model then.
import { losses } from "../engine/losses.js";

/**
 * The loss of the next token, and the mean of all that follow `token`, with the experts of `chosen` in one layer.
 * @param {import("../engine/model.js").Model} model
 * @param {number[]} ids a window of the text
 * @param {number} token
 * @param {{ topK: number, muted: number[] }} options
 * @param {import("../engine/model.js").Choice | []} [chosen] by default the router's own choice
 */
export function lossAfter(model, ids, token, options, chosen = []) {
  const after = losses(model, ids, { ...options, chosen }).slice(token + 1);
  return { next: after[0], mean: after.reduce((a, b) => a + b, 0) / after.length };
}

/**
 * Every set of k of the experts.
 * @param {number[]} experts
 * @param {number} k
 * @returns {number[][]}
 */
export function choicesOf(experts, k) {
  if (k === 0) return [[]];
  return experts.flatMap((expert, i) => choicesOf(experts.slice(i + 1), k - 1).map((rest) => [expert, ...rest]));
}
