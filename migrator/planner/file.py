"""The plan as a YAML file: written for people who review it, read strictly.

What is read is exactly what the types in `plan.py` allow: an unknown key, a wrong type or a bad value is
a `PlanInvalid` that names file, line and remedy, all of them at once. Touches the plan file and nothing
else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from migrator.errors import PlanInvalid, UsageError
from migrator.planner import strict_yaml
from migrator.planner.mistakes import invalid, line
from migrator.planner.plan import Plan, Step
from migrator.planner.strict_yaml import MAX_BYTES, Mark, StrictYamlError
from migrator.planner.units import about, bytes_text, seconds_of

HEADER: Final = """\
A plan of migrator: what will be done to encrypt the tables of one server, for review.

A reviewer fills in `attestations` and may change `defaults`, the `workers` and `chunk_time_seconds` of
a step, and any `method` to skip. Everything else is what was found and decided: `apply` reads the
server again and refuses a plan whose facts are no longer so. Growth is no such change.
`migrator dry-run` on this file shows every statement, lock and estimate against the living server.
"""

SECTIONS: Final = {
    "server": "The only server that this plan is for.",
    "scope": "What was looked at: patterns with * and ?; tables as schema.table. Empty: everything.",
    "policy": "Which methods were allowed.",
    "attestations": "What no query can show, and somebody has to vouch for. To be filled in, like this:",
    "defaults": "How it is run. To be edited.",
    "totals": "The plan in numbers. Sizes and rows are the server's estimates.",
    "findings": "About the server, when the plan was made. All of it is asked again before anything is done.",
    "steps": "Every table and tablespace that was looked at: to do, in this order; then refused; then nothing to do.",
}


class _Representer(RoundTripRepresenter):
    """Writes null as a word: an empty place could be an oversight."""

    def represent_none(self, _data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


# -- writing --------------------------------------------------------------------------------------


def plan_text(plan: Plan) -> str:
    """The plan as YAML with comments; `read_plan` gives the same plan back."""
    top = CommentedMap()
    data = plan.model_dump(mode="json", exclude={"steps", "findings"})
    data |= plan.model_dump(mode="json", include={"findings"}, exclude_defaults=True)
    for key in type(plan).model_fields:
        top[key] = _steps(plan.steps) if key == "steps" else _shaped(data.get(key, []))
        if key in SECTIONS:
            lines = SECTIONS[key]
            if key == "attestations":
                lines += "\n" + _example(plan)
            top.yaml_set_comment_before_after_key(key, before="\n" + lines)
    top.yaml_set_start_comment(HEADER)
    writer = YAML(typ="rt", pure=True)
    writer.Representer = _Representer
    writer.width = 2**20
    writer.allow_unicode = True
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    writer.dump(top, out)
    return "\n".join(line.rstrip() if line.lstrip().startswith("#") else line for line in out.getvalue().split("\n"))


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan whole or not at all, replacing what was there. Raises `UsageError` if that is impossible."""
    text = plan_text(plan)
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UsageError(
            f"cannot write the plan to {path}: {error.strerror or error}",
            remedy="give a path in a folder that exists and that you may write to",
        ) from None


def _example(plan: Plan) -> str:
    attestation = '{by: Ann Example, at: 2026-05-01, note: "CHG-1234"}'
    members = [f.subject for f in plan.findings if f.code == "member-not-confirmed"] or ["replica.example.com:3306"]
    lines = [f"  keyring_backup: {attestation}", "  members:"]
    lines += [f"    {json.dumps(name)}: {attestation}" for name in members]
    return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _steps(steps: Iterable[Step]) -> CommentedSeq:
    found = CommentedSeq()
    for number, step in enumerate(steps):
        data = step.model_dump(mode="json", exclude_defaults=True)
        found.append(_shaped({"kind": step.kind, **data}))
        found.yaml_set_comment_before_after_key(number, before=f"\n{_printable(step.name)}: {step.method}", indent=2)
    return found


def _shaped(value: object, key: str = "") -> object:
    """The value as ruamel writes it best: units, block texts, quotes where a text could be read as something else."""
    if isinstance(value, Mapping):
        shaped = CommentedMap()
        for name, inner in value.items():
            shaped[_text(name)] = _shaped(inner, name)
            if _is_size(name) and isinstance(inner, int) and len(bytes_text(inner).partition(" ")[0]) > 4:
                shaped.yaml_add_eol_comment(about(inner), name, column=0)
        return shaped
    if isinstance(value, list):
        return CommentedSeq([_shaped(inner) for inner in value])
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _with_unit(value, key)


def _with_unit(value: float, key: str) -> object:
    if _is_size(key) and isinstance(value, int):
        text = bytes_text(value)
        return value if text.isdigit() else text
    if key.endswith("_days"):
        return f"{value} d"
    if key.endswith("_hours"):
        return f"{value} h"
    if key.endswith("_seconds") or key.startswith("seconds_"):
        text = f"{value:g} s"
        return text if _same(text, value) else value
    return value


def _is_size(key: str) -> bool:
    return key.endswith("_bytes") or key.startswith("bytes_")


def _same(text: str, seconds: float) -> bool:
    try:
        return seconds_of(text) == seconds
    except ValueError:
        return False


def _text(text: str) -> str:
    lines = text.split("\n")
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    if len(lines) > 1 and plain and text == text.strip():
        return cast("str", LiteralScalarString(text))
    if text.isprintable() and isinstance(strict_yaml.scalar(text), str):
        return text
    return cast("str", DoubleQuotedScalarString(text))


# -- reading --------------------------------------------------------------------------------------


def read_plan(path: Path) -> Plan:
    """The plan in the file. Raises `PlanInvalid` with file, line, what is wrong and what to do."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanInvalid(
            f"cannot read the plan {path}: {error.strerror or error}", remedy="`migrator plan -o FILE` makes one"
        ) from None
    if len(raw) > MAX_BYTES:
        raise PlanInvalid(f"{path}: larger than {about(MAX_BYTES)}", remedy="plan a part: databases, tables")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PlanInvalid(f"{path}:{line}: not UTF-8", remedy="save the file as UTF-8") from None
    return parse_plan(text, source=str(path))


def parse_plan(text: str, *, source: str = "plan") -> Plan:
    """The plan in the text; `source` is the file's name for messages. Raises `PlanInvalid`."""
    try:
        document = strict_yaml.parse(text)
    except StrictYamlError as error:
        raise PlanInvalid(line(source, error.mark, error.message), remedy=error.remedy or "mend the file") from None
    if not isinstance(document.data, dict):
        raise PlanInvalid(line(source, Mark(1, 1), "not a plan: a plan is a map of keys"), remedy="see plans/")
    try:
        return Plan.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        raise invalid(error, document, source) from None


def plan_hash(plan: Plan) -> str:
    """SHA-256 over everything in the plan; comments, order of keys and layout of the file do not count."""
    text = json.dumps(plan.model_dump(mode="json"), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
