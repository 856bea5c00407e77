"""What a check shows: one line of text that never varies, a card without script, and a short error under pytest."""

import re
from html.parser import HTMLParser

import pytest
import torch
from answers import FOLDER, answers

from moe_lite.checks import CheckFailed, lesson00, lesson03
from moe_lite.checks.card.card import card_html, hints_html, marked
from moe_lite.checks.card.table import side_by_side
from moe_lite.checks.engine.as_code import assignment
from moe_lite.checks.engine.compare import differing, first_difference
from moe_lite.checks.engine.exercise import Note
from moe_lite.checks.engine.grade import grade
from moe_lite.checks.engine.result import CheckResult, Evidence
from moe_lite.checks.registry import exercises
from moe_lite.look import palette

TOP_K = exercises()["3.2"]
SHOWN = [answer for answer in answers("0.1", "3.2") if not answer.right]
VOID = {"br", "hr", "img", "meta"}


class Outline(HTMLParser):
    """Collects tags and text, and holds that every tag is closed in its order."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], "", []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


def not_renormalised(scores, k):
    weights, expert_ids = scores.sort(dim=-1, descending=True, stable=True)
    return weights[:, :k], expert_ids[:, :k]


def test_the_text_form_of_each_status():
    def stub(scores, k):
        raise NotImplementedError

    def broken(scores, k):
        return scores + unknown  # noqa: F821

    assert repr(grade(TOP_K, TOP_K.reference)) == "3.2 top_k_route: 9 of 9 pass"
    assert repr(grade(TOP_K, not_renormalised)) == "3.2 top_k_route: 3 of 9 pass — The weights are not renormalised."
    assert repr(grade(TOP_K, stub)) == "3.2 top_k_route: not attempted yet"
    assert repr(grade(TOP_K, broken)) == "3.2 top_k_route: your code raised NameError in case 1 of 9"


@pytest.mark.parametrize("answer", SHOWN, ids=lambda answer: answer.id)
@pytest.mark.slow
def test_a_card_is_the_same_every_time_and_says_what_the_line_says(answer):
    first, second = answer.graded(), answer.graded_anew()
    assert card_html(first) == card_html(second)
    assert repr(first) == repr(second) and "\n" not in repr(first)
    card = Outline(card_html(first))
    assert first.headline in card.text
    assert first.status in card.text
    if first.status == "not yet":
        assert first.mistake.title.replace("`", "") in card.text


@pytest.mark.parametrize("answer", SHOWN, ids=lambda answer: answer.id)
def test_a_card_loads_nothing_runs_nothing_and_names_no_folder(answer):
    html = card_html(answer.graded())
    card = Outline(html)
    assert not {"script", "iframe", "img", "link", "object"} & set(card.tags)
    assert not [name for name, _ in card.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http" not in html and "url(" not in html
    assert str(FOLDER) not in html and "site-packages" not in html
    assert not re.search(r"0x[0-9a-f]{6,}", html)


def test_learners_text_is_escaped():
    def top_k_route(scores, k):
        print("<script>alert(1)</script>")
        raise ValueError("<img src=x onerror=alert(1)>")  # <b>bold</b>

    html = card_html(grade(TOP_K, top_k_route))
    assert "<script" not in html and "<img" not in html and "<b>bold" not in html
    assert "&lt;img src=x" in html and "&lt;script&gt;" in html


def test_both_hints_are_on_the_card_of_an_attempt_and_none_on_a_pass():
    card = card_html(grade(TOP_K, not_renormalised))
    assert hints_html(TOP_K.hints) in card
    assert "Hint 1" not in card_html(grade(TOP_K, TOP_K.reference))


def test_backticks_become_code_and_everything_else_is_escaped():
    assert marked("`a < b` & c") == "<code>a &lt; b</code> &amp; c"


def test_every_colour_comes_from_the_palette():
    card = card_html(grade(TOP_K, not_renormalised))
    assert palette.css_variables(".mx-check") in card
    own = card.replace(palette.css_variables(".mx-check"), "")
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", own)


def test_both_arrays_are_drawn_with_badges_and_only_the_wrong_cells_framed():
    card = card_html(grade(TOP_K, not_renormalised))
    left, right = re.findall(r"<table>.*?</table>", card)
    n_tokens, n_experts, k = 9, 8, 3  # of the first random trial
    assert left.count('scope="col"') == n_experts and 'class="n e7">7<' in left
    assert "bad" not in left
    assert right.count("bad") == 6 * k, "six of nine rows are drawn, and every kept weight is wrong"
    assert f"27 of {n_tokens * n_experts} differ, first at [0, 0]" in right
    assert ">0.10</td>" in left and ">0.08</td>" in right


def test_the_pinned_cell_and_the_input_can_be_run_again():
    evidence = grade(TOP_K, not_renormalised).evidence
    assert evidence.where == "case 4 of 9, seed 1, float64"
    assert evidence.pinned == "expected 0.0973, yours 0.0843, ratio 0.87"
    namespace = {"torch": torch, "top_k_route": not_renormalised}
    *inputs, call = evidence.input_code.rsplit("\n", 1)
    exec("\n".join(inputs), namespace)
    weights, expert_ids = eval(call, namespace)
    scores = TOP_K.cases()[3].trials[0].args[0]
    torch.testing.assert_close(namespace["scores"], scores, rtol=0, atol=0)
    assert f"{weights[expert_ids == 0][0]:.4f}" == "0.0843"


@pytest.mark.parametrize("id", ["0.1", "3.1", "3.4"])
def test_inputs_of_every_type_are_printed_exactly(id):
    for case in exercises()[id].cases():
        for trial in case.trials:
            for name, value in zip(exercises()[id].parameters, trial.args, strict=True):
                namespace = {"torch": torch}
                exec(assignment(name, value), namespace)
                if isinstance(value, torch.Tensor):
                    torch.testing.assert_close(namespace[name], value, rtol=0, atol=0)
                else:
                    assert namespace[name] == value


def evidence(expected, got, **looks):
    return Evidence(
        "case 1 of 1", "", "x (N, E)", expected, got, first_difference(got, expected),
        int(differing(got, expected).sum()), **looks,
    )  # fmt: skip


def test_a_large_array_is_cut_around_the_first_difference():
    expected = torch.zeros(40, 30)
    got = expected.clone()
    got[20, 15] = 1.0
    html = side_by_side(evidence(expected, got))
    assert html.count("<tr>") == 2 * (1 + 6 + 2), "a head, six rows, and dots above and below, twice"
    assert "n=18" in html and "n=23" in html and "n=17" not in html and "n=24" not in html
    assert html.count('class="gap"') == 2 * 2 * 7
    assert html.count('class="bad"') == 1
    assert "1 of 1200 differ, first at [20, 15]" in html


def test_values_that_print_alike_get_more_digits():
    expected = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    html = side_by_side(evidence(expected, expected + torch.tensor([[1e-5, 0.0]])))
    assert ">0.50000<" in html and ">0.50001<" in html


def test_expert_numbers_wear_their_experts_colours():
    expected, got = torch.tensor([[2, 0, 1]]), torch.tensor([[0, 2, 1]])
    html = side_by_side(evidence(expected, got, expert_values=4))
    assert '<td class="t e2"' in html and '<td class="t e0 bad"' in html


def test_nan_and_one_dimension_are_drawn():
    expected, got = torch.tensor([1.0, 2.0]), torch.tensor([float("nan"), 2.0])
    html = side_by_side(evidence(expected, got, expert_columns=True))
    assert ">nan<" in html and "n=0" not in html


def test_under_pytest_a_check_that_does_not_pass_raises_one_short_line():
    """tests/conftest.py has set MOE_LITE_CHECKS=raise."""
    with pytest.raises(CheckFailed) as caught:
        lesson03.top_k_route(not_renormalised)
    assert str(caught.value) == "3.2 top_k_route: 3 of 9 pass — The weights are not renormalised."
    shown = caught.value._render_traceback_()
    assert shown[0] == str(caught.value)
    assert "Yours sum to 0.87" in shown[1] and shown[2].startswith("case 4 of 9, seed 1")
    assert isinstance(caught.value, AssertionError) and caught.value.__cause__ is None


def test_under_pytest_an_open_exercise_raises_and_a_pass_is_returned():
    def stub(expert_ids, n_experts): ...

    with pytest.raises(CheckFailed, match="^0.1 expert_load: not attempted yet$"):
        lesson00.expert_load(stub)
    assert lesson00.expert_load(exercises()["0.1"].reference).status == "pass"


def test_in_a_notebook_nothing_raises(monkeypatch):
    monkeypatch.delenv("MOE_LITE_CHECKS")
    assert lesson03.top_k_route(not_renormalised).status == "not yet"
    assert lesson03.top_k_route(None).status == "not yet"


def test_a_card_of_a_note_without_evidence_is_whole():
    result = CheckResult("3.2", "top_k_route", 0, 8, "not yet", Note("Nothing is returned", "No `return`."))
    assert "Nothing is returned." in Outline(card_html(result)).text


def test_cases_that_were_left_out_say_why():
    def breaks_at_large_scores(scores, k):
        if scores.max() > 1000:
            raise ValueError("too large")
        return not_renormalised(scores, k)

    result = grade(TOP_K, breaks_at_large_scores)
    assert [ok for _, ok in result.cases] == [True, True, True, False, False, False, None, None, None]
    text = Outline(card_html(result)).text
    assert "– left out: your code raised ValueError in case 7" in text
    assert "left out" not in Outline(card_html(grade(TOP_K, not_renormalised))).text


def test_a_tie_is_shown_where_it_stands():
    """The sentence names a token and two experts; the arrays under it begin at that token."""

    def last_of_equals_first(scores, k):
        weights, ids = scores.flip(-1).sort(dim=-1, descending=True, stable=True)
        weights, ids = weights[:, :k], scores.shape[1] - 1 - ids[:, :k]
        return weights / weights.sum(dim=-1, keepdim=True), ids

    result = grade(TOP_K, last_of_equals_first)
    token, place = result.evidence.index
    expected, got = result.evidence.expected, result.evidence.got
    assert result.mistake.title == "Ties are broken the wrong way"
    assert result.evidence.label == "expert_ids (N, k)"
    named = f"experts {expected[token, place]} and {got[token, place]} have the same score for token {token}"
    assert named in result.mistake.sentence


def test_a_scalar_is_pinned_and_not_drawn():
    result = grade(exercises()["1.1"], lambda logits, targets: logits.sum() * 0 + 1.6)
    assert result.evidence.pinned == "expected 2.4068, yours 1.6000, ratio 0.66"
    card = Outline(card_html(result))
    assert "table" not in card.tags and "expected 2.4068" in card.text
    assert result.mistake.sentence == "Expected 2.4068, yours 1.6000."


def test_whole_numbers_are_read_as_such():
    count = exercises()["1.3"]
    assert grade(count, lambda config, context: (2.5, 1)).mistake.title == "A float, where a whole number is asked"
    for odd, title in [((1, True), "Not a whole number"), ((1, "2"), "Not a whole number"),
                       ((torch.tensor(1), 2), "Not a whole number"), ((10**40, 1), "A number far too large"),
                       ((1, None), "Not a whole number"), (7, "A tuple is expected")]:  # fmt: skip
        assert grade(count, lambda config, context, odd=odd: odd).mistake.title == title, odd


def test_rows_are_labelled_with_their_own_letter():
    expected = torch.tensor([[1.0, 2.0]])
    drawn = Evidence("", "", "out (T, S)", expected, expected + 1, (0, 0), 2)
    assert "t=0" in side_by_side(drawn) and "n=0" not in side_by_side(drawn)
    drawn = Evidence("", "", "gradient of x", expected, expected + 1, (0, 0), 2)
    assert '<th scope="row">0</th>' in side_by_side(drawn)


def test_whole_numbers_are_written_with_commas_on_the_card():
    result = grade(exercises()["1.3"], lambda config, context: (1234567, 1))
    assert result.evidence.pinned == "expected 306,540, yours 1,234,567"
    assert "expected <code>306,540</code>, yours <code>1,234,567</code>" in card_html(result)
