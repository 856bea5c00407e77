// @ts-check
// The language model of `moe_lite.model`, for reading: RMSNorm, rotary positions, grouped-query attention, and a
// feed-forward network that is dense or a mixture of experts. One text at a time; no training.
//
// N tokens, D = d_model, H query heads and G key and value heads of S numbers, E experts of F hidden units, K chosen
// per token, V entries in the vocabulary. A matrix (N, D) is one array, row by row. Weights are float32 as in the file,
// what is computed is float64, which is what JavaScript computes in anyway.
//
// Sums run in one order whatever else is computed beside them, so a token's numbers depend on no other token than those
// before it: a text read in pieces gives the same bits as the text read at once.
import { denseWidth } from "./config.js";

/** @typedef {import("./config.js").ModelConfig} ModelConfig */
/**
 * @typedef {object} SwiGLU
 * @property {Float32Array} gateUp (2F, D) with the gate in its first half
 * @property {Float32Array} down (D, F)
 * @property {number} width F
 */
/** @typedef {{ query: Float32Array, key: Float32Array, value: Float32Array, out: Float32Array }} Attention */
/** @typedef {{ router: Float32Array, experts: SwiGLU[], shared: SwiGLU | null }} MoELayer router (E, D) */
/**
 * @typedef {object} Block
 * @property {number} layer
 * @property {Float32Array} attentionNorm
 * @property {Attention} attention
 * @property {Float32Array} feedForwardNorm
 * @property {SwiGLU | null} dense
 * @property {MoELayer | null} sparse the one of both that the layer has
 */
/**
 * @typedef {object} Model
 * @property {ModelConfig} config
 * @property {Float32Array} embed (V, D)
 * @property {Block[]} blocks
 * @property {Float32Array} norm
 * @property {Float32Array} head (V, D)
 * @property {Turns} turns
 */
/** @typedef {{ cos: Float32Array, sin: Float32Array }} Turns (context_length, S/2) each */
/** @typedef {{ length: number, layers: { keys: Float64Array, values: Float64Array }[] }} Cache rows (G·S) per token */
/**
 * @typedef {object} Routing the choices in one sparse layer
 * @property {number} layer counted from 0, dense layers included
 * @property {number} nTokens N
 * @property {Float32Array} logits (N, E) of the router
 * @property {Float32Array} scores (N, E) before the choice
 * @property {Int16Array} experts (N, K) largest weight first, among equals the lower number
 * @property {Float32Array} weights (N, K)
 */
/** @typedef {{ layer: number, token: number, experts: number[] }} Choice by hand, of one token's experts */
/**
 * @typedef {object} ForwardOptions
 * @property {number | null} [topK] experts per token instead of the configured number
 * @property {number[]} [muted] experts that cannot be chosen; the next best ones move up
 * @property {number[] | null} [mutedIn] in these layers only; null: in all sparse layers
 * @property {Cache} [cache] keys and values of the tokens before these; grows by these
 * @property {Choice | Choice[]} [chosen] token counts from the beginning of the text, cached tokens included
 * @property {"none" | "last" | "all"} [logits] of which tokens
 */
/**
 * @typedef {object} Output
 * @property {Routing[]} routing one for each sparse layer
 * @property {Float64Array} hidden (N, D) what the head reads
 * @property {Float64Array | null} logits (V) of the last token, or (N, V)
 */

// ---- the model ------------------------------------------------------------------------------------------------------

/**
 * The weights of a checkpoint at their places. Throws an Error that names a tensor that is missing or of another shape.
 * @param {import("./safetensors.js").Checkpoint} checkpoint
 * @returns {Model}
 */
