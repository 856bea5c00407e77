// @ts-check
// The engine in a worker, so that typing never waits. The page sends {id, call, args} and gets one {id, result}, or
// {id, error}, or {id, replaced: id of the newer request that took its place}. `connect` in client.js is the other end.
//
//   load     {model: ArrayBuffer, tokenizer?: object, name?}        -> Loaded
//   route    {text, model?, …ReadOptions}                           -> Routed; a newer route replaces it
//   losses   {text, model?, …ReadOptions}                           -> Routed, with losses; a newer one replaces it
//   generate {text, nTokens, model?, …GenerateOptions}              -> Written; before it, {id, token: Token} for each
//   stop     {id: of a generate, which then ends with what it has}  -> whether it was still at work
//
// `serve` takes further calls; those of the page are in ../kernel/main.js.
//
// `model` names one of those loaded, by default the last. `slot` beside `call` tells requests of one kind apart that
// are not to replace each other: {id, call: "route", slot: "right half", args}.
import { cutPrompt, generate } from "./generate.js";
import { makeModel, routingOf } from "./model.js";
import { readSafetensors } from "./safetensors.js";
import { readText } from "./text.js";
import { makeTokenizer } from "./tokenizer.js";

/** @typedef {{ id: number, call: string, args?: any, slot?: string }} Request */
/** @typedef {{ id: number, slot: string | null, steps: Generator<any, any>, stopped: boolean }} Job */
/** @typedef {{ postMessage: (message: any) => void, onmessage: ((event: any) => void) | null }} Scope */
/** @typedef {{ name: string, config: import("./config.js").ModelConfig, sparseLayers: number[] }} Loaded */
/** @typedef {import("./text.js").Reading & { ids: number[], bytes: Uint8Array[] }} Routed ids of the whole text */
/** @typedef {{ token: number, bytes: Uint8Array, routing: import("./model.js").Routing[] }} Token one row each */
/** @typedef {{ prompt: number[], ids: number[], text: string, stopped: boolean }} Written prompt: as it was read */

/** @typedef {(name?: string) => { model: import("./model.js").Model } & import("./tokenizer.js").Tokenizer} Parts */
/** @typedef {Record<string, (args: any, id: number) => Generator<any, any>>} Calls */

const REPLACED = ["route", "losses"]; // calls of which only the newest counts

/**
 * Answer the messages that come to `scope`. Calls that take long take turns, a window or a token at a time; in between,
 * the worker reads what the page has sent meanwhile.
 * @param {Scope} scope
 * @param {(parts: Parts) => Calls} [more] further calls, given what has the loaded models and the tokenizer
 */
export function serve(scope, more = () => ({})) {
  /** @type {Map<string, import("./model.js").Model>} */
  const models = new Map();
  /** @type {import("./tokenizer.js").Tokenizer | undefined} */
  let tokenizer;
  /** @type {Job[]} */
  let jobs = [];
  const pause = new MessageChannel(); // unlike a timer it does not wait for some milliseconds
  let goesOn = false;

  /** @type {Calls} */
  const calls = {
    ...more(parts),
    *load({ model, tokenizer: json, name = "model" }) {
      const loaded = makeModel(readSafetensors(model));
      if (json !== undefined) tokenizer = makeTokenizer(json);
      models.delete(name); // the last one loaded stands last
      models.set(name, loaded);
      const sparseLayers = loaded.blocks.filter((block) => block.sparse).map((block) => block.layer);
      return { name, config: loaded.config, sparseLayers };
    },
    *route({ text, model: name, ...options }) {
      const { model, encode, bytes } = parts(name), ids = encode(checkText(text));
      const reading = yield* readText(model, ids, options);
      return { ...reading, ids, bytes: ids.map(bytes) };
    },
    *losses(args) {
      return yield* calls.route({ ...args, losses: true }, 0);
    },
    *generate({ text, nTokens, model: name, ...options }, id) {
      const { model, encode, decode, bytes } = parts(name);
      /** @type {number[]} */
      const written = [];
      let stopped = false;
      const prompt = cutPrompt(encode(checkText(text)), nTokens, model.config.context_length);
      for (const { token, routing } of generate(model, prompt, nTokens, options)) {
        written.push(token);
        const rows = routing.map((each) => routingOf(each, each.nTokens - 1));
        scope.postMessage({ id, token: { token, bytes: bytes(token), routing: rows } });
        stopped = yield;
        if (stopped) break;
      }
      return { prompt, ids: written, text: decode(written), stopped };
    },
  };

  /** @type {Parts} */
  function parts(name = [...models.keys()].at(-1)) {
    const model = models.get(name ?? "");
    if (!model || !tokenizer) throw new Error(`No model ${name ? `${name} ` : ""}has been loaded, or no tokenizer.`);
    return { model, ...tokenizer };
  }

  /** @param {Request} request */
  function accept({ id, call, args = {}, slot = call }) {
    if (call === "stop") {
      const found = jobs.find((job) => job.id === args.id);
      if (found) found.stopped = true;
      scope.postMessage({ id, result: found !== undefined });
    } else if (!Object.hasOwn(calls, call)) {
      const known = Object.keys(calls).join(", ");
      scope.postMessage({ id, error: `There is no call ${call}; there are ${known} and stop.` });
    } else {
      const only = REPLACED.includes(call) ? `${call} ${slot}` : null;
      const older = jobs.filter((job) => only && job.slot === only);
      for (const job of older) scope.postMessage({ id: job.id, replaced: id });
      jobs = jobs.filter((job) => !older.includes(job));
      jobs.push({ id, slot: only, steps: calls[call](args, id), stopped: false });
      goOn();
    }
  }

  /** A step soon, once, after the messages that are waiting. */
  function goOn() {
    if (!goesOn) pause.port2.postMessage(null);
    goesOn = true;
  }

  /** One step of the first job, which then goes to the end of the queue. */
  function step() {
    goesOn = false;
    const job = jobs.shift();
    if (!job) return;
    try {
      const { done, value } = job.steps.next(job.stopped);
      if (done) scope.postMessage({ id: job.id, result: value });
      else jobs.push(job);
    } catch (error) {
      scope.postMessage({ id: job.id, error: error instanceof Error ? error.message : String(error) });
    }
    if (jobs.length) goOn();
  }

  pause.port1.onmessage = step;
  scope.onmessage = ({ data }) => accept(data);
}

/** @param {unknown} text */
function checkText(text) {
  if (typeof text !== "string") throw new Error(`The text is ${text}; expected a string.`);
  return text;
}
