"""Limits decide what is held and what is slowed; what cannot be read counts as exceeded; only reading queries pass."""

from __future__ import annotations

import pytest

from migrator.engine.brake import LONGEST_PAUSE_SECONDS, STALE_AFTER_SECONDS, Brake
from migrator.engine.lag import to_ask
from migrator.errors import Stopped
from migrator.inventory.signals import checkpoint_age_from, is_true
from migrator.model import Member
from migrator.planner.control import Wishes, changed, wishes_text
from migrator.planner.throttle import (
    FIRST_PACE,
    LEAST_SHARE,
    NOTHING,
    Limits,
    Seen,
    decide,
    lag_of,
    lag_seconds,
    next_pace,
    parse_address,
    parse_loads,
    places_of,
    share_of,
    unread,
)
from migrator.planner.throttle_query import check_query

LAG = Limits(max_lag_seconds=5)


class At:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        """Where it stands."""
        return self.at


# -- deciding -----------------------------------------------------------------------------------------


def test_less_is_done_near_a_limit_and_nothing_beyond_it() -> None:
    """All up to a part of the limit, little at the limit, nothing beyond; and then nothing until it is well below."""
    shares = [share_of(value, 100, free_below=0.5) for value in (0, 50, 75, 99.9, 100, 100.1)]
    assert shares == [1.0, 1.0, 0.5, LEAST_SHARE, LEAST_SHARE, 0.0]
    assert share_of(95, 100, free_below=0.5, was_exceeded=True) == 0.0
    assert share_of(90, 100, free_below=0.5, was_exceeded=True) > 0.0


@pytest.mark.parametrize(
    ("limits", "signal"),
    [
        (Limits(max_load=(("Threads_running", 25),)), "Threads_running"),
        (Limits(max_history_list=10), "history list"),
        (Limits(max_checkpoint_age=0.5), "checkpoint age"),
        (Limits(min_free_disk_bytes=1), "free disk"),
        (Limits(query="SELECT 1"), "throttle query"),
        (Limits(file="hold"), "throttle file"),
    ],
)
def test_what_cannot_be_read_counts_as_exceeded(limits: Limits, signal: str) -> None:
    """By its name, and with why where that is known."""
    verdict = decide(limits, Seen(query=None, file=None, why={signal: "because"}))
    assert verdict.exceeded == {signal}
    assert verdict.share == 0.0
    assert "because" in verdict.text


def test_a_replica_that_cannot_be_asked_counts_as_behind() -> None:
    """One of two that can is not enough."""
    verdict = decide(LAG, Seen(lags={"a:1": 0.0, "b:2": None}, why={lag_of("b:2"): "it does not answer"}))
    assert verdict.exceeded == {"lag of b:2"}
    assert "it does not answer" in verdict.text


def test_the_strongest_signal_decides() -> None:
    """And what is near its limit is not told while something is beyond one."""
    limits = Limits(max_load=(("Threads_running", 25),), max_lag_seconds=5)
    verdict = decide(limits, Seen(counters={"Threads_running": 24}, lags={"a:1": 7.25}))
    assert [one.signal for one in verdict.pressures] == ["lag of a:1", "Threads_running"]
    assert verdict.text == "nothing is begun: replica a:1 is 7.2 s behind, the limit is 5 s (max_lag)"


def test_many_signals_are_told_in_few_words() -> None:
    """The journal has room for so much."""
    verdict = decide(LAG, Seen(lags={f"replica-{n}.example.com:3306": 9.0 for n in range(100)}))
    assert "and 95 more" in verdict.text
    assert len(verdict.text) < 1000


def test_without_limits_nothing_is_decided() -> None:
    """Whatever was seen."""
    assert decide(Limits(), Seen(lags={"a:1": 900.0}, file=True, query=True)) == NOTHING


def test_a_critical_load_is_one_beyond_its_limit() -> None:
    """One that cannot be read holds nothing by itself, and ends no run."""
    limits = Limits(critical_load=(("Threads_running", 50),))
    assert not decide(limits, Seen(counters={"Threads_running": 50})).critical
    assert "51" in decide(limits, Seen(counters={"Threads_running": 51})).critical
    assert not decide(limits, Seen()).critical


