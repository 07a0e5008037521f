#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_doctor.sh - what ballot-doctor says, to people and to programs, alone and
# between two processes.
# Usage: test_doctor.sh BUILD_DIR

doctor=$(realpath "${1:?the build folder}")/ballot-doctor
if [ ! -x "$doctor" ]; then
    echo "SKIP: there is no program $doctor; build it (cmake --build)"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/test-doctor-XXXXXX")
spaces=()

# shellcheck disable=SC2317 # called by the trap
leave()
{
    for space in "${spaces[@]}"; do
        ip netns delete "$space"
    done
    rm -rf "$work"
}
trap leave EXIT
cd "$work" || exit 1
for name in $(compgen -e | grep '^BALLOT_'); do
    unset "$name"
done
failed=0

# check NAME COMMAND...: PASS when the command succeeds.
check()
{
    local name=$1

    shift
    if "$@"; then
        echo "PASS $name"
    else
        echo "FAIL $name"
        head -n 200 out err there.out there.err 2> none | sed 's/^/  | /'
        failed=$((failed + 1))
    fi
}

# run CODE ARGUMENTS...: output in out and err; false for another exit code.
run()
{
    local expected=$1
    local code

    shift
    timeout -k 1 60 "$doctor" "$@" > out 2> err
    code=$?
    [ "$code" -eq "$expected" ] && return 0
    echo "  exit code $code, expected $expected: ballot-doctor $*"
    return 1
}

# says FILE TEXT...: each text is in the file.
says()
{
    local file=$1

    shift
    for text in "$@"; do
        grep -qF -- "$text" "$file" && continue
        echo "  not in $file: $text"
        return 1
    done
}

# json FILE CONDITION: of the object, as `o`.
json()
{
    python3 - "$1" "$2" << 'END'
import json
import sys

o = json.load(open(sys.argv[1]))
trials = {t["transport"]: t for t in (o["peer"] or {}).get("stages", [])}
trials.update({t["transport"]: t for t in o["self_test"] or []})
if not eval(f"({sys.argv[2]})"):
    sys.exit(f"  does not hold: {sys.argv[2]}")
END
}

# refused TEXT ARGUMENTS...: code 2, the text on stderr, and no report.
refused()
{
    local text=$1

    shift
    run 2 "$@" && says err "$text" && [ ! -s out ]
}

# ---- Alone ------------------------------------------------------------------

report()
{
    run 0 && says out 'ballot-doctor 0.' RDMA devices modules ib_uverbs Memory \
        'may lock' 'would lock' 'huge pages' NUMA tcp engine io_uring Kernels \
        processor 'chosen: the fastest' Problems && [ ! -s err ]
}

every_problem_has_a_cure()
{
    run 0 && [ "$(grep -cE '^  (note|warning|error) ' out)" -eq \
        "$(grep -c '^ *cure: .' out)" ]
}

report_for_programs()
{
    run 0 --json --ranks 16 && json out '
o["ok"] and o["machine"]["cores"] >= 1 and o["memory"]["ranks"] == 16
and o["memory"]["needed_bytes"] >=
    2 * 15 * o["memory"]["slots"] * o["memory"]["slot_bytes"]
and o["tcp"]["engine"] in ("io_uring", "epoll")
and (o["tcp"]["engine"] == "epoll" or o["tcp"]["io_uring"])
and o["kernels"]["chosen"] in [t["name"] for t in o["kernels"]["tables"]
                               if t["runs"]]
and all(p["level"] in ("note", "warning", "error") and p["key"] and p["what"]
        and p["cure"] for p in o["problems"])
and o["self_test"] is None and o["peer"] is None'
}

ranks_cost_memory()
{
    run 0 --json --ranks 2 && cp out two && run 0 --json --ranks 3 &&
        python3 - << 'END'
import json
two, three = (json.load(open(f))["memory"]["needed_bytes"]
              for f in ("two", "out"))
assert three == 2 * two > 0, (two, three)
END
}

