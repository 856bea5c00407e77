// Recorded trainings with and without a balancing loss. Python drew the figures when the page was built.

function balancePanel(host, { coefficients, layers, figures }) {
  const stage = el("div", { class: "stage fig" }), heads = el("div", { class: "names" }), reading = readingLine(() => 32);
  let coefficient = 0.01, layer = 1;
  const slide = slider({ label: "coefficient", values: coefficients, value: coefficient, width: 110, show: (c) => (c ? String(c) : "0"), onmove: (c) => { coefficient = c; paint(); } });
  const level = slider({ label: "layer", values: upTo(layers), value: layer + 1, width: 60, onmove: (l) => { layer = l - 1; paint(); } });
  host.replaceChildren(el("div", { class: "ctl" }, slide.node, level.node), el("div", { class: "plot", tabindex: 0, role: "group", "aria-label": "recorded trainings" }, heads, stage), reading.node, reading.voice);
  function paint() {
    const { figure, heads: names, says } = figures[`${coefficient}/${layer}`];
    heads.innerHTML = names; // written and escaped by Python, as the figure
    replaceFigure(stage, figure);
    reading.set([says]);
  }
  paint();
}