def test_lag_is_what_the_heartbeat_says() -> None:
    """To within the second between two of them, never more than it is; none where the replica has the newest one."""
    assert lag_seconds(100.9, 100.0, 100.0, every_seconds=1.0) == 0.0
    assert lag_seconds(100.2, 100.0, 99.0, every_seconds=1.0) == pytest.approx(0.2)
    assert lag_seconds(160.0, 159.5, 100.0, every_seconds=1.0) == pytest.approx(59.0)
    assert lag_seconds(109.0, 100.0, 100.0, every_seconds=1.0) == 0.0, "our own heartbeat is late, and no replica"


def test_with_replicas_a_run_begins_slowly() -> None:
    """It goes faster with each look at which they keep up, and half as fast with each at which one is behind."""
    pace, paces = FIRST_PACE, []
    for lag in [0.0] * 9 + [3.0, 3.0, 0.0]:
        pace = next_pace(pace, decide(LAG, Seen(lags={"a:1": lag})), {"a:1": lag})
        paces.append(round(pace, 2))
    assert paces == [0.25, 0.31, 0.39, 0.49, 0.61, 0.76, 0.95, 1.0, 1.0, 0.5, 0.25, 0.31]
    assert next_pace(FIRST_PACE, NOTHING, {}) == 1.0, "no replica, no need"
    assert next_pace(LEAST_SHARE, decide(LAG, Seen(lags={"a:1": None})), {"a:1": None}) == LEAST_SHARE


def test_workers_and_their_time_make_the_share() -> None:
    """Fewer workers first; the last one leaves pauses."""
    for share, most in ((1.0, 4), (0.5, 4), (0.3, 4), (0.1, 4), (0.05, 64), (0.2, 1)):
        places, working = places_of(share, most)
        assert places * working == pytest.approx(share * most)
        assert 1 <= places <= most


# -- the brake ----------------------------------------------------------------------------------------


def test_the_brake_holds_until_it_is_told_otherwise() -> None:
    """Free at first; held beyond a limit; and held when nobody has looked for too long, until that ends."""
    clock = At()
    brake = Brake(clock)  # type: ignore[arg-type]
    held = [brake.held]
    clock.at = 2 * STALE_AFTER_SECONDS
    held.append(brake.held)  # nobody ever looked: there is no throttle
    brake.set(NOTHING, most=4)
    held.append(brake.held)
    assert held == ["", "", ""]
    clock.at += STALE_AFTER_SECONDS + 1
    assert "could not be looked at" in brake.held
    brake.set(unread("server", "gone"), most=4)
    held = [brake.held]
    brake.off()
    assert [*held, brake.held] == ["throttled: server", ""]


def test_near_a_limit_chunks_are_smaller_and_followed_by_pauses() -> None:
    """Never by long ones; and nothing changes without pressure."""
    brake = Brake(At())  # type: ignore[arg-type]
    assert brake.set(NOTHING, most=4) == 4
    assert (brake.chunk_seconds(0.5), brake.pause_after(0.5)) == (0.5, 0.0)
    near = decide(LAG, Seen(lags={"a:1": 4.5}))
    assert brake.set(near, most=4) == 1
    assert brake.chunk_seconds(0.5) < 0.2
    assert 0 < brake.pause_after(0.5) <= LONGEST_PAUSE_SECONDS
    assert brake.pause_after(1000) == LONGEST_PAUSE_SECONDS


def test_a_critical_verdict_stops_the_run() -> None:
    """With exit code 75."""
    brake = Brake(At())  # type: ignore[arg-type]
    brake.set(decide(Limits(critical_load=(("X", 1),)), Seen(counters={"X": 2})), most=1)
    with pytest.raises(Stopped) as error:
        brake.check()
    assert error.value.exit_code == 75


# -- what people write --------------------------------------------------------------------------------


