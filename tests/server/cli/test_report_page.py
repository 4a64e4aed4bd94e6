"""The report in a real browser: on a wide screen, on a narrow one, and on paper."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import pytest

from tests.server.cli.kit import ALL_SHADOW, Desk
from tests.servers.chromium import Browser, browser
from tests.servers.model import NotAvailable


@pytest.fixture(scope="session")
def chromium() -> Browser:
    """The pinned one."""
    try:
        return browser()
    except NotAvailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def pixels(png: Path) -> set[bytes]:
    """The lines of a picture, each once: of a blank page they are all the same."""
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG")
    parts = re.findall(rb"....IDAT", data)
    assert parts
    packed, at = b"", 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    width = int.from_bytes(data[16:20], "big") * (3 if data[25] == 2 else 4) + 1
    flat = zlib.decompress(packed)
    return {flat[i : i + width] for i in range(0, len(flat), width)}


def test_the_page(desk: Desk, chromium: Browser, tmp_path: Path) -> None:
    """It is drawn, no wider than the window at 1280 and at 400 (what is wider scrolls by itself), and prints."""
    desk.table("t")
    desk.migrator("apply", desk.plan(*ALL_SHADOW))
    page = desk.folder / "evidence.html"
    desk.migrator("report", f"--databases={desk.schema}", "-o", page)
    assert page.read_text().count('<svg class="chart"') == 2
    measured = tmp_path / "measured.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    script = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script>"
    measured.write_text(text.replace("</body>", script + "</body>"))
    for width in (1280, 400):
        picture = tmp_path / f"{width}.png"
        chromium.screenshot(page, picture, width=width, height=2400)
        assert len(pixels(picture)) > 100
        found = re.search(r"<title>(\d+) of (\d+)</title>", chromium.dom(measured, width=width))
        assert found
        assert int(found[1]) <= int(found[2])
    chromium.pdf(page, tmp_path / "evidence.pdf")
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "evidence.pdf").read_bytes())) > 1
