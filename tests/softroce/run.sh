#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - runs ballot's RDMA tests, on this machine's device or in a virtual
# machine that has one.
set -euo pipefail

usage="usage: tests/softroce/run.sh [--build DIR] [--only PATTERN] [--pair | --vm]
                             [--aspis]

Runs the cases of suite.sh: on this machine if it has an RDMA device that is
active and has an IPv4 address, else in a virtual machine with a soft one.

  --build DIR     the build whose programs are tested (build/release)
  --only PATTERN  the cases whose name matches, as in a shell ('rping*')
  --aspis         the cases of redundant rounds, which take minutes and are
                  not among the others
  --pair          the cases of two machines instead, in two virtual ones
  --vm            in a virtual machine even if there is a device

Status: 0 if all cases hold, 1 if one fails, 2 if none has such a name, 77 if
there is neither a device nor QEMU, 124 and 125 as machine.sh."

here=$(dirname "$(realpath "$0")")
build=$here/../../build/release
only='*'
kind=any
limit_s=1080
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?--build wants a folder}; shift ;;
    --only) only=${2:?--only wants a pattern}; shift ;;
    --aspis) only='aspis*' limit_s=2000 ;;
    --pair) kind=pair ;;
    --vm) kind=vm ;;
    --help | -h) echo "$usage"; exit 0 ;;
    *) echo "unknown argument $1" >&2; echo "$usage" >&2; exit 2 ;;
    esac
    shift
done

if [ ! -x "$build/tests/test_contract" ]; then
    echo "run.sh: there are no tests in $build; build them:" \
         "cmake --preset release && cmake --build --preset release" >&2
    exit 2
fi
build=$(realpath "$build")

# shellcheck source=tests/softroce/device.sh
. "$here/device.sh"
if [ "$kind" = any ] && device_find; then
    echo "== on this machine: $BALLOT_TEST_RDMA_DEVICE," \
         "$BALLOT_TEST_RDMA_ADDRESS"
    exec "$here/suite.sh" "$build" "$only"
fi
if ! command -v qemu-system-x86_64 > /dev/null; then
    echo "SKIP: no RDMA device and no qemu-system-x86_64;" \
         "as root, run: apt-get install qemu-system-x86"
    exit 77
fi
if [ "$kind" = pair ]; then
    echo "== in two virtual machines"
    exec "$here/pair.sh" "$build" "$only"
fi

# What shm and tcp give is computed here: see bits.py.
BALLOT_TEST_BITS=$(mktemp -d "${TMPDIR:-/tmp}/ballot-bits.XXXXXX")
export BALLOT_TEST_BITS
trap 'rm -rf "$BALLOT_TEST_BITS"' EXIT
for name in all_reduce collectives; do
    # shellcheck disable=SC2053 # it is a pattern
    [[ $name == $only ]] || continue
    echo "== on this machine: $name over shm and tcp"
    python3 -B "$here/test_$name.py" "$build" note > "$BALLOT_TEST_BITS/said" ||
        { cat "$BALLOT_TEST_BITS/said"; exit 1; }
done
echo "== in a virtual machine"
"$here/machine.sh" --limit "$limit_s" "$here/suite.sh" "$build" "$only"
