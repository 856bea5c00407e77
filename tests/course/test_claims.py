"""The claims ledger: every pointer is followed, malformed entries are named, and the table shows what decides."""

import ast
import html
import json
import operator
import re
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from moe_lite.course import ledger, outline
from moe_lite.course.claims import claims
from moe_lite.course.ledger import VERDICTS, Cell, Computed, LedgerError, Result, Source, ToCome, read_ledger
from moe_lite.course.outline import CourseError

claims_module = sys.modules[claims.__module__]  # its module has its name
ROOT = Path(__file__).resolve().parents[2]
LEDGER = read_ledger()
POINTERS = [(claim, pointer) for claim in LEDGER for pointer in claim.evidence]
IDS = [f"{claim.id}-{type(pointer).__name__}" for claim, pointer in POINTERS]


# ---- following a pointer: "" if it leads where it says, else what is wrong -------------------------------------------


def follow(pointer) -> str:
    return {Cell: cell, Result: result, Computed: computed, Source: source, ToCome: to_come}[type(pointer)](pointer)


def cell(pointer: Cell) -> str:
    lesson = outline.lesson(pointer.lesson)
    if not lesson.written:
        return f"lesson {lesson.label} is not written; expected kind 'to come'"
    lines = lesson.source.read_text(encoding="utf-8").splitlines()
    text = " ".join(" ".join(line.removeprefix("#") for line in lines).split())
    return "" if pointer.anchor in text else f"lesson {lesson.label} does not say {pointer.anchor!r} any more"


def result(pointer: Result) -> str:
    path = ROOT / pointer.file
    if not path.is_file():
        return f"no file {pointer.file}"
    found = json.loads(path.read_text(encoding="utf-8"))
    for part in pointer.key.split("."):
        try:
            found = found[int(part) if isinstance(found, list) else part]
        except (KeyError, IndexError, TypeError, ValueError):
            return f"no {pointer.key} in {pointer.file}"
    return says(pointer) if found == pointer.value else f"{pointer.file}: {pointer.key} is {found}, not {pointer.value}"


def computed(pointer: Computed) -> str:
    value = evaluate(pointer.expression, configuration(pointer.given) if pointer.given else {})
    decimals = len(str(pointer.value).partition(".")[2])
    return says(pointer) if round(value, decimals) == pointer.value else f"{pointer.expression} is {value}"


def source(pointer: Source) -> str:
    return "" if pointer.ref and pointer.says else "a source without a name or without what it says"


def to_come(pointer: ToCome) -> str:
    lesson = outline.lesson(pointer.lesson)
    if not lesson.written:
        return ""
    return (
        f"lesson {lesson.label} is written now: decide the claim by what it shows, and put a pointer of kind 'cell' "
        f"or 'result' in place of this one"
    )


def says(pointer: Result | Computed) -> str:
    """What a reader sees has the number that was checked."""
    number = f"{pointer.value:,}"
    there = re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d]|[.,]\d)", pointer.says)
    return "" if there else f"{pointer.says!r} does not print its value {number}"


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
OPERATORS |= {ast.Pow: operator.pow}


def evaluate(expression: str, letters: dict[str, float]) -> float:
    """Numbers, letters, + - * / ** and parentheses; KeyError for a letter or an operation that is not there."""

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name):
                return letters[name]
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](value(left), value(right))
        raise KeyError(f"{ast.unparse(node)} in {expression}")

    return value(ast.parse(expression, mode="eval").body)


def configuration(name: str) -> dict[str, float]:
    """Letter -> number, the quoted entries computed from those above them."""
    table, letters = tomllib.loads(ledger.FILE.read_text(encoding="utf-8"))["configurations"][name], {}
    for letter, given in table.items():
        if letter not in ("ref", "url"):
            letters[letter] = evaluate(given, letters) if isinstance(given, str) else given
    return letters


