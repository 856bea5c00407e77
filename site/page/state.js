// The traits of a viewer that shows nothing yet: those of TokenViewer (moe_lite/widgets/token_viewer/widget.py), and of
// the page `losses` and `losses_whole`, of each token with and without the muting, and `logits` of its routers.

// words: what the page was built with; counts: the expert counts of the models that there are
function viewerState(words, counts) {
  return {
    question: words.question, source: "", reading: "", error: {}, asked: 0, answered: 0, gesture: 0, twin_of: "", suggested: [],
    text: "", domains: [], n_experts: counts.includes(8) ? 8 : counts[0], top_k: 2, muted: [], first: 0,
    layer: 1, choice: 0, pinned: -1, picked: [], by_weight: false, shown: "after", note: "", page: {}, routed: {}, routed_before: {},
    losses: [], losses_whole: [], logits: [],
    fixed: { counts, samples: Object.keys(words.samples), say: words.say, empty: words.empty, ordinals: words.ordinals, names: {} },
    ...words.opening,
  };
}
