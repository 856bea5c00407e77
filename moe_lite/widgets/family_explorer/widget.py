"""The family explorer: same token, two rules: which experts change, and why?"""

import html
from collections.abc import Mapping

from torch import Tensor
from traitlets import Dict, Float, Int, Unicode

from moe_lite.checkpoint import pretrained
from moe_lite.families.presets import family
from moe_lite.look.svg import drawn_only
from moe_lite.model.transformer import MoELanguageModel
from moe_lite.widgets.family_explorer.drawing import NARROWEST, TWIN, WIDEST, FamilyDrawing, rules_html, table_html
from moe_lite.widgets.family_explorer.view import MOST_EXPERTS, Comparison, Rule, compare, most_chosen, offered
from moe_lite.widgets.family_explorer.words import (
    EMPTY,
    badge,
    heading,
    not_offered,
    note,
    reading_parts,
    setting_text,
    short,
    told,
)
from moe_lite.widgets.kit.parts import plain, rich
from moe_lite.widgets.kit.token_rows import given_rows, model_rows
from moe_lite.widgets.kit.widget import FROM_PAGE, MoEWidget, script, style

SENTENCE = "Are we all met? def area(r): return"
N_EXPERTS, MOST_K = 16, 8
STRENGTHS = tuple(n / 10 for n in range(11))


