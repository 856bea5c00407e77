"""One token of a text as all widgets draw it: its face on its expert's tint, and the expert's number."""

import html

from moe_lite.look.palette import expert_class
from moe_lite.widgets.kit.text import Face
from moe_lite.widgets.kit.widget import inline_tint


def tile_html(face: Face, expert: int, n_experts: int, says: str, look: str = "", tinted: bool = True) -> str:
    """The token as HTML, for the style sheet of the token viewer: a gap for its leading space, signs for white space.

    says: its title; look: further classes; tinted: False leaves out the tint for pages without a style sheet.
    """
    lines = face.text.removesuffix("\n").split("\n")
    body = "<br>".join(map(html.escape, lines))
    body = f"<em>{body}</em>" if face.blank else body
    looks = f"tk {expert_class(expert, n_experts)}{' gap' * face.gap}{' brk' * (len(lines) > 1)}{look and ' ' + look}"
    tint = f" {inline_tint(expert, n_experts)}" if tinted else ""
    space = "<i> </i>" if face.gap else ""  # hidden by the style sheet; words stay apart where it is dropped
    tail = "<br>" if face.text.endswith("\n") else ""  # after the numeral: it belongs to the line that the token ends
    return (
        f'{space}<span class="{looks}"{tint} title="{html.escape(says)}">{body}<sub><b>{expert}</b></sub></span>{tail}'
    )


def numeral_width(n_experts: int) -> str:
    """The style of an element around tiles: room for the longest number, so that a new one moves nothing."""
    return f"--num:{4 + 6 * len(str(n_experts - 1))}px"
