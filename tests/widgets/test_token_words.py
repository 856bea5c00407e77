"""Any text can be shown; the reading line states what the routing is; the twin is a picture that needs no script."""

import html
import json
import re
import types

import numpy as np
import pytest
from small import SENTENCE, model_with_opinions

from moe_lite import MoELanguageModel, data
from moe_lite.widgets import TokenViewer
from moe_lite.widgets.kit import text as token_text, widget as kit_widget
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import without_mark
from moe_lite.widgets.token_viewer import words as token_words

STRANGE = [
    "",
    " ",
    "\n\n\n",
    "😀😀 e\u0301 שלום مرحبا",
    "\x00\x07\x1b[0m\u202e\u200b\xad\x85",
    "\ud800 half",
    "a\r\nb\tc",
]


@pytest.fixture(scope="module")
def model() -> MoELanguageModel:
    return model_with_opinions()


def faces_of(text: str) -> list[token_text.Face]:
    return list(token_text.token_text((("", text),)).faces)


@pytest.mark.parametrize("text", [*STRANGE, "x" * 10_000, "".join(STRANGE), "😀" * 2500])
def test_any_text_can_be_shown(model, text):
    viewer = TokenViewer(model, "first")
    viewer.text = text
    assert viewer.error == {}
    assert viewer.page.get("total", 0) == len(data.encode(text))
    json.dumps(viewer.page, ensure_ascii=False).encode()  # as it travels: half a surrogate pair would raise
    viewer.text.encode()
    assert viewer.reading == token_words.EMPTY if text == "" else viewer.reading.startswith("Layer 1")
    assert viewer.static_html()


def test_face_of_a_token_makes_white_space_and_hidden_characters_visible():
    face = token_text.face
    assert (face(" return").text, face(" return").gap) == ("return", True)
    assert (face("\n   ").text, face("\n   ").blank) == ("↵\n···", True)
    assert face("\t").text == "→" and face(" ").text == "·" and face("\xa0").text == "␣"
    assert face("\x07").text == "⟨07⟩" and face("\u202e").text == "⟨202e⟩" and face("\r").text == "⟨0d⟩"
    assert face("\u0301").text == "\u25cc\u0301"


def test_tokens_that_share_a_character_show_their_bytes_and_name_it():
    faces = faces_of("a😀b")
    assert [f.text for f in faces[1:5]] == ["⟨f0⟩", "⟨9f⟩", "⟨98⟩", "⟨80⟩"]
    assert [f.part_of for f in faces] == ["", "😀", "😀", "😀", "😀", ""]
    assert [f.place for f in faces] == ["", "first", "inner", "inner", "last", ""]
    looks = [re.search(r'class="([^"]+)"(?: data-char="(.)")?', token_text.tile_html(f)).groups() for f in faces]
    assert looks[1:5] == [("tk by first", "😀"), ("tk by inner", None), ("tk by inner", None), ("tk by last", None)]
    assert looks[0] == looks[5] == ("tk", None)


def test_two_tokens_that_share_a_letter_name_it():
    assert [(f.text, f.part_of) for f in faces_of("ç")] == [("⟨c3⟩", "ç"), ("⟨a7⟩", "ç")]


def test_parts_of_a_word_stay_on_one_line():
    """Also a closing sign, a line's end and the bytes of a character; what signs join only if it is short."""

    def lines(text: str) -> list[str]:
        pieces = ((f.text.replace("\n", ""), f.gap, f.stays) for f in faces_of(text))
        return "".join(("" if stays else "|") + " " * gap + text for text, gap, stays in pieces).split("|")[1:]

    assert lines("a word, unseparated (so)") == ["a", " word,", " unseparated", " (so)"]
    assert lines("f(x): 😀\n  12:45") == ["f(x):", "·", "⟨f0⟩⟨9f⟩⟨98⟩⟨80⟩↵·", "·", "12:45"]
    assert lines("average_total(values):") == ["average_", "total(values):"]
    long = faces_of("abcdefghij" * 20)
    wide = [len(piece) for piece in lines("abcdefghij" * 20)]
    assert 10 < max(wide) <= token_text.TOGETHER and sum(wide) == 200
    assert token_text.together(long[:5]) == long[:5], "what comes later changes nothing"


def test_experts_with_one_share_are_named_together():
    def said(load):
        routing = types.SimpleNamespace(load=np.array([load]))
        return plain(token_words.layer_sentence(routing, 0))

    assert (
        said([3, 1, 3, 1])
        == "Layer 1: of 8 assignments, experts 0 and 2 take most, 38 % each, and experts 1 and 3 least, 13 %."
    )
    assert said([2, 0, 0, 0, 0]) == "Layer 1: of 2 assignments, expert 0 takes most, 100 %, and 4 experts least, 0 %."
    assert said([2, 2]) == "Layer 1: all 2 experts take the same share, 50 % of 4 assignments."


def test_every_token_stays_visible():
    for text in STRANGE:
        assert all(face.text.strip() for face in faces_of(text)), repr(text)


