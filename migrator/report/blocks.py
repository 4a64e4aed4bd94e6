"""A report as blocks (headings, paragraphs, lists, code, grids, cards, charts) and as text, Markdown, HTML. Pure.

Rendering is the only place that escapes: builders hand over plain text, whatever it holds. Text fits
`WIDTH` columns, HTML is one file that loads nothing.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from migrator.report.charts import Chart, chart_svg
from migrator.report.words import printable, width

WIDTH: Final = 100
_NARROWEST: Final = 12

Tone = Literal["", "good", "bad", "note"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the report's title."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `numbered` where the order matters."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be copied as they are: statements or commands."""

    text: str
    language: str = "sql"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid; `wraps` may be made narrower, to several lines, where the grid is too wide."""

    title: str
    right: bool = False
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. Rows are as long as `columns`."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[Tone, ...] = ()
    """Of each row; only HTML shows them."""


@dataclass(frozen=True, slots=True)
class Card:
    """One thing with a name, some short facts about it, and lines to be copied; stands close together."""

    title: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[str, ...] = ()
    label: str = ""
    """What the lines are, as the facts have labels."""
    tone: Tone = ""


Block = Heading | Paragraph | Items | Code | Grid | Card | Chart


def left(title: str) -> Column:
    """A column of words that stays on one line."""
    return Column(title)


def right(title: str) -> Column:
    """A column of numbers."""
    return Column(title, right=True)


def wrapping(title: str) -> Column:
    """A column of words that may take several lines."""
    return Column(title, wraps=True)


# -- text -------------------------------------------------------------------------------------


def as_text(blocks: Iterable[Block], *, columns: int = WIDTH) -> str:
    """Plain text, at most `columns` wide apart from code; ends with a newline."""
    return "\n\n".join(_text_block(block, columns) for block in blocks) + "\n"


def _text_block(block: Block, columns: int) -> str:
    match block:
        case Heading(text, level):
            line = printable(text)
            return f"{line}\n{('=' if level == 1 else '-') * width(line)}" if level <= 2 else line
        case Paragraph(text):
            return "\n".join(wrapped(printable(text), columns))
        case Items(items, numbered):
            signs = [f"{i}." for i in range(1, len(items) + 1)] if numbered else ["-"] * len(items)
            return "\n".join(_text_item(s, i, columns) for s, i in zip(signs, items, strict=True))
        case Code(text):
            return "\n".join("  " + printable(line) for line in text.split("\n"))
        case Grid():
            return _text_grid(block, columns)
        case Card():
            return _text_card(block, columns)
        case Chart(title, tells):
            return "\n".join(wrapped(printable(f"{title}: {tells}"), columns))
        case _:
            assert_never(block)


def _text_card(card: Card, columns: int) -> str:
    facts = [(printable(label), printable(text)) for label, text in card.facts]
    named = printable(card.label)
    room = max(width(label) for label, _ in [*facts, (named, "")]) + 4
    told = [(label, wrapped(text, columns - room)) for label, text in facts]
    told += [(named, [part for line in card.lines for part in _copied(printable(line), columns - room)])]
    lines = [printable(card.title)]
    for label, parts in told:
        for at, part in enumerate(parts):
            lines.append(f"  {_padded('' if at else label, room - 2, right=False)}{part}")
    return "\n".join(lines)


def _copied(line: str, columns: int) -> list[str]:
    """A line to be copied: words after `-- ` are broken, statements and commands never."""
    if not line.startswith("-- "):
        return [line]
    return [f"-- {part}" for part in wrapped(line.removeprefix("-- "), columns - 3)]


def _text_item(sign: str, text: str, columns: int) -> str:
    lines = wrapped(printable(text), columns - len(sign) - 1)
    indent = " " * (len(sign) + 1)
    return f"{sign} " + f"\n{indent}".join(lines)


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most `columns`, broken at spaces, inside words only where a word is too long."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        rest = word
        candidate = f"{line} {rest}" if line else rest
        if width(candidate) <= columns:
            line = candidate
            continue
        if line:
            lines.append(line)
        while width(rest) > columns:
            fits = _fitting(rest, columns)
            lines.append(rest[:fits])
            rest = rest[fits:]
        line = rest
    return [*lines, line]


def _fitting(text: str, columns: int) -> int:
    """How many characters of `text` fit; at least one."""
    sums = itertools.accumulate(width(c) for c in text)
    return max(1, sum(1 for total in sums if total <= columns))


def _text_grid(grid: Grid, columns: int) -> str:
    cells = [[printable(cell) for cell in row] for row in grid.rows]
    titles = [column.title for column in grid.columns]
    widths = [max(width(line[i]) for line in [titles, *cells]) for i in range(len(titles))]
    too_wide = sum(widths) + 2 * (len(widths) - 1) - columns
    while too_wide > 0:
        wraps = [i for i, c in enumerate(grid.columns) if c.wraps and widths[i] > _NARROWEST]
        if not wraps:
            break
        widths[max(wraps, key=lambda i: widths[i])] -= 1
        too_wide -= 1
    rule = ["-" * w for w in widths]
    lines = [line for row in [titles, rule, *cells] for line in _text_row(row, grid.columns, widths)]
    return "\n".join(lines)


def _text_row(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    stacks = [wrapped(cell, w) if c.wraps else [cell] for cell, c, w in zip(row, columns, widths, strict=True)]
    lines = []
    for parts in itertools.zip_longest(*stacks, fillvalue=""):
        padded = [_padded(p, w, right=c.right) for p, c, w in zip(parts, columns, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def _padded(text: str, columns: int, *, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


# -- Markdown ---------------------------------------------------------------------------------


def as_markdown(blocks: Iterable[Block]) -> str:
    """Markdown with the tables of GitHub; ends with a newline."""
    return "\n\n".join(_markdown_block(block) for block in blocks) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_markdown(text)}"
        case Paragraph(text, tone):
            return f"**{_markdown(text)}**" if tone == "bad" else _markdown(text)
        case Items(items, numbered):
            return "\n".join(f"{f'{i}.' if numbered else '-'} {_markdown(item)}" for i, item in enumerate(items, 1))
        case Code(text, language):
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            lines = "\n".join(printable(line) for line in text.split("\n"))
            return f"{fence}{language}\n{lines}\n{fence}"
        case Card(title, facts, lines, label, _):
            code = [_markdown_block(Code("\n".join(lines)))] if lines else []
            said = [f"- {_markdown(name)}: {_markdown(text)}" for name, text in facts]
            said += [f"- {_markdown(label)}:"] if lines else []
            return "\n\n".join([f"### {_markdown(title)}", "\n".join(said), *code])
        case Chart(title, tells):
            return _markdown(f"{title}: {tells}")
        case Grid(columns, rows):
            titles = "| " + " | ".join(_markdown(c.title) for c in columns) + " |"
            rule = "| " + " | ".join("---:" if c.right else "---" for c in columns) + " |"
            return "\n".join([titles, rule, *("| " + " | ".join(map(_markdown, row)) + " |" for row in rows)])
        case _:
            assert_never(block)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&#])", r"\\\1", printable(text))


# -- HTML -------------------------------------------------------------------------------------

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-bottom: 1px solid #8886; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: #8882; padding: .7rem; overflow-x: auto; }
h2 { margin-top: 2.2rem; border-bottom: 2px solid #8886; }
.bad { --tone: #c33; }
.good { --tone: #393; }
.note { --tone: #b80; }
p[class], .card, tr[class] td:first-child { border-left: .3rem solid var(--tone, #8886); padding-left: .7rem; }
.card { margin: 1.2rem 0; }
.card h3 { margin: 0 0 .3rem; }
.card dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; margin: 0; }
.card dt { opacity: .7; }
.card dd { margin: 0; }
.card pre { margin: .2rem 0 0; }
figure { margin: 1.2rem 0; }
figure div { overflow-x: auto; }
figcaption { font-size: .9em; opacity: .85; max-width: 60rem; }
.chart { display: block; width: 100%; min-width: 40rem; max-width: 66rem; height: auto; }
.chart text { font: 12px system-ui, sans-serif; fill: currentColor; }
.chart .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.chart .rule { stroke: currentColor; opacity: .2; }
.chart .level { stroke: currentColor; stroke-dasharray: 1 5; stroke-width: 2; stroke-linecap: round; opacity: .7; }
.chart .span { fill: currentColor; opacity: .55; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { font-size: 9pt; max-width: none; margin: 0; padding: 0; }
  table { display: table; width: 100%; overflow: visible; }
  th, td { padding: .15rem .35rem; overflow-wrap: anywhere; }
  tr, figure { break-inside: avoid; }
  .chart { min-width: 0; max-width: 24cm; }
  h2, h3 { break-after: avoid; }
}
"""


