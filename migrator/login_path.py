"""Login paths (`~/.mylogin.cnf`), as `mysql_config_editor` writes them and MySQL's own clients read them.

The file hides a password from whoever looks over a shoulder. Its key lies in it, so it hides nothing from who can
read it: that nobody else can is all that protects it. No message holds a value.
"""

from __future__ import annotations

import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from migrator.errors import UsageError
from migrator.option_files import Entry, OptionFiles, parse

_UNUSED: Final = 4
_KEY: Final = 20
_LENGTH: Final = 4
_AES_BYTES: Final = 16

_OTHERS: Final = stat.S_IXUSR | stat.S_IRWXG | stat.S_IRWXO
"""Rights with which MySQL's clients leave the file alone."""


def read_login_paths(file: Path, *, path: str | None, groups: Collection[str], suffix: str) -> OptionFiles:
    """The entries of `groups`, and of the login path `path` with and without the suffix, in the order of the file.

    As in MySQL's clients what stands later in the file wins, [client] over the named path too; a warning says where.
    A file that others may read is passed over with a warning. Where a path is named, that and a path that is not in
    the file are errors (`UsageError`), so that nobody comes to another server than the one that was meant.
    """
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode) and mode & _OTHERS:
            reason = "others than its owner may use it"
            if path is not None:
                raise UsageError(f"login paths are not read: {file}: {reason}", remedy=f"chmod 600 {file}")
            return OptionFiles((), (f"{file} is ignored because {reason} (chmod 600 {file})",))
        content = file.read_bytes()
    except OSError as error:
        if path is not None:
            raise UsageError(
                f"cannot read login paths from {file}: {error.strerror}",
                remedy=f"make it with mysql_config_editor set --login-path={path} ..., or leave --login-path out",
            ) from None
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return OptionFiles((), () if missing else (f"{file} is ignored: {error.strerror}",))
    warnings: list[str] = []
    entries = list(parse(_clear_text(content, file), file, warnings)) if content else []
    named = {path, f"{path}{suffix}"} if path is not None else set()
    if path is not None and not any(entry.group in named for entry in entries):
        raise UsageError(
            f"{file} has no login path {path!r}", remedy="see mysql_config_editor print --all, and mind the spelling"
        )
    wanted = [entry for entry in entries if entry.group in named or entry.group in groups]
    return OptionFiles(tuple(wanted), (*warnings, *_overruled(wanted, named)))


def _overruled(entries: list[Entry], named: Collection[str]) -> list[str]:
    last = {entry.name: entry for entry in entries}
    said = {entry.name for entry in entries if entry.group in named}
    return [
        f"{entry.where}: {name} of [{entry.group}] counts, not that of the login path: it stands later in the file"
        for name, entry in sorted(last.items())
        if name in said and entry.group not in named
    ]


def _clear_text(content: bytes, file: Path) -> str:
    """The file's lines: each is encrypted by itself, with its length before it."""
    key = bytearray(_AES_BYTES)
    for at, byte in enumerate(content[_UNUSED : _UNUSED + _KEY]):
        key[at % _AES_BYTES] ^= byte
    at = _UNUSED + _KEY
    lines: list[bytes] = []
    try:
        if len(content) < at:
            raise ValueError
        while at < len(content):
            length = int.from_bytes(content[at : at + _LENGTH], "little")
            at += _LENGTH
            line = content[at : at + length]
            if not length or len(line) < length:
                raise ValueError
            lines.append(_decrypted(line, bytes(key)))
            at += length
        return b"".join(lines).decode("utf-8")
    except ValueError:
        # The error itself would hold bytes of the file.
        raise UsageError(
            f"{file} is not a file of mysql_config_editor, or is damaged",
            remedy="look at it with mysql_config_editor print --all, or make it anew with mysql_config_editor reset",
        ) from None


def _decrypted(line: bytes, key: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - what MySQL writes
    decryptor, padding = cipher.decryptor(), PKCS7(8 * _AES_BYTES).unpadder()
    return padding.update(decryptor.update(line) + decryptor.finalize()) + padding.finalize()
