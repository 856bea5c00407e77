// The page: reads its data and address, opens the kernel, draws the viewer of the notebooks and what stands below it.

async function openPage() {
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const words = json("words"), tokenizer = json("tokenizer");
  const counts = Object.keys(words.records).map(Number);
  const call = openKernel(document.getElementById("kernel").textContent);
  const modelFor = modelShelf(call, "models", { ...words.records, 1: words.dense }, tokenizer);
  const first = viewerState(words, counts), state = { ...first };
  document.body.classList.toggle("only", new URLSearchParams(location.hash.slice(1)).get("only") === "viewer");
  const told = document.getElementById("told"), host = document.getElementById("viewer");
  const { pinned = -1, ...given } = readAddress(location.hash, { counts, samples: Object.keys(words.samples) });
  Object.assign(state, given);
  const model = traitsOf(state, call, modelFor, settled);
  let drawn = false;
  function settled() {
    if (!drawn) {
      drawn = true;
      host.replaceChildren();
      state.pinned = pinned < (state.page.tokens?.length ?? 0) ? pinned : -1; // a new text has none
      render({ model, el: host });
      document.body.dataset.ready = "true";
    }
    follow();
  }
  // the address follows, at rest
  let resting = null;
  function follow() {
    clearTimeout(resting);
    if (document.body.matches(".only")) return; // in a lesson's page
    resting = setTimeout(() => history.replaceState(null, "", writeAddress(model.get, first) || location.pathname + location.search), 300);
  }
  for (const name of Object.keys(IN_ADDRESS)) model.on(`change:${name}`, follow);

  modelFor(state.n_experts).catch(() => {}); // at once; whoever needs it is told what went wrong
  call("open", { words });
  model.save_changes();

  const facts = () => {
    const { parameters, tokens } = words.records[model.get("n_experts")], millions = (n) => (n / 1e6).toFixed(1);
    document.getElementById("model-facts").textContent =
      `This one has ${millions(parameters.total)} million parameters, and saw ${millions(tokens)} million tokens in training.`;
  };
  whenChanged(model, ["n_experts"], facts);
  facts();
  const show = (settings, section = "try") => {
    for (const [name, value] of Object.entries(settings)) model.set(name, value);
    if (Object.keys(settings).length) { model.set("asked", model.get("asked") + 1); model.save_changes(); }
    if (section === null) return;
    const target = document.getElementById(section);
    if (section !== "try") target.scrollIntoView();
    else host.scrollIntoView({ block: "nearest" });
  };
  const steps = tour(document.getElementById("tour"), model, TOUR, show, [words.opening.text, ...TOUR.map(({ settings }) => settings.text)]);
  lossPanel(document.getElementById("losses-figure"), model, (texts) => denseLosses(call, modelFor, texts), words.samples);
  layersPanel(document.getElementById("layers"), model);
  routePanel(document.getElementById("route-figure"), model, call);
  writePanel(document.getElementById("write-figure"), model, call, modelFor);
  whenNear(document.getElementById("balance"), async () => {
    await new Promise((done, fail) => document.head.append(el("script", { src: "balance.js", onload: done, onerror: () => fail(new Error("balance.js could not be read.")) })));
    balancePanel(document.getElementById("balance-figure"), window.moeLiteBalance);
  });

  // links within the page leave the address alone: it holds the view
  for (const link of document.querySelectorAll('a[href^="#"]'))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.getAttribute("href").slice(1));
      target.scrollIntoView();
      target.focus({ preventScroll: true });
    });
  document.getElementById("copy").onclick = async () => {
    clearTimeout(resting);
    history.replaceState(null, "", writeAddress(model.get, first) || location.pathname + location.search);
    try { await navigator.clipboard.writeText(location.href); told.textContent = "Copied."; } catch { told.textContent = "The address above is the link."; }
  };
  document.getElementById("again").onclick = () => {
    const { text, domains, n_experts, top_k, muted, layer, choice, pinned, picked, by_weight } = first;
    show({ text, domains, n_experts, top_k, muted, layer, choice, pinned, picked, by_weight, first: 0 });
    told.textContent = "";
    steps.again();
  };
  document.getElementById("picture").onclick = async () => {
    try { await savePicture(host.querySelector(".mx"), `${words.question} Layer ${model.get("layer")}, ${words.ordinals[model.get("choice")]} choice; a model with ${model.get("n_experts")} experts, top-${model.get("top_k")}${model.get("muted").length ? `, without ${model.get("muted").join(", ")}` : ""} · moe-lite`); told.textContent = "Saved."; } catch { told.textContent = "This browser cannot draw the page into a picture."; }
  };
}

// The losses of the dense twin, which is read when it is first asked for, on each of the texts.
async function denseLosses(call, modelFor, texts) {
  await modelFor(1);
  const readings = texts.map((text, i) => call("losses", { text, model: "1" }, { slot: String(i) }).answer);
  return (await Promise.all(readings)).flatMap(({ losses }) => [...losses].filter((loss) => !Number.isNaN(loss)));
}

// Calls once when the element comes near the window.
function whenNear(node, call) {
  const watcher = new IntersectionObserver((seen) => {
    if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
    watcher.disconnect();
    call().catch((problem) => node.append(el("p", { class: "note" }, problem.message)));
  }, { rootMargin: "600px" });
  watcher.observe(node);
}

openPage().catch((problem) => { document.getElementById("viewer").replaceChildren(el("p", { class: "waits", role: "alert" }, problem.message)); });
