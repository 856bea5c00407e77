"""Next-token bars: the distribution is the model's, draws are the function's, and what goes wrong is shown."""

import html
import math
import re
from dataclasses import replace

import pytest
import torch
from small import SMALL, model_with_opinions

from moe_lite import MoELanguageModel, data
from moe_lite.model.transformer import sample_token
from moe_lite.widgets import NextTokens
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.kit.widget import KERNEL_GONE
from moe_lite.widgets.next_tokens import widget as next_tokens
from moe_lite.widgets.next_tokens.view import guess, running, visible
from moe_lite.widgets.next_tokens.words import EMPTY, certainty, degrees, held, reading_parts, tenths

TEXT = "Are we all met? def"


def opinionated(model: MoELanguageModel) -> MoELanguageModel:
    """A fresh model finds all tokens equally probable; this one does not."""
    with torch.no_grad():
        model.head.weight.mul_(25)
    return model.eval()


@pytest.fixture(scope="module")
def dense() -> MoELanguageModel:
    return opinionated(MoELanguageModel(replace(SMALL, n_experts=1, top_k=1), seed=3))


@pytest.fixture(scope="module")
def sparse() -> MoELanguageModel:
    return opinionated(model_with_opinions(4))


@torch.no_grad()
def logits_after(model: MoELanguageModel, ids: list[int]) -> torch.Tensor:
    """(V,)"""
    return model(torch.tensor([ids])).logits[0, -1]


def shown(widget: NextTokens) -> list[tuple[str, float]]:
    return [(name, share) for name, _, share, _ in widget.figure["rows"]]


# ---- the distribution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_bars_are_the_models_most_probable_tokens(kind, temperature, request):
    model = request.getfixturevalue(kind)
    widget = NextTokens(model, TEXT, temperature=temperature)
    shares = (logits_after(model, data.encode(TEXT)) / temperature).softmax(dim=0)
    top = shares.topk(12)
    assert [name for name, _ in shown(widget)] == [visible(token) for token in top.indices.tolist()]
    torch.testing.assert_close(torch.tensor([s for _, s in shown(widget)]), top.values, atol=2e-6, rtol=0)
    name, printed, others, _ = widget.figure["others"]
    assert name == "2,036 others" and printed == tenths(others)
    assert others == pytest.approx(1 - top.values.sum().item(), abs=1e-5)
    assert widget.source == ("dense model" if kind == "dense" else "4-expert model")


def test_temperature_zero_leaves_the_most_probable_only(dense):
    widget = NextTokens(dense, TEXT, temperature=0)
    first = logits_after(dense, data.encode(TEXT)).argmax().item()
    assert shown(widget)[0] == (visible(first), 1.0) and all(share == 0 for _, share in shown(widget)[1:])
    assert widget.figure["rows"][0][1] == "100.0 %" and widget.figure["rows"][1][1] == "0 %"
    assert widget.figure["others"][1:3] == ["0 %", 0.0]
    widget.n_drawn = 1
    assert widget.drawn[0].token == first and widget.drawn[0].rank == 1


def test_openness_is_the_perplexity_of_the_distribution():
    # four equal tokens: 4. Probabilities 1/2, 1/4, 1/8, 1/8: entropy 1.75 bits, 2^1.75 = 3.3636
    assert guess((1,), torch.zeros(4), 1.0).equals == pytest.approx(4)
    uneven = guess((1,), torch.tensor([1 / 4, 1 / 2, 1 / 8, 1 / 8]).log(), 1.0)
    assert uneven.equals == pytest.approx(2**1.75)
    assert uneven.order.tolist() == [1, 0, 2, 3] and uneven.rank(0) == 2
    assert guess((1,), torch.tensor([0.0, 1000.0]), 1.0).equals == pytest.approx(1)
    # T = 1/2 squares the probabilities: 16 : 4 : 1 : 1 of 22
    cold = guess((1,), torch.tensor([1 / 4, 1 / 2, 1 / 8, 1 / 8]).log(), 0.5)
    torch.testing.assert_close(cold.shares, torch.tensor([4, 16, 1, 1], dtype=torch.float64) / 22, atol=1e-6, rtol=0)
    assert cold.at_one == pytest.approx(0.5)


@pytest.mark.parametrize("temperature", [1e-306, 0.01])
def test_almost_no_temperature_is_no_overflow(temperature):
    assert guess((1,), torch.tensor([-1e4, 1e4, 1e4 - 1]), temperature).shares.tolist() == pytest.approx([0, 1, 0])


