// Dispatch view. Python routes, dispatches and draws (moe_lite/widgets/dispatch_view/drawing.py); this file moves the
// elements of the old picture to the places of the new one, so that rows travel, and leads keys and clicks.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { root, tag } = openRoot(host, "How does a sparse layer save work?", model.get("source"));
  root.classList.add("dispatch");
  const problem = errorBox();
  const note = el("p", { class: "note", role: "status" });
  const reading = readingLine(() => model.get("n_experts"));
  const asking = asker(model, root, (text) => { note.hidden = false; note.textContent = text; });
  const ask = byPresses(model, root, asking.ask);
  const looping = () => model.get("way") === "loop";

  // ---- controls

  const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);
  const stages = (way) => fixed.stages[way].map((text, i) => [i + 1, text]);
  const stage = segmented({ label: "step", options: stages(model.get("way")), value: model.get("stage"), onpick: (key) => ask({ stage: key }) });
  stage.node.classList.add("stages");
  const experts = slider({ label: "experts E", values: fixed.experts, value: model.get("n_experts"), width: 56, onmove: (n_experts) => ask({ n_experts }) });
  const topK = slider({ label: "top-k", values: upTo(model.get("parts").top_k ?? 1), value: model.get("top_k"), width: 52, onmove: (top_k) => ask({ top_k }) });
  const way = segmented({ label: "way of computing", options: [["loop", "plain loop"], ["sorted", "sorted"]], value: model.get("way"), onpick: (key) => ask({ way: key, picked: -1 }) });
  const turnText = el("span", { class: "v" });
  const turnTo = (by) => () => { const n = model.get("n_experts"); ask({ picked: (Math.max(0, model.get("picked")) + by + n) % n }); };
  const turn = el("span", { class: "turn" }, turnText, button("‹", turnTo(-1), { "aria-label": "previous expert" }), button("next expert", turnTo(1)));
  const sliders = [...(fixed.experts.length > 1 ? [experts.node] : []), ...(fixed.given ? [] : [topK.node])];
  const picture = el("div", { class: "stage fig" });
  const arrays = el("dl", { class: "arrays" });
  const table = el("table", { class: "ops" });
  root.append(
    el("div", { class: "ctl" }, stage.node, ...sliders, el("span", { class: "ways" }, way.node)),
    problem.node, el("div", { class: "under" }, note, turn), picture, arrays, table, reading.node, reading.voice);

  // ---- tokens and slices: click, ← →, Home, End, Esc

  const focusToken = (token) => ask({ token, picked: looping() ? model.get("picked") : -1 });
  const pick = (expert) => ask({ picked: !looping() && model.get("picked") === expert ? -1 : expert });
  const placeOf = (target) => {
    const node = target.closest?.("[data-token], .slice, [data-slice]");
    if (!node) return null;
    return node.dataset.token !== undefined ? ["token", Number(node.dataset.token)] : ["slice", Number(node.dataset.slice ?? node.dataset.expert)];
  };
  const nodeOf = (kind, i) => picture.querySelector(kind === "token" ? `.tops .t${i}` : `.slots [data-expert="${i}"]`);
  const act = ([kind, i]) => (kind === "token" ? focusToken(i) : pick(i));
  picture.addEventListener("click", (event) => {
    const place = placeOf(event.target);
    if (place) act(place);
  });
  picture.addEventListener("keydown", (event) => {
    const place = placeOf(event.target);
    if (!place) return;
    const [kind, i] = place, last = (kind === "token" ? fixed.tokens : model.get("n_experts")) - 1;
    const to = { ArrowRight: Math.min(i + 1, last), ArrowLeft: Math.max(i - 1, 0), Home: 0, End: last }[event.key];
    if (to !== undefined) {
      nodeOf(kind, to).focus();
      if (to !== i || kind === "token") kind === "token" ? focusToken(to) : ask({ picked: to });
    } else if (event.key === "Enter" || event.key === " ") act(place);
    else if (event.key === "Escape" && !looping()) ask({ picked: -1 });
    else return;
    event.preventDefault();
  });

  // ---- drawing

  let last = -Infinity;
  function paint() {
    // moves in quick succession (a key held down) do not slide: each would be cut off by the next
    root.classList.toggle("quick", performance.now() - last < 250);
    last = performance.now();
    const parts = model.get("parts");
    tag.textContent = model.get("source");
    tag.hidden = !tag.textContent;
    problem.set(model.get("error"));
    note.textContent = parts.note ?? "";
    note.hidden = !note.textContent;
    if (!asking.waiting()) follow(parts);
    picture.hidden = arrays.hidden = table.hidden = !model.get("figure");
    turn.hidden = picture.hidden || !looping();
    turnText.textContent = `turn of expert ${Math.max(0, model.get("picked"))}`;
    if (!picture.hidden) {
      drawFigure(picture, model.get("figure"));
      arrays.replaceChildren(...parts.arrays.flatMap(arrayLine));
      table.replaceChildren(...tableRows(parts.table, parts.chosen));
    }
    reading.set(parts.reading ?? [model.get("reading")]);
    redrawn(root);
  }

  function follow(parts) {
    stages(model.get("way")).forEach(([, text], i) => {
      stage.buttons[i].textContent = text;
      stage.buttons[i].dataset.text = text;
    });
    stage.set(model.get("stage"));
    experts.set(model.get("n_experts"));
    topK.set(model.get("top_k"), upTo(parts.top_k ?? 1));
    way.set(model.get("way"));
  }

  const ended = whenChanged(model, ["figure", "parts", "error", "source", "answered"], paint);
  paint();
  const unwatched = followWidth(model, root, 520, 812, ask);
  return () => { ended(); unwatched(); };
}

// name and values of an array; the focused token's values are bold, wrong ones red and underlined
function arrayLine([name, values]) {
  const spans = values.flatMap(([text, kind], i) => [i ? " " : "", kind ? el("span", { class: kind }, text) : text]);
  return [el("dt", {}, name), el("dd", {}, ...spans)];
}

function tableRows([head, ...rows], chosen) {
  const line = (tag, cells) => cells.map((text, i) => el(i ? tag : "th", { scope: tag === "th" ? "col" : i ? null : "row" }, text));
  return [
    el("thead", {}, el("tr", {}, ...line("th", head))),
    el("tbody", {}, ...rows.map((cells, i) => el("tr", { class: i === chosen ? "on" : null }, ...line("td", cells)))),
  ];
}
