#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_launchers.sh - one program under Open MPI, MPICH, Slurm and torchrun.
#
#   test_launchers.sh BUILD_DIR
#
# Each launcher is really started; Slurm's daemons too, in a folder of their own.
# A launcher that is not installed is left out, and said so.
set -u

build=${1:?usage: test_launchers.sh BUILD_DIR}
build=$(cd "$build" && pwd) || exit 1
work=$(mktemp -d) || exit 1
daemons=()
failed=0
ran=0

end_all() {
    local i

    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2>/dev/null
        wait "${daemons[i]}" 2>/dev/null
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
# a small size it would measure its floor by so many passes that it takes minutes
# where others use the cores.
measures() {
    local name=$1 good=0

    shift
    timeout 100 "$@" "$build/ballot-perf" all_reduce -b 4M -e 4M -n 5 -w 1 \
        >"$work/output" 2>&1 || good=1
    [ "$(grep -c '^ *4194304 ' "$work/output")" -eq 1 ] || good=1
    judge "$name" $good
}

# example NAME COMMAND...: 5_mpirun, by four ranks.
example() {
    local name=$1

    shift
    has "$name: where ranks run" "rank 3 of 4 runs on $(hostname)$" \
        "$@" "$build/5_mpirun"
    grep -q "minus in 500 of 1000 .* sums are 4 and 0$" "$work/output"
    judge "$name: a vote and a sum" $?
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

# A program that uses MPI too: with_mpi LIBRARY before|after COMMAND...
with_mpi() {
    local library=$1 order=$2

    shift 2
    cat >"$work/both.py" <<'END'
import ctypes
import sys

ballot = ctypes.CDLL(sys.argv[1])
comm = ctypes.c_void_p()


def meet():
    if ballot.ballot_comm_init_env(ctypes.byref(comm), None) != 0:
        sys.exit("ballot_comm_init_env failed")


if sys.argv[3] == "before":
    meet()
mpi = ctypes.CDLL(sys.argv[2], ctypes.RTLD_GLOBAL)
if mpi.MPI_Init(None, None) != 0:
    sys.exit("MPI_Init failed")
if sys.argv[3] == "after":
    meet()
if ballot.ballot_comm_size(comm) != 2:
    sys.exit("wrong size")
if ballot.ballot_comm_finalize(ctypes.byref(comm)) != 0:
    sys.exit("ballot_comm_finalize failed")
if mpi.MPI_Finalize() != 0:
    sys.exit("MPI_Finalize failed")
print("both end well", flush=True)
END
    has "$library, initialised $order ballot" "both end well" \
        "$@" python3 "$work/both.py" "$build/libballot.so" "$library" "$order"
}

# A sanitizer's runtime would have to be loaded before python3; and what libpmix
# does not free is not ours.
sanitized=false
if grep -q '^BALLOT_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
    sanitized=true
    echo "leak:libpmix.so" >"$work/leaks"
    export LSAN_OPTIONS="suppressions=$work/leaks:print_suppressions=0"
fi

# ---- Open MPI ----

open_mpi() {
    local run=(mpirun --oversubscribe)
    local numbers=(-u OMPI_COMM_WORLD_RANK -u OMPI_COMM_WORLD_SIZE
                   -u OMPI_COMM_WORLD_LOCAL_RANK -u OMPI_UNIVERSE_SIZE
                   -u OMPI_COMM_WORLD_LOCAL_SIZE)
    local ranks

    [ "$(id -u)" -eq 0 ] && run+=(--allow-run-as-root)
    for ranks in 1 2 4; do
        joins "mpirun -n $ranks" $ranks "${run[@]}" -n $ranks
    done
    has "mpirun carries a key" "auth=group" env BALLOT_DEBUG=INFO \
        BALLOT_AUTH=group "${run[@]}" -n 2 "$worker" launched
    joins "PMIx alone knows how many" 2 "${run[@]}" -n 2 env "${numbers[@]}"
    joins "mpirun without PMIx, on one host" 2 \
        "${run[@]}" -n 2 env -u PMIX_NAMESPACE BALLOT_KEY_FILE="$work/key"
    refuses "one variable of Open MPI is missing" \
        "OMPI_COMM_WORLD_RANK is set, but OMPI_COMM_WORLD_SIZE is not" \
        "${run[@]}" -n 2 env -u OMPI_COMM_WORLD_SIZE -u PMIX_NAMESPACE
    refuses "each rank a job of one" "a job of one, but Open MPI has started" \
        "${run[@]}" -n 2 env RANK=0 WORLD_SIZE=1
    measures "ballot-perf under mpirun" "${run[@]}" -n 2
    example "mpirun" "${run[@]}" -n 4
    "$sanitized" && return
    with_mpi libmpi.so.40 before "${run[@]}" -n 2
    with_mpi libmpi.so.40 after "${run[@]}" -n 2
}

# ---- MPICH ----

mpich() {
    local ranks

    for ranks in 1 2 4; do
        joins "mpiexec.hydra -n $ranks" $ranks mpiexec.hydra -n $ranks
    done
    has "hydra carries a key" "auth=group" env BALLOT_DEBUG=INFO \
        BALLOT_AUTH=group mpiexec.hydra -n 2 "$worker" launched
    refuses "PMI_FD was closed on the way" "PMI_FD=99 is no open socket" \
        mpiexec.hydra -n 2 env PMI_FD=99
    refuses "PMI_SIZE is missing" "PMI_RANK is set, but PMI_SIZE is not" \
        mpiexec.hydra -n 2 env -u PMI_SIZE
    measures "ballot-perf under mpiexec.hydra" mpiexec.hydra -n 2
    example "mpiexec.hydra" mpiexec.hydra -n 4
    "$sanitized" && return
    with_mpi libmpich.so.12 before mpiexec.hydra -n 2
    with_mpi libmpich.so.12 after mpiexec.hydra -n 2
}

# ---- Slurm ----

# A cluster of this host, for this user.
write_slurm_conf() {
    local host ports

    host=$(hostname -s)
    ports=$(python3 - <<'END'
import socket
taken = [socket.socket() for _ in range(2)]
for s in taken:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in taken))
END
    )
    cat >"$work/slurm.conf" <<END
ClusterName=ballot
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/linear
SwitchType=switch/none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
END
    export SLURM_CONF=$work/slurm.conf
}

