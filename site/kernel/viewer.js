// @ts-check
// The token viewer's kernel: what TokenViewer.compute does in a notebook (moe_lite/widgets/token_viewer/widget.py, view.py
// and page.py), for the same script in a page. It holds the same traits and answers with the same messages, so that the
// script cannot tell where it runs; tests/site holds the two equal.
//
// What a page has beside them: `losses` and `losses_whole`, of each token of the page with and without the muting, and
// `logits`, of the routers of its layers, (L, N, E).

import { readText } from "../engine/text.js";
import { facesOf } from "./faces.js";
import { fairShare, layerSentence, mutedSentence } from "./sentences.js";

/** @typedef {[name: string, start: number, stop: number]} Section in tokens */
/** @typedef {{ ids: number[], sections: Section[], first: number }} Shown the text that is on the page */
/** @typedef {{ ids: number[], faces: import("./faces.js").Face[], sections: Section[] }} TokenText */
/** @typedef {{ experts: Uint8Array, weights: Float32Array, scores: Float32Array, logits: Float32Array }} Layer (N, K) twice, (N, E) twice */
/** @typedef {{ n: number, k: number, layers: Layer[], losses: (number | null)[] }} PageRouting */
/** @typedef {Record<string, any>} State the traits of the viewer, by their names */

const AT_ONCE = 512; // tokens shown on a page of the viewer

/**
 * Follows the traits that a hand has set and brings the others up to date.
 * @param {any} words what the page was built with
 * @param {import("../engine/worker.js").Parts} parts gives a model by its number of experts
 */
export function makeViewer(words, parts) {
  let followed = "[]", routedKey = "", shownText = "";
  /** @type {Shown} */
  let shown = { ids: [], sections: [], first: 0 };
  /** @param {number} n */
  const modelOf = (n) => parts(String(n)).model;

  /**
   * Yields where other messages can be read.
   * @param {State} state corrected and brought up to date in place
   * @returns {Generator<void, void>}
   */
  function* compute(state) {
    followText(state);
    const keyOf = () => JSON.stringify([state.text, state.domains, state.n_experts, state.top_k, state.muted, state.first]);
    const changed = keyOf() !== routedKey;
    state.error = {};
    if (changed) state.note = correct(state);
    correctView(state);
    if (changed) {
      yield* route(state);
      routedKey = keyOf();
    }
    const { tokens = [] } = state.page, { k = 1 } = state.routed;
    state.choice = Math.min(Math.max(0, state.choice), Math.min(k, words.ordinals.length) - 1);
    state.pinned = state.pinned >= 0 && state.pinned < tokens.length ? state.pinned : -1;
    state.picked = within(state.picked, state.n_experts);
    state.reading = tokens.length ? "" : words.empty;
  }

  /** Domains that were chosen put their samples into the text; a text of one's own ends the choice of domains.
   * @param {State} state */
  function followText(state) {
    const joined = () => state.domains.map((/** @type {string} */ name) => words.samples[name]).join("\n\n");
    const chosen = JSON.stringify(state.domains);
    if (chosen !== followed && state.domains.length) state.text = joined();
    else if (state.domains.length && state.text !== joined()) state.domains = [];
    followed = JSON.stringify(state.domains);
  }

  /** Brings muted experts and top-k into range; a sentence that says what was changed, or "".
   * @param {State} state */
  function correct(state) {
    const notes = [], n = state.n_experts, wanted = state.top_k;
    state.muted = within(state.muted, n);
    if (state.muted.length === n) {
      notes.push(`One expert must stay: expert ${state.muted.at(-1)} is not muted.`);
      state.muted = state.muted.slice(0, -1);
    }
    const left = n - state.muted.length;
    state.top_k = Math.min(Math.max(1, wanted), left);
    if (state.top_k !== wanted) {
      const reason = state.muted.length ? `${left} experts that are not muted` : `${n} experts`;
      notes.push(`top-k was ${wanted}; with ${reason} it is ${state.top_k}.`);
    }
    return notes.join(" ");
  }

  /** @param {State} state */
  function correctView(state) {
    const n = modelOf(state.n_experts).config.n_layers, nearest = Math.min(Math.max(1, state.layer), n);
    if (nearest === state.layer) return;
    state.error = { what: `This model has no layer ${state.layer}.`, instead: `It has layers 1 to ${n}. Showing ${nearest}.` };
    state.layer = nearest;
  }

  /** @param {State} state @returns {Generator<void, void>} */
  function* route(state) {
    const model = modelOf(state.n_experts), record = words.records[state.n_experts], { config } = model;
    const text = tokenText(state);
    const key = JSON.stringify(text.sections) + text.ids;
    if (key !== shownText) [state.first, state.pinned] = [0, -1];
    state.first = AT_ONCE * Math.floor(Math.min(Math.max(0, state.first), Math.max(0, text.ids.length - 1)) / AT_ONCE);
    if (state.first !== (state.page.first ?? 0)) state.pinned = -1;
    shownText = key;
    shown = { ids: text.ids, sections: text.sections, first: state.first };
    if (!text.ids.length) {
      Object.assign(state, { page: {}, routed: {}, losses: [], losses_whole: [], logits: [] });
      return;
    }
    state.source = record.step ? `recorded · step ${record.step.toLocaleString("en-US")}` : "";
    const options = { topK: state.top_k, first: state.first };
    const routing = yield* routeTokens(model, text, { ...options, muted: state.muted });
    const whole = state.muted.length ? yield* routeTokens(model, text, options) : routing;
    state.page = pageData(text, state.first, config.context_length);
    state.routed = routedData(words, routing, whole, state.muted, config.n_experts);
    Object.assign(state.routed, { top_k: state.top_k, muted: state.muted, loss: lossText(record, state.top_k, config.top_k) });
    state.logits = routing.layers.map(({ logits }) => logits);
    state.losses = routing.losses;
    state.losses_whole = whole.losses;
  }

  /** @param {State} state @returns {TokenText} */
  function tokenText(state) {
    const { encode, bytes } = parts(String(state.n_experts));
    /** @type {TokenText} */
    const { ids, faces, sections: spans } = { ids: [], faces: [], sections: [] };
    for (const name of state.domains.length ? state.domains : [""]) {
      const text = name ? words.samples[name] : state.text;
      const piece = encode(text);
      if (piece.length) spans.push([name, ids.length, ids.length + piece.length]);
      faces.push(...facesOf(piece.map(bytes)));
      ids.push(...piece);
    }
    return { ids, faces, sections: spans };
  }
  return { compute, modelOf, shown: () => shown };
}

