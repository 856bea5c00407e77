// Results explorer. Python compares (view.py), writes (words.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { axes, budgets, models, how, width } = model.get("fixed");
  const it = panel(model, host, { width });
  const view = () => model.get("view");

  // ---- controls

  const axis = segmented({ label: "axis", options: axes.map((name) => [name, name]), value: model.get("axis"),
    onpick: (name) => it.ask({ axis: name, at: 0 }) });
  const offered = [["", "all"], ...budgets.map((name) => [name, name])];
  const budget = it.pick("budget", "curves of the budget", offered);
  const curves = el("span", { class: "named" }, el("span", { class: "dim" }, "curves"), budget.node);
  curves.hidden = budgets.length < 2;
  const pair = () => [model.get("first"), model.get("second")];
  let drawn = new Set();
  const toggles = models.map(([name, title, short, look, path]) => {
    const node = button("", () => {
      if (!drawn.delete(name)) drawn.add(name);
      mark();
      it.ask({ shown: models.map(([each]) => each).filter((each) => drawn.has(each)) });
    }, { class: "model" });
    node.append(markOf(look, path), short);
    return { name, title, node };
  });
  const mark = () => toggles.forEach(({ name, title, node }) => {
    const kept = pair().includes(name);
    node.setAttribute("aria-pressed", String(kept || drawn.has(name)));
    node.disabled = kept;
    node.title = kept ? `${title}: is compared below` : title;
  });
  const shown = el("div", { class: "models", role: "group", "aria-label": "models that are drawn" }, ...toggles.map(({ node }) => node));
  const choose = (trait, label) => {
    const node = el("select", { "aria-label": label, onchange: () => it.ask({ [trait]: node.value }) },
      ...models.map(([name, title]) => el("option", { value: name }, title)));
    return { node, set: () => { node.value = model.get(trait); } };
  };
  const first = choose("first", "first model"), second = choose("second", "second model");
  const both = el("span", { class: "named" }, el("span", { class: "dim" }, "compare"), first.node,
    el("span", { class: "dim" }, "with"), second.node);

  // ---- the marker: its slider stands under the axis, and the line in the figure can be dragged

  const scrub = el("input", { type: "range", min: 0, max: 1000, step: "any", "aria-label": "compared at" });
  const where = el("span", { class: "where" });
  const most = button("to the most that both spent", () => it.ask({ at: 0 }), { class: "link" });
  const hint = el("span", { class: "dim hint" }, "drag the line, or ← →");
  const back = el("div", { class: "back" }, scrub, el("div", {}, el("span", {}, "compared at ", where), hint, most));
  const plot = el("div", { class: "plot" }, it.stage, back);
  const shareOf = (amount) => Math.log(amount / view().marker.low) / Math.log(view().marker.high / view().marker.low);
  let stop = 0; // the index of the stop where the marker stands
  const place = (amount, words) => {
    scrub.value = 1000 * shareOf(amount);
    scrub.setAttribute("aria-valuetext", words);
    where.textContent = words;
  };
  const moveTo = (index) => { // at once, before the kernel has compared there
    const { stops, texts, left, width: wide, top } = view().marker;
    stop = Math.min(stops.length - 1, Math.max(0, index));
    place(stops[stop], texts[stop]);
    it.stage.querySelector("svg .cursor").setAttribute("transform", `translate(${left + wide * shareOf(stops[stop])} ${top})`);
    it.stage.querySelectorAll("svg .there").forEach((node) => node.remove());
    it.ask({ at: stops[stop] });
  };
  const nearest = (share) => {
    const far = view().marker.stops.map((amount) => Math.abs(shareOf(amount) - share));
    return far.indexOf(Math.min(...far));
  };
  scrub.addEventListener("input", () => moveTo(nearest(Number(scrub.value) / 1000)));
  scrub.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1, last = view().marker.stops.length - 1;
    const to = { ArrowLeft: stop - far, ArrowDown: stop - far, ArrowRight: stop + far, ArrowUp: stop + far,
      PageDown: stop - 10, PageUp: stop + 10, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveTo(to);
  });
  let dragged = null; // the pointer that drags the line
  const shareAt = (event) => {
    const { figure, left, width: wide } = view().marker, box = it.stage.querySelector("svg").getBoundingClientRect();
    return (((event.clientX - box.left) * figure) / box.width - left) / wide;
  };
  it.stage.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("[data-grab]")) return;
    event.preventDefault();
    dragged = event.pointerId;
    it.stage.setPointerCapture(dragged);
    moveTo(nearest(shareAt(event)));
  });
  it.stage.addEventListener("pointermove", (event) => { if (event.pointerId === dragged) moveTo(nearest(shareAt(event))); });
  for (const end of ["pointerup", "pointercancel"]) it.stage.addEventListener(end, () => { dragged = null; });

  const table = el("div", { class: "verdicts" });
  const made = el("details", { class: "note how" }, el("summary", {}, "How the figure is made"), how.join(" "));
  return it.show([[axis, curves], shown, [both], it.problem, plot, table, it.note, made], () => {
    const { marker = {}, table: text = "", note = "", curves: has = true } = view();
    if (!it.waiting()) {
      axis.set(model.get("axis"));
      [first, second].forEach((control) => control.set());
      drawn = new Set([...model.get("shown"), ...pair()]);
      mark();
    }
    curves.hidden = !has || budgets.length < 2;
    it.note.textContent = note;
    replaceFigure(it.stage, model.get("figure"));
    replaceHtml(table, text);
    back.hidden = !marker.stops;
    if (marker.stops) {
      const { figure, height, left, width: wide, bottom } = marker;
      plot.style.maxWidth = `${figure}px`;
      const share = { "--x": left / figure, "--long": wide / figure, "--y": bottom / height };
      for (const [name, value] of Object.entries(share)) back.style.setProperty(name, value);
      if (!it.waiting()) {
        stop = nearest(shareOf(marker.at));
        place(marker.at, marker.says);
      }
      most.hidden = marker.most;
    }
    it.reading.set([model.get("reading")]);
  });
}

// The mark of a model, in its colour.
function markOf(look, path) {
  return svg("svg", { class: `sw ${look}`, width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" },
    svg("path", { class: "end", d: path }));
}
