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
if grep -q '^BALLOT_SANITIZE:[A-Z]*=thread' "$build/CMakeCache.txt"; then
    export BALLOT_TCP_ENGINE=epoll
    # It sleeps a second at the exit of each process, of which there are many.
    export TSAN_OPTIONS="${TSAN_OPTIONS:-}:atexit_sleep_ms=0"
fi

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

# ---- Variables of NCCL's ---------------------------------------------------
program=$build/tests/program_ballot_nccl
export HOME=$scratch # without a .nccl.conf

# shown [NAME=VALUE...] -- KEY...: what the library makes of these variables.
shown()
{
    local variables=()

    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    env "${variables[@]}" timeout 20 "$program" show "$@" > out 2> err ||
        fail "${variables[*]}: $(cat out err)"
}

# has WORDS FILE: that line is there, for what was shown last.
has()
{
    grep -qF -- "$1" "$2" || fail "no \"$1\" in: $(cat out err)"
}

# becomes NAME VALUE KEY SHOWN: it stands in for ours, but not where that is
# set.
becomes()
{
    shown "$1=$2" -- "$3"
    has "$3=$4" out
    shown "$1=$2" "$3=7" -- "$3"
    has "$3=7" out
}

# warned NAME VALUE WORDS: the line says which variable, and what is done.
warned()
{
    shown "$1=$2" -- NCCL_DEBUG
    has "ballot: $1=$2: " err
    has "$3" err
    [ "$(wc -l < err)" = 1 ] || fail "more than a line: $(cat err)"
}

becomes NCCL_IB_HCA '^=mlx5_1:1:0:2,rxe0::1:1' BALLOT_IB_HCA '^=mlx5_1:1,rxe0'
becomes NCCL_IB_GID_INDEX 3 BALLOT_IB_GID_INDEX 3
becomes NCCL_IB_TC 0x6a BALLOT_IB_TC 106
becomes NCCL_IB_SL 5 BALLOT_IB_SL 5
becomes NCCL_IB_TIMEOUT 22 BALLOT_IB_TIMEOUT 22
becomes NCCL_IB_RETRY_CNT 4 BALLOT_IB_RETRY_CNT 4
becomes NCCL_IB_QPS_PER_CONNECTION 4 BALLOT_IB_QPS_PER_CONNECTION 4
becomes NCCL_ALGO Ring BALLOT_ALGO ring
becomes NCCL_ALGO '^Ring,nvls' BALLOT_ALGO tree
becomes NCCL_DEBUG info BALLOT_DEBUG INFO
becomes NCCL_IB_DISABLE 1 BALLOT_TRANSPORT ^verbs
becomes NCCL_SHM_DISABLE 1 BALLOT_TRANSPORT ^shm
shown NCCL_IB_DISABLE=1 NCCL_SHM_DISABLE=1 -- BALLOT_TRANSPORT
has BALLOT_TRANSPORT=tcp out
shown NCCL_IB_DISABLE=0 NCCL_ALGO=Ring,Tree NCCL_IB_TC= -- BALLOT_TRANSPORT \
    BALLOT_ALGO BALLOT_IB_TC
[ "$(grep -c '=$' out)" = 3 ] || fail "these say nothing: $(cat out)"
warned NCCL_IB_TC 300 "ballot takes 0 to 255; 255 is used"
warned NCCL_IB_SL high "it is no number, and is ignored"
warned NCCL_IB_RETRY_CNT 7 "6 is used"
warned NCCL_IB_TIMEOUT 0 "ballot does not wait for ever; 24 is used"
warned NCCL_IB_QPS_PER_CONNECTION 128 "16 is used"
warned NCCL_ALGO NVLS "ballot has none of these"
warned NCCL_ALGO allreduce:ring "it is ignored"
warned NCCL_DEBUG loud "VERSION, WARN, INFO or TRACE"
warned NCCL_SHM_DISABLE yes "it is no number"
shown NCCL_DEBUG=VERSION -- NCCL_DEBUG
has "ballot: NCCL 2.30." err

# Where it listens: the kernel's own words for 127.0.0.1 and ::1.
localhost=0100007F
shown NCCL_SOCKET_IFNAME==lo -- NCCL_DEBUG
has "listens=$localhost" out
shown NCCL_SOCKET_IFNAME=l NCCL_SOCKET_FAMILY=AF_INET -- NCCL_DEBUG
has "listens=$localhost" out
if grep -q ' lo$' /proc/net/if_inet6; then
    shown NCCL_SOCKET_IFNAME=lo NCCL_SOCKET_FAMILY=AF_INET6 -- NCCL_DEBUG
    has "listens=00000000000000000000000001000000" out
