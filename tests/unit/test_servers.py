"""The provider's pure parts: names of servers, pins, and the cache that is complete or absent."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.servers import NoServer, cache, debian
from tests.servers.accounts import grants
from tests.servers.choose import Existing, parse


def test_a_dsn_names_a_server() -> None:
    """User and password are unquoted; the port has MySQL's default."""
    assert parse("mysql://ro%40ot:p%3Aw@db.example") == Existing("db.example", 3306, "ro@ot", "p:w")


@pytest.mark.parametrize("dsn", ["secret", "postgres://u:secret@h", "mysql://:secret@h", "mysql:///secret"])
def test_a_bad_dsn_is_refused_without_showing_it(dsn: str) -> None:
    """A DSN holds a password, so an error never repeats it."""
    with pytest.raises(NoServer) as error:
        parse(dsn)
    assert "secret" not in str(error.value)


def test_the_pins_name_one_build_exactly() -> None:
    """Every line is a package, a version and a sha256; the server and its client are one version."""
    pins = debian.pins()
    versions = {pin.package: pin.version for pin in pins}
    assert len(versions) == len(pins)
    assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in pins)
    assert versions["mysql-server-core"] == versions["mysql-client-core"]
    assert versions["mysql-server-core"].startswith(debian.SERIES)


def test_a_cached_folder_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight at once: one makes the folder, all get it, and nobody sees it before it is complete."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []
    seen: list[str] = []
    together = threading.Barrier(8)

    def make(folder: Path) -> None:
        assert not (cache.folder() / "thing").exists()
        made.append(folder)
        (folder / "file").write_text("complete")

    def take() -> None:
        together.wait()
        seen.append((cache.made_once("thing", make) / "file").read_text())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), seen) == (1, ["complete"] * 8)


def test_a_folder_that_could_not_be_made_is_not_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure leaves neither the folder nor its temporary twin; the next try begins anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise NoServer("the network went away")

    with pytest.raises(NoServer):
        cache.made_once("thing", fail)
    assert [path.name for path in cache.folder().iterdir() if path.is_dir()] == []
    assert cache.made_once("thing", lambda folder: None).is_dir()


def test_the_grants_are_to_one_account() -> None:
    """Each statement of grants.sql is a GRANT to the account that the provider replaces."""
    assert len(grants()) >= 4
    assert all(s.startswith("GRANT ") and s.endswith("TO 'migrator'@'%'") for s in grants())