export function makeModel({ config, tensors }) {
  const { vocab_size: V, d_model: D, n_heads: H, n_kv_heads: G, n_experts: E, d_expert: F } = config;
  const S = D / H;
  /** @type {(name: string, ...shape: number[]) => Float32Array} */
  const take = (name, ...shape) => {
    const [found, expected] = [tensors[name]?.shape.join(" × "), shape.join(" × ")];
    if (found !== expected) throw new Error(`The model's ${name} is ${found ?? "missing"}, expected ${expected}.`);
    return tensors[name].values;
  };
  /** @type {(name: string, width: number) => SwiGLU} */
  const swiGLU = (name, width) => {
    return { gateUp: take(`${name}.gate_up`, 2 * width, D), down: take(`${name}.down`, D, width), width };
  };
  /** @type {(name: string) => MoELayer} */
  const moeLayer = (name) => {
    const gateUp = unbind(take(`${name}.experts.gate_up`, E, 2 * F, D), E);
    const down = unbind(take(`${name}.experts.down`, E, D, F), E);
    return {
      router: take(`${name}.router.weight`, E, D),
      experts: gateUp.map((_, e) => ({ gateUp: gateUp[e], down: down[e], width: F })),
      shared: config.n_shared_experts ? swiGLU(`${name}.shared`, config.n_shared_experts * F) : null,
    };
  };
  const blocks = Array.from({ length: config.n_layers }, (_, layer) => {
    const name = `blocks.${layer}`, width = denseWidth(config, layer);
    return {
      layer,
      attentionNorm: take(`${name}.attention_norm.weight`, D),
      attention: {
        query: take(`${name}.attention.query.weight`, H * S, D),
        key: take(`${name}.attention.key.weight`, G * S, D),
        value: take(`${name}.attention.value.weight`, G * S, D),
        out: take(`${name}.attention.out.weight`, D, H * S),
      },
      feedForwardNorm: take(`${name}.feed_forward_norm.weight`, D),
      dense: width ? swiGLU(`${name}.feed_forward`, width) : null,
      sparse: width ? null : moeLayer(`${name}.feed_forward`),
    };
  });
  return {
    config, blocks, embed: take("embed.weight", V, D), norm: take("norm.weight", D), head: take("head.weight", V, D),
    turns: makeTurns(config.context_length, S, config.rope_theta),
  };
}

/**
 * (E, …) -> E views of it.
 * @param {Float32Array} stack
 * @param {number} n
 */
function unbind(stack, n) {
  const size = stack.length / n;
  return Array.from({ length: n }, (_, i) => stack.subarray(i * size, (i + 1) * size));
}

/**
 * An empty key-value cache with room for a whole context.
 * @param {Model} model
 * @returns {Cache}
 */
export function makeCache({ config }) {
  const size = (config.context_length * config.n_kv_heads * config.d_model) / config.n_heads;
  const layers = Array.from({ length: config.n_layers }, () => {
    return { keys: new Float64Array(size), values: new Float64Array(size) };
  });
  return { length: 0, layers };
}

/**
 * Read tokens: ids (N), which follow those in the cache. Throws an Error for ids or options that do not fit the model.
 * @param {Model} model
 * @param {ArrayLike<number>} ids
 * @param {ForwardOptions} [options]
 * @returns {Output}
 */
export function forward(model, ids, options = {}) {
  const { cache = makeCache(model), logits = "none" } = options;
  const { config } = model, D = config.d_model, start = cache.length, n = ids.length;
  checkIds(ids, start, config);
  const rules = routerRules(model, options);
  let x = embed(ids, model.embed, D); // (N, D)
  /** @type {Routing[]} */
  const routing = [];
  for (const block of model.blocks) {
    const h = rmsNorm(x, block.attentionNorm, config.norm_eps); // (N, D)
    add(x, attention(h, block.attention, cache.layers[block.layer], start, model));
    const g = rmsNorm(x, block.feedForwardNorm, config.norm_eps); // (N, D)
    add(x, feedForward(g, block, rules, start, routing));
  }
  cache.length = start + n; // last: what is broken off has not been read
  const hidden = rmsNorm(x, model.norm, config.norm_eps); // (N, D)
  const read = { none: hidden.subarray(n * D), last: hidden.subarray((n - 1) * D), all: hidden }[logits];
  return { routing, hidden, logits: logits === "none" ? null : linear(read, model.head, D) };
}

/**
 * @param {ArrayLike<number>} ids
 * @param {number} start
 * @param {ModelConfig} config
 */
