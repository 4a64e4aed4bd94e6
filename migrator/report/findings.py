"""Findings as people read them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.model import Blocker, Finding
from migrator.report.blocks import Items
from migrator.report.words import duration


def finding_line(finding: Finding) -> str:
    """One finding as a sentence: subject, message, remedy, code."""
    subject = f"{finding.subject}: " if finding.subject else ""
    stop = "STOPS A RUN: " if finding.blocks else ""
    remedy = f" Remedy: {finding.remedy}." if finding.remedy else ""
    return f"{stop}{subject}{finding.message.rstrip('.')}.{remedy} [{finding.code}]"


def finding_items(findings: Iterable[Finding]) -> Items:
    """Findings as a list, those that stop a run first."""
    return Items(tuple(finding_line(f) for f in sorted(findings, key=lambda f: not f.blocks)))


def blocker_line(blocker: Blocker) -> str:
    """`session 12 (app@10.0.0.7): idle-transaction for 3 min 20 s, ...`."""
    detail = f", {blocker.detail}" if blocker.detail else ""
    host = f"@{blocker.host}" if blocker.host else ""
    who = f" ({blocker.user}{host})" if blocker.user else ""
    said = f"session {blocker.session_id}{who}: {blocker.reason} for {duration(blocker.seconds)}{detail}"
    return f"{said}; {executes(blocker)}" if blocker.statement else said


def executes(blocker: Blocker) -> str:
    """`runs for 12 s: SELECT ...`, or `ran last: SELECT ...`; without a value."""
    ran = "ran last" if blocker.statement_seconds is None else f"runs for {duration(blocker.statement_seconds)}"
    return f"{ran}: {blocker.statement}"
