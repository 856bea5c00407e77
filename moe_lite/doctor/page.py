"""The findings as aligned text, and as a table for a notebook."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from moe_lite.doctor.finding import Finding
from moe_lite.doctor.places import ROOT

if TYPE_CHECKING:
    from moe_lite.look.picture import Picture

QUESTION = "Is everything there?"
WIDTH, INDENT = 110, 16
# state -> mark in text, sign and word on the page, role of the palette
STATES = {"ok": ("ok", "✓ ok", "ok"), "remark": ("--", "– remark", "fg2"), "problem": ("!!", "! problem", "bad")}

_CSS = """
.mx-doctor{font:13px/18px var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif);
color:var(--fg);max-width:812px;margin:4px 0 8px;font-variant-numeric:tabular-nums}
.mx-doctor.mx-doctor .q{font-size:14px;line-height:20px;font-weight:600;margin-bottom:4px}
.mx-doctor.mx-doctor table{border-collapse:collapse;border:0;margin:0;width:100%;table-layout:fixed;
font-size:13px;line-height:18px;color:inherit}
.mx-doctor.mx-doctor tr,.mx-doctor.mx-doctor tr:hover{background:none}
.mx-doctor.mx-doctor th,.mx-doctor.mx-doctor td{border:0;border-top:1px solid var(--line);padding:3px 12px 3px 0;
text-align:left;vertical-align:top;font-weight:400;background:none;overflow-wrap:anywhere;white-space:normal}
.mx-doctor.mx-doctor tr:first-child>*{border-top:0}
.mx-doctor.mx-doctor .s{width:96px;color:var(--c);font-weight:600;white-space:nowrap}
.mx-doctor.mx-doctor th{width:104px;color:var(--fg2)}
.mx-doctor.mx-doctor p{margin:2px 0 2px;color:var(--fg)}.mx-doctor.mx-doctor p.dim{color:var(--fg2)}
.mx-doctor.mx-doctor code{font-family:var(--jp-code-font-family,Menlo,Consolas,"DejaVu Sans Mono",monospace);
font-size:12px;color:inherit;background:var(--wash);padding:1px 3px;border:0;white-space:pre-wrap}
.mx-doctor.mx-doctor .read{margin:4px 0 8px;cursor:pointer}
"""


def state(finding: Finding) -> str:
    """A key of STATES."""
    return "problem" if finding.remedy else "remark" if finding.remark else "ok"


def report(findings: Sequence[Finding], *, end: bool = True) -> str:
    """The findings as aligned text, each remedy or remark below its finding; with `end` the summary follows."""
    lines = [line for finding in findings for line in _lines(finding)]
    return "\n".join([*lines, summary(findings)] if end else lines)


def _lines(finding: Finding) -> list[str]:
    head = f"{STATES[state(finding)][0]}  {finding.name:11} "
    lines = textwrap.wrap(finding.value, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
    below = (finding.remedy or finding.remark or "").replace("`", "")
    lines += textwrap.wrap(below, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    return [head + lines[0], *(" " * INDENT + line for line in lines[1:])]


def summary(findings: Sequence[Finding]) -> str:
    """The last line: how many need attention, and where commands are meant to be typed."""
    problems, remarks = (sum(state(finding) == kind for finding in findings) for kind in ("problem", "remark"))
    noted = f" {remarks} remark{'' if remarks == 1 else 's'}." if remarks else ""
    if not problems:
        return f"Everything is there.{noted}"
    verb = "need" if problems > 1 else "needs"
    return f"{problems} of {len(findings)} {verb} attention.{noted} Commands are for the folder {ROOT}."


def picture(findings: Sequence[Finding]) -> Picture:
    """The same as a table under its last line, folded in if nothing needs attention; its text form is the report."""
    from moe_lite.look.palette import css_variables
    from moe_lite.look.picture import Picture

    rows = "".join(_row(finding) for finding in findings)
    well = not any(state(finding) == "problem" for finding in findings)
    told = f'<summary class="read">{escape(summary(findings))}</summary>'
    body = f'<div class="q">{QUESTION}</div><details{"" if well else " open"}>{told}<table>{rows}</table></details>'
    root = f'<div class="mx-doctor" role="group" aria-label="{QUESTION}">{body}</div>'
    return Picture(f"<style>{css_variables('.mx-doctor')}{_CSS}</style>{root}", report(findings))


def _row(finding: Finding) -> str:
    _, sign, role = STATES[state(finding)]
    below = f"<p>{_marked(finding.remedy)}</p>" if finding.remedy else ""
    below = f'<p class="dim">{_marked(finding.remark)}</p>' if finding.remark and not below else below
    cells = f'<td class="s" style="--c:var(--{role})">{sign}</td><th scope="row">{escape(finding.name)}</th>'
    return f"<tr>{cells}<td>{escape(finding.value)}{below}</td></tr>"


def _marked(text: str) -> str:
    """Escaped, commands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