def as_html(title: str, blocks: Iterable[Block]) -> str:
    """One HTML file: no scripts, nothing loaded from elsewhere."""
    body = "\n".join(_html_block(block) for block in blocks)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_html(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html_block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_html(text)}</h{level}>"
        case Paragraph(text, tone):
            return f'<p class="{tone}">{_html(text)}</p>' if tone else f"<p>{_html(text)}</p>"
        case Items(items, numbered):
            tag = "ol" if numbered else "ul"
            return f"<{tag}>" + "".join(f"<li>{_html(item)}</li>" for item in items) + f"</{tag}>"
        case Code(text):
            return "<pre><code>" + "\n".join(_html(line) for line in text.split("\n")) + "</code></pre>"
        case Grid(columns, rows):
            kinds = [' class="number"' if c.right else "" for c in columns]
            head = "".join(f"<th{k}>{_html(c.title)}</th>" for c, k in zip(columns, kinds, strict=True))
            lines = ("".join(f"<td{k}>{_html(t)}</td>" for t, k in zip(row, kinds, strict=True)) for row in rows)
            tones = itertools.chain(block.tones, itertools.repeat(""))
            rows_told = zip(lines, tones, strict=False)
            body = "\n".join(
                f'<tr class="{tone}">{line}</tr>' if tone else f"<tr>{line}</tr>" for line, tone in rows_told
            )
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        case Card(title, facts, lines, label, tone):
            told = "".join(f"<dt>{_html(name)}</dt><dd>{_html(text)}</dd>" for name, text in facts)
            if lines:
                code = "\n".join(_html(line) for line in lines)
                told += f"<dt>{_html(label)}</dt><dd><pre><code>{code}</code></pre></dd>"
            return f'<section class="card {tone}">\n<h3>{_html(title)}</h3>\n<dl>{told}</dl>\n</section>'
        case Chart(title, tells):
            caption = f"<figcaption><strong>{_html(title)}.</strong> {_html(tells)}</figcaption>"
            return f"<figure>\n<div>{chart_svg(block)}</div>\n{caption}\n</figure>"
        case _:
            assert_never(block)


def _html(text: str) -> str:
    return html.escape(printable(text), quote=True)
