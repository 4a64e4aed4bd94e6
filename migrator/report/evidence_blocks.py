"""Evidence as blocks: what each section of the report says. Pure."""

from __future__ import annotations

from migrator.model import Flavour
from migrator.report.blocks import Block, Grid, Heading, Items, Paragraph, as_html, as_text, left, right, wrapping
from migrator.report.evidence import Evidence, Extent, ObjectNow, RunEvidence, StepEvidence
from migrator.report.evidence_charts import bytes_chart, progress_chart
from migrator.report.files import contradictions, files_blocks
from migrator.report.words import about, count, duration, milliseconds, plural

_TITLE = "Encryption at rest: evidence"


def evidence_html(evidence: Evidence) -> str:
    """All of it, as one HTML file."""
    return as_html(_TITLE, _all(evidence))


def evidence_text(evidence: Evidence) -> str:
    """The result, what is in clear and what was run, for a terminal."""
    return as_text([*_result(evidence), *_in_clear(evidence), *_residuals(evidence), *_runs(evidence)])


def _all(e: Evidence) -> list[Block]:
    return [
        *_result(e),
        *_extents(e),
        *_in_clear(e),
        *_residuals(e),
        *_runs(e),
        *_progress(e),
        *_steps(e),
        *_objects(e),
        *_files(e),
        *_keys(e),
        *_claims(e),
    ]


def _result(e: Evidence) -> list[Block]:
    server = e.server
    said = f"{server.where}, {server.flavour} {server.version_text}, server_uuid {server.server_uuid}"
    blocks: list[Block] = [
        Heading(_TITLE, 1),
        Paragraph(f"{said}. Read at {e.read_at} (UTC) as {e.account}, on host {e.host}."),
    ]
    if e.narrowed_to:
        blocks.append(Paragraph(f"Only what was asked for is here: {e.narrowed_to}.", "note"))
    if odd := contradictions(e.files) if e.files else ():
        blocks.append(Paragraph(f"NOT as the catalog says, by the files: {', '.join(odd)}. A person must look.", "bad"))
    if broken := [o.name for o in e.in_clear if o.by_us]:
        text = f"In clear although a run encrypted it: {', '.join(broken)}. Somebody has changed it since."
        blocks.append(Paragraph(text, "bad"))
    many = plural(len(e.objects), "table and tablespace", "tables and tablespaces")
    if e.in_clear:
        blocks.append(Paragraph(f"In clear, by the catalog: {count(len(e.in_clear))} of {many}.", "bad"))
    else:
        blocks.append(Paragraph(f"Encrypted, by the catalog: all of {many} looked at.", "good"))
    if e.files is None:
        text = "No file was read: of each table only the catalog's word is reported."
        if e.server.flavour != Flavour.MARIADB:
            text += " With --files the pages themselves are read."
        blocks.append(Paragraph(text, "note"))
    if e.journal != "read":
        blocks.append(Paragraph(f"Nothing is known of runs: {e.journal_says}. This is the state alone.", "note"))
    return blocks


def _extents(e: Evidence) -> list[Block]:
    columns = (
        wrapping("at"), right("tables"), right("encrypted"), right("data and indexes"), right("encrypted"),
        right("tablespaces"), right("encrypted"),
    )  # fmt: skip
    rows = [_extent(f"before: run {r.run_id} began, {r.started_at}", r.found) for r in e.runs[:1] if r.found]
    rows.append(_extent(f"now, {e.read_at}", e.now))
    text = "Before is what the first run found of its plan's scope, now is all that was looked at; sizes are estimates."
    chart = bytes_chart(e)
    return [Heading("Before and now"), Grid(columns, tuple(rows)), Paragraph(text), *([chart] if chart else [])]


def _extent(at: str, x: Extent) -> tuple[str, ...]:
    sizes = (about(x.bytes), about(x.bytes_encrypted))
    return (
        at,
        count(x.tables),
        count(x.tables_encrypted),
        *sizes,
        count(x.tablespaces),
        count(x.tablespaces_encrypted),
    )


def _in_clear(e: Evidence) -> list[Block]:
    if not e.in_clear:
        return []
    columns = (wrapping("name"), left("engine"), right("size"), wrapping("why"))
    rows = tuple((o.name, o.engine, about(o.size_bytes), o.why) for o in e.in_clear)
    return [Heading("Still in clear, and why"), Grid(columns, rows)]


def _residuals(e: Evidence) -> list[Block]:
    columns = (wrapping("place"), left("state"), wrapping("what is known"), wrapping("what to do"))
    rows = tuple((r.place, str(r.state), r.evidence, r.to_do) for r in e.residuals)
    return [Heading("Outside of tables"), Grid(columns, rows)]