def test_temperature_moves_without_running_the_model(dense):
    widget, runs = NextTokens(dense, TEXT), []
    hook = dense.register_forward_hook(lambda *_: runs.append(1))
    try:
        for temperature in (0.1, 0.5, 0, 1.7):
            widget.temperature = temperature
        assert runs == [] and widget.guess.temperature == 1.7
        widget.n_drawn = 2
        assert len(runs) == 2, "the places after the first and the second token; the one before was known"
        widget.n_drawn = 1
        assert len(runs) == 2, "a place that was shown before is known"
        widget.refresh()
        assert len(runs) == 3
    finally:
        hook.remove()


def test_ticks_keep_the_value_before_the_temperature_moved(dense):
    widget = NextTokens(dense, TEXT)
    assert all(was is None for *_, was in widget.figure["rows"])
    before, others = shown(widget), widget.figure["others"][2]
    widget.temperature = 0.5
    assert [was for *_, was in widget.figure["rows"]] == [share for _, share in before]
    assert widget.figure["others"][3] == pytest.approx(others, abs=1e-6)
    with widget.hold_trait_notifications():
        widget.temperature, widget.n_drawn = 0.8, 1  # another place has other tokens
    assert all(was is None for *_, was in widget.figure["rows"])


def test_training_mode_is_left_as_it_was():
    model = MoELanguageModel(replace(SMALL, n_experts=1, top_k=1)).train()
    NextTokens(model, TEXT).n_drawn = 1
    assert model.training


# ---- text and draws --------------------------------------------------------------------------------------------------


def test_draws_are_those_of_the_function_one_after_the_other(sparse):
    widget = NextTokens(sparse, TEXT, temperature=1.3)
    widget.n_drawn = 1
    widget.n_drawn = 6
    ids, chance = data.encode(TEXT), torch.Generator().manual_seed(0)
    for drawn in widget.drawn:
        logits = logits_after(sparse, ids)
        assert drawn.token == sample_token(logits[None], 1.3, chance).item()
        shares = (logits.double() / 1.3).softmax(dim=0)
        assert drawn.share == pytest.approx(shares[drawn.token].item(), rel=1e-4)
        assert drawn.rank == 1 + (shares > shares[drawn.token]).sum().item()
        ids.append(drawn.token)
    assert widget.guess.place == tuple(ids)
    facts = [about for _, about in widget.line["drawn"]]
    last = widget.drawn[-1]
    assert facts[-1] == (
        f"drawn, 6 of 6: {visible(last.token)} · {tenths(last.share)} at temperature 1.3 · rank {last.rank:,} of 2,048"
    )
    assert [text for text, _ in widget.line["drawn"]] == [running(d.token) for d in widget.drawn]


def test_undo_takes_back_and_a_new_text_begins_anew(dense):
    widget = NextTokens(dense, TEXT)
    first = widget.figure
    widget.n_drawn = 5
    kept = widget.drawn[:3]
    widget.n_drawn = 3
    assert widget.drawn == kept and widget.guess.place[-1] == kept[-1].token
    widget.text = "Q: 2"
    assert (widget.drawn, widget.n_drawn) == ([], 0) and widget.guess.place == tuple(data.encode("Q: 2"))
    widget.text, widget.n_drawn = TEXT, -4
    assert widget.n_drawn == 0 and widget.figure == first


def test_draws_have_an_end(dense, monkeypatch):
    monkeypatch.setattr(next_tokens, "MOST_DRAWN", 4)
    widget = NextTokens(dense, TEXT)
    widget.n_drawn = 9
    assert len(widget.drawn) == widget.n_drawn == 4 and widget.note == "At most 4 tokens are drawn after a text."


def test_page_can_ask_for_a_text_and_a_draw_at_once(dense):
    widget = NextTokens(dense, TEXT)
    widget.n_drawn = 3
    with widget.hold_trait_notifications():
        widget.text, widget.n_drawn = "Q: 2", 2
    assert len(widget.drawn) == 2 and widget.guess.place[:-2] == tuple(data.encode("Q: 2"))
    first, shares = widget.drawn[0], logits_after(dense, data.encode("Q: 2")).softmax(dim=0)
    assert first.share == pytest.approx(shares[first.token].item(), rel=1e-4), "drawn after the new text"


def test_long_text_is_cut_to_its_last_tokens_and_that_is_said(dense):
    text = "word " * 80
    widget, ids = NextTokens(dense, text), data.encode(text)
    assert f"The model reads 64 tokens at once: of {len(ids)}, the last 64 count." == widget.note
    shares = logits_after(dense, ids[-64:]).softmax(dim=0)
    assert shown(widget)[0][1] == pytest.approx(shares.max().item(), abs=2e-6)
    widget.n_drawn = 3
    assert f"of {len(ids) + 3}, " in widget.note and widget.error == {}