fi
shown NCCL_SOCKET_IFNAME=^lo -- NCCL_DEBUG
grep -q "listens=$localhost" out && fail "it listens at lo: $(cat out)"
shown NCCL_SOCKET_IFNAME==l,nosuch -- NCCL_DEBUG
has "error=NCCL_SOCKET_IFNAME==l,nosuch: no interface that is up" out
has "lo 127.0.0.1" out
shown NCCL_SOCKET_FAMILY=AF_UNIX -- NCCL_DEBUG
has "error=NCCL_SOCKET_FAMILY=AF_UNIX: it is AF_INET or AF_INET6" out
shown NCCL_SOCKET_IFNAME=nosuch BALLOT_SOCKET_IFNAME=lo -- NCCL_DEBUG
has "listens=$localhost" out

# Files of variables: of two the first, and before both the environment.
printf '# NCCL_IB_TC=1\nNCCL_IB_TC=9\r\nNCCL_IB_SL=3\nNCCL_IB_SL=2\nHOME=x\n' > conf
echo 'NCCL_SOCKET_IFNAME==lo' >> conf
shown NCCL_CONF_FILE=conf NCCL_IB_GID_INDEX=4 -- BALLOT_IB_TC BALLOT_IB_SL \
    BALLOT_IB_GID_INDEX
has BALLOT_IB_TC=9 out
has BALLOT_IB_SL=3 out
has BALLOT_IB_GID_INDEX=4 out
has "listens=$localhost" out
shown NCCL_CONF_FILE=conf NCCL_IB_SL=5 -- BALLOT_IB_SL
has BALLOT_IB_SL=5 out
mkdir home
echo 'NCCL_IB_SL=6' > home/.nccl.conf
shown HOME="$scratch/home" -- BALLOT_IB_SL
has BALLOT_IB_SL=6 out
shown HOME="$scratch/home" NCCL_CONF_FILE=conf -- BALLOT_IB_SL
has BALLOT_IB_SL=3 out
warned NCCL_CONF_FILE nowhere "it cannot be read (No such file or directory)"

# Who is reached how.
NCCL_DEBUG=INFO NCCL_DEBUG_FILE=log.%h.%p timeout 60 "$program" processes 2 \
    folds > out 2> err
[ ! -s err ] || fail "lines that belong into the file: $(cat err)"
[ "$(cat log."$(uname -n)".* | grep -c 'INFO rank . of 2: shm with')" = 2 ] ||
    fail "$(cat log.*)"
NCCL_DEBUG=INFO NCCL_SHM_DISABLE=1 NCCL_IB_DISABLE=1 timeout 60 "$program" \
    processes 2 folds > out 2> err
has "rank 0 of 2: shm with 0 of 2 ranks" err # itself
has "rank 0 of 2: tcp with 1 of 2 ranks" err
NCCL_DEBUG=INFO NCCL_SHM_DISABLE=1 timeout 60 "$program" processes 2 folds \
    > out 2> err
grep -qE 'rank 0 of 2: (tcp|verbs) with 1 of 2' err || fail "$(cat err)"
NCCL_DEBUG=INFO NCCL_IB_DISABLE=1 timeout 60 "$program" processes 2 folds \
    > out 2> err
has "rank 0 of 2: shm with 0-1 of 2 ranks" err
grep -q verbs err && fail "RDMA is looked for: $(cat err)"

# All meet where it says; without it each would wait for ranks that never come.
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
head -c 32 /dev/urandom > key
chmod 600 key
NCCL_COMM_ID=127.0.0.1:$port BALLOT_KEY_FILE=$scratch/key \
    BALLOT_INIT_TIMEOUT_MS=10000 timeout 60 "$program" own_ids 3
NCCL_COMM_ID=127.0.0.1:$port BALLOT_INIT_TIMEOUT_MS=10000 timeout 60 \
    "$program" own_ids 2 2> err
[ "$(grep -c 'auth=none: whoever reaches the port' err)" = 5 ] || fail "$(cat err)"
shown NCCL_COMM_ID=nowhere -- NCCL_DEBUG
has "error=NCCL_COMM_ID: unique id: cannot read the address 'nowhere'" out
echo "PASS variables"

# ---- The program ----------------------------------------------------------
# One case leaves a call behind that would wait for a minute.
timeout 20 "$program" alone
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