another_machine()
{
    mkdir -p machine/sys/class/infiniband/mlx5_0/ports/1
    echo '1: DOWN' > machine/sys/class/infiniband/mlx5_0/ports/1/state
    run 0 --root machine --json && json out '
[d["name"] for d in o["rdma"]["devices"]] == ["mlx5_0"]
and {"port-down", "uverbs-missing"} <= {p["key"] for p in o["problems"]}'
}

wrong_setting()
{
    BALLOT_TIE=maybe run 1 --json && json out '
not o["ok"] and [p for p in o["problems"] if p["key"] == "settings"
                 and p["level"] == "error" and "BALLOT_TIE" in p["what"]]'
}

asked_for_engine()
{
    BALLOT_TCP_ENGINE=epoll run 0 --json &&
        json out 'o["tcp"]["engine"] == "epoll"' &&
        BALLOT_TCP_ENGINE=none run 1 && says out 'BALLOT_TCP_ENGINE'
}

asked_for_kernels()
{
    BALLOT_KERNELS=portable run 0 --json &&
        json out 'o["kernels"]["chosen"] == "portable"' &&
        BALLOT_KERNELS=none run 1 --json &&
        json out 'o["kernels"]["chosen"] is None'
}

self_test()
{
    run 0 --self-test --json && json out '
o["ok"] and set(trials) >= {"shm", "tcp-uring", "tcp-epoll"}
and all(t["verdict"] in ("pass", "absent") for t in trials.values())
and all(trials[t]["verdict"] == "pass" for t in ("shm", "tcp-epoll"))
and (trials["tcp-uring"]["verdict"] == "pass") == o["tcp"]["io_uring"]
and all(t["latency_us"] > 0 and t["bandwidth_gbs"] > 0 and t["pings"] > 0
        and t["bytes"] >= 4 << 20 for t in trials.values()
        if t["verdict"] == "pass")'
}

self_test_for_people()
{
    run 0 --self-test && says out 'Self-test' 'shm           pass' \
        'tcp-epoll     pass'
}

# ---- Two processes ----------------------------------------------------------

# listen COMMAND...: in the background, until it listens; its port is in $port.
listen()
{
    : > there.err # that of the one before names another port
    "$@" timeout -k 1 60 "$doctor" --listen 0 --timeout 20 --json \
        > there.out 2> there.err &
    listener=$!
    for ((i = 0; i < 400; i++)); do
        port=$(sed -n 's/.*--peer THIS-HOST:\([0-9]*\)$/\1/p' there.err)
        [ -n "$port" ] && return 0
        sleep 0.05
    done
    return 1
}

# meet HOST CODE COMMAND...: with who listens; both must end with the code.
meet()
{
    local host=$1
    local expected=$2
    local code

    shift 2
    "$@" timeout -k 1 60 "$doctor" --peer "$host:$port" --json --timeout 10 \
        > out 2> err
    code=$?
    wait "$listener"
    set -- "$code" $?
    [ "$1" -eq "$expected" ] && [ "$2" -eq "$expected" ] && return 0
    echo "  exit codes $*, expected $expected"
    return 1
}

both_say()
{
    json out "$1" && json there.out "$1"
}

pair_on_loopback()
{
    listen env && meet 127.0.0.1 0 env && both_say '
o["ok"] and o["peer"]["error"] is None and o["peer"]["transport"] == "shm"
and trials["tcp"]["verdict"] == trials["shm"]["verdict"] == "pass"
and trials["tcp"]["latency_us"] > 0 and trials["tcp"]["bandwidth_gbs"] > 0'
}

pair_told_to_use_tcp()
{
    listen env BALLOT_TRANSPORT=tcp &&
        meet localhost 0 env BALLOT_TRANSPORT=tcp && both_say '
o["peer"]["transport"] == "tcp" and "BALLOT_TRANSPORT" in o["peer"]["reason"]'
}

pair_with_a_key()
{
    (umask 077 && head -c 32 /dev/urandom > key)
    listen env BALLOT_KEY_FILE="$work/key" &&
        meet 127.0.0.1 0 env BALLOT_KEY_FILE="$work/key"
}

