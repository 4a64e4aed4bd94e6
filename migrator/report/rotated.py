"""What `rotate-key` did, or would do. Values, and text. Pure; names of keys, never a byte of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from migrator.model import Finding
from migrator.report.blocks import Block, Code, Grid, Heading, Items, Paragraph, as_text, left, right, wrapping
from migrator.report.documents import as_json
from migrator.report.values import ServerId
from migrator.report.words import count, duration, milliseconds, plural
from migrator.sql.rotate import WHAT, Which


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file, and the master key by which its own key is locked."""

    which: Which
    path: str
    tablespace: str
    """'' for a log."""
    key: str = ""
    """The master key's name; '' where nobody knows, or there is none."""
    why: str = ""
    """Why nobody knows."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One master key."""

    which: Which
    statement: str
    locks: str
    key_from: str
    """The newest one before; '' if there was none."""
    key_to: str = ""
    """The newest one afterwards; '' in a dry run."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MemberKey:
    """Another server: does it have a new key, too?"""

    name: str
    kind: str
    key_from: str = ""
    key_to: str = ""
    why: str = ""
    """Why it could not be asked."""


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Files before and after; `why` nothing was read, if so."""

    datadir: str
    before: tuple[LockedFile, ...] = ()
    after: tuple[LockedFile, ...] = ()
    why: str = ""
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """All of it."""

    action: Literal["rotated", "would-rotate"]
    server: ServerId
    at: str
    account: str
    changes: tuple[KeyChange, ...]
    attested: str = ""
    """Who has said that the keyring was backed up before, and when."""
    noted: bool = True
    """In the journal."""
    settled: tuple[str, ...] = ()
    """What became of earlier rotations whose end nobody had noted."""
    files: FileKeys | None = None
    members: tuple[MemberKey, ...] = ()
    findings: tuple[Finding, ...] = ()


def rotation_exit_code(value: Rotation) -> int:
    """1 if files were asked for and not all were seen with the new key, or a member has none yet; else 0."""
    if value.action == "would-rotate":
        return 0
    files = value.files is not None and bool(value.files.why or not_yet(value))
    return 1 if files or any(behind(member) for member in value.members) else 0


def not_yet(value: Rotation) -> list[LockedFile]:
    """Files that were not seen with the new key."""
    newest = {change.which: change.key_to for change in value.changes}
    return [one for one in (value.files.after if value.files else ()) if one.key != newest[one.which]]


def behind(member: MemberKey) -> bool:
    """True if it was asked, and has no newer key yet."""
    return not member.why and member.key_from == member.key_to


def rotation_json(value: Rotation) -> str:
    """For programs."""
    return as_json("rotate-key", value)


# -- for people -------------------------------------------------------------------------------

MOST_FILES: Final = 200
"""Lines of a text; the files that were not seen with the new key come first."""

_BACKUP: Final = (
    "Back up the keyring NOW, apart from the data: no older backup of it has the new key, and without that key"
    " nothing that is encrypted here can be read.",
    "Keep older backups of the keyring with the backups of the data that belong to them.",
)


def rotation_text(value: Rotation) -> str:
    """For a terminal."""
    dry = value.action == "would-rotate"
    blocks: list[Block] = [Heading("Rotation" + (" (dry run: nothing was changed)" if dry else ""), 1)]
    blocks += [Paragraph(sentence) for sentence in value.settled]
    for change in value.changes:
        blocks += _change(change, dry=dry)
    if value.findings:
        blocks.append(Items(tuple(f"{finding.message} [{finding.code}]" for finding in value.findings)))
    if value.files is not None:
        blocks += _files(value, value.files, dry=dry)
    blocks += _others(value, dry=dry)
    if dry:
        return as_text([*blocks, Heading("Next"), Items(("the same without --dry-run does it",))])
    if not value.noted:
        blocks.append(Paragraph("It is not noted in the journal: this server takes no writes, its journal is a copy."))
    return as_text([*blocks, Heading("Next"), *(Paragraph(line, "bad") for line in _BACKUP)])