def test_empty_text_says_what_goes_here(dense):
    widget = NextTokens(dense, "")
    assert widget.reading == EMPTY and widget.figure == {} and widget.error == {}
    assert EMPTY in widget.static_html() and "<table" not in widget.static_html()
    widget.n_drawn = 3
    assert widget.n_drawn == 0 and widget.drawn == []
    widget.text = TEXT
    assert len(shown(widget)) == 12
    widget.text = ""
    assert widget.figure == {} and widget.line == {} and widget.reading == EMPTY


@pytest.mark.parametrize("text", ["🙂 naïve", "שלום עולם", "\x00\x1b[31m<b>&\"'", " ", "a\n\n", "\ud83d"])
def test_any_text_can_be_shown(dense, text):
    widget = NextTokens(dense, text)
    widget.n_drawn = 2
    assert widget.error == {} and len(widget.drawn) == 2
    widget.static_html().encode()
    widget.fixed["text"].encode()


def test_settings_out_of_range_are_corrected_or_refused(dense):
    widget = NextTokens(dense, TEXT)
    widget.temperature = 9
    assert widget.temperature == 2 and widget.note == "The temperature was 9, but it goes from 0 to 2: now it is 2."
    widget.temperature = -1
    assert widget.temperature == 0
    with pytest.raises(ValueError, match="vocab_size 61; the course’s tokenizer knows 2,048"):
        NextTokens(MoELanguageModel(replace(SMALL, vocab_size=61)), TEXT)
    for n_shown in (0, 2049):
        with pytest.raises(ValueError, match=f"n_shown is {n_shown}, expected 1 to 2,048"):
            NextTokens(dense, TEXT, n_shown=n_shown)
    assert len(shown(NextTokens(dense, TEXT, n_shown=3))) == 3


# ---- a function that was passed in -----------------------------------------------------------------------------------


def test_function_gets_one_row_the_temperature_and_the_generator(dense):
    seen = []

    def my_sample(logits, temperature, generator):
        seen.append((logits.shape, logits.dtype, temperature, type(generator)))
        logits.zero_()  # whatever it does with its copy
        return torch.tensor([7])

    widget = NextTokens(dense, TEXT, temperature=0.4, sample=my_sample)
    first = widget.figure
    widget.n_drawn = 1
    assert seen == [((1, 2048), torch.float32, 0.4, torch.Generator)]
    assert widget.drawn[0].token == 7 and widget.drawn[0].rank > 1
    widget.n_drawn = 0
    assert widget.figure == first


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda: 1 / 0, "bad raised ZeroDivisionError: division by zero"),
        (lambda: None, "bad returned NoneType; expected a tensor (1,) of whole numbers"),
        (lambda: 5, "bad returned int; expected"),
        (lambda: torch.tensor([[5]]), "bad returned a tensor (1, 1) of torch.int64; expected"),
        (lambda: torch.tensor(5), "bad returned a tensor () of torch.int64; expected"),
        (lambda: torch.tensor([0.5]), "bad returned a tensor (1,) of torch.float32; expected"),
        (lambda: torch.tensor([True]), "bad returned a tensor (1,) of torch.bool; expected"),
        (lambda: torch.tensor([2048]), "bad returned the id 2048; the vocabulary has the ids 0 to 2,047."),
        (lambda: torch.tensor([-1]), "bad returned the id -1; the vocabulary"),
    ],
)
def test_wrong_function_is_named_and_nothing_is_drawn(dense, result, said):
    left = [2]

    def bad(logits, temperature, generator):
        left[0] -= 1
        return sample_token(logits, temperature, generator) if left[0] >= 0 else result()

    widget = NextTokens(dense, TEXT, sample=bad)
    widget.n_drawn = 1
    good, reading, drawn = widget.figure, widget.reading, list(widget.drawn)
    assert widget.error == {}
    widget.n_drawn = 21
    assert widget.error["what"].startswith(said) and "Traceback" in widget.error["details"]
    assert widget.error["instead"] == "The last good figure stays."
    assert (widget.figure, widget.reading, widget.drawn, widget.n_drawn) == (good, reading, drawn, 1)
    assert html.escape(widget.error["what"]) in widget.static_html() and "Traceback" not in widget.static_html()
    widget.temperature = 0.5
    assert widget.error == {} and widget.guess.temperature == 0.5


