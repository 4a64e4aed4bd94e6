"""Encrypt the tables of a MySQL server, each night as far as the night goes: a DAG for Airflow 2.9 or later."""

from __future__ import annotations

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator

with DAG(
    dag_id="migrator",
    schedule="0 22 * * *",
    start_date=pendulum.datetime(2026, 5, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
) as dag:
    BashOperator(
        task_id="apply",
        # exec: SIGTERM reaches migrator itself when the task is stopped.
        bash_command="exec /opt/migrator/bin/migrator apply"
        " --defaults-file=/etc/migrator/my.cnf /etc/migrator/plan.yaml",
        # Stopped, or another run is at work: the next night goes on.
        skip_on_exit_code=75,
        retries=0,
    )
