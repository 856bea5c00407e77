// @ts-check
// The page's kernel: a worker that has the engine's calls, and these.
//
//   open        {words}                                              what the page was built with
//   follow      {state}          -> the traits that have changed     a newer one replaces it
//   write       {n, text, nTokens, topK, muted, temperature, seed}   -> as `generate`; its tokens with their faces
//   byHand      {n, token, layer, experts, topK, muted}              -> the losses after the token
//   everyChoice {n, token, layer, topK, muted}                       -> where the router's choice stands among all
import { cutPrompt, generate } from "../engine/generate.js";
import { routingOf } from "../engine/model.js";
import { serve } from "../engine/worker.js";
import { choicesOf, lossAfter } from "./byhand.js";
import { facesOf } from "./faces.js";
import { makeViewer, windowOf } from "./viewer.js";

/** @param {any} scope */
export function kernel(scope) {
  /** @type {any} */
  let viewer;
  serve(scope, (parts) => ({
    *open({ words }) {
      viewer = makeViewer(words, parts);
    },
    *follow({ state }) {
      const before = { ...state };
      yield* viewer.compute(state);
      return Object.fromEntries(Object.entries(state).filter(([name, value]) => value !== before[name]));
    },
    *write({ n, text, nTokens, ...options }, id) {
      const { model, encode, bytes } = parts(String(n)), pieces = [];
      const prompt = cutPrompt(encode(text), nTokens, model.config.context_length);
      for (const { token, routing } of generate(model, prompt, nTokens, options)) {
        pieces.push(bytes(token));
        const first = Math.max(0, pieces.length - 4); // an older face changes where tokens share a character
        const rows = routing.map((each) => routingOf(each, each.nTokens - 1));
        scope.postMessage({ id, token: { first, faces: facesOf(pieces).slice(first), rows } });
        if (yield) return { stopped: true };
      }
      return { stopped: false };
    },
    *byHand({ n, layer, experts, ...where }) {
      const { model, ids, token, options } = placeOf(n, where);
      if (token === ids.length - 1) return { yours: null, its: null };
      const yours = lossAfter(model, ids, token, options, { layer, token, experts });
      return { yours, its: lossAfter(model, ids, token, options) };
    },
    *everyChoice({ n, layer, ...where }) {
      const { model, ids, token, options } = placeOf(n, where);
      if (token === ids.length - 1) return { rank: null };
      const open = Array.from({ length: n }, (_, e) => e).filter((e) => !where.muted.includes(e));
      const its = lossAfter(model, ids, token, options).mean, tried = [];
      for (const experts of choicesOf(open, where.topK)) {
        yield;
        tried.push({ experts, mean: lossAfter(model, ids, token, options, { layer, token, experts }).mean });
      }
      const best = tried.reduce((a, b) => (b.mean < a.mean ? b : a));
      return { rank: 1 + tried.filter(({ mean }) => mean < its - 1e-6).length, of: tried.length, best, its };
    },
  }));

  /** @param {number} n @param {any} where */
  function placeOf(n, { token, topK, muted }) {
    const model = viewer.modelOf(n);
    return { model, options: { topK, muted }, ...windowOf(viewer.shown(), model.config.context_length, token) };
  }
}

if ("importScripts" in globalThis) kernel(globalThis);
