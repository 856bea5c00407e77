// @ts-check
// Writing on: a new token at a time, each drawn from what the model expects after all tokens so far.
import { forward, makeCache, softmax } from "./model.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Routing} Routing */
/** @typedef {() => number} Random numbers from 0 to below 1 */
/**
 * @typedef {object} GenerateOptions
 * @property {number} [temperature] 0: always the most probable token
 * @property {number} [seed] of the draws
 * @property {number | null} [topK]
 * @property {number[]} [muted] as for `forward`
 * @property {number[] | null} [mutedIn]
 */
/**
 * @typedef {object} NewToken
 * @property {number} token
 * @property {Float64Array} logits (V) that it was drawn from
 * @property {Routing[]} routing of the pass that gave them
 */

/**
 * New tokens after the prompt `ids`, one by one. The first pass reads the prompt, so the routing of the first new token
 * has a row for each token of the prompt. Throws an Error where prompt and new tokens do not fit into context_length.
 * @param {Model} model
 * @param {ArrayLike<number>} ids
 * @param {number} nTokens
 * @param {GenerateOptions} [options]
 * @returns {Generator<NewToken, void>}
 */
export function* generate(model, ids, nTokens, { temperature = 1, seed = 0, ...options } = {}) {
  const { context_length } = model.config;
  if (ids.length + nTokens > context_length) {
    throw new Error(`${ids.length} tokens of prompt + ${nTokens} new, but context_length is ${context_length}.`);
  }
  const cache = makeCache(model), random = mulberry32(seed);
  for (let made = 0, next = ids; made < nTokens; made++) {
    const { logits, routing } = forward(model, next, { ...options, cache, logits: "last" });
    const token = sampleToken(/** @type {Float64Array} */ (logits), temperature, random);
    yield { token, logits: /** @type {Float64Array} */ (logits), routing };
    next = [token];
  }
}

/**
 * The last of `ids` that leave room for nTokens new ones.
 * @param {number[]} ids
 * @param {number} nTokens
 * @param {number} contextLength
 */
export function cutPrompt(ids, nTokens, contextLength) {
  return ids.slice(-(contextLength - nTokens));
}

/**
 * A token drawn from softmax(logits / temperature); temperature 0 takes the most probable, of equals the first.
 * @param {Float64Array} logits
 * @param {number} temperature
 * @param {Random} random
 */
export function sampleToken(logits, temperature, random) {
  if (!(temperature >= 0)) throw new Error(`temperature is ${temperature}, expected a number of at least 0.`);
  if (temperature === 0) return logits.reduce((best, z, token) => (z > logits[best] ? token : best), 0);
  const shares = Float64Array.from(logits, (z) => z / temperature);
  softmax(shares, 0, shares.length);
  let rest = random(), last = 0; // the last that is possible at all: rounding may leave a rest behind it
  for (let token = 0; token < shares.length; token++) {
    if (shares[token] > 0) last = token;
    rest -= shares[token];
    if (rest < 0) break;
  }
  return last;
}

/**
 * Tommy Ettinger's mulberry32: a small generator of random numbers, the same in every browser.
 * @param {number} seed
 * @returns {Random}
 */
export function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
