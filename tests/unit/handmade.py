"""Pages of InnoDB made by hand, for tests without a server: built by the offsets of docs/proof.md, by no server."""

from __future__ import annotations

import random
import struct
from typing import Final

from migrator.proof.header import info_offset

UUID: Final = "11111111-2222-3333-4444-555555555555"
_NOISE: Final = random.Random(7).randbytes(4 * 2**20)


def a_page(size: int, number: int, kind: int, text: bytes = b"", *, space: int = 5, lsn: int = 1000) -> bytes:
    """A page in clear."""
    page = bytearray(size)
    struct.pack_into(">IIIIQH", page, 0, 0xC0FFEE, number, 0, 0, lsn, kind)
    struct.pack_into(">I", page, 34, space)
    page[120 : 120 + len(text)] = text
    return bytes(page)


def a_sealed_page(size: int, number: int, *, kind: int = 15, space: int = 5, used: int = 0) -> bytes:
    """A page that looks as an encrypted one does: noise behind the head; `used` bytes of it, and zeros, for type 16."""
    start = number * 7919 % (len(_NOISE) - 65536)
    page = bytearray(a_page(size, number, kind, space=space))
    end = 38 + used if used else size - 8
    page[38:end] = _NOISE[start : start + end - 38]
    if used:
        struct.pack_into(">H", page, 32, used)
    return bytes(page)


def an_empty_page(size: int) -> bytes:
    """A page that was never used."""
    return bytes(size)


def a_first_page(
    logical: int = 16384,
    physical: int = 16384,
    *,
    space: int = 5,
    space_in_header: int | None = None,
    encrypted: bool = False,
    key_id: int = 1,
    uuid: str = UUID,
    flags: int | None = None,
) -> bytes:
    """The head of a tablespace."""
    page = bytearray(a_page(physical, 0, 8, space=space))
    server = 0 if logical == 16384 else (logical // 512).bit_length() - 1
    compressed = 0 if physical == logical else (physical // 512).bit_length() - 1
    made = 0x21 | compressed << 1 | server << 6 | (0x2000 if encrypted else 0)
    struct.pack_into(">I", page, 38, space if space_in_header is None else space_in_header)
    struct.pack_into(">I", page, 54, made if flags is None else flags)
    if encrypted:
        place = info_offset(logical, physical)
        page[place : place + 43] = b"lCC" + struct.pack(">I", key_id) + uuid.encode()
    return bytes(page)