function checkIds(ids, start, { vocab_size, context_length }) {
  if (!ids.length) throw new Error("There is no token to read; expected at least one.");
  if (start + ids.length > context_length) {
    throw new Error(`${start + ids.length} tokens, but context_length is ${context_length}.`);
  }
  for (let i = 0; i < ids.length; i++) {
    if (!(ids[i] >= 0 && ids[i] < vocab_size)) {
      throw new Error(`ids[${i}] is ${ids[i]}; the vocabulary has 0 to ${vocab_size - 1}.`);
    }
  }
}

/**
 * ids (N), weight (V, D) -> (N, D).
 * @param {ArrayLike<number>} ids
 * @param {Float32Array} weight
 * @param {number} D
 */
function embed(ids, weight, D) {
  const x = new Float64Array(ids.length * D);
  for (let i = 0; i < ids.length; i++) x.set(weight.subarray(ids[i] * D, (ids[i] + 1) * D), i * D);
  return x;
}

// ---- arithmetic -----------------------------------------------------------------------------------------------------

/**
 * x (N, I) times weight (O, I) -> (N, O). Two rows and four outputs at once: eight sums, none of which waits for
 * another, and each number that is fetched is used more than once. Where N is odd the last row is computed twice, the
 * second time for nobody: what is written behind the end of a typed array is dropped.
 * @param {Float64Array} x
 * @param {Float32Array} weight
 * @param {number} I
 */
export function linear(x, weight, I) {
  const n = x.length / I, O = weight.length / I, y = new Float64Array(n * O);
  for (let row = 0; row < n; row += 2) {
    const x0 = row * I, x1 = row + 1 < n ? x0 + I : x0, y0 = row * O, y1 = y0 + O;
    let o = 0;
    for (; o + 3 < O; o += 4) {
      const w0 = o * I, w1 = w0 + I, w2 = w1 + I, w3 = w2 + I;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let i = 0; i < I; i++) {
        const a = x[x0 + i], b = x[x1 + i];
        const u0 = weight[w0 + i], u1 = weight[w1 + i], u2 = weight[w2 + i], u3 = weight[w3 + i];
        a0 += a * u0, a1 += a * u1, a2 += a * u2, a3 += a * u3;
        b0 += b * u0, b1 += b * u1, b2 += b * u2, b3 += b * u3;
      }
      y[y0 + o] = a0, y[y0 + o + 1] = a1, y[y0 + o + 2] = a2, y[y0 + o + 3] = a3;
      y[y1 + o] = b0, y[y1 + o + 1] = b1, y[y1 + o + 2] = b2, y[y1 + o + 3] = b3;
    }
    for (; o < O; o++) {
      y[y0 + o] = dot(x, x0, weight, o * I, I);
      y[y1 + o] = dot(x, x1, weight, o * I, I);
    }
  }
  return y;
}

/**
 * The product of a's and b's n numbers from these places on.
 * @param {Float64Array} a
 * @param {number} atA
 * @param {Float32Array | Float64Array} b
 * @param {number} atB
 * @param {number} n
 */
function dot(a, atA, b, atB, n) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[atA + i] * b[atB + i];
  return sum;
}

/**
 * x += y.
 * @param {Float64Array} x
 * @param {Float64Array} y
 */
function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

/**
 * x / sqrt(mean(x²) + eps) · weight, row by row (Zhang & Sennrich 2019). (N, D) -> (N, D).
 * @param {Float64Array} x
 * @param {Float32Array} weight
 * @param {number} eps
 */
export function rmsNorm(x, weight, eps) {
  const D = weight.length, y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += D) {
    const scale = 1 / Math.sqrt(dot(x, row, x, row, D) / D + eps);
    for (let i = 0; i < D; i++) y[row + i] = x[row + i] * scale * weight[i];
  }
  return y;
}

// ---- attention ------------------------------------------------------------------------------------------------------

/**
 * Cosines and sines for `rotate`, of the positions 0, 1, … Pair i of a head turns by position · theta^(-2i/S), rounded
 * to float32 as in the model's training.
 * @param {number} nTokens
 * @param {number} S
 * @param {number} theta
 * @returns {Turns}
 */