def _runs(e: Evidence) -> list[Block]:
    if not e.runs:
        return []
    columns = (
        left("run"), left("began"), left("ended"), right("exit"), wrapping("account"), wrapping("host"),
        left("version"), wrapping("hash of the plan"),
    )  # fmt: skip
    blocks: list[Block] = [Heading("What was run"), Grid(columns, tuple(map(_run, e.runs)))]
    if e.attestations:
        lines = tuple(
            f"{a.what}: {a.by}, {a.at}" + (f", {a.note}" if a.note else "") + f" (run {a.run_id})"
            for a in e.attestations
        )
        blocks += [Heading("What people vouched for", 3), Items(lines)]
    if e.failovers:
        moved = tuple(f"{f.at}: from {f.from_uuid} to {f.to_uuid} ({f.run_id})" for f in e.failovers)
        blocks += [Heading("Failovers", 3), Items(moved)]
    if e.not_done:
        rows = tuple((n.subject, n.outcome, n.why, n.run_id) for n in e.not_done)
        grid = Grid((wrapping("name"), left("outcome"), wrapping("why"), left("run")), rows)
        blocks += [Heading("What the latest run did not do", 3), grid]
    return blocks


def _run(run: RunEvidence) -> tuple[str, ...]:
    code = "-" if run.exit_code is None else str(run.exit_code)
    where = (run.account, f"{run.host}, pid {run.pid}", run.tool_version, run.plan_hash)
    return (run.run_id, run.started_at, run.ended_at or "never said", code, *where)


def _progress(e: Evidence) -> list[Block]:
    if not e.progress:
        return []
    columns = (
        left("until"), right("of"), right("rows copied"), right("rows compared"), right("paused"), right("held"),
        right("slowed"), right("outside window"), wrapping("by"),
    )  # fmt: skip
    rows = tuple(
        (
            s.at,
            duration(s.seconds),
            count(s.rows_copied),
            count(s.rows_compared),
            *(duration(x) if x else "-" for x in (s.paused, s.held, s.slowed, s.closed)),
            s.reason,
        )
        for s in e.progress
    )
    chart = progress_chart(e)
    return [Heading("Progress over time"), *([chart] if chart else []), Grid(columns, rows)]


def _steps(e: Evidence) -> list[Block]:
    if not e.steps:
        return []
    columns = (
        wrapping("name"), left("method"), left("state"), left("began"), left("ended"), right("worked"),
        right("rows copied"), right("rows compared"), right("size"), right("longest hold"), left("run"),
        wrapping("message"),
    )  # fmt: skip
    return [Heading("What was done, table by table"), Grid(columns, tuple(map(_step, e.steps)))]


def _step(s: StepEvidence) -> tuple[str, ...]:
    hold = "not measured" if s.longest_hold_seconds is None else milliseconds(s.longest_hold_seconds)
    work = (duration(s.worked_seconds), count(s.rows), count(s.rows_verified), about(s.bytes), hold)
    kept = f"retained until {s.retained_until}" if s.state == "swapped" and s.retained_until else ""
    message = "; ".join(text for text in (s.message, kept) if text)
    return (s.subject, s.method, s.state, s.started_at, s.ended_at or "-", *work, s.run_id, message)


def _objects(e: Evidence) -> list[Block]:
    if not e.objects:
        return []
    columns = (
        wrapping("name"), left("kind"), right("size"), left("by catalog"), wrapping("where that was read"),
        left("by files"), left("by a run"),
    )  # fmt: skip
    return [Heading("Every table and tablespace now"), Grid(columns, tuple(map(_object, e.objects)))]


def _object(o: ObjectNow) -> tuple[str, ...]:
    catalog = "encrypted" if o.encrypted else "IN CLEAR"
    by_us = "yes" if o.by_us else "-"
    return (o.name, o.kind, about(o.size_bytes), catalog, o.evidence, o.by_files or "not read", by_us)


def _files(e: Evidence) -> list[Block]:
    return files_blocks(e.files) if e.files else []


def _keys(e: Evidence) -> list[Block]:
    ring = e.keyring
    state = "active" if ring.is_active else "NOT ACTIVE"
    text = f"{ring.kind} {ring.name}, {state}" if ring.kind != "none" else "There is no keyring"
    if ring.in_datadir:
        text += "; its file lies in the data directory: who copies the data has the key"
    blocks: list[Block] = [Heading("Keys"), Paragraph(f"{text}.")]
    if not ring.keys_readable:
        blocks.append(Paragraph("The keys' names could not be read (performance_schema.keyring_keys).", "note"))
    elif ring.keys:
        rows = tuple(
            (k.name, "newest" if k.is_newest else "", "not read" if k.files is None else count(k.files))
            for k in ring.keys
        )
        blocks.append(Grid((wrapping("master key"), left(""), right("files that name it")), rows))
    blocks.append(Heading("Rotations", 3))
    if e.rotations:
        lines = tuple(f"{r.at}: {r.what}, from {r.before} to {r.after}, by {r.by}. {r.note}" for r in e.rotations)
        blocks.append(Items(lines))
    else:
        blocks.append(Paragraph("None is noted."))
    return blocks


def _claims(e: Evidence) -> list[Block]:
    columns = (
        left("source"), wrapping("number"), wrapping("about"), wrapping("what this shows"),
        wrapping("what it does not show"),
    )  # fmt: skip
    rows = tuple((c.source, c.number, c.about, c.shows, c.does_not_show) for c in e.claims)
    text = "A fixed table, the same in every report: no verdict. Nothing here says that the scope is complete."
    return [Heading("What this evidence shows, and what it does not"), Paragraph(text), Grid(columns, rows)]
