# SPDX-License-Identifier: Apache-2.0
# launchers.bash - starts the worker by launchers, and judges what it says.
# Sourced by test_launchers.sh and test_launchers_hosts.sh; $1 is the build.
# shellcheck shell=bash

build=${1:?usage: bash test_X.sh BUILD_DIR}
build=$(cd "$build" && pwd) || exit 1
work=$(mktemp -d) || exit 1
nets=()
daemons=()
failed=0
ran=0

# The last one first, for munge serves the others; what does not end is killed.
end_daemons() {
    local i

    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2>/dev/null
        timeout 10 tail -f /dev/null --pid="${daemons[i]}" ||
            kill -KILL "${daemons[i]}" 2>/dev/null
        wait "${daemons[i]}" 2>/dev/null
    done
    daemons=()
}

end_all() {
    local net

    end_daemons
    for net in "${nets[@]}"; do
        ip netns del "$net"
    done
    rm -rf "$work"
}
trap end_all EXIT
trap 'exit 1' HUP INT TERM

# What an outer launcher, or who started us, has set is not to be seen.
for name in $(compgen -e | grep -E '^(BALLOT|OMPI|PMIX?|SLURM|MPI)_'); do
    unset "$name"
done
unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT
export BALLOT_INIT_TIMEOUT_MS=30000 BALLOT_TIMEOUT_MS=20000
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/key"
chmod 600 "$work/key"
worker=$build/tests/worker

judge() {
    if [ "$2" -eq 0 ]; then
        echo "PASS $1"
    else
        echo "FAIL $1:"
        tail -n 20 "$work/output"
        failed=1
    fi
}

# joins NAME RANKS COMMAND...: so many ranks come together twice, and each
# finds votes and sums right.
joins() {
    local name=$1 ranks=$2 r t good=0

    shift 2
    timeout 100 "$@" "$worker" launched times=2 >"$work/output" 2>&1 || good=1
    for ((r = 0; r < ranks; r++)); do
        for t in 0 1; do
            [ "$(grep -c "launched rank=$r ranks=$ranks time=$t wrong=0" \
                "$work/output")" -eq 1 ] || good=1
        done
    done
    judge "$name" $good
}

# has NAME PATTERN COMMAND...: it succeeds and prints PATTERN.
has() {
    local name=$1 pattern=$2 good=0

    shift 2
    timeout 100 "$@" >"$work/output" 2>&1 || good=1
    grep -q -e "$pattern" "$work/output" || good=1
    judge "$name" $good
}

# refuses NAME PATTERN COMMAND...: it fails at once and says PATTERN.
refuses() {
    local name=$1 pattern=$2 good=0 code

    shift 2
    timeout 100 "$@" "$worker" launched >"$work/output" 2>&1
    code=$?
    if [ $code -eq 0 ] || [ $code -ge 124 ]; then
        good=1
    fi
    grep -q -e "$pattern" "$work/output" || good=1
    judge "$name" $good
}

# measures NAME COMMAND...: ballot-perf makes one table, whatever the ranks. Of
# a small size it would measure its floor by so many passes that it takes
# minutes where others use the cores.
measures() {
    local name=$1 good=0

    shift
    timeout 100 "$@" "$build/ballot-perf" all_reduce -b 4M -e 4M -n 5 -w 1 \
        >"$work/output" 2>&1 || good=1
    [ "$(grep -c '^ *4194304 ' "$work/output")" -eq 1 ] || good=1
    judge "$name" $good
}

# example NAME HOST COMMAND...: 5_mpirun, by four ranks, the last one on HOST.
example() {
    local name=$1 host=$2

    shift 2
    has "$name: where ranks run" "rank 3 of 4 runs on $host$" \
        "$@" "$build/5_mpirun"
    grep -q "minus in 500 of 1000 .* sums are 4 and 0$" "$work/output"
    judge "$name: a vote and a sum" $?
}

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# here PACKAGE PROGRAM...: whether they are installed.
here() {
    local package=$1 program

    shift
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        echo "SKIP: there is no $program (apt-get install $package)"
        return 1
    done
    ran=$((ran + 1))
}

# A sanitizer's runtime would have to be loaded before python3; and what libpmix
# does not free is not ours.
sanitized=false
if grep -q '^BALLOT_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    sanitized=true
    echo "leak:libpmix.so" >"$work/leaks"
    export LSAN_OPTIONS="suppressions=$work/leaks:print_suppressions=0"
fi

# ---- Slurm's daemons ----

# write_slurm_conf CONTROLLER ADDRESS NODE-LINE...: a cluster for this user.
write_slurm_conf() {
    local controller=$1 address=$2

    shift 2
    cat >"$work/slurm.conf" <<END
ClusterName=ballot
SlurmctldHost=$controller($address)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool.%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/linear
SwitchType=switch/none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
PartitionName=all Nodes=ALL Default=YES State=UP
$(printf 'NodeName=%s CPUs=16 State=UNKNOWN\n' "$@")
END
    # It looks for no cgroups, which a container may not have.
    echo CgroupPlugin=cgroup/v1 >"$work/cgroup.conf"
    export SLURM_CONF=$work/slurm.conf
}

# begin NAME COMMAND...: a daemon, which end_daemons ends.
begin() {
    local name=$1

    shift
    "$@" >"$work/$name.out" 2>&1 &
    daemons+=($!)
}

# wait_until SECONDS COMMAND...: whether it succeeds until then.
wait_until() {
    local end=$((SECONDS + $1))

    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# nodes_idle NUMBER COMMAND...: whether sinfo, run by COMMAND, sees so many.
nodes_idle() {
    local number=$1

    shift
    [ "$("$@" timeout 5 sinfo -h -N -o %t 2>/dev/null | grep -c '^idle$')" \
        -eq "$number" ]
}

start_munge() {
    chmod 711 "$work"
    head -c 128 /dev/urandom >"$work/munge.key"
    chmod 400 "$work/munge.key"
    begin munged munged --foreground --force --key-file="$work/munge.key" \
        --socket="$work/munge.socket" --pid-file="$work/munge.pid" \
        --log-file="$work/munge.log" --seed-file="$work/munge.seed"
    wait_until 10 test -S "$work/munge.socket"
}

# The redirection of a rank that is not there keeps 1.13 from failing with
# Python 3.11.
torchrun=(torchrun -r 9:1 -t 9:1 --monitor_interval 0.2 --no_python)
