"""What the files of a server hold: pages by kind, against the catalog's word and the keyring. Values, and blocks. Pure.

No value holds a byte of a page, or of what was searched for: only places.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from migrator.report.blocks import Block, Code, Grid, Heading, Items, Paragraph, left, right, wrapping
from migrator.report.words import about, count, plural


class Verdict(StrEnum):
    """What a file is, all in all; the worst first."""

    CONTRADICTION = "contradiction"
    """It is not what the catalog says, or nobody could open it: a person must look."""
    IN_CLEAR = "in clear"
    UNDER_WAY = "under way"
    """An ALTER TABLESPACE has not come to its end."""
    UNREAD = "not read"
    PARTLY = "partly"
    """An undo tablespace: what is written now is encrypted, what is older lies in clear until it is truncated."""
    ENCRYPTED = "encrypted"


WORST_FIRST: Final = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class FileProof:
    """One file."""

    path: str
    space: int
    verdict: Verdict
    why: str = ""
    """What contradicts, or why it was not read."""
    catalog_encrypted: bool = False
    partition: str = ""
    fulltext: bool = False
    file_bytes: int = 0
    page_bytes: int = 0
    pages: int = 0
    """So many were classified."""
    sampled: bool = False
    kinds: dict[str, int] | None = None
    """Pages by kind."""
    plain_with_rows: int = 0
    plain_others: int = 0
    hollow: int = 0
    """Pages that call themselves encrypted, and are not."""
    first_plain: tuple[int, ...] = ()
    """Offsets in the file."""
    key: str = ""
    """The name of the master key, where the file says one."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """A table with all its files (partitions, FULLTEXT indexes), or a tablespace that is no table's own."""

    name: str
    kind: str
    """'table' | 'tablespace' | 'beside': the server's own, which `verify` proves nothing of."""
    verdict: Verdict
    files: tuple[FileProof, ...]


@dataclass(frozen=True, slots=True)
class CanaryHit:
    """A file in which the bytes stand."""

    path: str
    times: int
    first: tuple[int, ...]
    """Offsets."""
    where: str = ""
    """What the file is: a tablespace, a redo log, ..."""
    contradicts: bool = False
    """The catalog says that this tablespace is encrypted."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Where the bytes were looked for, and found."""

    bytes_searched_for: int
    files: int
    file_bytes: int
    hits: tuple[CanaryHit, ...]
    unread: tuple[str, ...] = ()
    """Files that could not be read."""


OTHER_PAGES: Final = "MariaDB's pages have another format, which cannot be read yet"
"""Why nothing is proved on a server whose catalog can be read."""


@dataclass(frozen=True, slots=True)
class FilesReport:
    """All that was looked at."""

    datadir: str
    not_here: str = ""
    """Why no file was read at all; '' if they were."""
    objects: tuple[ObjectFiles, ...] = ()
    canary: Canary | None = None
    master_key: str = ""
    """The newest of this server in the keyring; '' if we may not ask."""
    keys_readable: bool = True
    percent: float = 100.0
    bytes_read: int = 0
    seconds: float = 0.0


def files_exit_code(report: FilesReport) -> int:
    """4 if a file contradicts the catalog, 1 if something lies in clear or could not be proved, else 0."""
    verdicts = {o.verdict for o in report.objects if o.kind != "beside"}
    hits = report.canary.hits if report.canary else ()
    if any(o.verdict is Verdict.CONTRADICTION for o in report.objects) or any(h.contradicts for h in hits):
        return 4
    unsearched = report.canary is not None and bool(report.canary.unread)
    return 1 if report.not_here or hits or unsearched or verdicts - {Verdict.ENCRYPTED} else 0


def contradictions(report: FilesReport) -> tuple[str, ...]:
    """The names of what is not as the catalog says."""
    names = [o.name for o in report.objects if o.verdict is Verdict.CONTRADICTION]
    hits = report.canary.hits if report.canary else ()
    return tuple(dict.fromkeys([*names, *(h.path for h in hits if h.contradicts)]))


# -- blocks -----------------------------------------------------------------------------------