def _change(change: KeyChange, *, dry: bool) -> list[Block]:
    what = WHAT[change.which]
    before = change.key_from or "none yet"
    if dry:
        said = f"The {what} would be rotated. The newest is {before}."
        return [Paragraph(said), Code(change.statement), Paragraph(change.locks)]
    return [
        Paragraph(f"The {what} was rotated in {milliseconds(change.seconds)}:", "good"),
        Items((before, change.key_to)),
    ]


def _files(value: Rotation, files: FileKeys, *, dry: bool) -> list[Block]:
    blocks: list[Block] = [Heading("Files")]
    if files.why:
        return [*blocks, Paragraph(f"No file was read: {files.why}.", "bad")]
    before = {one.path: one for one in files.before}
    shown = files.before if dry else files.after
    if dry:
        blocks.append(Paragraph(f"{plural(len(shown), 'encrypted file')} of {files.datadir}."))
    else:
        late = not_yet(value)
        done = len(shown) - len(late)
        said = f"{count(done)} of {plural(len(shown), 'encrypted file')} are locked with the new key"
        said += f", seen within {duration(files.waited_seconds)}."
        blocks.append(Paragraph(said, "bad" if late else "good"))
        if any(one.key for one in late):
            blocks.append(
                Paragraph(
                    "The others keep the older key until the server writes their first page. The older key stays in"
                    " the keyring, and the redo log has the new one. Look again: migrator verify --files"
                )
            )
    columns = (wrapping("file"), right("key before"), right("key now"), wrapping("why"))
    rows = tuple(
        (one.path, _number(before.get(one.path)), "" if dry else _number(one), one.why)
        for one in _worst_first(shown, value)
    )
    if not rows:
        return blocks
    more = len(rows) - MOST_FILES
    blocks.append(Grid(columns, rows[:MOST_FILES]))
    return [*blocks, Paragraph(f"And {plural(more, 'file')} more: --format json has all.")] if more > 0 else blocks


def _worst_first(files: Sequence[LockedFile], value: Rotation) -> list[LockedFile]:
    late = {one.path for one in not_yet(value)}
    return sorted(files, key=lambda one: (one.path not in late, one.which, one.path))


def _number(file: LockedFile | None) -> str:
    if file is None or not file.key:
        return "?" if file and file.why else ""
    return file.key.replace("_", "-").rpartition("-")[2]


def _others(value: Rotation, *, dry: bool) -> list[Block]:
    which = {change.which for change in value.changes}
    if not value.members:
        return []
    blocks: list[Block] = [Heading("Other servers")]
    if "innodb" in which:
        blocks.append(Paragraph("The statement for InnoDB is in the binlog: each rotates a key of its own."))
        if not dry:
            columns = (
                left("server"),
                left("kind"),
                wrapping("key before"),
                wrapping("key now"),
                wrapping("why not known"),
            )
            rows = tuple((m.name, m.kind, m.key_from, m.key_to, m.why) for m in value.members)
            blocks.append(Grid(columns, rows))
            if any(map(behind, value.members)):
                said = "Those with the same key before and now have not rotated yet: look at how far they are behind."
                blocks.append(Paragraph(said, "bad"))
            if any(member.why for member in value.members):
                look = "SELECT KEY_ID FROM performance_schema.keyring_keys"
                blocks.append(Paragraph(f"Look at those that were not asked yourself: {look}"))
    if "binlog" in which:
        blocks.append(Paragraph("The binary log's key is each server's own, and not replicated. On each of them:"))
        lines = [_only_binlog(member.name) for member in value.members]
        blocks.append(Code("\n".join(lines), "sh"))
    return blocks


def _only_binlog(name: str) -> str:
    host, _, port = name.rpartition(":")
    return f"migrator rotate-key --only-binlog -h {host} -P {port} ..." if host else f"migrator rotate-key  # on {name}"