def test_logits_that_are_no_numbers_are_told(dense):
    model = MoELanguageModel(replace(SMALL, n_experts=1, top_k=1))
    widget = NextTokens(model, TEXT)
    good = widget.figure
    with torch.no_grad():
        model.head.weight[5, 0] = torch.nan
    widget.refresh()
    assert widget.error["what"].startswith("The model’s logits are not all numbers") and widget.figure == good


# ---- words and twin --------------------------------------------------------------------------------------------------


def test_spaces_are_visible():
    samples = (" the", "the", "\n", "\n   ", "    ")
    pieces = {text: [data.token_pieces([i])[0] for i in data.encode(text)] for text in samples}
    assert pieces[" the"] == [" the"] and pieces["\n   "] == ["\n   "]
    assert [visible(data.encode(text)[0]) for text in samples[:4]] == ["␣the", "the", "↵", "↵␣␣␣"]
    assert [running(data.encode(text)[0]) for text in samples[:4]] == [" the", "the", "↵\n", "↵\n   "]
    assert "".join(visible(i) for i in data.encode("é\x00")).startswith(("é", "⟨c3⟩"))


@pytest.mark.parametrize(
    ("share", "text", "rough"),
    [(0.0, "0 %", "0 %"), (0.0004, "<0.1 %", "<1 %"), (0.2143, "21.4 %", "21 %"), (0.9996, ">99.9 %", ">99 %"),
     (0.9951, "99.5 %", ">99 %"), (1.0, "100.0 %", "100 %")],
)  # fmt: skip
def test_no_share_is_rounded_to_all_or_nothing(share, text, rough):
    assert (tenths(share), certainty(share)) == (text, rough)


def test_temperatures_are_printed_as_the_slider_does():
    assert [degrees(t) for t in (0, 0.1, 0.75, 1, 1.0, 2.0)] == ["0", "0.1", "0.75", "1.0", "1.0", "2.0"]


def test_reading_line_states_the_distribution():
    the, of = data.encode(" the")[0], data.encode(" of")[0]
    logits = torch.full((2048,), math.log(0.5 / 2046))
    logits[the], logits[of] = math.log(0.3), math.log(0.2)
    say = plain(reading_parts(guess((1,), logits, 1.0), 12))
    # entropy: 0.3 ln(1/0.3) + 0.2 ln 5 + 0.5 ln 4092 = 0.3612 + 0.3219 + 4.1583 = 4.8414; exp = 126.6
    assert say == (
        "At temperature 1.0 the most probable next token is ␣the with 30 %; the 12 shown hold 50 %, and the choice is "
        "as open as one among 127 equals."
    )
    assert held(guess((1,), logits, 1.0), 12) == pytest.approx(0.5 + 10 * 0.5 / 2046)
    assert plain(reading_parts(guess((1,), logits, 0.0), 12)) == (
        "At temperature 0 the most probable next token is always taken: ␣the, which has 30 % at temperature 1.0."
    )
    assert "there is hardly a choice" in plain(reading_parts(guess((1,), 50 * logits, 1.0), 12))
    assert plain(reading_parts(guess((1,), torch.tensor([1.0, 1.0]), 1.0), 1)).endswith(
        "with 50 %, and the choice is as open as one among 2.0 equals."
    )


def test_static_twin_has_text_numbers_and_sentence(dense):
    widget = NextTokens(dense, "a < b & <script>alert(1)</script>", temperature=1.0)
    widget.n_drawn = 3
    widget.temperature = 1.5
    bundle = widget.twin_bundle()
    twin = bundle["text/html"]
    body = twin.replace(f"<style>{widget._css}</style>", "")
    assert bundle["text/plain"] == widget.reading and KERNEL_GONE in body
    assert "<script" not in body and "<textarea" not in body and "<input" not in body and "<button" not in body
    assert "a &lt; b &amp; &lt;script&gt;" in body and "http" not in body
    rows = re.findall(r"<tr><td><\w+>([^<]+)</\w+></td><td>([^<]+)</td>", body)
    expected = [*widget.figure["rows"], widget.figure["others"]]
    assert rows == [(html.escape(name), html.escape(printed)) for name, printed, *_ in expected]
    assert body.count("<u style=") == 13 and "before the move" in body
    assert html.escape(widget.line["drawn"][-1][1]) in re.sub("<u .*?</u>", "", body)
    assert len(twin.encode()) <= 20_000
    sizes = re.findall(r"(?:font-size:|font:[^;}]*?)\s*([\d.]+)px", widget._css)
    assert len(sizes) > 10 and min(map(float, sizes)) >= 10
