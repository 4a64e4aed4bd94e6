"""A throwaway server by hand: python -m tests.servers [options] [mysqld options]. Ctrl-C ends it.

--dsn DSN      use a server that is already there, if nothing else is asked for
--no-keyring   without a keyring
--replica      with a replica
--pins         instead: write the pinned packages anew from what Debian sid has today
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.servers import NoServer, RunningServer, debian, replica, start


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    parser.add_argument("--no-keyring", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--replica", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pins", action="store_true", help=argparse.SUPPRESS)
    asked, options = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs begin with the first one ignored
        signal.signal(number, signal.default_int_handler)
    try:
        if asked.pins:
            debian.write_pins()
        else:
            _serve(options, dsn=asked.dsn, keyring=not asked.no_keyring, with_replica=asked.replica)
    except NoServer as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _serve(options: list[str], *, dsn: str | None, keyring: bool, with_replica: bool) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migrator-options-")))
        servers = [
            stack.enter_context(
                start(options=options, keyring=keyring, name="by-hand", shared=not with_replica, dsn=dsn)
            )
        ]
        if with_replica:
            servers.append(stack.enter_context(replica(servers[0], options=options, keyring=keyring)))
        for number, running in enumerate(servers):
            _show(running, folder / f"{number}.cnf")
        print("Ctrl-C ends it.", flush=True)
        while True:
            time.sleep(0.5)


def _show(running: RunningServer, option_file: Path) -> None:
    at = running.server
    running.option_file(option_file)
    client = debian.client() or "mysql"
    print(f"\nMySQL {at.version} as {at.user} on {at.host}:{at.port}" + (f", {at.socket}" if at.socket else ""))
    if at.datadir:
        print(f"  datadir   {at.datadir}")
    print(f"  keyring   {at.keyring_path or 'none, or not known here'}")
    print(f"  client    {client} --defaults-file={option_file}")
    print(f"  migrator  .venv/bin/migrator audit --defaults-file={option_file}")


if __name__ == "__main__":
    sys.exit(main())