# ---- the ledger ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("claim", "pointer"), POINTERS, ids=IDS)
def test_pointer_leads_where_it_says(claim, pointer):
    assert follow(pointer) == "", f"data/claims.toml, {claim.id}"


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        (Cell(3, "The moon is an expert."), "lesson 03 does not say 'The moon is an expert.' any more"),
        (Cell(14, "Can experts"), "lesson 14 is not written; expected kind 'to come'"),
        (Result("1", "data/checkpoints/moe-e7.json", "step", 1), "no file data/checkpoints/moe-e7.json"),
        (Result("1", "data/checkpoints/moe-e8.json", "load.9.0", 1), "no load.9.0 in data/checkpoints/moe-e8.json"),
        (Result("1", "data/checkpoints/moe-e8.json", "step.x", 1), "no step.x in data/checkpoints/moe-e8.json"),
        (
            Result("3,001 steps", "data/checkpoints/moe-e8.json", "step", 3001),
            "data/checkpoints/moe-e8.json: step is 3000, not 3001",
        ),
        (
            Result("30,000 steps", "data/checkpoints/moe-e8.json", "step", 3000),
            "'30,000 steps' does not print its value 3,000",
        ),
        (Computed("two thirds: 0.66", "2 / 3", 0.66), "2 / 3 is 0.6666666666666666"),
        (Computed("more than half", "2 / 3", 0.67), "'more than half' does not print its value 0.67"),
        (Computed("12.9", "active / 10**9", 12.9, "deepseek-v3"), "active / 10**9 is 37.552282624"),
        (Source("", "somebody"), "a source without a name or without what it says"),
    ],
)
def test_pointer_that_leads_astray_is_found(pointer, wrong):
    assert follow(pointer) == wrong


def test_lesson_that_was_to_come_asks_for_a_decision_once_it_is_written():
    assert follow(ToCome(3)).startswith("lesson 03 is written now: decide the claim by what it shows")
    assert follow(Computed("2", "1 + 1", 2)) == follow(ToCome(16)) == ""


def test_anchor_is_found_across_the_lines_of_a_paragraph():
    lines = outline.lesson(3).source.read_text(encoding="utf-8").splitlines()
    here = next(i for i, line in enumerate(lines) if line.endswith("the layer computes") or len(line) > 120)
    across = f"{lines[here].split()[-1]} {lines[here + 1].split()[1]}"
    assert follow(Cell(3, across)) == ""


@pytest.mark.parametrize(
    ("name", "billions"), [("mixtral-8x7b", 46.703), ("qwen3-30b-a3b", 30.532), ("deepseek-v3", 671.03)]
)
def test_configurations_give_the_published_totals(name, billions):
    assert configuration(name)["total"] / 1e9 == pytest.approx(billions, abs=0.005)


def test_configurations_agree_with_a_model_built_from_them():
    """Small ones of the same form: the letters mean what the package's settings mean."""
    from moe_lite.metrics import count_parameters
    from moe_lite.model.config import ModelConfig
    from moe_lite.model.transformer import MoELanguageModel

    table = tomllib.loads(ledger.FILE.read_text(encoding="utf-8"))["configurations"]["mixtral-8x7b"]
    letters = {"D": 24, "L": 3, "H": 4, "H_kv": 2, "S": 6, "E": 5, "K": 2, "F": 10, "V": 61}
    for name in ("expert", "attention", "shared", "total", "active"):
        letters[name] = evaluate(table[name], letters)
    config = ModelConfig(
        vocab_size=61, n_layers=3, d_model=24, n_heads=4, n_kv_heads=2, n_experts=5, top_k=2, d_expert=10
    )
    counted = count_parameters(MoELanguageModel(config))
    assert (letters["total"], letters["active"]) == (counted.total, counted.active)


def test_ledger_has_the_claims_the_course_grew_out_of():
    ids = {claim.id for claim in LEDGER}
    assert ids >= {
        "active-share",
        "eight-times-seven",
        "question-routed",
        "gpt-4-active",
        "full-precision",
        "quantised-48",
        "no-more-communication",
        "fraction-of-compute",
        "collapse",
        "a-quarter-silent",
        "combined-by-weight",
        "ensemble",
    }
    assert {claim.verdict for claim in LEDGER} == set(ledger.VERDICTS)


