// Capacity view. Python serves the queues (view.py), says what becomes of a token (words.py) and draws (drawing.py); this
// file has the controls, and shows where the token is that is pointed at. The text is the token viewer's (parts.js there).

function render({ model, el: host }) {
  const fixed = model.get("fixed"), { choices, layers, experts } = fixed;
  const it = panel(model, host, { nExperts: () => experts, width: [fixed.narrowest, fixed.widest] });
  const controls = [
    it.slide("factor", "capacity factor", fixed.factors, { width: 160, show: (f) => (f === 0 ? "no limit" : String(f)) }),
    it.pick("priority", "who is served first", fixed.priorities),
    choices && it.slide("top_k", "top-k", upTo(choices), { width: 70 }),
    layers > 1 && it.slide("layer", "layer", upTo(layers), { width: 70 }),
  ];
  const saidOf = (token) => model.get("view").tokens[token];

  // ---- what is shown: the token or place that is pointed at or has the focus, else the pinned token

  let pointed = null; // { token, choice }; choice: of the place in a queue, undefined for the token and all its places
  const put = (name, value) => { model.set(name, value); model.save_changes(); };
  const point = (at) => { pointed = at; paintPointed(); };
  const shown = () => {
    const at = pointed ?? { token: model.get("pinned") };
    const said = saidOf(at.token);
    if (!said) return null;
    return said.choices[at.choice] ? at : { token: at.token }; // with another top-k that choice may be gone
  };
  function paintPointed() {
    const at = shown(), said = at && saidOf(at.token);
    text.mark(at ? at.token : -1, at?.token === model.get("pinned"));
    const own = said ? said.choices.filter((_, c) => at.choice === undefined || c === at.choice) : [];
    const nodes = own.map(([expert, place]) => placeAt(expert, place)).filter(Boolean);
    it.stage.querySelector("svg .rings")?.replaceChildren(...nodes.map(ring));
    it.reading.set(at ? sentenceOf(at) : model.get("view").parts);
  }
  function sentenceOf({ token, choice }) {
    const { who, choices: all, so } = saidOf(token), words = (c) => all[c].at(-1);
    if (choice !== undefined) return [...who, ...words(choice), "."];
    return [...who, ...all.flatMap((_, c) => (c ? ["; ", ...words(c)] : words(c))), ...so];
  }
  const plainly = (parts) => parts.map((part) => (typeof part === "string" ? part : part.code ?? part.expert)).join("");
  it.root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    put("pinned", -1);
    point(null);
  });

  // ---- the text

  const text = tokenText(model, put, (token) => point(token < 0 ? null : { token }));
  text.node.setAttribute("aria-label", "Tokens. Arrow keys move, Enter pins, Escape releases.");
  text.node.style.setProperty("--num", `${fixed.numeral}px`);
  if (fixed.tokens.length) text.build({ tokens: fixed.tokens, sections: [["", 0, fixed.tokens.length]] });
  const spans = [...text.node.querySelectorAll("[data-i]")];
  const numeral = ([expert, , kept], choice) =>
    el(kept ? "i" : "s", { class: `${expertClass(expert, experts)}${choice ? " later" : ""}` }, String(expert));
  function paintText() {
    spans.forEach((span, i) => {
      const { look, choices: own } = saidOf(i);
      span.className = `${span.dataset.base} ${look}`;
      span.style.setProperty("--k", own.length);
      span.setAttribute("aria-label", plainly(sentenceOf({ token: i })));
      span.lastChild.hidden = !own.length;
      span.lastChild.replaceChildren(...own.map(numeral));
    });
  }

  // ---- the queues: one Tab stop, arrow keys inside

  let stop = [0, 0]; // expert and place that Tab leads to
  const placeAt = (expert, place) => it.stage.querySelector(`[data-at="${expert},${place}"]`);
  const placeOf = (target) => target.closest?.("[data-at]")?.dataset.at.split(",").map(Number);
  const queueOf = (expert) => it.stage.querySelectorAll(`[data-at^="${expert},"]`).length;
  let waiting = new Map(); // "expert,place" -> { token, choice }
  const ring = (node) => {
    const box = node.querySelector(".in, .out"), of = (name) => Number(box.getAttribute(name));
    return svg("rect", { x: of("x") - 1.5, y: of("y") - 1.5, width: of("width") + 3, height: of("height") + 3, rx: 1 });
  };
  function useQueues() {
    const all = [...it.stage.querySelectorAll("[data-at]")];
    const best = placeAt(...stop) ?? all.findLast((node) => placeOf(node)[0] === stop[0]) ?? all[0];
    if (best) stop = placeOf(best);
    waiting = new Map(model.get("view").tokens.flatMap(({ choices: own }, token) =>
      own.map(([expert, place], choice) => [`${expert},${place}`, { token, choice }])));
    for (const node of all) {
      node.setAttribute("tabindex", node === best ? "0" : "-1");
      node.setAttribute("aria-label", plainly(sentenceOf(waiting.get(node.dataset.at))));
    }
  }
  function go(expert, place) {
    const length = queueOf(expert);
    if (!length) return;
    placeAt(...stop)?.setAttribute("tabindex", "-1");
    stop = [expert, Math.min(length - 1, Math.max(0, place))];
    placeAt(...stop).setAttribute("tabindex", "0");
    placeAt(...stop).focus();
  }
  function beside([expert, place], step) { // the next queue in which somebody waits
    let next = expert + step;
    while (next >= 0 && next < experts && !queueOf(next)) next += step;
    return [next >= 0 && next < experts ? next : expert, place];
  }
  const keys = {
    ArrowRight: ([e, p]) => [e, p + 1], ArrowLeft: ([e, p]) => [e, p - 1], Home: ([e]) => [e, 0], End: ([e]) => [e, Infinity],
    ArrowUp: (here) => beside(here, -1), ArrowDown: (here) => beside(here, 1),
  };
  const pointAt = (place) => point(place ? waiting.get(place.join()) : null);
  const focused = () => (it.stage.contains(document.activeElement) ? placeOf(document.activeElement) : null);
  it.stage.addEventListener("pointerover", (event) => pointAt(placeOf(event.target) ?? focused()));
  it.stage.addEventListener("pointerleave", () => pointAt(focused()));
  it.stage.addEventListener("focusin", (event) => pointAt(placeOf(event.target)));
  it.stage.addEventListener("focusout", () => point(null));
  it.stage.addEventListener("click", (event) => { const place = placeOf(event.target); if (place) { go(...place); pin(place); } });
  it.stage.addEventListener("keydown", (event) => {
    const here = placeOf(event.target);
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") pin(here);
    else if (keys[event.key]) go(...keys[event.key](here));
    else return;
    event.preventDefault();
  });
  const pin = (place) => { const { token } = waiting.get(place.join()); put("pinned", token === model.get("pinned") ? -1 : token); };

  const unwatched = whenChanged(model, ["pinned"], paintPointed);
  const hint = el("p", { class: "note" }, "Point at a token or at a place in a queue, or reach them by Tab and arrow keys. Enter or a click pins the token, Esc releases it.");
  const ended = it.show([controls, it.problem, it.keys, text.node, it.stage, hint, it.note], () => {
    const { facts, note } = model.get("view");
    it.note.textContent = note;
    it.note.hidden = !note;
    it.keys.set(facts);
    it.keys.node.hidden = it.stage.hidden = text.node.hidden = hint.hidden = !spans.length;
    paintText();
    const held = focused(), released = !pointed;
    const drawn = new DOMParser().parseFromString(model.get("figure"), "text/html").body;
    it.stage.replaceChildren(...[...drawn.childNodes].map((node) => document.importNode(node, true)));
    useQueues();
    if (held) go(...held);
    if (released) pointed = null; // the focus that comes back brings nothing back that Escape has let go
    paintPointed();
  });
  return () => { ended(); unwatched(); };
}
