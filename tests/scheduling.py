"""What stands in docs/scheduling/: the command line of each file, as its scheduler would run it."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parent.parent / "docs" / "scheduling"

SERVICE: Final = FOLDER / "migrator.service"
TIMER: Final = FOLDER / "migrator.timer"
CRON: Final = FOLDER / "migrator.cron"
QUIET: Final = FOLDER / "quiet.sh"
CRONJOB: Final = FOLDER / "cronjob.yaml"
AIRFLOW: Final = FOLDER / "airflow_dag.py"


def unit(file: Path) -> dict[str, list[str]]:
    """The settings of a unit, each with its values."""
    found: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def cron_line() -> str:
    """The command of the one entry; a per cent sign would be a line's end."""
    entries = [line for line in CRON.read_text(encoding="utf-8").splitlines() if re.match(r"[*\d]", line)]
    assert len(entries) == 1
    assert "%" not in entries[0]
    *times, user, command = entries[0].split(maxsplit=6)
    assert len(times) == 5
    assert user == "migrator"
    return command


def job() -> dict[str, Any]:
    """The CronJob as its parser reads it."""
    documents = list(yaml.safe_load_all(CRONJOB.read_text(encoding="utf-8")))
    assert len(documents) == 1
    found: dict[str, Any] = documents[0]
    return found


def task() -> dict[str, Any]:
    """The arguments of the one operator of the DAG."""
    calls = [
        node
        for node in ast.walk(ast.parse(AIRFLOW.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "BashOperator"
    ]
    assert len(calls) == 1
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in calls[0].keywords}


def command_lines() -> dict[str, list[str]]:
    """By scheduler: the words that it runs; a shell is one of them where it uses one."""
    container = job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    (start,) = unit(SERVICE)["ExecStart"]
    return {
        "systemd": shlex.split(start),
        "cron": ["sh", "-c", cron_line()],
        "kubernetes": [str(word) for word in container["command"]],
        "airflow": ["bash", "-c", str(task()["bash_command"])],
    }
