// @ts-check
// The page's end of worker.js.

/** @typedef {{ id: number, answer: Promise<any> }} Call answer: null where a newer request took its place */
/**
 * @typedef {object} CallOptions
 * @property {string} [slot] requests of one call and slot replace each other
 * @property {(token: import("./worker.js").Token) => void} [onToken] for each new token of a text
 * @property {Transferable[]} [transfer] buffers that go over to the worker instead of being copied
 */
/**
 * @typedef {object} Open a call that has no answer yet
 * @property {(result: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {CallOptions["onToken"]} onToken
 */

/**
 * A function that sends a call to the worker.
 * @param {Worker} worker
 * @returns {(call: string, args?: object, options?: CallOptions) => Call}
 */
export function connect(worker) {
  /** @type {Map<number, Open>} */
  const open = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, token, result = null, error } }) => {
    const { resolve, reject, onToken } = /** @type {Open} */ (open.get(id));
    if (token !== undefined) return onToken?.(token);
    open.delete(id);
    if (error !== undefined) reject(new Error(error));
    else resolve(result);
  };
  worker.onerror = ({ message }) => {
    for (const { reject } of open.values()) reject(new Error(message));
    open.clear();
  };
  return (call, args = {}, { slot, onToken, transfer = [] } = {}) => {
    const id = ++last;
    const answer = new Promise((resolve, reject) => open.set(id, { resolve, reject, onToken }));
    worker.postMessage({ id, call, args, slot }, transfer);
    return { id, answer };
  };
}