def test_lesson_that_decides_a_claim_shows_it():
    for claim in LEDGER:
        deciding = {pointer.lesson for pointer in claim.evidence if isinstance(pointer, (Cell, ToCome))}
        assert deciding <= set(claim.lessons), claim.id


def test_every_configuration_is_used_and_names_its_source():
    table = tomllib.loads(ledger.FILE.read_text(encoding="utf-8"))["configurations"]
    assert {pointer.given for _, pointer in POINTERS if isinstance(pointer, Computed)} - {""} == set(table)
    assert all(values["url"].startswith("https://") and values["ref"] for values in table.values())


# ---- malformed entries -----------------------------------------------------------------------------------------------

ENTRY = {
    "id": "moon",
    "claim": "The moon is an expert.",
    "verdict": "true with conditions",
    "condition": "At night.",
    "lessons": [3],
    "evidence": [{"kind": "source", "says": "so", "ref": "A book"}],
}


def toml(entry: dict) -> str:
    """TOML of flat entries; JSON's strings, numbers and lists are TOML's as well."""

    def value(v) -> str:
        if isinstance(v, dict):
            return "{" + ", ".join(f"{k} = {value(x)}" for k, x in v.items()) + "}"
        return "[" + ", ".join(map(value, v)) + "]" if isinstance(v, list) else json.dumps(v)

    return "[[claims]]\n" + "\n".join(f"{k} = {value(v)}" for k, v in entry.items()) + "\n"


def read(tmp_path: Path, *entries: dict):
    (tmp_path / "claims.toml").write_text("\n".join(map(toml, entries)), encoding="utf-8")
    return read_ledger(tmp_path / "claims.toml")


def test_well_formed_entry_is_read(tmp_path):
    (claim,) = read(tmp_path, ENTRY)
    assert (claim.id, claim.verdict, claim.lessons) == ("moon", "true with conditions", (3,))
    assert claim.evidence == (Source("so", "A book"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"verdict": "mostly"},
            "verdict is 'mostly'; there are true, true with conditions, misleading, false, unknown.",
        ),
        ({"condition": ""}, "condition is empty"),
        ({"lessons": [17]}, "lesson is 17; lessons are whole numbers from 0 to 16"),
        ({"lessons": []}, "lessons is empty"),
        ({"evidence": []}, "evidence is empty"),
        ({"claim": 3}, "claim is 3; expected str."),
        ({"verdikt": "true"}, "unknown field verdikt; known are id, claim, verdict, condition, lessons, evidence."),
        ({"evidence": [{"kind": "hearsay"}]}, "has no kind of cell, result, computed, source, to come."),
        ({"evidence": ["a book"]}, "evidence 'a book' has no kind of"),
        ({"evidence": [{"kind": "cell", "lesson": 3}]}, "evidence 'cell': anchor is missing."),
        ({"evidence": [{"kind": "cell", "lesson": 40, "anchor": "a"}]}, "evidence 'cell': lesson is 40;"),
        ({"evidence": [{"kind": "to come", "lesson": "7"}]}, "evidence 'to come': lesson is '7'; expected int."),
        ({"evidence": [{"kind": "source", "says": "a", "ref": "b", "url": "ftp://c"}]}, "url is 'ftp://c'; expected"),
        (
            {"evidence": [{"kind": "computed", "says": "1", "expression": "D", "value": 1, "given": "gpt-4"}]},
            "given is 'gpt-4'; there are",
        ),
        (
            {"evidence": [{"kind": "to come", "lesson": 12}]},
            "verdict is 'true with conditions', and only lessons to come are to decide it.",
        ),
    ],
)
def test_malformed_entry_is_named_with_what_is_wrong(tmp_path, changes, message):
    good = ENTRY | {"id": "sun"}
    with pytest.raises(LedgerError) as caught:
        read(tmp_path, good, ENTRY | changes)
    assert "claims.toml, claim 1 (moon)" in str(caught.value)
    assert message in str(caught.value)
    assert caught.value._render_traceback_() == [str(caught.value)]  # a notebook shows the message alone


