// @ts-check
// A text of any length, read by a model: in windows of context_length, as `moe_lite.widgets.token_viewer.route_tokens`.
import { tokenLosses } from "./losses.js";
import { forward, routingOf } from "./model.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Routing} Routing */
/** @typedef {import("./model.js").Choice} Choice */
/**
 * @typedef {object} ReadOptions
 * @property {number} [first] the first token that is asked for
 * @property {number} [count] and how many
 * @property {boolean} [losses]
 * @property {number | null} [topK] as for `forward`, like those below; `chosen` counts tokens from the text's beginning
 * @property {number[]} [muted]
 * @property {number[] | null} [mutedIn]
 * @property {Choice | Choice[]} [chosen]
 */
/**
 * @typedef {object} Reading the tokens first … first + N − 1
 * @property {number} first
 * @property {Routing[]} routing one for each sparse layer
 * @property {Float32Array | null} losses (N) of each token given the ones before it in its window, in nats; NaN: none
 */

/**
 * The pieces [start, stop) of at most `length` tokens that hold the tokens first … stop − 1.
 * @param {number} length
 * @param {number} first
 * @param {number} stop
 * @returns {[number, number][]}
 */
export function windows(length, first, stop) {
  /** @type {[number, number][]} */
  const pieces = [];
  for (let start = first - (first % length); start < stop; start += length) {
    pieces.push([start, Math.min(start + length, stop)]);
  }
  return pieces;
}

/**
 * Read the tokens asked for. A text longer than the model's context_length is read in consecutive windows of that
 * length, each from an empty context, because the model never saw a longer one. Yields between windows; returns the
 * whole. The first token of a later window is predicted by the last one of the window before.
 * @param {Model} model
 * @param {number[]} ids
 * @param {ReadOptions} [options]
 * @returns {Generator<void, Reading>}
 */
export function* readText(model, ids, { first = 0, count = Infinity, losses: wanted = false, ...options } = {}) {
  const stop = Math.min(first + count, ids.length), from = wanted ? Math.max(first - 1, 0) : first;
  const choices = [options.chosen ?? []].flat();
  const pieces = windows(model.config.context_length, from, stop), losses = new Float32Array(ids.length).fill(NaN);
  /** @type {Routing[][]} */
  const routings = [];
  for (const [start, end] of pieces) {
    const chosen = choices.map((choice) => ({ ...choice, token: choice.token - start }));
    const { hidden, routing } = forward(model, ids.slice(start, end), { ...options, chosen });
    routings.push(routing.map((each) => routingOf(each, Math.min(Math.max(first - start, 0), end - start))));
    if (wanted) losses.set(tokenLosses(model, hidden, ids.slice(start + 1, Math.min(end + 1, stop))), start + 1);
    yield;
  }
  return { first, routing: joinRoutings(routings), losses: wanted ? losses.slice(first, stop) : null };
}

/**
 * The routings of consecutive windows, layer by layer, as that of one text.
 * @param {Routing[][]} routings
 * @returns {Routing[]}
 */
function joinRoutings(routings) {
  return (routings[0] ?? []).map(({ layer }, i) => {
    const each = routings.map((layers) => layers[i]);
    return {
      layer,
      nTokens: each.reduce((sum, { nTokens }) => sum + nTokens, 0),
      logits: joinFloats(each.map(({ logits }) => logits)),
      scores: joinFloats(each.map(({ scores }) => scores)),
      experts: Int16Array.from(joinFloats(each.map(({ experts }) => experts))),
      weights: joinFloats(each.map(({ weights }) => weights)),
    };
  });
}

/**
 * One array behind the other.
 * @param {(Float32Array | Int16Array)[]} arrays
 */
function joinFloats(arrays) {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