pair_with_one_key()
{
    listen env BALLOT_KEY_FILE="$work/key" || return 1
    timeout -k 1 60 "$doctor" --peer "127.0.0.1:$port" --json --timeout 10 \
        > out 2> err
    [ $? -eq 1 ] || return 1
    kill "$listener"
    wait "$listener"
    json out '
o["peer"]["error"] == "EACCES" and "BALLOT_KEY_FILE" in o["peer"]["cure"]'
}

nobody_listens()
{
    SECONDS=0
    run 1 --peer 127.0.0.1:1 --timeout 1 && [ "$SECONDS" -lt 10 ] &&
        says out 'nothing listens at 127.0.0.1:1 (ETIMEDOUT)' \
            'run ballot-doctor --listen on that host'
}

nobody_comes()
{
    SECONDS=0
    run 1 --listen 0 --timeout 1 && [ "$SECONDS" -lt 10 ] &&
        says out ETIMEDOUT 'ballot-doctor --peer THIS-HOST'
}

no_such_host()
{
    run 1 --peer host.invalid && says out 'cannot resolve' 'host.invalid'
}

stranger_is_no_peer()
{
    listen env || return 1
    exec 3<> "/dev/tcp/127.0.0.1/$port" && echo 'GET / HTTP/1.0' >&3
    meet 127.0.0.1 0 env
    set -- $?
    exec 3>&-
    return "$1"
}

# Two namespaces of the network are two hosts for all but shm.
make_hosts()
{
    local a=doctor-a-$$
    local b=doctor-b-$$

    ip netns add "$a" && spaces+=("$a") &&
        ip netns add "$b" && spaces+=("$b") &&
        ip link add veth0 netns "$a" type veth peer name veth0 netns "$b" &&
        ip -n "$a" link set lo up && ip -n "$b" link set lo up &&
        ip -n "$a" address add 10.78.0.1/24 dev veth0 &&
        ip -n "$b" address add 10.78.0.2/24 dev veth0 &&
        ip -n "$a" link set veth0 up && ip -n "$b" link set veth0 up
}

pair_between_hosts()
{
    listen ip netns exec "${spaces[0]}" &&
        meet 10.78.0.1 0 ip netns exec "${spaces[1]}" && both_say '
o["ok"] and o["peer"]["transport"] == "tcp"
and trials["tcp"]["verdict"] == "pass" and trials["shm"]["verdict"] == "absent"
and "another host" in o["peer"]["reason"]'
}

check report_has_its_sections report
check every_problem_has_a_cure every_problem_has_a_cure
check report_for_programs report_for_programs
check ranks_cost_memory ranks_cost_memory
check another_machine_is_read another_machine
check wrong_setting_is_a_problem wrong_setting
check engine_that_was_asked_for asked_for_engine
check kernels_that_were_asked_for asked_for_kernels
check self_test_passes self_test
check self_test_for_people self_test_for_people
check pair_on_loopback pair_on_loopback
check pair_told_to_use_tcp pair_told_to_use_tcp
check pair_with_a_key pair_with_a_key
check pair_with_one_key_is_refused pair_with_one_key
check nobody_listens nobody_listens
check nobody_comes nobody_comes
check no_such_host no_such_host
check stranger_is_no_peer stranger_is_no_peer
if [ "$(id -u)" -eq 0 ] && make_hosts 2> none; then
    check pair_between_hosts pair_between_hosts
else
    echo "SKIP pair_between_hosts: it needs root and network namespaces"
fi
check help_prints run 0 --help
check version_prints run 0 --version
check refuses_option refused 'wrong option' --bogus
check refuses_argument refused 'no such argument' HOST
check refuses_ranks refused 'bad number of ranks' --ranks 1025
check refuses_timeout refused 'bad timeout' --timeout 0
check refuses_port refused 'bad port' --listen 65536
check refuses_no_peer refused 'wrong option' --peer
check refuses_both_sides refused 'exclude each other' --listen --peer host
[ "$failed" -eq 0 ] || echo "$failed failed"
exit $((failed > 0))