def test_missing_field_second_id_and_broken_file_are_named(tmp_path):
    with pytest.raises(LedgerError, match=r"claim 0 \(moon\): condition is missing."):
        read(tmp_path, {name: value for name, value in ENTRY.items() if name != "condition"})
    with pytest.raises(LedgerError, match="two claims have the id 'moon'"):
        read(tmp_path, ENTRY, ENTRY)
    (tmp_path / "broken.toml").write_text("[[claims")
    with pytest.raises(LedgerError, match="broken.toml cannot be read"):
        read_ledger(tmp_path / "broken.toml")
    (tmp_path / "other.toml").write_text("claims = 3")
    with pytest.raises(LedgerError, match=r"expected tables \[\[claims\]\]; got 3"):
        read_ledger(tmp_path / "other.toml")


# ---- what is shown ---------------------------------------------------------------------------------------------------


class Rows(HTMLParser):
    """The text of every body cell, and links; counts what is left open."""

    def __init__(self, page: str):
        super().__init__()
        self.rows, self.links, self.open = [], [], []
        self.feed(page.split("</style>")[1])

    def handle_starttag(self, tag, attributes):
        if tag != "input":  # which has no end
            self.open.append(tag)
        self.rows += [[]] * 0 if tag != "tr" else [[]]
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += text


def test_table_has_a_row_a_claim_with_verdict_condition_and_evidence():
    shown = Rows(claims().html)
    assert shown.open == []
    head, *rows = shown.rows
    assert head == ["verdict", "claim, and when it holds", "what decides"]
    assert len(rows) == len(LEDGER) == len({claim.id for claim in LEDGER})
    for claim, (verdict, about, evidence) in zip(LEDGER, rows, strict=True):
        assert verdict.endswith(f" {claim.verdict}") and verdict[0] == claims_module.SIGNS[claim.verdict][0]
        assert claim.claim in about and claim.condition in about
        for pointer in claim.evidence:
            if isinstance(pointer, (Result, Computed, Source)):
                assert pointer.says in evidence
            elif isinstance(pointer, Cell):
                assert f"Lesson {pointer.lesson:02d}: “" in evidence


def test_lessons_that_are_not_written_say_so_and_are_no_links():
    shown = Rows(claims().html)
    told = next(" ".join(row) for row in shown.rows if "dense model can be turned into" in " ".join(row))
    assert "Lessons: 14 (to come)" in told
    assert "Lesson 14 will measure it; it is not written yet." in told
    notebooks = {link for link in shown.links if not link.startswith("https://")}
    assert "04_dispatch_and_combine.ipynb" in notebooks
    assert all((ROOT / "notebooks" / link).is_file() for link in notebooks)


def test_text_form_says_the_same():
    text = repr(claims())
    for claim in LEDGER:
        assert f"[{claim.verdict}] {claim.claim}\n  {claim.condition}\n" in text
    assert text.splitlines()[-1].startswith(f"{len(LEDGER)} claims: ")


def test_lesson_has_its_own_rows_or_says_that_it_has_none():
    of_three = [claim for claim in LEDGER if 3 in claim.lessons]
    assert 0 < len(of_three) < len(LEDGER)
    assert repr(claims(3)).count("\n[") == len(of_three)
    lonely = next(n for n in range(17) if not any(n in claim.lessons for claim in LEDGER))
    none = f"No claim of the ledger is about lesson {lonely:02d}, {outline.lesson(lonely).title}."
    assert repr(claims(lonely)).endswith(none) and none in claims(lonely).html
    with pytest.raises(CourseError, match="lesson is 17"):
        claims(17)


