#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_launchers.sh - one program under Open MPI, MPICH, Slurm and torchrun.
#
#   test_launchers.sh BUILD_DIR
#
# Each launcher is really started, Slurm with its daemons. One that is not
# installed is left out, and that is said.
set -u
# shellcheck source=tests/whole/launchers.bash
. "$(dirname "$0")/launchers.bash"

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
    example "mpirun" "$(hostname)" "${run[@]}" -n 4
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
    example "mpiexec.hydra" "$(hostname)" mpiexec.hydra -n 4
    "$sanitized" && return
    with_mpi libmpich.so.12 before mpiexec.hydra -n 2
    with_mpi libmpich.so.12 after mpiexec.hydra -n 2
}

# ---- Slurm ----

# A cluster of this host.
start_slurm() {
    local host

    host=$(hostname -s)
    write_slurm_conf "$host" 127.0.0.1 "$host NodeAddr=127.0.0.1"
    mkdir -p "$work/state" "$work/spool.$host"
    start_munge
    begin slurmctld slurmctld -D
    begin slurmd slurmd -D
    wait_until 20 nodes_idle 1 && return 0
    cat "$work"/*.log "$work"/*.out >"$work/output"
    return 1
}

slurm() {
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
    example "srun" "$(hostname)" env BALLOT_KEY_FILE="$work/key" srun -n 4
    end_daemons
}

# ---- torchrun ----

torch() {
    local run=("${torchrun[@]}")
    local ranks port

    port=$(free_port)
    for ranks in 2 4; do
        joins "torchrun --nproc_per_node $ranks" $ranks \
            env BALLOT_KEY_FILE="$work/key" "${run[@]}" \
            --master_port "$port" --nproc_per_node $ranks
    done
    measures "ballot-perf under torchrun" env BALLOT_AUTH=none "${run[@]}" \
        --master_port "$port" --nproc_per_node 2
    example "torchrun" "$(hostname)" \
        env BALLOT_KEY_FILE="$work/key" "${run[@]}" \
        --master_port "$port" --nproc_per_node 4
}

example "ballot-run" "$(hostname)" "$build/ballot-run" -n 4
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
