"""A bar chart as SVG: how many times native, on a logarithmic scale."""
import math
from xml.sax.saxutils import escape

ROW, GAP, BAR = 24, 34, 8  # heights in pixels
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
    def __init__(self, low, high):
        self.low, self.span = math.log(low), math.log(high / low)
        self.parts = []

    def x(self, value):
        return LEFT + WIDTH * (math.log(value) - self.low) / self.span

    def text(self, x, y, words, cls="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, cls):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'class="{cls}"/>')

    def bar(self, y, ratio, colour):
        """From 1 to the median, with the extremes as a thin line."""
        start, end = sorted((self.x(1), self.x(ratio["median"])))
        self.parts.append(f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" '
                          f'height="{BAR}" fill="{colour}"/>')
        self.line(self.x(ratio["min"]), y + BAR / 2, self.x(ratio["max"]), y + BAR / 2, "one")
        at = self.x(max(ratio["max"], ratio["median"], 1)) + 4
        self.text(at, y + BAR - 0.5, f"{ratio['median']:.3g}", "small")

    def row(self, y, name, ratios):
        self.text(LEFT - 8, y + BAR + 5, name, "", "end")
        for i, (ratio, colour) in enumerate(zip(ratios, COLOURS)):
            self.bar(y + 2 + i * (BAR + 1), ratio, colour)


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
    body = Chart.row
    for heading, name, ratios in rows:
        if heading:
            y += GAP - ROW
            chart.text(LEFT - 8, y + 4, heading, "group", "end")
            y += ROW - 8
        body(chart, y, name, ratios)
        y += ROW
    grid = Chart(1, math.e)
    grid.low, grid.span = chart.low, chart.span
    for tick in ticks(math.exp(chart.low), math.exp(chart.low + chart.span)):
        x = grid.x(tick)
        grid.line(x, TOP - 6, x, y, "one" if tick == 1 else "grid")
        for at in (TOP - 12, y + 16):
            grid.text(x, at, f"{tick:g}", "small", "middle")
    grid.text(12, 24, title, "title")
    for i, (pair, colour) in enumerate(zip(pairs, COLOURS)):
        grid.parts.append(f'<rect x="{12 + i * 150}" y="36" width="12" height="12" '
                          f'fill="{colour}"/>')
        grid.text(30 + i * 150, 46, pair)
    width, height = LEFT + WIDTH + RIGHT, y + 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n<style>{STYLE}</style>\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n'
            + "\n".join(grid.parts + chart.parts) + "\n</svg>\n")