# begin PROGRAM OPTION...: a daemon, which end_all ends.
begin() {
    "$@" >"$work/$1.out" 2>&1 &
    daemons+=($!)
}

start_slurm() {
    local wait

    mkdir -p "$work/state" "$work/spool"
    chmod 711 "$work"
    head -c 128 /dev/urandom >"$work/munge.key"
    chmod 400 "$work/munge.key"
    write_slurm_conf
    begin munged --foreground --force --key-file="$work/munge.key" \
        --socket="$work/munge.socket" --pid-file="$work/munge.pid" \
        --log-file="$work/munge.log" --seed-file="$work/munge.seed"
    for ((wait = 0; wait < 100; wait++)); do
        [ -S "$work/munge.socket" ] && break
        sleep 0.1
    done
    begin slurmctld -D
    begin slurmd -D
    for ((wait = 0; wait < 200; wait++)); do
        [ "$(timeout 5 sinfo -h -o %t 2>/dev/null)" = idle ] && return 0
        sleep 0.1
    done
    cat "$work"/*.log "$work"/*.out >"$work/output"
    return 1
}

slurm() {
    local ranks mpi

    if [ "$(id -u)" -ne 0 ]; then
        echo "SKIP: slurmd starts tasks as root only"
        return
    fi
    start_slurm
    judge "slurmctld and slurmd are there" $?
    [ $failed -eq 0 ] || return
    for ranks in 1 2 4; do
        joins "srun -n $ranks" $ranks \
            env BALLOT_KEY_FILE="$work/key" srun -n $ranks
    done
    for mpi in pmi2 pmix; do
        joins "srun --mpi=$mpi -n 2" 2 srun --mpi=$mpi -n 2
        has "srun --mpi=$mpi carries a key" "auth=group" env \
            BALLOT_DEBUG=INFO BALLOT_AUTH=group srun --mpi=$mpi -n 2 \
            "$worker" launched
    done
    joins "srun -n 1 in an allocation of 4" 1 salloc -Q -n 4 srun -n 1
    refuses "in an allocation, without srun" \
        "srun has not started this process" salloc -Q -n 4
    measures "ballot-perf under srun" env BALLOT_AUTH=none srun -n 2
    example "srun" env BALLOT_KEY_FILE="$work/key" srun -n 4
}

# ---- torchrun ----

torch() {
    local run=(torchrun -r 9:1 -t 9:1 --monitor_interval 0.2 --no_python)
    local ranks port

    # The redirection of a rank that is not there keeps 1.13 from failing with
    # Python 3.11.
    port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
    for ranks in 2 4; do
        joins "torchrun --nproc_per_node $ranks" $ranks \
            env BALLOT_KEY_FILE="$work/key" "${run[@]}" \
            --master_port "$port" --nproc_per_node $ranks
    done
    measures "ballot-perf under torchrun" env BALLOT_AUTH=none "${run[@]}" \
        --master_port "$port" --nproc_per_node 2
    example "torchrun" env BALLOT_KEY_FILE="$work/key" "${run[@]}" \
        --master_port "$port" --nproc_per_node 4
}

example "ballot-run" "$build/ballot-run" -n 4
here openmpi-bin mpirun orterun && open_mpi
here mpich mpiexec.hydra && mpich
here "slurmctld slurmd slurm-client munge" slurmctld slurmd srun munged && slurm
here python3-torch torchrun && torch

# ---- A callback of the caller's ----

# gathers NAME RC-OF-THE-ODD RC-OF-OTHERS TEXT OPTION...: three ranks, of which
# number 1 is odd.
gathers() {
    local name=$1 odd=$2 others=$3 text=$4 good=0

    shift 4
    timeout 60 "$worker" allgather ranks=3 odd=1 "$@" >"$work/output" 2>&1 ||
        good=1
    grep -q "^allgather rank=1 rc=$odd " "$work/output" || good=1
    [ "$(grep -c "^allgather rank=[02] rc=$others .*$text" \
        "$work/output")" -eq 2 ] || good=1
    judge "$name" $good
}

gathers "an allgather of the caller's" 0 0 ""
gathers "a rank whose configuration is refused" -22 -71 \
    "rank 1 cannot take part: BALLOT_WINDOW: 1000" how=config
gathers "a rank that expects fewer" -71 -71 "that there are [23]" how=ranks
gathers "a rank whose allgather fails" -5 -110 "" how=callback timeout=1000

if [ $ran -eq 0 ]; then
    echo "SKIP: no launcher is installed"
    [ $failed -eq 0 ] && exit 77
fi
exit $failed