def files_blocks(report: FilesReport) -> list[Block]:
    """The report for people: what contradicts first."""
    if report.not_here:
        why = Paragraph(f"No file was read: {report.not_here}. So the catalog's word is all there is.", "bad")
        if report.not_here == OTHER_PAGES:
            return [Heading("Files"), why]
        return [
            Heading("Files"),
            why,
            Paragraph("To have the pages proved, run it on the server's host, as a user who may read the files:"),
            Code("sudo -u mysql migrator verify --files", "sh"),
        ]
    objects = sorted(report.objects, key=lambda o: (WORST_FIRST.index(o.verdict), o.kind == "beside", o.name))
    blocks: list[Block] = [Heading("Files"), Paragraph(_what_was_read(report))] if objects else []
    broken = [o for o in objects if o.verdict is Verdict.CONTRADICTION]
    if broken:
        names = ", ".join(o.name for o in broken)
        blocks.append(Paragraph(f"The files are not what the catalog says: {names}. A person must look.", "bad"))
        blocks.append(Items(tuple(_sentence(f) for o in broken for f in o.files if f.why)))
    proved = [o for o in objects if o.kind != "beside"]
    good = [o for o in proved if o.verdict is Verdict.ENCRYPTED]
    if proved:
        tone = "good" if len(good) == len(proved) else "bad"
        word = "every page that was read" if report.percent < 100 else "every page"
        said = f"Encrypted, {word} of it: {count(len(good))} of {plural(len(proved), 'object')}."
        blocks.append(Paragraph(said, tone))  # type: ignore[arg-type]
    if objects:
        blocks.append(_grid(objects))
    notes = list(dict.fromkeys(f"{f.path}: {note}" for o in objects for f in o.files for note in f.notes))
    if notes:
        blocks += [Heading("Notes on files", 3), Items(tuple(notes))]
    if report.canary:
        blocks += _canary_blocks(report.canary)
    return blocks


def _what_was_read(report: FilesReport) -> str:
    files = sum(len(o.files) for o in report.objects)
    said = f"{plural(files, 'file')} of {report.datadir}: {about(report.bytes_read)} read in {report.seconds:.1f} s."
    if report.percent < 100:
        said += f" A sample: {report.percent:g} % of the extents of each file, its first and its last always."
    if not report.keys_readable:
        return said + " Keys were not compared: SELECT on performance_schema.keyring_keys is missing."
    return said + (
        f" Newest master key: {report.master_key}." if report.master_key else " The keyring has no master key."
    )


def _sentence(file: FileProof) -> str:
    places = ", ".join(map(str, file.first_plain))
    return f"{file.path}: {file.why}" + (f"; first at offset {places}" if places else "")


def _grid(objects: list[ObjectFiles]) -> Grid:
    columns = (
        wrapping("name"), left("files say"), right("files"), right("pages"), right("encrypted"), right("empty"),
        right("with rows in clear"), right("others in clear"), wrapping("why"),
    )  # fmt: skip
    return Grid(columns, tuple(_row(o) for o in objects))


def _row(o: ObjectFiles) -> tuple[str, ...]:
    kinds = [f.kinds or {} for f in o.files]
    sealed = sum(pages for k in kinds for name, pages in k.items() if name in _SEALED)
    why = next((f.why for f in o.files if f.verdict is o.verdict and f.why), "")
    return (
        o.name + (" (the server's own)" if o.kind == "beside" else ""),
        "NOT AS THE CATALOG" if o.verdict is Verdict.CONTRADICTION else str(o.verdict),
        count(len(o.files)),
        count(sum(f.pages for f in o.files)),
        count(sealed),
        count(sum(k.get("empty", 0) for k in kinds)),
        count(sum(f.plain_with_rows + f.hollow for f in o.files)),
        count(sum(f.plain_others for f in o.files)),
        why,
    )


_SEALED: Final = frozenset({"encrypted", "compressed and encrypted", "encrypted RTREE"})


def _canary_blocks(canary: Canary) -> list[Block]:
    searched = (
        f"{plural(canary.files, 'file')} ({about(canary.file_bytes)}) searched for {canary.bytes_searched_for} bytes"
    )
    blocks: list[Block] = [Heading("Canary")]
    if canary.hits:
        blocks.append(Paragraph(f"{searched}: found in {plural(len(canary.hits), 'file')}.", "bad"))
        columns = (wrapping("file"), wrapping("what it is"), right("times"), wrapping("first at offset"))
        rows = tuple((h.path, h.where, count(h.times), ", ".join(map(str, h.first))) for h in canary.hits)
        blocks.append(Grid(columns, rows))
    else:
        blocks.append(Paragraph(f"{searched}: found in none. That alone proves little (docs/proof.md).", "good"))
    if canary.unread:
        blocks.append(Paragraph(f"Not searched, since they could not be read: {', '.join(canary.unread)}.", "bad"))
    return blocks