class FamilyExplorer(MoEWidget):
    """One token under the rules of two published families, side by side: same logits, same E, same k.

    sentence      its tokens are shown one at a time (None: SENTENCE); with `logits` it only names their rows
    left, right   names of families whose rule is a setting of `routing.route`
    top_k         experts per token, for both
    token         its place in the sentence, from 0; negative from the end
    bias          a rule with a bias gets EXAMPLE_BIAS times this, from 0 to 1
    model, layer  whose router gives the logits; the shipped model with 16 experts if None, layer counted from 1
    logits        (N, E) float: these instead of a model's

    All of left, right, top_k, token and bias are traits. The sentence below says what the rules take, and finds the
    reason by taking over options of the first rule into the second. A setting that cannot be is corrected or set back,
    and the widget says so. Raises ValueError for a layer or logits that do not fit.
    """

    question = Unicode("Same token, two rules: which experts change, and why?").tag(sync=True)
    inputs = ("left", "right", "top_k", "token", "bias", "width")
    _esm = script("family_explorer/script.js")
    _css = style("family_explorer/style.css")

    left = Unicode("mixtral", help="The first family.").tag(**FROM_PAGE)
    right = Unicode("deepseek_v3", help="The second family.").tag(**FROM_PAGE)
    top_k = Int(4, help="Experts that the token takes, in both.").tag(**FROM_PAGE)
    token = Int(0, help="The token's place in the sentence, from 0; negative from the end.").tag(**FROM_PAGE)
    bias = Float(0.3, help="The example bias is multiplied by it.").tag(**FROM_PAGE)
    width = Int(WIDEST, help="px that there are for the figure; the script measures them.").tag(**FROM_PAGE)
    figure = Unicode(help="The SVG.").tag(sync=True)
    parts = Dict(help="The reading line in pieces, the note, the rules, whether a bias has an effect.").tag(sync=True)
    fixed = Dict(help="What does not change: families by year, tokens, steps of the sliders.").tag(sync=True)

    def __init__(
        self,
        sentence: str | None = None,
        *,
        left: str = "mixtral",
        right: str = "deepseek_v3",
        top_k: int = 4,
        token: int = -1,
        bias: float = 0.3,
        model: MoELanguageModel | None = None,
        layer: int = 2,
        logits: Tensor | None = None,
    ):
        if logits is None:
            text = SENTENCE if sentence is None else sentence
            self.rows = model_rows(model or pretrained(N_EXPERTS), text, layer)
        else:
            self.rows = given_rows(logits, sentence)
        n_experts = self.rows.logits.shape[1]
        if n_experts > MOST_EXPERTS:
            raise ValueError(f"There are {n_experts} experts; the family explorer has room for {MOST_EXPERTS}.")
        self.now: Comparison | None = None  # what is shown
        n = len(self.rows.logits)
        fixed = {
            "families": [[year, [list(each) for each in group]] for year, group in by_year().items()],
            "tokens": [[face.gap, self.rows.name(i)] for i, face in enumerate(self.rows.faces[:n])],
            "experts": n_experts, "most": min(MOST_K, n_experts), "strengths": list(STRENGTHS), "others": not_offered(),
            "width": [NARROWEST, WIDEST],
        }  # fmt: skip
        super().__init__(left=left, right=right, top_k=top_k, token=token, bias=bias, fixed=fixed)

    # ---- settings ----------------------------------------------------------------------------------------------------

    def compute(self) -> None:
        """Correct the settings, let both rules choose, draw what they did."""
        if not len(self.rows.logits):
            self.reading, self.parts = EMPTY, {"reading": [EMPTY], "note": ""}
            return
        complaint = self._set_back()
        corrected = self._correct()
        rules = [Rule.of(name, self.n_experts, self.top_k) for name in (self.left, self.right)]
        logits, text = self.rows.logits[self.token], self.rows.name(self.token)
        now = compare(logits, *rules, self.top_k, self.bias, token=self.token, text=text)
        self._show(now, [self.rows.cut, *corrected])
        if complaint:
            self.error = complaint

    @property
    def n_experts(self) -> int:
        return self.rows.logits.shape[1]

    def _set_back(self) -> dict[str, str]:
        """Names that cannot be become what was shown last; what to say of it, or {}."""
        complaints, shown = [], []
        for trait, default in (("left", "mixtral"), ("right", "deepseek_v3")):
            try:
                Rule.of(getattr(self, trait), self.n_experts, 1)
            except ValueError as problem:
                complaints.append(str(problem))
                band = getattr(self.now, trait, None)
                setattr(self, trait, band.rule.name if band else default)
                shown.append(short(getattr(self, trait)))
        if not complaints:
            return {}
        return {"what": " ".join(complaints), "instead": f"Showing {' and '.join(shown)}.", "details": ""}

    def _correct(self) -> list[str]:
        """Bring the numbers into range; a sentence for each that contradicted another setting."""
        n, corrected = len(self.rows.logits), []
        self.token = min(max(0, self.token + n if self.token < 0 else self.token), n - 1)
        self._clamp("top_k", 1, self.fixed["most"], f"it goes from 1 to {self.fixed['most']}", corrected)
        for name in dict.fromkeys((self.left, self.right)):
            most, groups, size = most_chosen(name, self.n_experts)
            opens = f"{groups} group{'s' * (groups > 1)} of {size} experts"
            self._clamp("top_k", 1, most, f"{short(name)} opens {opens}", corrected)
        self._clamp("bias", 0.0, 1.0, "it goes from 0 to 1", corrected)
        return corrected

    def _clamp(self, trait: str, low: float, high: float, why: str, corrected: list[str]) -> None:
        wanted = getattr(self, trait)
        setattr(self, trait, min(max(low, wanted), high) if wanted == wanted else low)  # not a number: the lowest
        if getattr(self, trait) != wanted:
            name = {"top_k": "k"}.get(trait, trait)
            corrected.append(f"{name} was {wanted:g}, but {why}: now it is {getattr(self, trait):g}.")

    # ---- figure ------------------------------------------------------------------------------------------------------

    def _show(self, now: Comparison, corrected: list[str]) -> None:
        self.now = now
        words = reading_parts(now)
        self.reading = plain(words)
        self.source = badge(self.rows.origin or "logits as given", now)
        self.figure = self._drawing(self.width).svg(self.reading)
        self.parts = {
            "reading": words,
            "note": note(now, [text for text in corrected if text]),
            "biased": any(band.rule.has_bias for band in now.bands),
            "rules": [[*heading(band.rule), [list(row) for row in told(band).items()]] for band in now.bands],
        }

    def _drawing(self, width: int) -> FamilyDrawing:
        return FamilyDrawing(self.now, self.rows.span, width)

    # ---- static twin -------------------------------------------------------------------------------------------------

    def twin(self) -> str:
        problem = self.error_html()
        if self.now is None:
            return problem
        before, token, after = map(html.escape, self.rows.sentence(self.now.token))
        setting = f'<p class="sent"><code dir="auto">{before}<b>{token}</b>{after}</code></p>'
        setting += f'<p class="note">{html.escape(setting_text(self.now))}</p>'
        figure = drawn_only(self._drawing(TWIN).svg(self.reading)) + table_html(self.now)
        rules = rules_html(self.parts["rules"])
        return f'{problem}{setting}{figure}<p class="note">{html.escape(self.parts["note"])}</p>{rules}'

    def reading_html(self) -> str:
        return rich(self.parts["reading"], self.n_experts)


def by_year() -> Mapping[str, list[tuple[str, str]]]:
    """year -> (name, title) of its families; those without a date last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in offered():
        entry = family(name)
        groups.setdefault(entry.when[:4] or "without a date", []).append((name, entry.title))
    return groups
