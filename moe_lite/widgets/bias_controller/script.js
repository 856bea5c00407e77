// Bias controller. Python simulates (view.py) and draws (drawing.py); this file has the controls.

function render({ model, el: host }) {
  const { sizes, batches, drifts, freeze, rules, steps, narrowest, widest } = model.get("fixed");
  const it = panel(model, host, { width: [narrowest, widest] });
  const never = (n) => (n >= steps ? "never" : `step ${n}`);
  return it.show([
    [
      it.slide("step", "step size", sizes, { width: 130 }),
      it.pick("rule", "rule", rules),
      it.slide("n_tokens", "tokens per batch", batches, { width: 90, show: withCommas }),
    ],
    [it.slide("drift", "drift", drifts, { width: 60 }), it.slide("frozen_from", "freeze at", freeze, { width: 70, show: never })],
    it.problem, it.keys, it.stage, it.note,
  ], () => {
    const { facts = [], parts = [], note = "" } = model.get("view");
    it.note.textContent = note;
    it.keys.set(facts);
    replaceFigure(it.stage, model.get("figure"));
    it.reading.set(parts);
  });
}
