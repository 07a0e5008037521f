#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_nccl.sh - NCCL's names: all are there, the header needs no CUDA, and a
# program for NCCL works, with ranks that are processes, threads, or one thread.
# Usage: test_nccl.sh BUILD_DIR [RANKS...]
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: $0 BUILD_DIR [RANKS...]" >&2
    exit 2
fi
build=$(realpath "$1")
shift
include=$(dirname "$(realpath "$0")")/../../include/nccl
counts=("$@")
[ $# -gt 0 ] || counts=(2 4)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
# TSan does not see liburing unmap a ring: a thread that gets the memory of one
# that another thread has closed looks like a race.
grep -q '^BALLOT_SANITIZE:[A-Z]*=thread' "$build/CMakeCache.txt" &&
    export BALLOT_TCP_ENGINE=epoll

fail()
{
    echo "FAIL $*"
    exit 1
}

# ---- Symbols: each declared function, and its twin ------------------------
cat "$include"/nccl.h "$include"/nccl_ballot.h |
    grep -oE '\bp?nccl[A-Z][A-Za-z0-9]*\(' | tr -d '(' | sort -u > declared
[ "$(grep -c '^nccl' declared)" = 65 ] || # NCCL's 64 and one of ballot's
    fail "the headers declare $(grep -c '^nccl' declared) functions"
diff <(sed -n 's/^nccl/pnccl/p' declared) <(grep '^p' declared) ||
    fail "these have no twin"
for library in libballot_nccl.so ballot-nccl/libnccl.so.2; do
    nm -D --defined-only "$build/$library" | awk '{ print $3 }' |
        sort > exported
    diff declared exported || fail "$library exports (>) something else"
    nm -D --defined-only --with-symbol-versions "$build/$library" |
        grep '@' && fail "$library has symbol versions"
done
readelf -d "$build/ballot-nccl/libnccl.so.2" > dynamic
grep -q 'SONAME.*\[libnccl.so.2\]' dynamic || fail "the soname"
echo "PASS symbols"

# ---- The header, without CUDA, in old C and in C++ ------------------------
echo '#include <nccl_ballot.h>' > header.c
cp header.c header.cc
cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$include" -c header.c
if command -v c++ > compiler; then
    c++ -Wall -Wextra -Wpedantic -Werror -I"$include" -c header.cc
fi
echo "PASS header"

# ---- The program ----------------------------------------------------------
program=$build/tests/program_ballot_nccl
timeout 60 "$program" alone
BALLOT_NCCL_MAJORITY=64 timeout 60 "$program" majority
NCCL_DEBUG=WARN timeout 60 "$program" alone 2> warnings > log
grep -q 'WARN ncclGetVersion' warnings || fail "NCCL_DEBUG=WARN says nothing"
for ranks in "${counts[@]}"; do
    timeout 120 "$program" processes "$ranks"
    timeout 120 "$program" threads "$ranks"
done
BALLOT_TRANSPORT=tcp timeout 120 "$program" processes 3
timeout 60 "$program" deaths 3
BALLOT_TRANSPORT=tcp timeout 60 "$program" deaths 4 in_calls behind
timeout 120 "$build/tests/program_nccl_drop_in" processes 2 moves
