"""The first page of an InnoDB file: which tablespace, how large its pages, by which key it is encrypted. Pure.

The server never encrypts this page. All numbers are big endian; docs/proof.md has the offsets and how
they were checked.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Literal

SMALLEST_PAGE: Final = 1024
LARGEST_PAGE: Final = 65536

_PAGE_NUMBER: Final = 4
_PAGE_TYPE: Final = 24
_SPACE: Final = 34
_SPACE_IN_HEADER: Final = 38
_FLAGS: Final = 54
_FSP_HDR: Final = 8

_ENCRYPTED: Final = 1 << 13
_KIB: Final = 1024
_16_KIB: Final = 16 * _KIB
_FIRST_XDES: Final = 150
_MAGICS: Final = (b"lCA", b"lCB", b"lCC")
"""Of 5.7.11, 5.7.12 and 8.0.5."""
_OPERATION: Final = 123
_PROGRESS: Final = 124
_UUID: Final = re.compile(rb"[0-9a-fA-F-]{36}")


@dataclass(frozen=True, slots=True)
class EncryptionInfo:
    """Which master key has locked the key of this tablespace."""

    key_id: int
    server_uuid: str
    """'' in a form that has none."""

    @property
    def key_name(self) -> str:
        """What the keyring calls that key."""
        return f"INNODBKey-{self.server_uuid}-{self.key_id}"


@dataclass(frozen=True, slots=True)
class Header:
    """What the first page says."""

    space: int
    page_bytes: int
    """As large as pages are in the file; smaller than the server's where they are compressed."""
    extent_bytes: int
    encrypted: bool
    """Bit 13 of the flags."""
    info: EncryptionInfo | None
    under_way: Literal["", "encrypting", "decrypting"] = ""
    """What an ALTER TABLESPACE, unfinished or dead, is doing to the pages."""
    progress_page: int = 0
    """It has come so far."""


class NoHeader(Exception):
    """These bytes are not the first page of a tablespace; says why, without a byte of them."""


def header_of(page: bytes | bytearray | memoryview) -> Header:
    """Read the first page; `page` may be longer or, for what does not need the rest, as short as the page is.

    Raises `NoHeader`.
    """
    page = bytes(page[:LARGEST_PAGE])
    if len(page) < SMALLEST_PAGE:
        raise NoHeader("the file is shorter than any page")
    if not any(page[:SMALLEST_PAGE]):
        raise NoHeader("the first page is empty")
    (kind,) = struct.unpack_from(">H", page, _PAGE_TYPE)
    (number,) = struct.unpack_from(">I", page, _PAGE_NUMBER)
    space, space_in_header = (struct.unpack_from(">I", page, place)[0] for place in (_SPACE, _SPACE_IN_HEADER))
    if (kind, number) != (_FSP_HDR, 0) or space != space_in_header:
        raise NoHeader(f"the first page is of type {kind}, number {number}, and no header of a tablespace")
    (flags,) = struct.unpack_from(">I", page, _FLAGS)
    logical, physical = page_sizes(flags)
    if not SMALLEST_PAGE <= physical <= LARGEST_PAGE or not 4096 <= logical <= LARGEST_PAGE or physical > logical:
        raise NoHeader(f"the header's flags ({flags:#x}) have no size of pages that there is")
    place = info_offset(logical, physical)
    info = _info(page[place : place + 128])
    operation, progress = 0, 0
    if info is not None and place + _PROGRESS + 4 <= min(len(page), physical):
        operation = page[place + _OPERATION]
        (progress,) = struct.unpack_from(">I", page, place + _PROGRESS)
    return Header(
        space=space,
        page_bytes=physical,
        extent_bytes=_extent_pages(logical) * physical,
        encrypted=bool(flags & _ENCRYPTED),
        info=info,
        under_way="encrypting" if operation & 1 else "decrypting" if operation & 2 else "",
        progress_page=progress if operation & 3 else 0,
    )


def page_sizes(flags: int) -> tuple[int, int]:
    """Of the server's pages, and of the file's: smaller where rows are in ROW_FORMAT=COMPRESSED."""
    compressed, server = flags >> 1 & 15, flags >> 6 & 15
    logical = 512 << server if server else _16_KIB
    return logical, 512 << compressed if compressed else logical


def info_offset(logical: int, physical: int) -> int:
    """Where the encryption information begins: behind the descriptors of the extents that fit the first page."""
    extent_pages = _extent_pages(logical)
    return _FIRST_XDES + (24 + extent_pages // 4) * (physical // extent_pages)


def _extent_pages(logical: int) -> int:
    return _KIB * _KIB // logical if logical <= _16_KIB else 64


def _info(area: bytes) -> EncryptionInfo | None:
    if area[:3] not in _MAGICS or len(area) < 43:
        return None
    (key_id,) = struct.unpack_from(">I", area, 3)
    uuid = area[7:43]
    return EncryptionInfo(key_id, uuid.decode("ascii").lower() if _UUID.fullmatch(uuid) else "")