/**
 * The window in which a token of the page is read, and the token's place in it.
 * @param {Shown} shown
 * @param {number} length
 * @param {number} token
 */
export function windowOf({ ids, sections, first }, length, token) {
  const at = first + token, [, begin, end] = /** @type {Section} */ (sections.find(([, , stop]) => at < stop));
  const start = begin + length * Math.floor((at - begin) / length);
  return { ids: ids.slice(start, Math.min(start + length, end)), token: at - start };
}

/** @param {number[]} experts @param {number} n */
const within = (experts, n) => [...new Set(experts)].filter((e) => e >= 0 && e < n).sort((a, b) => a - b);

/**
 * Which experts take the tokens first … first + AT_ONCE − 1, in every layer; each section is read by itself.
 * @param {import("../engine/model.js").Model} model
 * @param {{ ids: number[], sections: Section[] }} text
 * @param {{ topK: number, first: number, muted?: number[] }} options
 * @returns {Generator<void, PageRouting>}
 */
export function* routeTokens(model, text, { topK, first, muted = [] }) {
  const { n_experts: E } = model.config, stop = Math.min(first + AT_ONCE, text.ids.length), n = stop - first;
  const layers = model.blocks.filter(({ sparse }) => sparse).map(() => ({
    experts: new Uint8Array(n * topK), weights: new Float32Array(n * topK), scores: new Float32Array(n * E),
    logits: new Float32Array(n * E) }));
  /** @type {(number | null)[]} */
  const losses = new Array(n).fill(null);
  for (const [, begin, end] of text.sections) {
    const from = Math.max(begin, first), to = Math.min(end, stop), at = from - first;
    if (from >= to) continue;
    const options = { first: from - begin, count: to - from, losses: true, topK, muted };
    const reading = yield* readText(model, text.ids.slice(begin, end), options);
    reading.routing.forEach(({ experts, weights, scores, logits }, l) => {
      layers[l].experts.set(experts, at * topK);
      layers[l].weights.set(weights, at * topK);
      layers[l].scores.set(scores, at * E);
      layers[l].logits.set(logits, at * E);
    });
    reading.losses?.forEach((loss, i) => { losses[at + i] = Number.isNaN(loss) ? null : loss; });
  }
  return { n, k: topK, layers, losses };
}

