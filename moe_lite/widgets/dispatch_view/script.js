// Dispatch view. Python routes, dispatches (view.py) and draws (layout.py, drawing.py); this file moves the elements of
// the old picture to the places of the new one, so that rows travel, and leads keys and clicks.

function render({ model, el: host }) {
  const fixed = model.get("fixed");
  const { ask, waiting, slide, pick, problem, stage: picture, note, reading, show } = panel(model, host, {
    nExperts: () => model.get("n_experts"), width: [520, 812],
  });
  const looping = () => model.get("way") === "loop";

  // ---- controls

  const stages = (way) => fixed.stages[way].map((text, i) => [i + 1, text]);
  const stage = pick("stage", "step", stages(model.get("way")));
  stage.node.classList.add("stages");
  const experts = slide("n_experts", "experts E", fixed.experts, { width: 56 });
  const topK = slide("top_k", "top-k", () => upTo(model.get("parts").top_k ?? 1), { width: 52 });
  const way = segmented({ label: "way of computing", options: [["loop", "plain loop"], ["sorted", "sorted"]], value: model.get("way"), onpick: (key) => ask({ way: key, picked: -1 }) });
  const turnText = el("span", { class: "v" });
  const turnTo = (by) => () => { const n = model.get("n_experts"); ask({ picked: (Math.max(0, model.get("picked")) + by + n) % n }); };
  const turn = el("span", { class: "turn" }, turnText, button("‹", turnTo(-1), { "aria-label": "previous expert" }), button("next expert", turnTo(1)));
  const arrays = el("dl", { class: "arrays" });
  const table = el("table", { class: "ops" });
  const layout = [
    [stage, fixed.experts.length > 1 && experts, !fixed.given && topK, el("span", { class: "ways" }, way.node)],
    problem, el("div", { class: "under" }, note, turn), picture, arrays, table,
  ];

  // ---- tokens and slices: click, ← →, Home, End, Esc

  const focusToken = (token) => ask({ token, picked: looping() ? model.get("picked") : -1 });
  const pickSlice = (expert) => ask({ picked: !looping() && model.get("picked") === expert ? -1 : expert });
  const placeOf = (target) => {
    const node = target.closest?.("[data-token], .slice, [data-slice]");
    if (!node) return null;
    return node.dataset.token !== undefined ? ["token", Number(node.dataset.token)] : ["slice", Number(node.dataset.slice ?? node.dataset.expert)];
  };
  const nodeOf = (kind, i) => picture.querySelector(kind === "token" ? `.tops .t${i}` : `.slots [data-expert="${i}"]`);
  const act = ([kind, i]) => (kind === "token" ? focusToken(i) : pickSlice(i));
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

  return show(layout, () => {
    const parts = model.get("parts");
    note.textContent = parts.note ?? "";
    note.hidden = !note.textContent;
    if (!waiting()) followWay();
    picture.hidden = arrays.hidden = table.hidden = !model.get("figure");
    turn.hidden = picture.hidden || !looping();
    turnText.textContent = `turn of expert ${Math.max(0, model.get("picked"))}`;
    if (!picture.hidden) {
      drawFigure(picture, model.get("figure"));
      arrays.replaceChildren(...parts.arrays.flatMap(arrayLine));
      table.replaceChildren(...tableRows(parts.table, parts.chosen));
    }
    reading.set(parts.reading ?? [model.get("reading")]);
  });

  function followWay() {
    stages(model.get("way")).forEach(([, text], i) => {
      stage.buttons[i].textContent = text;
      stage.buttons[i].dataset.text = text;
    });
    way.set(model.get("way"));
  }
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
