"""docs/scheduling/: files that their schedulers understand, and that say what the page says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scheduling import AIRFLOW, CRONJOB, FOLDER, QUIET, SERVICE, TIMER, cron_line, job, task, unit
from tests.servers.systemd import Analyze, analyze

PAGE = FOLDER.parent / "scheduling.md"


def test_every_file_is_on_the_page() -> None:
    """None lies there for nobody."""
    text = PAGE.read_text(encoding="utf-8")
    for file in FOLDER.iterdir():
        assert f"](scheduling/{file.name})" in text


# -- systemd --------------------------------------------------------------------------------------


def verified(folder: Path, by: Analyze) -> str:
    """What `systemd-analyze verify` complains about, with programs that exist here."""
    ran = subprocess.run(
        [*by.command, "verify", *(str(folder / file.name) for file in (SERVICE, TIMER))],
        env=by.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr + (f"exit code {ran.returncode}" if ran.returncode else "")


def copied(folder: Path) -> None:
    """The units, with a program that is there."""
    for file in (SERVICE, TIMER):
        text = file.read_text(encoding="utf-8").replace("/opt/migrator/bin/migrator", "/bin/true")
        (folder / file.name).write_text(text, encoding="utf-8")


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Not one complaint."""
    copied(tmp_path)
    assert verified(tmp_path, analyze()) == ""


def test_systemd_would_complain(tmp_path: Path) -> None:
    """The test before can fail: a setting that is misspelled is a complaint."""
    copied(tmp_path)
    file = tmp_path / SERVICE.name
    file.write_text(file.read_text(encoding="utf-8").replace("SuccessExitStatus", "SucessExitStatus"), encoding="utf-8")
    assert "SucessExitStatus" in verified(tmp_path, analyze())


def test_the_service_knows_our_exit_codes_and_signals() -> None:
    """75 and 143 are no failures, SIGTERM goes to migrator alone, and its time is bounded."""
    found = unit(SERVICE)
    assert found["SuccessExitStatus"] == ["75 143"]
    assert (found["KillSignal"], found["KillMode"]) == (["SIGTERM"], ["mixed"])
    assert found["TimeoutStopSec"] == ["5min"]
    assert not any("PWD" in value or "password" in value.lower() for value in found.get("Environment", []))


# -- cron -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "shown"), [(0, ""), (75, ""), (3, "out\nerr\nexit code 3\n"), (143, "out\nerr\nexit code 143\n")]
)
def test_cron_mails_what_somebody_should_read(code: int, shown: str) -> None:
    """The wrapper shows nothing for 0 and 75, all for other codes, and passes the code on."""
    ran = subprocess.run(
        [QUIET, "sh", "-c", f"echo out; echo err >&2; exit {code}"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, shown, "")


def test_the_cron_line_uses_the_wrapper() -> None:
    """And no lock of its own."""
    assert cron_line().startswith("/opt/migrator/libexec/quiet.sh /opt/migrator/bin/migrator apply ")
    assert "flock" not in cron_line()


# -- kubernetes -----------------------------------------------------------------------------------

FIELDS: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name"},
    "spec": {
        "schedule",
        "timeZone",
        "concurrencyPolicy",
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
        "suspend",
        "jobTemplate",
    },
    "spec.jobTemplate": {"metadata", "spec"},
    "spec.jobTemplate.spec": {"backoffLimit", "podFailurePolicy", "activeDeadlineSeconds", "template"},
    "spec.jobTemplate.spec.podFailurePolicy": {"rules"},
    "spec.jobTemplate.spec.podFailurePolicy.rules": {"action", "onExitCodes", "onPodConditions"},
    "spec.jobTemplate.spec.podFailurePolicy.rules.onExitCodes": {"containerName", "operator", "values"},
    "spec.jobTemplate.spec.podFailurePolicy.rules.onPodConditions": {"type", "status"},
    "spec.jobTemplate.spec.template": {"metadata", "spec"},
    "spec.jobTemplate.spec.template.spec": {
        "restartPolicy",
        "terminationGracePeriodSeconds",
        "automountServiceAccountToken",
        "securityContext",
        "containers",
        "volumes",
    },
    "spec.jobTemplate.spec.template.spec.securityContext": {"runAsNonRoot", "runAsUser", "fsGroup", "seccompProfile"},
    "spec.jobTemplate.spec.template.spec.securityContext.seccompProfile": {"type"},
    "spec.jobTemplate.spec.template.spec.containers": {
        "name",
        "image",
        "command",
        "securityContext",
        "resources",
        "volumeMounts",
    },
    "spec.jobTemplate.spec.template.spec.containers.securityContext": {
        "allowPrivilegeEscalation",
        "readOnlyRootFilesystem",
        "capabilities",
    },
    "spec.jobTemplate.spec.template.spec.containers.securityContext.capabilities": {"drop"},
    "spec.jobTemplate.spec.template.spec.containers.resources": {"requests", "limits"},
    "spec.jobTemplate.spec.template.spec.containers.resources.requests": {"cpu", "memory"},
    "spec.jobTemplate.spec.template.spec.containers.resources.limits": {"memory"},
    "spec.jobTemplate.spec.template.spec.containers.volumeMounts": {"name", "mountPath", "readOnly"},
    "spec.jobTemplate.spec.template.spec.volumes": {"name", "secret", "configMap"},
    "spec.jobTemplate.spec.template.spec.volumes.secret": {"secretName", "defaultMode"},
    "spec.jobTemplate.spec.template.spec.volumes.configMap": {"name"},
}
"""The fields of batch/v1 and core/v1 that are used: where each may stand."""


def check_fields(value: Any, place: str = "") -> None:
    """Every field stands where the API has it."""
    if isinstance(value, list):
        for one in value:
            check_fields(one, place)
    elif isinstance(value, dict):
        assert set(value) <= FIELDS[place], (place, set(value) - FIELDS[place])
        for name, one in value.items():
            check_fields(one, f"{place}.{name}".lstrip("."))


def test_kubernetes_knows_every_field() -> None:
    """A field at the wrong place is dropped or refused by the API; the kinds that must go together do."""
    found = job()
    check_fields(found)
    assert (found["apiVersion"], found["kind"]) == ("batch/v1", "CronJob")
    pod = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "podFailurePolicy asks for it"
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def test_kubernetes_knows_our_exit_codes() -> None:
    """What a new try cannot mend ends the job; 3, 75 and 143 are tried again; never two at once."""
    spec = job()["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    ends, drained = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert (ends["action"], ends["onExitCodes"]["operator"]) == ("FailJob", "In")
    assert ends["onExitCodes"]["values"] == [1, 2, 4, 70]
    assert ends["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert (drained["action"], drained["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert pod["terminationGracePeriodSeconds"] == 300
    assert pod["containers"][0]["command"][0] == "migrator", "no shell is before it, so it gets SIGTERM"
    assert "env" not in pod["containers"][0], "the password is a file"
    assert "secret" in CRONJOB.read_text(encoding="utf-8")


# -- airflow --------------------------------------------------------------------------------------


def test_airflow_skips_75() -> None:
    """The DAG compiles; a stopped call is skipped, and the shell makes way for migrator."""
    compile(AIRFLOW.read_text(encoding="utf-8"), str(AIRFLOW), "exec")
    found = task()
    assert found["skip_on_exit_code"] == 75
    assert found["bash_command"].startswith("exec /opt/migrator/bin/migrator apply ")


# -- the page -------------------------------------------------------------------------------------


def test_the_page_has_every_exit_code() -> None:
    """Those of the reference."""
    codes = re.findall(r"^\| ([0-9, ]+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "70", "75", "129, 130, 143"]
