"""Text as the token viewer shows it: each token's face, the sections it came from, and the windows a model reads."""

import html
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from moe_lite import data

PAGE = 512  # tokens shown at once
TOGETHER, IF_SHORT = 30, 16  # letters that are kept on one line at most: of a word; of several that signs join
BEHIND = 2  # letters that a token's numeral and the space after it are as wide as


@dataclass(frozen=True)
class Face:
    """How one token looks. `text` may hold line breaks; `blank`: nothing but white space, drawn as signs."""

    text: str
    gap: bool = False  # a leading space, drawn as a gap before the token
    blank: bool = False
    part_of: str = ""  # the character that this token holds only some bytes of
    place: str = ""  # of those bytes in it: "first", "inner" or "last"
    stays: bool = False  # on the line of the token before it: a part of the same word, or a sign that ends something

    def sent(self) -> list:
        """As the scripts read it."""
        return [self.text, self.gap, self.blank, self.part_of, self.place, self.stays]


@dataclass(frozen=True)
class TokenText:
    """A text in tokens. Sections are (name, start, stop) in tokens; each is read by itself, from an empty context."""

    ids: tuple[int, ...]  # N token ids
    faces: tuple[Face, ...]  # N
    sections: tuple[tuple[str, int, int], ...]

    def windows(self, length: int, first: int, stop: int) -> list[tuple[int, int]]:
        """The pieces (start, stop) of at most `length` tokens that hold the tokens first…stop−1.

        A window never spans two sections; inside a section it starts at a multiple of `length`.
        """
        cuts = [
            (start, min(start + length, end)) for _, begin, end in self.sections for start in range(begin, end, length)
        ]
        return [(start, end) for start, end in cuts if start < stop and end > first]


@lru_cache(maxsize=16)
def token_text(sections: tuple[tuple[str, str], ...]) -> TokenText:
    """(name, text) pairs -> TokenText. Any text is fine: empty, emoji, control characters, half surrogate pairs."""
    ids, faces, spans = [], [], []
    for name, text in sections:
        piece_ids = data.encode(text)
        spans.append((name, len(ids), len(ids) + len(piece_ids)))
        faces.extend(faces_of(piece_ids))
        ids.extend(piece_ids)
    return TokenText(tuple(ids), tuple(faces), tuple(span for span in spans if span[1] < span[2]))


def faces_of(ids: Sequence[int]) -> list[Face]:
    """The faces of token ids. Ids that a model drew may hold bytes that are no whole character: these stay bytes."""
    owners = _split_characters(data.token_bytes(ids))
    return together(face(piece, *owner) for piece, owner in zip(data.token_pieces(ids), owners, strict=True))


def together(faces: Iterable[Face]) -> list[Face]:
    """The same faces in a row, each with whether it `stays` with the one before it. Later ones change nothing."""
    out, long = [], 0  # letters since the last place where the line may end
    for face in faces:
        wide = len(face.text) + BEHIND
        stays = bool(out) and long + wide <= _longest(out[-1], face)
        long = wide + long * stays
        out.append(replace(face, stays=True) if stays else face)
    return out


def _longest(before: Face, face: Face) -> int:
    """How many letters a line's piece may have in which `face` stays with the one `before` it; 0: it never does."""
    if before.text.endswith("\n") or face.gap:
        return 0
    if face.blank or face.place in ("inner", "last"):
        return TOGETHER if face.text.startswith("↵") or not face.blank else 0
    end, start = before.text[-1], face.text[0]
    word = start.isalnum() and (end.isalnum() or end in "'’" or (start.isdigit() and end in ".,:"))
    if word or start in ".,;:!?)]}'\"’”":
        return TOGETHER
    joined = end in '_([{"“' or start == "_" or (start in "([" and end.isalnum())
    return IF_SHORT if joined else 0


def face(piece: str, part_of: str = "", place: str = "") -> Face:
    """What a token shows: a leading space is a gap, white space alone gets signs, what is invisible gets its number.

    Where tokens share a character, each shows its own bytes as ⟨c3⟩ and names the character in `part_of`; a bracket
    joins them, from the "first" to the "last" `place`.
    """
    if piece.isspace():
        return Face("".join(_SIGNS.get(c, _visible(c)) for c in piece), blank=True)
    gap = piece.startswith(" ")
    shown = "".join("↵\n" if c == "\n" else _visible(c) for c in piece[gap:])
    if unicodedata.combining(shown[0]):
        shown = "\u25cc" + shown  # a dotted circle for the mark to stand on, instead of the gap
    return Face(shown, gap, part_of=part_of, place=place)


def tile_html(face: Face, behind: str = "", look: str = "", attributes: str = "") -> str:
    """A token as HTML: the gap before it, a tile with its face and with what is `behind` that, the line break in it.

    behind: HTML such as an expert's numeral; look: classes of the tile beside its own; attributes: of its element. The
    token viewer's style sheet draws it.
    """
    lines = face.text.removesuffix("\n").split("\n")
    body = "<br>".join(map(html.escape, lines))
    body = f"<em>{body}</em>" if face.blank else body
    share = ["by", face.place] if face.place else []
    classes = " ".join(["tk", *look.split(), *["gap"] * face.gap, *["brk"] * (len(lines) > 1), *share])
    if face.place == "first":
        attributes = f'data-char="{html.escape(face.part_of)}" {attributes}'
    space = "<i> </i>" if face.gap else ""  # hidden by the style sheet; words stay apart where it is dropped
    tail = "<br>" if face.text.endswith("\n") else ""  # behind everything: it ends the line that the token is in
    return f'{space}<span class="{classes}"{" " * bool(attributes)}{attributes}>{body}{behind}</span>{tail}'


def row_html(faces: Iterable[Face], tiles: Iterable[str]) -> str:
    """Tiles as one text, which may be broken between those that do not belong together."""
    return "".join(f"{'' if face.stays else '<wbr>'}{tile}" for face, tile in zip(faces, tiles, strict=True))


def numeral_width(n_experts: int) -> int:
    """px for the longest number of an expert, so that a new one moves nothing."""
    return 4 + 6 * len(str(n_experts - 1))


_SIGNS = {" ": "·", "\n": "↵\n", "\t": "→"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction marks, joiners, unassigned, separators


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs" and character != " ":
        return "␣"  # a space of another kind
    if category in _HIDDEN:
        return f"⟨{ord(character):02x}⟩"
    return character


def _split_characters(pieces: Sequence[bytes]) -> list[tuple[str, str]]:
    """For each token the character that it shares with neighbours, and its place among them; "" and "" if it holds
    whole characters only."""
    owners, position, ends = [("", "")] * len(pieces), 0, []
    for piece in pieces:
        position += len(piece)
        ends.append(position)
    position = token = 0
    for character in b"".join(pieces).decode(errors="surrogateescape"):  # a byte that is no character stands alone
        stop = position + len(character.encode(errors="surrogateescape"))
        while ends[token] <= position:
            token += 1
        last = token
        while ends[last] < stop:
            last += 1
        if last > token:
            places = ["first", *["inner"] * (last - token - 1), "last"]
            owners[token : last + 1] = [(character, place) for place in places]
        position = stop
    return owners