def test_reading_line_of_a_layer_equals_the_loads(model):
    viewer = TokenViewer(model, SENTENCE, layer=2)
    load = viewer.routing.load[1]
    busiest, idlest, total = load.argmax(), load.argmin(), load.sum()
    assert viewer.reading == (
        f"Layer 2: of {total} assignments, expert {busiest} takes most, {100 * load[busiest] / total:.0f} %, "
        f"and expert {idlest} least, {token_words.percent(load[idlest] / total)}."
    )
    viewer.top_k = 8
    assert (
        viewer.reading
        == f"Layer 2: all 8 experts take the same share, 12.5 % of {8 * len(viewer.page['tokens'])} assignments."
    )


def test_reading_line_of_a_pinned_token_equals_its_routing(model):
    viewer = TokenViewer(model, SENTENCE)
    viewer.pinned = i = [token[0] for token in viewer.page["tokens"]].index("return")
    (first, second), (w1, w2) = viewer.routing.experts[0, i], viewer.routing.weights[0, i]
    assert viewer.reading == f"Layer 1 sends return to experts {first} and {second} with weights {w1:.2f} and {w2:.2f}."
    viewer.top_k = 1
    assert viewer.reading == f"Layer 1 sends return to expert {first} with weight 1.00."


def test_reading_line_of_a_picked_expert_counts_its_tokens_and_domains(model):
    viewer = TokenViewer(model, domains=["python", "math"])
    n_python = viewer.page["sections"][0][2]
    viewer.picked = [int(viewer.routing.load[0].argmax())]
    taken = viewer.routing.experts[0, :, 0] == viewer.picked[0]
    most, name = max((taken[:n_python].sum(), "python"), (taken[n_python:].sum(), "math"))
    assert viewer.reading == (
        f"Expert {viewer.picked[0]} is the first choice of {taken.sum()} of {len(taken)} tokens in layer 1. "
        f"{most} of the {taken.sum()} are {name}."
    )


def test_shares_round_to_nothing_only_when_there_is_nothing():
    assert [token_words.percent(x) for x in (0, 0.001, 0.163, 1)] == ["0 %", "<1 %", "16 %", "100 %"]


def test_twin_shows_every_token_with_its_expert_and_every_expert_with_its_share(model):
    viewer = TokenViewer(model, SENTENCE, layer=2)
    viewer.choice = 1
    twin = viewer.static_html()
    numerals = re.findall(r"<sub><b>(\d+)</b></sub>", twin)
    assert numerals == [str(e) for e in viewer.routing.experts[1, :, 1]]
    rail = twin[twin.index('class="rail"') :]
    rows = re.findall(r'<span class="n e(\d)"[^>]*>(\d)</span>.*?<span class="r">([^<]+)</span>', rail)
    load = viewer.routing.load[1]
    assert rows == [(str(e), str(e), token_words.percent(load[e] / load.sum())) for e in range(8)]
    said = re.sub(r"<[^>]+>", "", twin[twin.index('class="read">') + 13 :]).replace("&nbsp;", " ")
    assert said == f"{viewer.reading} A picture. Run the cell to move it."
    assert "Picture of layer 2, second choice." in twin and "A picture. Run the cell to move it." in twin
    assert "<script" not in twin and "<input" not in twin and "<button" not in twin


def test_a_cell_shows_the_twin_and_then_the_live_widget(model, monkeypatch):
    viewer, shown = TokenViewer(model, SENTENCE), []
    monkeypatch.setattr(kit_widget, "display", lambda data, **how: shown.append((data, how)))
    viewer._ipython_display_()
    (twin, how), (live, _) = shown
    assert how == {"raw": True, "display_id": True}, "so that it can be renewed"
    assert twin["text/plain"] == viewer.reading and f'data-of="{viewer.twin_of}"' in twin["text/html"]
    assert without_mark(twin["text/html"]) == viewer.static_html()
    assert [*live] == ["application/vnd.jupyter.widget-view+json"], "no text: the twin has said it"
    assert live["application/vnd.jupyter.widget-view+json"]["model_id"] == viewer.model_id


def test_text_is_escaped_in_the_twin(model):
    for source in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><b>&amp;', "</style><script>"):
        viewer = TokenViewer(model, {source: source}, source=source)
        viewer.pinned = 0
        body = viewer.static_html().replace(f"<style>{viewer._css}</style>", "")
        assert "<script" not in body and "<img" not in body and 'class="tag">"><b>' not in body
        assert html.escape(source) in body  # the name in the margin and the badge
    tokens = re.findall(r'<span class="tk[^>]*>(.*?)<sub>', TokenViewer(model, "a < b & c > d").static_html())
    assert [token for token in tokens if "<em>" not in token] == ["a", "&lt;", "b", "&amp;", "c", "&gt;", "d"]


def test_twin_of_sixty_tokens_is_small_and_has_no_tiny_text(model):
    text = data.SAMPLES["dialogue"]
    viewer = TokenViewer(model, text)
    assert viewer.routing.shape[1] >= 60
    twin = viewer.static_html()
    assert len(twin.encode()) < 40_000
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: ?(?:\d00 )?([\d.]+)px", twin)]
    assert len(sizes) > 5 and min(sizes) == 10, "10 px is the numeral on a token; nothing is smaller"


def test_more_than_eight_experts_share_hues_by_block():
    viewer = TokenViewer(model_with_opinions(16), SENTENCE)
    twin = viewer.static_html()
    for expert in range(16):
        pale = " alt" if expert % 2 else ""
        assert re.search(rf'<span class="n e{expert // 2}{pale}"[^>]*>{expert}</span>', twin)