/** @param {TokenText} text @param {number} first @param {number} contextLength */
function pageData(text, first, contextLength) {
  const stop = Math.min(first + AT_ONCE, text.ids.length);
  const sections = text.sections.map(([name, a, b]) => /** @type {Section} */ ([name, Math.max(a, first) - first, Math.min(b, stop) - first]));
  const cut = Math.max(...text.sections.map(([, a, b]) => b - a)) > contextLength;
  return {
    tokens: text.faces.slice(first, stop), sections: sections.filter(([, a, b]) => a < b), first, total: text.ids.length, size: AT_ONCE,
    cut: cut ? `The model reads ${contextLength} tokens at once: the text is read in parts of that length, each from an empty context.` : "",
  };
}

/** @param {number} value */
const hundredths = (value) => Math.floor(value * 100 + 0.5);

/**
 * All layers of a page as bytes, in the layout of token_viewer/page.py.
 * @param {any} words
 * @param {PageRouting} routing
 * @param {PageRouting} whole the same without the muting
 * @param {number[]} muted
 * @param {number} E
 * @returns {Record<string, any>}
 */
function routedData(words, routing, whole, muted, E) {
  const { n, k, layers } = routing, L = layers.length;
  const choice = new Uint8Array(L * n * k), weight = new DataView(new ArrayBuffer(2 * L * n * k));
  const scores = new Uint8Array(L * n * E), moved = new Uint8Array(L * n * k);
  layers.forEach((layer, l) => {
    choice.set(layer.experts, l * n * k);
    layer.weights.forEach((w, i) => weight.setUint16(2 * (l * n * k + i), Math.min(hundredths(w), 0xffff), true));
    layer.scores.forEach((s, i) => { scores[l * n * E + i] = hundredths(s); });
    layer.experts.forEach((expert, i) => { moved[l * n * k + i] = Number(expert !== whole.layers[l].experts[i]); });
  });
  const load = layers.map(({ experts }) => {
    const counts = new Array(E).fill(0);
    for (const expert of experts) counts[expert]++;
    return counts;
  });
  /** @type {string[]} */
  const choices = words.ordinals.slice(0, k);
  /** @param {number} l @param {number} c */
  const movedHere = (l, c) => { let sum = 0; for (let i = 0; i < n; i++) sum += moved[(l * n + i) * k + c]; return sum; };
  return {
    layers: L, k, experts: E, choice: view(choice), weight, scores: view(scores), moved: view(moved), load,
    full: Math.max(2 / E, ...load.map((counts) => Math.max(...counts) / Math.max(1, n * k))), fair: fairShare(E),
    spread: load.map((counts, l) => layerSentence(words.say, counts, l)),
    moves: layers.map((_, l) => choices.map((word, c) => (muted.length ? mutedSentence(words.say, muted, movedHere(l, c), n, word) : []))),
  };
}

/** @param {Uint8Array} bytes */
const view = (bytes) => new DataView(bytes.buffer);

/** @param {any} record @param {number} topK @param {number} trained */
function lossText(record, topK, trained) {
  const measured = record.val_loss_by_top_k ?? {};
  if (!Object.keys(measured).length) return "";
  const parts = [...new Set([topK, trained])].map((k) =>
    (String(k) in measured ? `${measured[k].toFixed(2)} at top-${k}` : `not measured at top-${k}`));
  return `validation loss ${parts.join(" · ")} (trained so)`;
}
