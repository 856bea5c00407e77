// Four steps for who knows nothing of this: a text, and a button that sets the viewer so.

function tour(node, model, steps, show) {
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
    if (at < steps.length - 1) { at += 1; paint(); } else show({}, "course");
  };
  paint();
}

const TOUR = [
  { title: "What is a token?",
    says: ["A language model reads neither letters nor words. It cuts a text into <tokens>: frequent words are one, rare words are several. Below, each coloured tile is a token; this model knows 2,048 of them.",
      "Type something of your own, and see where it is cut."],
    words: "Show a rare word", settings: { text: "The cat sat on the mat. Floccinaucinihilipilification!", domains: [] } },
  { title: "What is an expert?",
    says: ["An <expert> is a small network of its own inside a layer. This model has 8 in each of its 4 layers. Every token is worked on by only 2 of the 8, so most of the layer rests.",
      "The number in a tile is the expert that counts most for this token. Click a number in the list of experts, and only its tokens keep their colour."],
    words: "Show only expert 5", settings: { picked: [5] } },
  { title: "What does the router do?",
    says: ["The <router> gives every expert a score for the token, takes the two best, and adds up their answers, weighted by those scores. Nobody told it who should do what: it learned that in training.",
      "Point at a token to see its scores. Then move the slider “layer”: every layer has experts and a router of its own."],
    words: "Show a token's scores in layer 3", settings: { layer: 3, pinned: 2, picked: [] } },
  { title: "What does balancing change?",
    says: ["Without care, a router would come to send almost everything to a few experts, and the others would learn nothing. So training adds a small penalty, the <balancing loss>, that asks for equal shares.",
      "Too little of it, and experts die; too much, and the model gets worse at its text. The recordings further down show both."],
    words: "Go to the recordings", settings: {}, section: "balance" },
];
