// Capacity view. Python serves the queues (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { factors, priorities, choices, layers, experts, narrowest, widest } = model.get("fixed");
  const it = panel(model, host, { nExperts: () => experts, width: [narrowest, widest] });
  const controls = [
    it.slide("factor", "capacity factor", factors, { width: 160, show: (f) => (f === 0 ? "no limit" : String(f)) }),
    it.pick("priority", "who is served first", priorities),
    choices && it.slide("top_k", "top-k", upTo(choices), { width: 70 }),
    layers > 1 && it.slide("layer", "layer", upTo(layers), { width: 70 }),
  ];
  return it.show([controls, it.problem, it.keys, it.stage, it.note], () => {
    const { facts, parts, note } = model.get("view");
    it.note.textContent = note;
    it.keys.set(facts);
    const drawn = new DOMParser().parseFromString(model.get("figure"), "text/html").body;
    it.stage.replaceChildren(...[...drawn.childNodes].map((node) => document.importNode(node, true)));
    it.reading.set(parts);
  });
}
