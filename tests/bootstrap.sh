#!/bin/sh
# Makes the virtual environment FOLDER from requirements.lock: sh tests/bootstrap.sh FOLDER
#
# PYTHON names the interpreter; without it the first one >= 3.11 is taken. Debian's python3 comes
# without ensurepip (package python3-venv); pip is then taken from Debian's package python3-pip-whl,
# unpacked into a temporary folder, so nothing is installed into the system and no root is needed.
set -eu
folder=$1
cd "$(dirname "$0")/.."

say() { printf '%s\n' "bootstrap: $*" >&2; }

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

choose() {
    if [ -n "${PYTHON:-}" ]; then
        recent "$PYTHON" && echo "$PYTHON" && return
        say "PYTHON=$PYTHON is not a Python >= 3.11"
        exit 1
    fi
    IFS=:
    for name in python3 python3.11 python3.12 python3.13 python3.14 python3.15 python3.16; do
        for place in $PATH; do
            recent "$place/$name" && echo "$place/$name" && return
        done
    done
    say "no Python >= 3.11 on PATH: install one (Debian 12: apt-get install python3)"
    exit 1
}

# Debian's own pip as a wheel, through a private apt state: the system's lists may be old or absent.
pip_wheel() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
        say "this Python has no ensurepip: install python3-venv (or your system's name for it)"
        exit 1
    }
    say "this Python has no ensurepip; fetching pip from Debian's package python3-pip-whl"
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/deb"
    private="-qq -o Dir::State::Lists=$1/lists -o Dir::Cache=$1/cache -o Dir::State::status=/dev/null"
    private="$private -o Debug::NoLocking=true -o APT::Sandbox::User=$(id -un)"
    # shellcheck disable=SC2086  # the options are words
    (apt-get $private update && cd "$1/deb" && apt-get $private download python3-pip-whl) >&2 || {
        say "could not fetch python3-pip-whl: install python3-venv, or see to the network"
        exit 1
    }
    dpkg-deb -x "$1"/deb/python3-pip-whl_*.deb "$1/deb"
    echo "$1"/deb/usr/share/python-wheels/pip-*.whl
}

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(choose)
    say "making $folder with $python ($("$python" -V))"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear "$folder"
    else
        temporary=$(mktemp -d)
        trap 'rm -rf "$temporary"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        wheel=$(pip_wheel "$temporary")
        "$python" -m venv --clear --without-pip "$folder"
        "$folder/bin/python" "$wheel/pip" install --quiet --no-index "$wheel"
    fi
fi

say "installing requirements.lock into $folder"
pip="$folder/bin/python -m pip --disable-pip-version-check -qq"
$pip install --require-hashes --requirement requirements.lock
$pip install --no-deps --no-build-isolation --editable .
