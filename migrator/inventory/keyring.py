"""The keyring: a component, a plugin or none, and whether it can be used as far as queries can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrator.db import Row, Session
from migrator.inventory.ask import ask
from migrator.inventory.versions import Statements
from migrator.model import Family, Keyring

UNKNOWN = "unknown"
"""Kind of a keyring that our account may not ask about: never usable."""

# By type: the server's own daemon_keyring_proxy_plugin has "keyring" in its name and is no keyring.
_PLUGINS = (
    "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'KEYRING' AND PLUGIN_STATUS = 'ACTIVE'"
)
_ENCRYPTION_PLUGINS = (
    "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'ENCRYPTION' AND PLUGIN_STATUS = 'ACTIVE'"
)
_KEYS = "SELECT KEY_ID FROM performance_schema.keyring_keys WHERE KEY_ID LIKE 'INNODBKey-%%'"


def read_keyring(session: Session, words: Statements, variables: Mapping[str, str]) -> Keyring:
    """Read the keyring with at most three statements; reads names of keys, never keys.

    Wants SELECT on performance_schema.keyring_component_status and keyring_keys; without the first the
    kind is 'unknown' unless a plugin is active, without the second no master key is taken for granted.
    """
    if session.family is Family.MARIADB:
        return encryption_plugin_from([str(name) for (name,) in session.rows(_ENCRYPTION_PLUGINS)], variables)
    plugins = [str(name) for (name,) in session.rows(_PLUGINS)]
    component = ask(session, words.keyring_component) if words.keyring_component else []
    keys = ask(session, _KEYS)
    return keyring_from(plugins, component, keys, variables)


def encryption_plugin_from(plugins: Sequence[str], variables: Mapping[str, str]) -> Keyring:
    """MariaDB's encryption plugin: the server starts with one at most, and not at all if it has no key 1. Pure."""
    if not plugins:
        return Keyring(name="", kind="none", active=False)
    return Keyring(
        name=", ".join(plugins),
        kind="plugin",
        active=True,
        data_file=variables.get("file_key_management_filename", ""),
        has_master_key=True,
    )


def keyring_from(
    plugins: Sequence[str],
    component: Sequence[Row] | None,
    keys: Sequence[Row] | None,
    variables: Mapping[str, str],
) -> Keyring:
    """Judge what was read; None stands for what our account may not read. Pure."""
    status = {str(key): str(value) for key, value in component or ()}
    own_key = f"INNODBKey-{variables.get('server_uuid', '')}-"
    has_master_key = any(str(key).startswith(own_key) for (key,) in keys or ())
    switched_on = variables.get("keyring_operations", "ON").upper() in {"ON", "1"}
    several = len(plugins) + bool(status) > 1
    if status:
        return Keyring(
            name=status.get("Component_name") or status.get("Implementation_name") or "component",
            kind="component",
            active=status.get("Component_status", "").lower() == "active" and switched_on,
            read_only=status.get("Read_only", "").lower() in {"yes", "on", "true", "1"},
            data_file=status.get("Data_file", ""),
            has_master_key=has_master_key,
            several=several,
        )
    if plugins:
        files = (variables.get(f"{name}_data", "") for name in plugins)
        return Keyring(
            name=", ".join(plugins),
            kind="plugin",
            active=switched_on,
            data_file=next(filter(None, files), ""),
            has_master_key=has_master_key,
            several=several,
        )
    if component is None:
        missing = "not readable: SELECT on performance_schema.keyring_component_status is missing"
        return Keyring(name=missing, kind=UNKNOWN, active=False)
    return Keyring(name="", kind="none", active=False)
