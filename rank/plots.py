"""Plots as inline SVG: lines and bars, readable without any script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 460, 280, 46
COLOURS = ("#1b6ca8", "#b3461c", "#2c7a31", "#7a3fa0", "#8a6d10", "#444444", "#b02a65")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 4", "12 4")
"""Lines differ in both, so that they can be told apart without colours."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: its name and its points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


def lines(
    title: str,
    x_name: str,
    y_name: str,
    drawn: Sequence[Line],
    *,
    note: str = "",
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] = (0.0, 1.0),
) -> str:
    """A plot of lines, with a legend; ``note``: below the title, what it is of."""
    (left, right), (low, high) = x_range, y_range

    def x(value: float) -> float:
        return MARGIN + (value - left) / (right - left or 1) * (WIDTH - 2 * MARGIN)

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (value - low) / (high - low or 1) * (HEIGHT - 2 * MARGIN)

    parts = [_axes(x_range, y_range, x_name, y_name)]
    for number, line in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line.points)
        pattern = DASHES[number % len(DASHES)]
        dash = f' stroke-dasharray="{pattern}"' if pattern else ""
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{points}"/>'
        )
        parts.append(_legend(number, line.name, pattern))
    said = "; ".join(f"{line.name} {_ends(line)}" for line in drawn if line.points)
    return _figure(title, "".join(parts), note, f"{title}. {y_name} by {x_name}: {said}")


def bars(
    title: str, y_name: str, groups: Mapping[str, Mapping[str, float]], *, note: str = ""
) -> str:
    """Bars in groups, heights from 0 to 1: ``groups[group][bar]``; ``note`` as in lines."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    parts = [_axes((0, 1), (0, 1), "", y_name, x_ticks=False)]
    room = (WIDTH - 2 * MARGIN) / max(1, len(groups))
    wide = room / (len(names) + 1)
    for place, (group, heights) in enumerate(groups.items()):
        start = MARGIN + place * room + wide / 2
        for number, name in enumerate(names):
            height = max(0.0, min(1.0, heights.get(name, 0.0))) * (HEIGHT - 2 * MARGIN)
            parts.append(
                f'<rect x="{start + number * wide:.1f}" y="{HEIGHT - MARGIN - height:.1f}" '
                f'width="{wide * 0.9:.1f}" height="{height:.1f}" fill="{COLOURS[number % 7]}">'
                f"<title>{escape(f'{group}, {name}: {heights.get(name, 0.0):.3f}')}</title></rect>"
            )
        parts.append(
            f'<text x="{start + wide * len(names) / 2:.1f}" y="{HEIGHT - MARGIN + 16}" '
            f'font-size="12" text-anchor="middle">{escape(group)}</text>'
        )
    parts += [_legend(number, name) for number, name in enumerate(names)]
    said = "; ".join(
        f"{group}: " + ", ".join(f"{name} {height:.3f}" for name, height in heights.items())
        for group, heights in groups.items()
    )
    return _figure(title, "".join(parts), note, f"{title}. {said}")


def _axes(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_name: str,
    y_name: str,
    *,
    x_ticks: bool = True,
) -> str:
    floor, right = HEIGHT - MARGIN, WIDTH - MARGIN
    parts = [f'<path d="M{MARGIN} {MARGIN}V{floor}H{right}" fill="none" stroke="#888"/>']
    for step in range(5):
        share = step / 4
        up = floor - share * (HEIGHT - 2 * MARGIN)
        value = y_range[0] + share * (y_range[1] - y_range[0])
        parts.append(f'<path d="M{MARGIN} {up:.1f}H{right}" stroke="#e5e5e5"/>')
        parts.append(
            f'<text x="{MARGIN - 5}" y="{up + 4:.1f}" font-size="11" text-anchor="end">'
            f"{value:.2f}</text>"
        )
        if x_ticks:
            along = MARGIN + share * (WIDTH - 2 * MARGIN)
            value = x_range[0] + share * (x_range[1] - x_range[0])
            parts.append(
                f'<text x="{along:.1f}" y="{floor + 15}" font-size="11" text-anchor="middle">'
                f"{value:g}</text>"
            )
    parts.append(
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" font-size="12" text-anchor="middle">'
        f"{escape(x_name)}</text>"
    )
    parts.append(f'<text x="{MARGIN}" y="{MARGIN - 10}" font-size="12">{escape(y_name)}</text>')
    return "".join(parts)


def _ends(line: Line) -> str:
    (x, y), (end_x, end_y) = line.points[0], line.points[-1]
    return f"from {y:.3f} at {x:g} to {end_y:.3f} at {end_x:g}"


def _legend(number: int, name: str, pattern: str = "") -> str:
    colour, y = COLOURS[number % len(COLOURS)], MARGIN + 16 * number
    dash = f' stroke-dasharray="{pattern}"' if pattern else ""
    return (
        f'<path d="M{WIDTH - MARGIN + 6} {y - 4}h24" stroke="{colour}" stroke-width="3"{dash}/>'
        f'<text x="{WIDTH - MARGIN + 36}" y="{y}" font-size="12" fill="#222">{escape(name)}</text>'
    )


def _figure(title: str, inside: str, note: str, said: str) -> str:
    whole = WIDTH + 160  # room for the legend
    below = f"<small>{escape(note)}</small>" if note else ""
    return (
        f"<figure><figcaption>{escape(title)}{below}</figcaption>"
        f'<svg viewBox="0 0 {whole} {HEIGHT}" width="{whole}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(said)}" font-family="sans-serif">{inside}</svg></figure>'
    )