function makeTurns(nTokens, S, theta) {
  const pairs = S / 2, cos = new Float32Array(nTokens * pairs), sin = new Float32Array(nTokens * pairs);
  for (let i = 0; i < pairs; i++) {
    const speed = Math.fround(theta ** Math.fround((-2 * i) / S));
    for (let position = 0; position < nTokens; position++) {
      const angle = Math.fround(position * speed);
      cos[position * pairs + i] = Math.cos(angle);
      sin[position * pairs + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Rotary positions (RoFormer, arXiv 2104.09864), in place. x (N, heads · S), its first row at position `start`. A pair
 * (a, b), which stands half a head apart, becomes a · cos − b · sin and b · cos + a · sin.
 * @param {Float64Array} x
 * @param {number} heads
 * @param {number} S
 * @param {number} start
 * @param {Turns} turns
 */
export function rotate(x, heads, S, start, { cos, sin }) {
  const pairs = S / 2;
  for (let head = 0; head * S < x.length; head++) { // of all tokens, one after the other
    const turn = (start + Math.floor(head / heads)) * pairs;
    for (let i = 0; i < pairs; i++) {
      const at = head * S + i, a = x[at], b = x[at + pairs];
      x[at] = a * cos[turn + i] - b * sin[turn + i];
      x[at + pairs] = b * cos[turn + i] + a * sin[turn + i];
    }
  }
}

/**
 * Causal self-attention; groups of query heads share a key and value head (arXiv 2305.13245). x (N, D) at the positions
 * start, start + 1, … -> (N, D). Keys and values of these tokens go into the cache.
 * @param {Float64Array} x
 * @param {Attention} weights
 * @param {{ keys: Float64Array, values: Float64Array }} past
 * @param {number} start
 * @param {Model} model
 */
export function attention(x, { query, key, value, out }, past, start, { config, turns }) {
  const { d_model: D, n_heads: H, n_kv_heads: G } = config, S = D / H;
  const q = linear(x, query, D), k = linear(x, key, D); // (N, H·S), (N, G·S)
  rotate(q, H, S, start, turns);
  rotate(k, G, S, start, turns);
  past.keys.set(k, start * G * S);
  past.values.set(linear(x, value, D), start * G * S);
  return linear(attend(q, past, start, config), out, H * S);
}

/**
 * For each token and head the mean of the values so far, weighted by softmax(q · k / sqrt(S)). q (N, H·S) -> (N, H·S).
 * @param {Float64Array} q
 * @param {{ keys: Float64Array, values: Float64Array }} past
 * @param {number} start
 * @param {ModelConfig} config
 */
function attend(q, { keys, values }, start, { d_model: D, n_heads: H, n_kv_heads: G }) {
  const S = D / H, n = q.length / D, y = new Float64Array(n * D);
  const weights = new Float64Array(start + n), mean = new Float64Array(S);
  for (let token = 0; token < n; token++) {
    const seen = start + token + 1;
    for (let head = 0; head < H; head++) {
      const from = Math.floor((head * G) / H) * S, at = token * D + head * S;
      for (let j = 0; j < seen; j++) {
        const key = j * G * S + from;
        let even = 0, odd = 0; // two sums that do not wait for each other
        for (let i = 0; i < S; i += 2) {
          even += q[at + i] * keys[key + i];
          odd += q[at + i + 1] * keys[key + i + 1];
        }
        weights[j] = (even + odd) / Math.sqrt(S);
      }
      softmax(weights, 0, seen);
      mean.fill(0);
      for (let j = 0; j < seen; j++) {
        const weight = weights[j], value = j * G * S + from;
        for (let i = 0; i < S; i++) mean[i] += weight * values[value + i];
      }
      y.set(mean, at);
    }
  }
  return y;
}

/**
 * The n numbers of z from `at` on become their softmax.
 * @param {Float64Array} z
 * @param {number} at
 * @param {number} n
 */
export function softmax(z, at, n) {
  let top = -Infinity, sum = 0;
  for (let i = at; i < at + n; i++) if (z[i] > top) top = z[i];
  for (let i = at; i < at + n; i++) sum += z[i] = Math.exp(z[i] - top);
  for (let i = at; i < at + n; i++) z[i] /= sum;
}

// ---- feed-forward: dense, or a mixture of experts -------------------------------------------------------------------

/**
 * @typedef {object} RouterRules what holds in this pass
 * @property {number} k
 * @property {boolean} renorm
 * @property {number} scale
 * @property {(layer: number) => Uint8Array} closed (E) 1: this expert cannot be chosen in the layer
 * @property {Choice[]} chosen
 */

/**
 * The options of a pass. Throws an Error for those that do not fit the model.
 * @param {Model} model
 * @param {ForwardOptions} options
 * @returns {RouterRules}
 */
function routerRules({ config, blocks }, { topK, muted = [], mutedIn = null, chosen = [] }) {
  const E = config.n_experts, k = topK ?? config.top_k, choices = [chosen].flat();
  const sparse = blocks.filter((block) => block.sparse).map((block) => block.layer);
  if (topK !== undefined && topK !== null) checkNumber("topK", topK, 1, E);
  if (muted.length && !sparse.length) throw new Error("No expert can be muted here: the model is dense.");
  for (const expert of muted) checkNumber("a muted expert", expert, 0, E - 1);
  const closed = new Uint8Array(E), open = new Uint8Array(E);
  for (const expert of muted) closed[expert] = 1;
  const layers = muted.length ? mutedIn ?? sparse : [];
  for (const layer of layers) checkLayer(layer, sparse);
  const left = closed.filter((mute) => !mute).length;
  if (layers.length && left < k) {
    throw new Error(`${k} experts per token cannot come from the ${left} that are not muted.`);
  }
  const rules = {
    k, renorm: config.renorm, scale: config.routed_scale, chosen: choices,
    closed: (/** @type {number} */ layer) => (layers.includes(layer) ? closed : open),
  };
  for (const choice of choices) {
    checkLayer(choice.layer, sparse);
    for (const expert of choice.experts) checkNumber("an expert chosen by hand", expert, 0, E - 1);
    checkChoice(choice, rules);
  }
  return rules;
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function checkNumber(name, value, least, most) {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new Error(`${name} is ${value}, expected a number from ${least} to ${most}.`);
}

/**
 * @param {number} layer
 * @param {number[]} sparse
 */
function checkLayer(layer, sparse) {
  if (sparse.includes(layer)) return;
  throw new Error(`Layer ${layer} has no router; sparse layers of this model: ${sparse.join(", ") || "none"}.`);
}

/**
 * @param {Choice} choice
 * @param {RouterRules} rules
 */
function checkChoice({ layer, token, experts }, { k, closed }) {
  if (experts.length !== k || new Set(experts).size !== k) {
    throw new Error(`Token ${token} was given the experts ${experts.join(", ")}; expected ${k} different ones.`);
  }
  const mute = experts.find((expert) => closed(layer)[expert]);
  if (mute !== undefined) throw new Error(`Token ${token} was given expert ${mute}, which is muted in layer ${layer}.`);
}

/**
 * x (N, D) -> (N, D): the layer's one network, or its router, its experts and the shared one. Routing is recorded.
 * @param {Float64Array} x
 * @param {Block} block
 * @param {RouterRules} rules
 * @param {number} start
 * @param {Routing[]} record
 */
export function feedForward(x, { layer, dense, sparse }, rules, start, record) {
  if (sparse === null) return swiglu(x, /** @type {SwiGLU} */ (dense));
  const routing = route(x, sparse.router, layer, rules, start);
  record.push(routing);
  const y = experts(x, routing, sparse.experts);
  if (sparse.shared) add(y, swiglu(x, sparse.shared));
  return y;
}

/**
 * From a token's vector to its experts: softmax of the logits, the k best, their scores divided by their sum. x (N, D),
 * router (E, D). Muted experts keep their scores and cannot be chosen.
 * @param {Float64Array} x
 * @param {Float32Array} router
 * @param {number} layer
 * @param {RouterRules} rules
 * @param {number} [start] the position of the first of these tokens
 * @returns {Routing}
 */
export function route(x, router, layer, { k, renorm, scale, closed, chosen }, start = 0) {
  const mask = closed(layer), E = mask.length, n = (x.length * E) / router.length;
  const exact = linear(x, router, router.length / E); // (N, E)
  const logits = Float32Array.from(exact);
  for (let token = 0; token < n; token++) softmax(exact, token * E, E);
  const scores = Float32Array.from(exact); // (N, E)
  const experts = new Int16Array(n * k), weights = new Float32Array(n * k), barred = new Uint8Array(E);
  for (let token = 0; token < n; token++) {
    const byHand = chosen.find((choice) => choice.layer === layer && choice.token === start + token);
    barred.set(mask);
    if (byHand) for (let e = 0; e < E; e++) barred[e] = Number(!byHand.experts.includes(e));
    for (let i = token * k; i < (token + 1) * k; i++) {
      experts[i] = bestOf(scores, token * E, barred);
      weights[i] = scores[token * E + experts[i]];
      barred[experts[i]] = 1;
    }
    weigh(weights, token * k, k, renorm, scale);
  }
  return { layer, nTokens: n, logits, scores, experts, weights };
}

/**
 * The routing of the tokens first … stop − 1 of these alone, as a copy.
 * @param {Routing} routing
 * @param {number} first
 * @param {number} [stop]
 * @returns {Routing}
 */
export function routingOf({ layer, nTokens, logits, scores, experts, weights }, first, stop = nTokens) {
  const E = scores.length / nTokens, K = experts.length / nTokens;
  return {
    layer,
    nTokens: stop - first,
    logits: logits.slice(first * E, stop * E),
    scores: scores.slice(first * E, stop * E),
    experts: experts.slice(first * K, stop * K),
    weights: weights.slice(first * K, stop * K),
  };
}

/**
 * The largest of the scores from `at` on whose expert is not barred; among equals the lower number.
 * @param {Float32Array} scores
 * @param {number} at
 * @param {Uint8Array} barred
 */
function bestOf(scores, at, barred) {
  let best = -1;
  for (let e = 0; e < barred.length; e++) {
    if (!barred[e] && (best < 0 || scores[at + e] > scores[at + best])) best = e;
  }
  return best;
}

/**
 * The scores of one token's k experts, from `at` on, become their weights.
 * @param {Float32Array} weights
 * @param {number} at
 * @param {number} k
 * @param {boolean} renorm
 * @param {number} scale
 */
function weigh(weights, at, k, renorm, scale) {
  let total = 0;
  for (let i = at; i < at + k; i++) total += weights[i];
  for (let i = at; i < at + k; i++) weights[i] *= renorm ? scale / total : scale;
}

/**
 * For each token the weighted sum over its experts, x (N, D) -> (N, D). Each expert reads its own tokens together.
 * @param {Float64Array} x
 * @param {Routing} routing
 * @param {SwiGLU[]} networks
 */
export function experts(x, { experts: chosen, weights, nTokens: n }, networks) {
  const D = x.length / n, k = chosen.length / n, y = new Float64Array(n * D);
  for (let e = 0; e < networks.length; e++) {
    const places = []; // where in the table (N, K) this expert stands
    for (let i = 0; i < chosen.length; i++) if (chosen[i] === e) places.push(i);
    if (!places.length) continue;
    const rows = new Float64Array(places.length * D); // (n, D)
    places.forEach((place, row) => {
      const token = Math.floor(place / k);
      rows.set(x.subarray(token * D, (token + 1) * D), row * D);
    });
    const out = swiglu(rows, networks[e]); // (n, D)
    places.forEach((place, row) => {
      const to = Math.floor(place / k) * D;
      for (let i = 0; i < D; i++) y[to + i] += weights[place] * out[row * D + i];
    });
  }
  return y;
}

/**
 * down · (silu(gate · x) ⊙ (up · x)), Shazeer 2020 (arXiv 2002.05202). x (n, D) -> (n, D).
 * @param {Float64Array} x
 * @param {SwiGLU} network
 */
export function swiglu(x, { gateUp, down, width }) {
  const h = linear(x, gateUp, gateUp.length / (2 * width)); // (n, 2F)
  const n = h.length / (2 * width), product = new Float64Array(n * width); // (n, F)
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < width; i++) {
      const gate = h[row * 2 * width + i], up = h[row * 2 * width + width + i];
      product[row * width + i] = (gate / (1 + Math.exp(-gate))) * up;
    }
  }
  return linear(product, down, width);
}
