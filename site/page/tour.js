// Four steps for who knows nothing of this: a text, and a button that sets the viewer so.

// texts: those that a step may replace by its own, because nobody typed them
function tour(node, model, steps, show, texts) {
  const [where, text, back, next, look] = ["where", "text", "back", "next", "show"].map((name) => node.querySelector(`#tour-${name}`));
  let at = 0;
  const paint = () => {
    const { title, says, words, settings, section } = steps[at];
    where.textContent = `${at + 1} of ${steps.length}`;
    text.replaceChildren(el("h2", {}, title), ...says.map((paragraph) => el("p", {}, ...rich(paragraph))));
    look.textContent = words;
    look.hidden = !words;
    look.onclick = () => show(settings, section);
    back.disabled = at === 0;
    next.textContent = at === steps.length - 1 ? "To lesson 00" : "Next";
  };
  const rich = (paragraph) => paragraph.split(/(<[^>]+>)/).map((part) => (part.startsWith("<") ? el("b", {}, part.slice(1, -1)) : part));
  back.onclick = () => { at -= 1; paint(); };
  next.onclick = () => {
    if (at === steps.length - 1) { /** @type {HTMLElement} */ (document.querySelector("#course a.go")).click(); return; }
    at += 1;
    paint();
    const { settings } = steps[at];
    if (settings.text && texts.includes(model.get("text"))) show(settings, null); // the step stays in view
  };
  paint();
  return { again: () => { at = 0; paint(); } };
}

// the model that the steps speak of: with eight experts, two for a token, as it was trained
const AS_TRAINED = { n_experts: 8, top_k: 2, muted: [], picked: [], choice: 0 };

const TOUR = [
  { title: "What is a token?",
    says: ["A language model reads neither letters nor words. It cuts a text into <tokens>: a frequent word is one token, a rare one is cut into several. Above, each coloured tile is a token. This model knows 2,048 different ones.",
      "Type something of your own, and see where it is cut."],
    words: "Show a rare word", settings: { text: "The king and the water. Floccinaucinihilipilification!", domains: [] } },
  { title: "What is an expert?",
    says: ["An <expert> is a small network of its own inside a layer. Every token is worked on by two experts of each layer (“top-k” says how many), and the others rest. The number in a tile is the one of the two that counts more.",
      "Is one of them good at medicine, another at law? Take “My doctor prescribed antibiotics and my lawyer signed the contract.” In layer 3 of the model with 8 experts, expert 3 takes the pieces of “doctor” and of “lawyer”, and “My” and “and” as well; move the slider “layer”, and it is others."],
    words: "Look for the doctor and the lawyer", settings: { text: "My doctor prescribed antibiotics and my lawyer signed the contract.", domains: [], layer: 3, ...AS_TRAINED } },
  { title: "What does the router do?",
    says: ["The <router> of a layer gives every expert a score for the token, takes the best two, or as many as “top-k” says, and adds up what they answer. The answer with the higher score counts more.",
      "Nobody told it who should do what. It learned to send tokens where the model's next guess gets better. Point at a token to see its scores; further down, the same is drawn step by step."],
    words: "Show a token's scores in layer 3", settings: { layer: 3, pinned: 2, ...AS_TRAINED } },
  { title: "What does balancing change?",
    says: ["Without care, some experts get almost no tokens, learn nothing, and only take up memory. So training adds a small penalty, the <balancing loss>, that asks for equal shares.",
      "Without it, experts die; with too much of it, the model gets worse at its text. The recordings further down show both."],
    words: "Go to the recordings", settings: {}, section: "balance" },
];
