// All layers one below the other, each token in the colour that it has there; one that is pointed at is framed in all.

function layersPanel(host, model) {
  const open = button("Show all layers, one below the other", toggle, { "aria-expanded": "false" });
  const body = el("div", { hidden: true });
  const reading = el("p", { class: "read" }, "Each layer has experts of its own: where two layers show the same number, that means nothing.");
  host.append(el("div", { class: "ctl" }, open), body);
  let texts = [], drawn = null;

  function toggle() {
    body.hidden = !body.hidden;
    open.setAttribute("aria-expanded", String(!body.hidden));
    open.textContent = body.hidden ? "Show all layers, one below the other" : "Hide them";
    paint();
  }
  function build(page, layers) {
    const point = (i) => texts.forEach(({ mark }) => mark(i, false));
    texts = Array.from({ length: layers }, (_, l) => tokenText(model, () => {}, point, `layer ${l + 1}`, { does: "does nothing", pick: () => {} }));
    texts.forEach((text) => text.build(page));
    body.replaceChildren(...texts.flatMap(({ node }, l) => [el("p", { class: "cap" }, el("b", {}, `layer ${l + 1}`)), node]), reading);
    drawn = page;
  }
  function paint() {
    const page = model.get("page"), routed = model.get("routed");
    host.hidden = !routed.choice;
    if (body.hidden || !routed.choice) return;
    if (page !== drawn || texts.length !== routed.layers) build(page, routed.layers);
    const data = unpack(routed), choice = model.get("choice");
    texts.forEach((text, l) => text.paint(data, { layer: l, choice }, model.get("picked"), model.get("by_weight")));
  }
  whenChanged(model, ["page", "routed", "choice", "picked", "by_weight"], paint);
  paint();
}
