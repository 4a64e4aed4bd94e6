"""What was found in a file, against the word of the catalog and of the keyring. Pure."""

from __future__ import annotations

from typing import Final

from migrator.inventory.files import DataFile
from migrator.proof.header import Header
from migrator.proof.pages import Class
from migrator.proof.reading import FileRead
from migrator.report.files import FileProof, Verdict
from migrator.report.words import count, plural
from migrator.sql.rotate import newest_key as newest

FIRST_PLACES: Final = 5

Keys = frozenset[str] | None
"""Names of the keyring's master keys; None if we may not see them."""


def judged(file: DataFile, read: FileRead, keys: Keys) -> FileProof:
    """What is proved of one file that was read."""
    tally = read.tally
    verdict, why = _verdict(file, read, keys)
    info = read.header.info if read.header else None
    return FileProof(
        path=str(read.path),
        space=file.space,
        verdict=verdict,
        why=why,
        catalog_encrypted=file.encrypted,
        partition=file.partition,
        fulltext=file.fulltext,
        file_bytes=read.file_bytes,
        page_bytes=read.page_bytes,
        pages=tally.pages,
        sampled=read.sampled,
        kinds=dict(sorted(tally.kinds.items())),
        plain_with_rows=tally.classes[Class.ROWS],
        plain_others=tally.classes[Class.OTHER],
        hollow=tally.classes[Class.HOLLOW],
        first_plain=tuple(s.page * read.page_bytes for s in tally.suspects[:FIRST_PLACES]),
        key=info.key_name if info else "",
        notes=_notes(file, read, keys),
    )


def unread(file: DataFile, path: str, why: str) -> FileProof:
    """A file of which nothing is proved."""
    return FileProof(
        path=path,
        space=file.space,
        verdict=Verdict.UNREAD,
        why=why,
        catalog_encrypted=file.encrypted,
        partition=file.partition,
        fulltext=file.fulltext,
    )


def worst(verdicts: list[Verdict]) -> Verdict:
    """Of a table's files, the one that counts."""
    return min(verdicts, key=tuple(Verdict).index, default=Verdict.UNREAD)


def newest_key(keys: Keys, server_uuid: str) -> str:
    """The master key of this server that was made last; '' if there is none, or we may not ask."""
    return newest(keys or (), "innodb", server_uuid)


def _verdict(file: DataFile, read: FileRead, keys: Keys) -> tuple[Verdict, str]:
    header = read.header
    if not file.first:
        # It has no header of its own: pages say what there is to say.
        return _by_pages(file, read) if file.encrypted else (Verdict.IN_CLEAR, "")
    if header is None:
        return Verdict.CONTRADICTION, read.no_header
    if header.space != file.space:
        return Verdict.CONTRADICTION, f"the file is of tablespace {header.space}, the catalog says {file.space}"
    if header.under_way:
        return Verdict.UNDER_WAY, f"an ALTER TABLESPACE is {header.under_way} it, at page {count(header.progress_page)}"
    if header.page_bytes != file.page_bytes:
        said = f"its pages have {header.page_bytes} bytes, the catalog says {file.page_bytes}"
        return Verdict.CONTRADICTION, said
    if file.kind == "Undo":
        return _of_undo(file, read)
    if not file.encrypted:
        if header.encrypted:
            return Verdict.CONTRADICTION, "its header says encrypted, the catalog says not"
        return Verdict.IN_CLEAR, ""
    if not header.encrypted:
        clear = read.tally.in_clear
        return Verdict.CONTRADICTION, f"the catalog says encrypted, its header says not, {_pages(clear, read)} in clear"
    bad_key = _bad_key(header, keys)
    if bad_key:
        return Verdict.CONTRADICTION, bad_key
    return _by_pages(file, read)


def _of_undo(file: DataFile, read: FileRead) -> tuple[Verdict, str]:
    """Its header says nothing: the server encrypts page by page, as they are written."""
    if not file.encrypted:
        return Verdict.IN_CLEAR, ""
    if read.tally.in_clear:
        return Verdict.PARTLY, "older pages stay in clear until it is truncated"
    return Verdict.ENCRYPTED, ""


def _by_pages(file: DataFile, read: FileRead) -> tuple[Verdict, str]:
    tally = read.tally
    if not tally.in_clear:
        return Verdict.ENCRYPTED, ""
    parts = [
        f"{_pages(tally.classes[what], read)} {words}"
        for what, words in (
            (Class.ROWS, "with rows in clear"),
            (Class.OTHER, "without rows in clear"),
            (Class.HOLLOW, "encrypted in name only"),
        )
        if tally.classes[what]
    ]
    written = "; some of them are still being written, look again" if read.written_meanwhile else ""
    return Verdict.CONTRADICTION, f"the catalog says encrypted, and the file has {', '.join(parts)}{written}"


def _pages(pages: int, read: FileRead) -> str:
    return plural(pages, "page") + (" of those that were read" if read.sampled else "")


def _bad_key(header: Header, keys: Keys) -> str:
    if header.info is None:
        return "its header says encrypted, and has no encryption information where it must be"
    if keys is not None and header.info.server_uuid and header.info.key_name not in keys:
        return f"its master key {header.info.key_name} is not in the keyring: after a restart nobody could open it"
    return ""


def _notes(file: DataFile, read: FileRead, keys: Keys) -> tuple[str, ...]:
    notes = []
    info = read.header.info if read.header else None
    if info and info.server_uuid and keys is not None and info.key_name in keys:
        newest = newest_key(keys, info.server_uuid)
        if newest != info.key_name:
            notes.append(
                f"locked with {info.key_name}, the newest is {newest}: its first page was not written since then"
            )
    if info and not info.server_uuid:
        notes.append("the master key was not compared: its name is in a form of before 8.0.5")
    if read.written_meanwhile:
        notes.append("pages in clear changed between two looks: the server is writing them")
    if file.encrypted and len(read.tally.suspects) < read.tally.in_clear:
        notes.append(f"only the first {count(len(read.tally.suspects))} pages in clear were looked at a second time")
    return tuple(notes)
