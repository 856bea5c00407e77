"""The traffic explorer's figures: the matrix of what devices send to each other, and the load of each as a bar of its
experts."""

import math
from dataclasses import dataclass

from moe_lite.look import palette
from moe_lite.look.svg import figure
from moe_lite.look.words import number
from moe_lite.widgets.kit.parts import plain
from moe_lite.widgets.traffic_explorer.view import Traffic
from moe_lite.widgets.traffic_explorer.words import per_hundred, told

WIDEST, TWIN, NARROWEST = 812, 760, 460  # px
MATRIX, LEFT, RIGHT = 440, 92, 52  # px of the whole matrix; for the devices that send; for what they send in all
TOP, FOOT = 50, 24
TALL = {2: 64, 4: 46, 8: 32}  # px of a row, by devices
PALEST, DARKEST = 0.05, 0.55  # of the ink
SWATCHES = 6
NAMED, VALUE, BAR, ROW, ABOVE = 64, 48, 18, 26, 36  # px: of a bar's name, its value, height; from row to row; title
DIGIT, MARGIN = 6.6, 4  # px of a digit, and of what is free beside a number
BESIDE = 10  # px from the line of the mean to the middle of a number


# ---- who sends what to whom ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """One row per device that sends, one column per device that receives. live: cells can be reached with keys."""

    view: Traffic
    live: bool = False

    @property
    def m(self) -> int:
        return self.view.setting.devices

    @property
    def wide(self) -> float:
        """px of a cell"""
        return (MATRIX - LEFT - RIGHT) / self.m

    @property
    def tall(self) -> int:
        return TALL[self.m]

    @property
    def bottom(self) -> int:
        return TOP + self.tall * self.m

    def svg(self, label: str) -> str:
        role = ' role="grid" aria-label="vectors per 100 tokens, from row to column"' if self.live else ""
        sentences = told(self.view) if self.live else None
        rows = "".join(self._row(i, sentences) for i in range(self.m))
        body = self._head() + f"<g{role}>{rows}</g>" + self._sums()
        if self.live:
            body += f'<rect class="at off" x="0" y="0" width="{self.wide:.1f}" height="{self.tall}"/>'
        return figure(body, MATRIX, self.bottom + FOOT, label, "matrix", "group" if self.live else "img")

    def places(self) -> dict[str, float]:
        """Where the script finds the cells, in px of the figure."""
        return {"figure": MATRIX, "left": LEFT, "top": TOP, "wide": self.wide, "tall": self.tall, "n": self.m}

    def _head(self) -> str:
        out = ['<text class="d" x="0" y="11">vectors per 100 tokens of the device that sends</text>']
        out.append(f'<text class="d end" x="{LEFT - 8}" y="{TOP - 8}">from ↓ to →</text>')
        for j in range(self.m):
            out.append(f'<text class="b mid" x="{LEFT + (j + 0.5) * self.wide:.1f}" y="{TOP - 8}">{j}</text>')
        out.append(f'<text class="d end" x="{MATRIX}" y="{TOP - 8}">sends</text>')
        return "".join(out)

    def _row(self, i: int, sentences: list | None) -> str:
        role = ' role="row"' if self.live else ""
        cells = "".join(self._cell(i, j, sentences) for j in range(self.m))
        return f"<g{role}>{cells}</g>{self._name(i)}"

    def _name(self, i: int) -> str:
        middle = TOP + (i + 0.5) * self.tall
        hidden = ' aria-hidden="true"' if self.live else ""
        if self.view.setting.texts == "kinds":
            kind = f'<text class="d" x="0" y="{middle + 14:.1f}"{hidden}>{self.view.kinds[i]}</text>'
            return f'<text class="b" x="0" y="{middle - 1:.1f}"{hidden}>device {i}</text>{kind}'
        return f'<text class="b" x="0" y="{middle + 4:.1f}"{hidden}>device {i}</text>'

    def _cell(self, i: int, j: int, sentences: list | None) -> str:
        n, stays = self.view.shown[i][j], i == j
        x, y = LEFT + j * self.wide, TOP + i * self.tall
        ink = "" if stays else f' fill-opacity="{shade(n / max(self.view.busiest_pair, 1e-9)):.2f}"'
        box = f'x="{x + 1:.1f}" y="{y + 1}" width="{self.wide - 2:.1f}" height="{self.tall - 2}"'
        middle, words = x + self.wide / 2, self.wide >= 60 and stays
        line = y + self.tall / 2 + (-2 if words else 4)
        parts = [f'<rect class="{"stays" if stays else "goes"}" {box}{ink}/>']
        look = "mid dim" if stays else "mid"
        parts.append(f'<text class="{look}" x="{middle:.1f}" y="{line:.1f}">{per_hundred(n)}</text>')
        if words:
            parts.append(f'<text class="d mid" x="{middle:.1f}" y="{y + self.tall / 2 + 12:.1f}">stays</text>')
        reach = ""
        if sentences is not None:
            said = plain(sentences[i][j]).replace('"', "&quot;")
            reach = f' role="gridcell" tabindex="-1" data-cell="{i},{j}" aria-label="{said}"'
        return f"<g{reach}>{''.join(parts)}</g>"

    def _sums(self) -> str:
        out = []
        for i in range(self.m):
            sends, receives = per_hundred(self.view.sends(i)), per_hundred(self.view.receives(i))
            out.append(f'<text class="end" x="{MATRIX}" y="{TOP + (i + 0.5) * self.tall + 4:.1f}">{sends}</text>')
            middle = LEFT + (i + 0.5) * self.wide
            out.append(f'<text class="mid" x="{middle:.1f}" y="{self.bottom + 17}">{receives}</text>')
        out.append(f'<text class="d" x="0" y="{self.bottom + 17}">receives</text>')
        return "".join(out)