def test_in_a_lesson_a_verdict_opens_when_one_was_picked(browser):
    claim = next(claim for claim in LEDGER if 7 in claim.lessons and claim.verdict == "misleading")
    with browser.page() as page:
        page.set_content(claims(7).html)
        row, others = page.locator("tr", has_text=claim.claim), page.locator(".told:visible")
        assert others.count() == 0 and row.locator("label").all_inner_texts() == [*VERDICTS]
        row.get_by_label("true", exact=True).check()
        assert f"{claim.verdict} you said true" in " ".join(row.inner_text().split())
        assert others.count() == row.locator(".told").count(), "only of this claim"
        row.get_by_label("misleading").check()
        assert "misleading as you said" in " ".join(row.inner_text().split())
        page.get_by_label("show all verdicts").check()
        assert others.count() == page.locator(".told").count() > 4


@pytest.mark.parametrize("width", [860, 700])
def test_claims_verdicts_and_what_decides_stand_on_the_same_edges(browser, width):
    """As wide as in a window of 1,360 px, and of 900, with what JupyterLab says of tables."""
    jupyter = """<style>.jp-RenderedHTMLCommon :is(td, th, tr) { line-height: normal; vertical-align: middle; }
      .jp-RenderedHTMLCommon tbody tr:nth-child(2n) { background: rgb(245, 245, 245); }</style>"""
    with browser.page(width + 16) as page:
        page.set_content(f'{jupyter}<div class="jp-RenderedHTMLCommon">{claims(3).html}</div>')
        page.get_by_label("show all verdicts").check()
        for row in page.evaluate(EDGES):
            assert len(row["verdicts"]) == 1, "all five verdicts stand in one line"
            assert max(row["tops"]) - min(row["tops"]) <= 1, "in the line in which the claim begins"
            assert {(left, right) for left, right in row["told"]} == {tuple(row["cell"])}, "and what decides is as wide"
            assert row["behind"] == "rgba(0, 0, 0, 0)"


EDGES = """() => [...document.querySelectorAll('tbody tr')].map((row) => {
  const all = (css) => [...row.querySelectorAll(css)], range = document.createRange();
  const edges = (e) => [e.getBoundingClientRect()].flatMap(({ left, right }) => [Math.round(left), Math.round(right)]);
  const top = (e) => { range.selectNodeContents(e); return [...range.getClientRects()].at(0).top; };
  const words = all('label').map((label) => top(label.lastChild));
  return { verdicts: [...new Set(words)], tops: [top(row.querySelector('th')), words[0]], told: all('.told').map(edges),
           cell: edges(row.querySelector('.pick')), behind: getComputedStyle(row).backgroundColor };
})"""


def test_counts_at_the_foot_are_those_of_the_rows():
    rows = [claim for claim in LEDGER if claim.id in ("small-gate", "full-precision", "upcycling")]
    assert claims_module.summary(rows) == (
        "3 claims: 1 true, 1 true with conditions, 1 misleading. "
        "1 waits for more evidence from lessons that are not written yet."
    )


def test_markup_in_a_claim_is_shown_and_not_obeyed(tmp_path, monkeypatch):
    odd = '<script>alert("1")</script> & <b>'
    entry = ENTRY | {"claim": odd, "condition": odd}
    entry["evidence"] = [{"kind": "source", "says": odd, "ref": odd, "url": 'https://x/"><script>'}]
    entry["evidence"] += [{"kind": "computed", "says": odd, "expression": '1"><script>', "value": 1}]
    (found,) = read(tmp_path, entry)
    monkeypatch.setattr(claims_module, "read_ledger", lambda: (found,))
    page = claims().html
    assert "<script>" not in page and page.count(html.escape(odd)) == 5
    assert Rows(page).links[-1] == 'https://x/"><script>'


def test_table_keeps_to_the_page_and_to_the_palette():
    css = claims_module._CSS
    assert "table-layout:fixed" in css and "overflow-wrap:anywhere" in css and "nowrap" not in css
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", css)
