"""A lost connection: what was sent last may or may not have happened, so the server is asked, and it must be the same one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator.db import Session
from migrator.errors import ServerUnreachable
from migrator.events import ChunkCopied, Moment
from tests.proxy import Proxy
from tests.server.engine.kit import WEIRD, At, Lab, each, phase
from tests.server.engine.test_rows import BY_NUMBER, BY_TEXT, everything_of
from tests.servers import start


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    """A proxy before the server."""
    with Proxy(lab.server.server.host, lab.server.server.port) as running:
        yield running


def through(lab: Lab, proxy: Proxy) -> Session:
    """A session by way of the proxy, in clear, so that the proxy can read statements."""
    return lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")


CUTS = {
    "begin of the shadow": ("CREATE TABLE `migrator`.`step_", 1),
    "shadow gets its name": ("RENAME TABLE `migrator`", 1),
    "a log trigger": ("AFTER UPDATE ON", 1),
    "a chunk's rows": ("INSERT INTO `{s}`.`_t_shadow`", 2),
    "a chunk's commit": ("COMMIT", 9),
    "reading the log": ("SELECT seq", 2),
    "index build": ("ADD UNIQUE KEY", 1),
    "locks of the switch": ("LOCK TABLES `{s}`.`t` WRITE, `{s}`.`_t_shadow`", 1),
    "a mirror trigger": ("_t_mirror_upd`", 1),
    "unlock": ("UNLOCK TABLES", 2),
    "a comparison": ("AS copied FORCE INDEX", 4),
    "RENAME": ("RENAME TABLE `{s}`.`t`", 1),
    "dropping the log": ("DROP TABLE `{s}`.`_t_log`", 1),
}


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("cut", CUTS)
def test_the_connection_is_cut(lab: Lab, proxy: Proxy, cut: str, executed: bool) -> None:
    """Cut right before a statement reaches the server, or right after it was executed: the run goes on by itself."""
    lab.table("t", *BY_TEXT)
    words, nth = CUTS[cut]
    proxy.cut(words.format(s=lab.schema), executed=executed, nth=nth)
    everything = everything_of(BY_TEXT[0])
    with lab.application("t") as app:
        write = [At(each(ChunkCopied), lambda: everything(app), 2), At(phase("verify"), lambda: everything(app))]
        ran = lab.apply("t", session=through(lab, proxy), at=write)
    assert proxy.cuts == 1, "nothing was cut"
    ran.assert_outcome("done")
    lab.assert_done("t")


def test_every_connection_is_cut_again_and_again(lab: Lab, proxy: Proxy) -> None:
    """A network that breaks all connections at each phase only costs time."""
    lab.table(WEIRD, *BY_NUMBER)
    phases = ["build", "log", "copy", "index", "mirror", "verify", "swap", "clean"]
    ran = lab.apply(WEIRD, session=through(lab, proxy), at=[At(phase(p), proxy.cut_all) for p in phases])
    ran.assert_outcome("done")
    lab.assert_done(WEIRD)


def test_another_server_behind_the_same_address_is_refused(lab: Lab, proxy: Proxy) -> None:
    """After a failover behind the address the run ends (a person must look), and neither server is changed any more."""
    lab.table("t", *BY_NUMBER)
    with start(options=["--innodb-buffer-pool-size=64M"], name="other") as other:
        to = other.server
        other.rows(f"CREATE USER {lab.dba.user} IDENTIFIED BY '{lab.dba.password}'")
        other.rows(f"GRANT ALL ON *.* TO {lab.dba.user}")

        def fail_over() -> None:
            proxy.to = (to.host, to.port)
            proxy.cut_all()

        ran = lab.apply("t", session=through(lab, proxy), at=[At(each(ChunkCopied), fail_over, 3)], lease_seconds=3)
        assert ran.outcome.exit_code == 4
        assert "server_uuid" in ran.step.message
        assert not other.rows("SHOW DATABASES LIKE 'migrator'")
        assert not other.rows("SHOW DATABASES LIKE 't_%%'")
    lab.assert_equal("t")
    proxy.to = (lab.server.server.host, lab.server.server.port)
    lab.apply_when_free("t").assert_outcome("done")
    lab.assert_done("t")


def test_a_server_that_is_gone_ends_the_run(lab: Lab, proxy: Proxy) -> None:
    """A server that does not come back ends the run with `ServerUnreachable`; the next run goes on."""
    lab.table("t", *BY_NUMBER)
    here = proxy.to

    def vanish() -> None:
        proxy.to = ("127.0.0.1", 1)
        proxy.cut_all()

    session = lab.session(host=proxy.host, port=proxy.port, ssl_mode="DISABLED")
    impatient = Session(session._to, patience_seconds=0.5)
    session.close()
    with pytest.raises(ServerUnreachable):
        lab.apply("t", session=impatient, at=[At(each(ChunkCopied), vanish, 3)], lease_seconds=3)
    proxy.to = here
    lab.apply_when_free("t").assert_outcome("done")
    lab.assert_done("t")


def test_the_moment_of_a_cut_switch_is_told(lab: Lab, proxy: Proxy) -> None:
    """A switch whose connection was cut gives its locks back at once, and is done again in another moment."""
    lab.table("t", *BY_NUMBER)
    proxy.cut("_t_mirror_upd`", executed=True)
    ran = lab.apply("t", session=through(lab, proxy))
    ran.assert_outcome("done")
    assert sum(m.purpose.startswith("switch") for m in ran.of(Moment)) == 2
