"""How fast files are proved, against reading them alone: python -m tests.bench.pages [--mib 1024] [FOLDER].

The file is made here, of pages that look encrypted (noise): what is measured is reading and classifying, and for
these all of a page is looked at. In turns with `cat FILE > /dev/null`, and with nothing but reading into a buffer;
the file is read once before, so that it comes from the page cache for all of them, or for none. Each turn is a
process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from migrator.proof.canary import Needle, search_file
from migrator.proof.reading import BUFFER_BYTES, read_file
from tests.unit.handmade import a_first_page, a_sealed_page

PAGE = 16384
MIB = 2**20


def main() -> int:
    """Make the file, take turns, print medians and ratios; a child does one turn and prints its seconds."""
    options = _options()
    if options.turn:
        return _turn(options.turn, Path(options.folder))
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="migrator-pages-") as folder:
        file = Path(folder) / "t.ibd"
        _make(file, options.mib)
        turns = ("cat", "read", "classify", "canary")
        seconds: dict[str, list[float]] = {turn: [] for turn in turns}
        memory = 0.0
        for _ in range(options.rounds):
            for turn in turns:
                words = [sys.executable, "-m", "tests.bench.pages", "--turn", turn, str(file)]
                took, peak = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
                seconds[turn].append(float(took))
                memory = max(memory, float(peak)) if turn == "classify" else memory
    print(f"{options.mib} MiB, {options.rounds} rounds; medians (fastest)")
    alone = statistics.median(seconds["cat"])
    for turn in turns:
        median = statistics.median(seconds[turn])
        speed = options.mib * MIB / median / 1e6
        print(f"{turn:9} {median:6.2f} s ({min(seconds[turn]):.2f})  {speed:7,.0f} MB/s  {median / alone:5.2f} x cat")
    print(f"classify: {memory:.0f} MiB of memory at most")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", default="")
    parser.add_argument("folder", nargs="?", default=None)
    return parser.parse_args()


def _make(file: Path, mib: int) -> None:
    block = b"".join(a_sealed_page(PAGE, number) for number in range(1, MIB // PAGE + 1))
    with file.open("wb") as out:
        out.write(a_first_page(encrypted=True))
        for _ in range(mib):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def _turn(turn: str, file: Path) -> int:
    if turn == "classify":
        read_file(file, page_bytes=PAGE, percent=0.1)  # numpy is loaded now
    began = time.monotonic()
    match turn:
        case "cat":
            subprocess.run(["cat", str(file)], check=True, stdout=subprocess.DEVNULL)
        case "read":
            buffer = memoryview(bytearray(BUFFER_BYTES))
            with file.open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass
        case "canary":
            assert search_file(file, Needle(b"a value that is in no page")) == ()
        case _:
            read = read_file(file, page_bytes=PAGE)
            assert read.tally.in_clear == 0
            assert read.tally.pages == -(-file.stat().st_size // PAGE)
    took = time.monotonic() - began
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return 0


if __name__ == "__main__":
    sys.exit(main())
