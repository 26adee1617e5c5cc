"""A bar chart as SVG: how many times native, on a logarithmic scale."""
import math
from xml.sax.saxutils import escape

ROW, BAR = 24, 9  # heights in pixels
LEFT, WIDTH, RIGHT, TOP = 110, 680, 70, 74
COLOURS = ("#2563a8", "#d08a2e")
STYLE = """text { font: 12px sans-serif; fill: #222 }
.title { font-size: 16px; font-weight: bold } .group { font-weight: bold }
.small { font-size: 10px; fill: #555 } .grid { stroke: #ddd } .one { stroke: #888 }"""


def ticks(low, high):
    """1, 2, 5, 10, 20, ... within the range."""
    steps = [m * 10.0 ** e for e in range(-3, 6) for m in (1, 2, 5)]
    return [t for t in steps if low <= t <= high * 1.0001]


class Chart:
    """What is drawn, as SVG elements: the back first, so that bars cover the grid."""

    def __init__(self, low, high):
        self.low, self.high = low, high
        self.back, self.front = [], []

    def x(self, value):
        return LEFT + WIDTH * math.log(value / self.low) / math.log(self.high / self.low)

    def text(self, x, y, words, cls="", anchor="start"):
        self.front.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def rect(self, x, y, width, height, colour):
        self.front.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height}" fill="{colour}"/>')

    def bar(self, y, ratio, colour):
        """From 1 to the median, with the extremes as a thin line."""
        start, end = sorted((self.x(1), self.x(ratio["median"])))
        self.rect(start, y, max(end - start, 1), BAR, colour)
        self.front.append(line(self.x(ratio["min"]), y + BAR / 2, self.x(ratio["max"]),
                               y + BAR / 2, "one"))
        at = self.x(max(ratio["max"], 1)) + 4
        self.text(at, y + BAR, f"{ratio['median']:.3g}", "small")

    def row(self, y, name, ratios):
        self.text(LEFT - 8, y + BAR + 5, name, "", "end")
        for i, (ratio, colour) in enumerate(zip(ratios, COLOURS)):
            self.bar(y + 1 + i * (BAR + 1), ratio, colour)

    def grid(self, top, bottom):
        for tick in ticks(self.low, self.high):
            x = self.x(tick)
            self.back.append(line(x, top - 6, x, bottom, "one" if tick == 1 else "grid"))
            for y in (top - 12, bottom + 16):
                self.text(x, y, f"{tick:g}", "small", "middle")

    def legend(self, pairs):
        for i, (pair, colour) in enumerate(zip(pairs, COLOURS)):
            self.rect(12 + i * 150, 36, 12, 12, colour)
            self.text(30 + i * 150, 46, pair)

    def svg(self, height):
        width = LEFT + WIDTH + RIGHT
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *self.back, *self.front, "</svg>", ""])


def line(x1, y1, x2, y2, cls):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def rows_of(result, pairs):
    """(heading or None, name, ratios), groups in order, each with its geomean last."""
    groups = {}
    for name, kernel in result["kernels"].items():
        groups.setdefault(kernel["group"], []).append((name, kernel["ratios"]))
    for group, members in groups.items():
        for i, (name, ratios) in enumerate(members):
            yield None if i else group, name, [ratios[p] for p in pairs]
        mean = result["geomeans"][group]
        flat = [{key: mean[p] for key in ("median", "min", "max")} for p in pairs]
        yield None, "geomean", flat


def draw(result, pairs, title):
    """pairs: what to draw, such as dbt/native. Gives the SVG's text."""
    rows = list(rows_of(result, pairs))
    values = [r[key] for _, _, ratios in rows for r in ratios for key in ("min", "max")]
    chart = Chart(min(0.9, *values) * 0.95, max(2.0, *values) * 1.15)
    y = TOP
    for heading, name, ratios in rows:
        if heading:
            chart.text(LEFT - 8, y + ROW - 10, heading, "group", "end")
            y += ROW
        chart.row(y, name, ratios)
        y += ROW
    chart.grid(TOP, y)
    chart.text(12, 24, title, "title")
    chart.legend(pairs)
    return chart.svg(y + 28)
