"""Blocks look right as text, Markdown and HTML, whatever the names hold."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.report.blocks import (
    Block,
    Card,
    Code,
    Grid,
    Heading,
    Items,
    Paragraph,
    as_html,
    as_markdown,
    as_text,
    left,
    right,
    wrapped,
    wrapping,
)
from migrator.report.words import printable, width

NASTY = 'we`ird %s "näme" <b>|*_\x1b[31m\n&'

BLOCKS: list[Block] = [
    Heading("Report", 1),
    Paragraph("All is well.", "good"),
    Grid((left("name"), right("rows")), (("a", "1"), ("bcd", "2,345"))),
    Items(("one", "two"), numbered=True),
    Items(("three",)),
    Code("SELECT 1;\nSELECT 2;"),
]


def test_text() -> None:
    """Headings underlined, numbers to the right, code indented."""
    assert as_text(BLOCKS) == (
        "Report\n======\n\n"
        "All is well.\n\n"
        "name   rows\n----  -----\na         1\nbcd   2,345\n\n"
        "1. one\n2. two\n\n"
        "- three\n\n"
        "  SELECT 1;\n  SELECT 2;\n"
    )


def test_markdown() -> None:
    """Tables with their alignment, code in a fence with its language."""
    assert as_markdown(BLOCKS) == (
        "# Report\n\n"
        "All is well.\n\n"
        "| name | rows |\n| --- | ---: |\n| a | 1 |\n| bcd | 2,345 |\n\n"
        "1. one\n2. two\n\n"
        "- three\n\n"
        "```sql\nSELECT 1;\nSELECT 2;\n```\n"
    )


def test_html_is_one_file_that_loads_nothing() -> None:
    """No script, no link, no image, and a policy that forbids them."""
    page = as_html("Report", BLOCKS)
    tags = tags_of(page)
    assert {"script", "link", "img", "iframe", "object"} & set(tags) == set()
    assert "default-src 'none'" in page
    assert "http" not in page.replace('http-equiv="', "")
    assert '<td class="number">2,345</td>' in page
    assert '<p class="good">All is well.</p>' in page


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def tags_of(page: str) -> list[str]:
    parser = _Tags()
    parser.feed(page)
    return parser.tags


NASTY_BLOCKS: list[Block] = [
    Heading(NASTY),
    Paragraph(NASTY, "bad"),
    Items((NASTY,)),
    Grid((left("name"),), ((NASTY,),)),
    Code(f"DROP TABLE {NASTY}"),
    Card(NASTY, ((NASTY, NASTY),), (f"DROP TABLE {NASTY}", f"-- {NASTY}"), label=NASTY, tone="bad"),
]


def test_a_card() -> None:
    """Close together as text, words broken and statements not; a list and a fence in Markdown; a section in HTML."""
    line = "UPDATE t SET a = 1 WHERE b = 2;"
    card = Card(
        "log: in clear", (("read", "one two three four five six seven"),), (line, "-- one two three four"), "close"
    )
    assert as_text([card], columns=28) == (
        "log: in clear\n"
        "  read   one two three four\n"
        "         five six seven\n"
        f"  close  {line}\n"
        "         -- one two three\n"
        "         -- four\n"
    )
    assert as_markdown([card]) == (
        "### log: in clear\n\n"
        "- read: one two three four five six seven\n- close:\n\n"
        f"```sql\n{line}\n-- one two three four\n```\n"
    )
    assert tags_of(as_html("x", [card]))[-8:] == ["section", "h3", "dl", "dt", "dd", "dt", "dd", "pre", "code"][-8:]
    bare = Card("log", ())
    assert (as_text([bare]), "<pre>" in as_html("x", [bare])) == ("log\n", False)


def test_rows_have_tones_in_html_only() -> None:
    """Fewer tones than rows leave the others without."""
    grid = Grid((left("a"),), (("x",), ("y",)), ("bad",))
    assert '<tr class="bad"><td>x</td></tr>\n<tr><td>y</td></tr>' in as_html("x", [grid])
    assert as_text([grid]) == as_text([Grid((left("a"),), (("x",), ("y",)))])


def test_no_name_becomes_a_tag() -> None:
    """HTML in a name is text: the tags of the page are those of the same page with a harmless name."""
    harmless: list[Block] = [
        Heading("x"),
        Paragraph("x", "bad"),
        Items(("x",)),
        Grid((left("name"),), (("x",),)),
        Code("DROP TABLE x"),
        Card("x", (("x", "x"),), ("DROP TABLE x", "-- x"), label="x", tone="bad"),
    ]
    page = as_html(NASTY, NASTY_BLOCKS)
    assert tags_of(page) == tags_of(as_html("x", harmless))
    parser = _Tags()
    parser.feed(page)
    assert any("<b>|*_\\x1b[31m" in text for text in parser.texts)


def test_no_name_leaves_its_cell_in_markdown() -> None:
    """A pipe or a line break in a name makes no new cell or row, and no mark-up."""
    lines = as_markdown([Grid((left("name"), left("b")), ((NASTY, "y"),))]).splitlines()
    assert len(lines) == 3
    assert lines[2] == '| we\\`ird %s "näme" \\<b\\>\\|\\*\\_\\\\x1b\\[31m\\\\x0a\\& | y |'


def test_a_fence_is_longer_than_any_backticks_in_it() -> None:
    """A statement cannot end its own code block."""
    text = as_markdown([Code("SELECT 1 AS `````` \n```")])
    assert text.splitlines()[0] == "```````sql"
    assert text.splitlines()[-1] == "```````"


@pytest.mark.parametrize("render", [as_text, as_markdown, lambda blocks: as_html("x", blocks)])
def test_nothing_that_a_terminal_obeys_gets_out(render: object) -> None:
    """No control character leaves in any form, wherever a name stands."""
    assert callable(render)
    assert "\x1b" not in str(render(NASTY_BLOCKS))


def test_a_wide_grid_wraps_what_may_wrap() -> None:
    """The wrapping column gets narrower until the grid fits; others stay whole."""
    text = as_text([Grid((left("a"), wrapping("why"), right("n")), (("x" * 30, "word " * 20, "12"),))], columns=60)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[2].startswith("x" * 30 + "  word word")
    assert lines[2].endswith("  12")
    assert all(line.startswith(" " * 32 + "word") for line in lines[3:] if line.strip())
    assert text.count("word") == 20


def test_wide_characters_count_twice() -> None:
    """East Asian characters take two columns, combining ones none: what stands right of them is in line."""
    text = as_text([Grid((left("name"), right("n")), (("表", "1"), ("e\u0301", "2")))])
    assert text.splitlines()[2:] == ["表    1", "e\u0301     2"]


def test_a_grid_never_takes_more_columns_than_a_page() -> None:
    """However long names are, no line of a grid with wrapping columns is wider than 100 columns."""
    rows = tuple(("n" * 64 + "." + "m" * 64, "shadow-copy", "1,000", "why " * 30) for _ in range(3))
    text = as_text([Grid((wrapping("table"), left("method"), right("rows"), wrapping("why")), rows)])
    assert max(width(line) for line in text.splitlines()) <= 100


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_wrapping_loses_nothing(text: str, columns: int) -> None:
    """All characters but the spaces at breaks are still there, in order, and no line is too wide."""
    shown = printable(text)
    lines = wrapped(shown, columns)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")
    assert all(width(line) <= columns or len(line) == 1 for line in lines)


@given(st.text())
def test_printable_text_is_printable_and_reversible(text: str) -> None:
    """What gets out can be shown, and ordinary text is not touched."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
