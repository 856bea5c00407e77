// The kernel of the page is a worker: it reads the models, routes and writes, so that typing never waits for it. What
// travels are the same traits as between a notebook's page and its kernel.

// Its end in the page: call(name, args, { onToken }) -> { id, answer }, of engine/client.js.
const openKernel = (source) => connect(new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" }))));

// The models: each is a script of its own beside the page, so that the page opens from a file address, too.
function modelShelf(call, folder, records, tokenizer) {
  const there = new Map(); // expert count -> promise
  const bytesOf = (text) => {
    const signs = atob(text), bytes = new Uint8Array(signs.length);
    for (let i = 0; i < signs.length; i++) bytes[i] = signs.charCodeAt(i); // Uint8Array.from takes a second for this
    return bytes.buffer;
  };
  const read = (name) => new Promise((resolve, reject) => {
    const node = el("script", { src: `${folder}/${name}.js` });
    node.addEventListener("load", () => resolve(window.moeLiteModels[name]));
    node.addEventListener("error", () => reject(new Error(`The model could not be read from ${folder}/${name}.js. Is the whole folder there?`)));
    document.head.append(node);
  });
  const load = async (n) => {
    const name = records[n].file, bytes = bytesOf(window.moeLiteModels?.[name] ?? await read(name));
    delete window.moeLiteModels[name];
    await call("load", { name: String(n), model: bytes, tokenizer }, { transfer: [bytes] }).answer;
  };
  return (n) => {
    if (!there.has(n)) there.set(n, load(n).catch((problem) => { there.delete(n); throw problem; }));
    return there.get(n);
  };
}

// The traits of the viewer, as anywidget hands them to a script. What `save_changes` sends goes to the kernel; only the
// newest state is sent after the one that is under way. settled() is called when an answer has been taken in.
function traitsOf(state, call, modelFor, settled) {
  const listeners = new Map();
  let busy = false, again = false;
  const changed = (name) => [...(listeners.get(`change:${name}`) ?? [])].forEach((call) => call());
  const take = (values) => {
    Object.assign(state, values);
    Object.keys(values).forEach(changed);
  };
  async function send() {
    if (busy) { again = true; return; }
    busy = true;
    const sent = { ...state };
    try {
      await modelFor(sent.n_experts);
      const { answered, ...values } = await call("follow", { state: sent }).answer;
      // what a hand has moved meanwhile stays
      for (const name of Object.keys(values)) if (name in sent && FROM_HAND.includes(name) && state[name] !== sent[name]) delete values[name];
      take(values);
    } catch (problem) {
      take({ error: { what: problem.message, instead: "The last good figure stays." } });
    }
    busy = false;
    take({ answered: sent.asked });
    settled();
    if (again) { again = false; send(); }
  }
  return {
    get: (name) => state[name],
    set: (name, value) => {
      if (state[name] === value) return;
      state[name] = value;
      changed(name);
    },
    save_changes: send,
    on: (events, call) => events.split(" ").forEach((event) => listeners.set(event, [...(listeners.get(event) ?? []), call])),
    off: (events, call) => events.split(" ").forEach((event) => listeners.set(event, (listeners.get(event) ?? []).filter((other) => other !== call))),
  };
}

const FROM_HAND = ["text", "domains", "n_experts", "top_k", "muted", "first", "layer", "choice", "pinned", "picked", "by_weight"];
