// The loss of every token as a bar, in the colour of its expert; a mark where it was with all experts.

const BLIND = Math.log(2048); // nats: one of all tokens, guessed
const MOST_BARS = 256;

// ofDense(texts) -> the losses of the dense twin; samples: the texts by name
function lossPanel(host, model, ofDense, samples) {
  const bars = el("div", { class: "bars", role: "img" }), keys = keyFigures(), reading = readingLine(() => model.get("n_experts"));
  const compare = button("And a dense model?", askDense, { class: "link" });
  const dense = el("p", { class: "note", role: "status" });
  host.append(keys.node, bars, reading.node, el("div", { class: "ctl" }, compare), dense);
  let about = []; // the sentence about the whole text; a bar that is pointed at has one of its own

  function paint() {
    const { tokens = [] } = model.get("page"), losses = model.get("losses").slice(0, MOST_BARS), whole = model.get("losses_whole");
    const known = losses.flatMap((loss, i) => (loss === null ? [] : [i]));
    host.hidden = !known.length;
    if (!known.length) return;
    const routed = unpack(model.get("routed")), layer = model.get("layer") - 1, muted = model.get("muted");
    const top = Math.max(BLIND, ...known.map((i) => Math.max(losses[i], whole[i])));
    bars.replaceChildren(...losses.map((loss, i) => el("i", {
      "data-i": i, class: expertClass(routed.expert(layer, i, 0), routed.experts), title: `${plainToken(tokens[i])}: ${loss === null ? "nothing comes before it" : loss.toFixed(2)}`,
      style: `height:${(100 * (loss ?? 0)) / top}%` },
    loss !== null && muted.length > 0 && el("u", { style: `bottom:${(100 * whole[i]) / Math.max(loss, 1e-6)}%` }))));
    bars.style.setProperty("--blind", `${(100 * BLIND) / top}%`);
    const mean = (of) => known.reduce((sum, i) => sum + of[i], 0) / known.length;
    const [now, before] = [mean(losses), mean(whole)], more = now - before;
    const signed = `${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(2)}`;
    keys.set([[now.toFixed(2), "nats per token, mean of this text"], [BLIND.toFixed(2), "a blind guess"],
      ...(muted.length ? [[before.toFixed(2), "with all experts"], [signed, `without ${muted.length === 1 ? "expert" : "experts"} ${muted.join(", ")}`]] : [])]);
    const worst = known.reduce((a, b) => (losses[b] > losses[a] ? b : a)), best = known.reduce((a, b) => (losses[b] < losses[a] ? b : a));
    const token = (i) => ({ code: plainToken(tokens[i]) });
    const parts = ["Most surprising was ", token(worst), ` with ${losses[worst].toFixed(2)}, least `, token(best), ` with ${losses[best].toFixed(2)}.`];
    if (muted.length) parts.push(` Without ${muted.length === 1 ? "expert " : "experts "}`, ...listed(muted.map((expert) => ({ expert }))), `, ${known.filter((i) => losses[i] > whole[i]).length} tokens surprise it more, and ${known.filter((i) => losses[i] < whole[i]).length} less.`);
    if (tokens.length > MOST_BARS) parts.push(` These are the first ${MOST_BARS} tokens.`);
    about = parts;
    reading.set(parts);
    bars.setAttribute("aria-label", `Loss of ${losses.length} tokens, mean ${now.toFixed(2)}`);
    mark();
  }
  async function askDense() {
    const asked = model.get("text"), domains = model.get("domains");
    dense.textContent = "Reading …";
    try {
      const losses = await ofDense(domains.length ? domains.map((name) => samples[name]) : [asked]);
      if (asked !== model.get("text")) return;
      const mean = losses.reduce((a, b) => a + b, 0) / losses.length;
      dense.textContent = `The dense model has ${mean.toFixed(2)} on this whole text. It does as much arithmetic per token as a mixture with top-2, has one network per layer in place of the experts, and saw the same texts in training.`;
    } catch (problem) {
      dense.textContent = problem.message;
    }
  }
  whenChanged(model, ["text"], () => { dense.textContent = ""; });
  function mark() {
    const pinned = String(model.get("pinned"));
    for (const node of bars.children) node.classList.toggle("at", node.dataset.i === pinned);
  }
  const barOf = (event) => Number(event.target.closest("i")?.dataset.i ?? -1);
  function tell(i) {
    const loss = model.get("losses")[i];
    if (i < 0) return;
    const token = { code: plainToken(model.get("page").tokens[i]) }, muted = model.get("muted").length > 0;
    reading.set(loss === null ? [token, " is the first: nothing comes before it."]
      : [token, ` surprised it by ${loss.toFixed(2)}`, muted ? `, and by ${model.get("losses_whole")[i].toFixed(2)} with all experts.` : "."]);
  }
  bars.addEventListener("pointerover", (event) => tell(barOf(event)));
  bars.addEventListener("pointerleave", () => reading.set(about));
  bars.addEventListener("click", (event) => {
    const i = barOf(event);
    tell(i); // a finger does not point before it presses
    if (i >= 0) { model.set("pinned", i === model.get("pinned") ? -1 : i); model.save_changes(); }
  });
  whenChanged(model, ["losses", "routed", "layer"], paint);
  whenChanged(model, ["pinned"], mark);
}
