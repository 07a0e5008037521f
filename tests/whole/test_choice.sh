#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_choice.sh - BALLOT_DEBUG says by which algorithm calls go, and BALLOT_ALGO
# changes that where it can. Usage: test_choice.sh BUILD_DIR
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 BUILD_DIR" >&2
    exit 2
fi
perf=$(realpath "$1")/ballot-perf
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
grep -q '^BALLOT_SANITIZE:[A-Z]*=thread' "$(dirname "$perf")/CMakeCache.txt" &&
    export BALLOT_TCP_ENGINE=epoll

fail()
{
    echo "FAIL $*"
    exit 1
}

# run LEVEL ALGORITHM TRANSPORT COLLECTIVE BYTES [OPTION...]: its lines in log.
run()
{
    local level=$1 algorithm=$2 transport=$3 collective=$4 bytes=$5

    shift 5
    BALLOT_DEBUG=$level BALLOT_ALGO=$algorithm timeout 60 "$perf" --ranks 2 \
        --transport "$transport" -b "$bytes" -e "$bytes" -n 2 -w 0 \
        -o sum "$@" "$collective" > out 2> log ||
        fail "$collective with BALLOT_ALGO=$algorithm: $(cat out log)"
}

# goes ALGORITHM TRANSPORT COLLECTIVE BYTES WAY: each rank says so, once.
goes()
{
    local call=$3 line

    run INFO "$1" "$2" "$3" "$4"
    for rank in 0 1; do
        line=$(grep -E "INFO rank $rank: $call( \(sum\))? of .* float32" log |
            grep -vF " 32 bytes:" || true) # the checks' own sum
        [ "$(echo "$line" | wc -l)" = 1 ] || fail "more than once: $(cat log)"
        [[ $line == *" bytes: $5" ]] ||
            fail "$* is not what rank $rank says: \"$line\""
    done
    echo "PASS $3 of $4 with ${1:-no} BALLOT_ALGO over $2: $5"
}

cannot=", which this call cannot have"
goes "" shm all_reduce 1K "brief messages over shm"
goes "" tcp all_reduce 1K "brief messages over tcp"
goes "" tcp all_reduce 64K "direct over tcp"
goes "" shm all_reduce 1M "split over shm"
goes tree tcp all_reduce 1K "tree over tcp; BALLOT_ALGO is tree"
goes tree shm all_reduce 1M "split over shm; BALLOT_ALGO is tree$cannot"
goes doubling shm all_reduce 1K \
    "direct over shm; BALLOT_ALGO is doubling$cannot"
goes ring shm reduce_scatter 1K "ring over shm; BALLOT_ALGO is ring"
goes tree shm broadcast 1K "tree over shm; BALLOT_ALGO is tree"
goes doubling shm all_gather 1K "doubling over shm; BALLOT_ALGO is doubling"
goes ring shm gather 1K "direct over shm; BALLOT_ALGO is ring$cannot"

# lines LEVEL CALLS: how many of so many calls in each place are told.
lines()
{
    run "$1" "" shm broadcast 1K -n "$2"
    grep -c ': broadcast of 256 float32 from rank 0, 1024 bytes: brief' log || true
}

[ "$(lines "" 3)" = 0 ] || fail "lines that nobody asked for"
[ "$(lines WARN 3)" = 0 ] || fail "lines that nobody asked for"
[ "$(lines INFO 7)" = 2 ] || fail "not one of each rank: $(cat log)"
three=$(lines TRACE 3)
seven=$(lines TRACE 7)
[ $((seven - three)) = 16 ] || # 4 more in 2 places of 2 ranks
    fail "3 calls have $three lines, and 7 have $seven"
echo "PASS each call at TRACE, each size at INFO"