def shade(share: float) -> float:
    """How strong the ink of a cell is, from its share of the largest number."""
    return PALEST + (DARKEST - PALEST) * share


def legend_html(view: Traffic) -> str:
    """What the ink of a cell means."""
    step = 12
    boxes = "".join(
        f'<rect class="goes" x="{i * step}" y="1" width="{step}" height="10" '
        f'fill-opacity="{shade(i / (SWATCHES - 1)):.2f}"/>'
        for i in range(SWATCHES)
    )
    ramp = f'<svg class="matrix sw" width="{step * SWATCHES}" height="12" viewBox="0 0 {step * SWATCHES} 12" '
    ramp += f'aria-hidden="true">{boxes}</svg>'
    stays = '<svg class="matrix sw" width="15" height="12" viewBox="0 0 15 12" aria-hidden="true">'
    stays += '<rect class="stays" x="1" y="1" width="13" height="10"/></svg>'
    most = per_hundred(view.busiest_pair)
    return (
        f'<p class="legend"><span>0 {ramp} {most}, the most from one device to another</span> '
        f"<span>{stays}stays: nothing is sent</span></p>"
    )


# ---- load ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loads:
    """What each device computes, over the mean: its bar is made of its experts."""

    view: Traffic
    width: int

    @property
    def right(self) -> float:
        """px where the scale ends"""
        return self.width - VALUE

    @property
    def most(self) -> float:
        """The end of the scale, which a small move keeps."""
        return max(1.25, math.ceil(4 * max(self.view.loads) - 1e-9) / 4)

    def long(self, load: float) -> float:
        return (self.right - NAMED) * load / self.most

    def svg(self, label: str) -> str:
        view, m = self.view, self.view.setting.devices
        foot, mean = ABOVE + ROW * m, NAMED + self.long(1)
        busiest = max(range(m), key=lambda i: (view.loads[i], -i))
        out = [
            '<text class="d" x="0" y="11">load of each device over the mean, one piece per expert that it holds</text>'
        ]
        out += [self._bar(i, bold=i == busiest) for i in range(m)]
        out.append(f'<path class="mean" d="M{mean:.1f} {ABOVE - 6}V{foot - 5}"/>')
        out.append(f'<text class="d mid" x="{mean:.1f}" y="{ABOVE - 9}">mean</text>')
        out.append(
            f'<text class="b end" x="{self.width}" y="{foot + 14}">busiest over mean {number(view.imbalance)}</text>'
        )
        return figure("".join(out), self.width, foot + 20, label, "loads")

    def _bar(self, device: int, bold: bool) -> str:
        y, x, n_experts = ABOVE + ROW * device, float(NAMED), self.view.setting.n_experts
        look = "b" if bold else ""
        out = [f'<text class="{look}" x="0" y="{y + 13}">device {device}</text>']
        for expert, load in self.view.pieces[device]:
            wide = self.long(load)
            box = f'<rect class="piece" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}"/>'
            if wide >= DIGIT * len(str(expert)) + MARGIN:
                box += f'<text class="n0" x="{self._beside_mean(x, wide):.1f}" y="{y + 13}">{expert}</text>'
            out.append(f'<g class="x{expert} {palette.expert_class(expert, n_experts)}">{box}</g>')
            x += wide
        value = number(self.view.loads[device])
        out.append(f'<text class="end {look}" x="{self.width}" y="{y + 13}">{value}</text>')
        return "".join(out)

    def _beside_mean(self, x: float, wide: float) -> float:
        """The middle of a piece, or beside the line of the mean, where that runs through it and leaves room."""
        middle, mean = x + wide / 2, NAMED + self.long(1)
        if abs(middle - mean) > BESIDE:
            return middle
        left, right = mean - x, x + wide - mean
        if max(left, right) < 2 * BESIDE - 2:
            return middle
        return mean - BESIDE if left > right else mean + BESIDE


# ---- static twin -----------------------------------------------------------------------------------------------------


def matrix_table(view: Traffic) -> str:
    """For pages that drop SVG."""
    m = view.setting.devices
    head = "".join(f"<td>to {j}</td>" for j in range(m))
    rows = ""
    for i, row in enumerate(view.shown):
        cells = "".join(f"<td>{per_hundred(n)}{' stay' if i == j else ''}</td>" for j, n in enumerate(row))
        rows += f"<tr><td>from {i}</td>{cells}</tr>"
    return f"<table><tr><td>vectors per 100 tokens</td>{head}</tr>{rows}</table>"


def loads_table(view: Traffic) -> str:
    rows = "".join(
        f"<tr><td>{i}</td><td>{number(load)}</td><td>{', '.join(map(str, held))}</td></tr>"
        for i, (load, held) in enumerate(zip(view.loads, view.held, strict=True))
    )
    return f"<table><tr><td>device</td><td>load over mean</td><td>its experts</td></tr>{rows}</table>"
