"""The card of a check: static HTML, no script, the same in every run."""

import re
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from pathlib import Path

from moe_lite.checks.card.table import given_tables, side_by_side
from moe_lite.checks.engine.result import CheckResult, Failure
from moe_lite.look import palette
from moe_lite.look.terminal import printable

SIGNS = {"pass": "✓", "not yet": "✗", "open": "○", "stopped": "!"}
COLOURS = {"pass": "ok", "not yet": "bad", "open": "fg2", "stopped": "warn"}
MARKS = {True: ('<span class="ok">✓</span>', ""), False: ('<b class="no">✗</b>', "b"), None: ("–", "")}


@dataclass(frozen=True, eq=False)
class Card(CheckResult):
    """A check's result that a notebook draws as a card."""

    program: str = ""  # what became of the function in the learner's own program, with `code` in backticks
    program_link: str = ""

    @classmethod
    def of(cls, result: CheckResult) -> "Card":
        return cls(**vars(result))

    def with_program(self, sentence: str, link: str) -> "Card":
        return replace(self, program=sentence, program_link=link)

    def __repr__(self) -> str:
        return printable(self.line)

    def _repr_html_(self) -> str:
        return card_html(self)


def card_html(result: CheckResult) -> str:
    """The whole card with its style."""
    sign = f"<b>{SIGNS[result.status]} {result.status}</b>"
    hints = "" if result.status == "pass" else hints_html(result.hints)
    parts = [f'<div class="l">{sign}<code>{escape(result.headline)}</code><span class="sp"></span>{hints}</div>']
    if result.status in ("pass", "open"):
        parts.append(f'<p class="dim">{marked(result.remark)}</p>{_program_html(result)}')
    elif result.status == "stopped":
        parts.append(_failure_html(result.failure))
    else:
        parts.append(_mistake_html(result))
    if result.printed:
        parts.append(f"<details><summary>what your code printed</summary><pre>{escape(result.printed)}</pre></details>")
    frame = f'<div class="mx-check" role="group" aria-label="check" style="--c:var(--{COLOURS[result.status]})">'
    return f"<style>{style_text()}</style>{frame}{''.join(parts)}</div>"


def _program_html(result: CheckResult) -> str:
    """The line about the learner's own program; its first `code` is the file, and leads there."""
    if not getattr(result, "program", ""):
        return ""
    text = marked(result.program)
    if result.program_link:
        text = re.sub(r"<code>.+?</code>", rf'<a href="{escape(result.program_link)}">\g<0></a>', text, count=1)
    return f'<p class="dim">{text}</p>'


def hints_html(hints: tuple[str, ...]) -> str:
    """The hints, folded; the card and the lesson's page both show these."""
    return "\n".join(
        f"<details><summary>Hint {number}</summary>{marked(hint)}</details>"
        for number, hint in enumerate(hints, start=1)
    )


def marked(text: str) -> str:
    """Escaped text with `code` in backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _mistake_html(result: CheckResult) -> str:
    evidence = result.evidence
    parts = [f"<h4>{marked(result.mistake.title)}.</h4><p>{marked(result.mistake.sentence)}</p>", _cases_html(result)]
    if evidence and evidence.expected is not None and evidence.expected.dim():
        parts.append(side_by_side(evidence))
    if evidence and evidence.given:
        parts.append(given_tables(evidence.given))
    if evidence:
        pinned = re.sub(r"(?<= )([−\d][\d.e+−]*(?:,\d{3})*|nan|−?inf)(?=,|$)", r"<code>\1</code>", evidence.pinned)
        where = f'<span class="dim">{escape(evidence.where)}{":" if pinned else ""}</span> {pinned}'
        code = f"<pre>{escape(evidence.input_code)}</pre>"
        parts.append(
            f'<div class="s">{where} <details class="copy"><summary>copy this input</summary>{code}</details></div>'
        )
    return "".join(parts)


def _cases_html(result: CheckResult) -> str:
    spans = []
    for name, ok in result.cases:
        mark, weight = MARKS[ok]
        spans.append(f"<span>{mark} {'<b>' if weight else ''}{escape(name)}{'</b>' if weight else ''}</span>")
    if any(ok is None for _, ok in result.cases):
        failed = result.failure and result.failed_case
        why = f"left out: {result.failure.what} in case {failed}" if failed else "tried once the others are right"
        spans.append(f'<span class="dim">– {escape(why)}</span>')
    return f'<div class="cases">{"".join(spans)}</div>' if spans else ""


def _failure_html(failure: Failure) -> str:
    rows = []
    for number, text, failed in failure.lines:
        row = f"{'❯' if failed else ' '} {number:>3}  {escape(text)}"
        rows.append(f"<mark>{row}</mark>" if failed else row)
    if failure.message:
        rows += ["", f"<mark>{escape(failure.message)}</mark>"] if rows else [f"<mark>{escape(failure.message)}</mark>"]
    parts = [f'<pre class="tb">{chr(10).join(rows)}</pre>' if rows else ""]
    if failure.note.sentence:
        lead = "<b>Likely cause:</b> " if failure.message else ""
        parts.append(f"<p>{lead}{marked(failure.note.sentence)}</p>")
    if failure.traceback:
        folded = f"<pre>{escape(failure.traceback)}</pre>"
        parts.append(f'<details class="s"><summary>full traceback</summary>{folded}</details>')
    return "".join(parts)


@cache
def style_text() -> str:
    """Colours from the palette, then the card's own rules."""
    return palette.css_variables(".mx-check") + (Path(__file__).parent / "card.css").read_text(encoding="utf-8")