def test_counters_and_addresses() -> None:
    """As percona-toolkit has them; what makes no sense is refused."""
    assert parse_loads("Threads_running=25, Innodb_row_lock_current_waits=3") == (
        ("Threads_running", 25),
        ("Innodb_row_lock_current_waits", 3),
    )
    assert parse_loads("") == ()
    for wrong in ("Threads_running", "Threads_running=0", "a=1,A=2", "a=-1", "a=1.5", "a=1;b=2", ","):
        with pytest.raises(ValueError, match=r"."):
            parse_loads(wrong)
    assert parse_address("db2.example.com:3306") == ("db2.example.com", 3306)
    assert parse_address("[::1]:33060") == ("::1", 33060)
    for wrong in ("db2", "db2:", ":3306", "db2:0", "db2:65536", "::1:3306", "a b:1"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            parse_address(wrong)


def test_whom_to_ask() -> None:
    """What the server shows and what was named, each once; not what is to be left out, by name or by server_uuid."""
    found = [Member("a:1", "replica", server_uuid="u-a"), Member("b:2", "replica", server_uuid="u-b")]
    group = Member("g:3", "group-member", server_uuid="u-g")
    assert [one.name for one in to_ask([*found, group], ["c:3", "a:1"], [])] == ["c:3", "a:1", "b:2"]
    assert [one.name for one in to_ask(found, [], ["u-a"])] == ["b:2"]
    assert [one.name for one in to_ask(found, ["c:3"], ["a:1", "c:3", ""])] == ["b:2"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT HOUR(NOW()) BETWEEN 8 AND 17",
        "WITH n AS (SELECT COUNT(*) AS c FROM shop.jobs) SELECT c > 10 FROM n;",
        "SELECT COUNT(*) FROM shop.jobs WHERE state = 'for update'",
        "SELECT 100 % 7",
    ],
)
def test_queries_that_only_read(query: str) -> None:
    """They pass as they are, without the semicolon at their end."""
    assert check_query(query) == query.rstrip(";")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "CALL p()",
        "SELECT 1; DROP TABLE t",
        "SELECT 'a\\'; DROP TABLE t; -- '",
        "SELECT ';'",
        "SELECT n FROM t FOR UPDATE",
        "SELECT n FROM t FOR SHARE",
        "SELECT n FROM t LOCK IN SHARE MODE",
        "SELECT n INTO OUTFILE '/tmp/x' FROM t",
        "SELECT n INTO @a FROM t",
        "SELECT @a := 1",
        "SELECT SLEEP(10)",
        "SELECT sleep (10)",
        "SELECT `sleep`(10)",
        "SELECT GET_LOCK('a', 10)",
        "SELECT BENCHMARK(1000000000, 1)",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT /*!80000 SLEEP(10), */ 1",
        "SELECT /*+ SET_VAR(max_execution_time = 0) */ 1",
        "SELECT 1 -- and more",
        "WITH n AS (SELECT 1) DELETE FROM t",
    ],
)
def test_queries_that_could_do_more_are_refused(query: str) -> None:
    """Writing, locking, waiting, several statements, and what a comment may hide."""
    with pytest.raises(ValueError, match="throttle query"):
        check_query(query)


def test_what_is_true_for_a_query() -> None:
    """As for a WHERE."""
    assert [is_true(value) for value in (None, 0, 1, 0.0, -2, "", "0", "no", "1", "0.5", b"0", b"3")] == [
        *(False, False, True, False, True),
        *(False, False, False, True, True, False, True),
    ]


def test_the_checkpoint_age_of_older_servers() -> None:
    """From the text of SHOW ENGINE INNODB STATUS, where no counter has it."""
    text = "LOG\nLog sequence number          19382925\nLog flushed up to   1\nLast checkpoint at           19050763\n"
    assert checkpoint_age_from(text) == 332162
    assert checkpoint_age_from("nothing") is None


# -- wishes -------------------------------------------------------------------------------------------


def test_wishes_are_changed_one_by_one_and_told_as_they_are_written() -> None:
    """What is told can be set again; an empty value takes one back."""
    wishes = changed(Wishes(), ["workers=2", "chunk-time=200 ms", "max-lag=5", "max-load=Threads_running=30,X=1"])
    wishes = changed(wishes, ["postpone-swap=off", "workers="])
    assert wishes == Wishes(None, 0.2, 5.0, "Threads_running=30,X=1", postpone_swap=False)
    assert wishes_text(wishes) == "chunk-time=0.2, max-lag=5, max-load=Threads_running=30,X=1, postpone-swap=off"
    assert Wishes.from_json(wishes.to_json()) == wishes
    assert wishes_text(Wishes()) == ""


@pytest.mark.parametrize(
    "word",
    ["worker=2", "workers", "workers=0", "workers=65", "workers=many", "chunk-time=60", "max-lag=-1", "max-load=X"],
)
def test_a_wish_that_makes_no_sense(word: str) -> None:
    """It is refused, and names what is wrong."""
    with pytest.raises(ValueError, match=word.partition("=")[0]):
        changed(Wishes(), [word])
