# SPDX-License-Identifier: Apache-2.0
# sizes.sh - the collectives of ballot beside those of its peers, of every
# size. Sourced by compare_peers.sh.
# shellcheck shell=bash disable=SC2154,SC2034 # its variables
#
# A job goes through all sizes of one collective, and the jobs of all libraries
# follow each other: how near cores are to each other changes in a virtual
# machine within seconds, so what is compared has to be close in time. Ranks
# that have a core each are bound to it, but for Gloo's, which have two threads.
# Where ranks are more than cores, ballot's neighbours share one (ballot-run
# --bind core); Open MPI runs twice, bound like that and not at all, and its
# better time counts. Each library waits as it does by itself: with more ranks
# than cores, Open MPI gives way to others while it waits, and MPICH does not.

if [ -z "$sizes" ]; then
    if [ "$quick" -eq 1 ]; then
        sizes=8,512,1024,8192,65536,1048576,16777216
    else
        sizes=8,64,512,1024,4096,16384,65536,262144,1048576,4194304,16777216
        sizes=$sizes,67108864,268435456
    fi
fi
batch_ms=$((quick ? 10 : 30))

# time_sizes RANKS OVER PROGRAM COMMAND...: adds the lines of one job, which
# measures $collective in $round.
time_sizes()
{
    local ranks=$1 over=$2 program=$3

    shift 3
    if timeout -k 5 60 "$@" "$collective" "$sizes" "$batch_ms" "$checked" \
        > "$work/lines" 2> "$work/errors"; then
        # ballot-run writes the rank before each line.
        sed "s/^\[0\] //; s/^/$round\t$ranks\t$over\t$program\t/" \
            "$work/lines" >> "$work/sizes.tsv"
    else
        say "$collective of $program over $over with $ranks ranks failed in" \
            "round $round, or took a minute:" \
            "$(tail -3 "$work/errors")"
        # A peer's round is left out: ranks of MPICH that share cores stand
        # still at times.
        [ "$program" != ballot ] || failed=1
    fi
}

# Puts a rank of Open MPI's where ballot-run --bind core puts one.
# shellcheck disable=SC2016 # the rank's own shell reads it
share_core='exec taskset -c $((OMPI_COMM_WORLD_LOCAL_RANK * $(nproc) /
    OMPI_COMM_WORLD_LOCAL_SIZE)) "$0" "$@"'

time_ballot()
{
    BALLOT_TRANSPORT=$2 time_sizes "$1" "$2" ballot \
        "$build/ballot-run" -n "$1" --bind core "$work/ballot_sizes"
}

time_ompi()
{
    local ranks=$1 over=$2 mpirun=(mpirun.openmpi --allow-run-as-root)

    [ "$have_ompi" -eq 1 ] || return 0
    [ "$over" != tcp ] || mpirun+=(--mca pml ob1 --mca btl 'self,tcp')
    mpirun+=(--oversubscribe --mca btl_base_warn_component_unused 0
        -np "$ranks")
    if [ "$ranks" -le "$(nproc)" ]; then
        time_sizes "$ranks" "$over" ompi "${mpirun[@]}" --bind-to core \
            "$work/ompi_sizes"
    else
        time_sizes "$ranks" "$over" ompi "${mpirun[@]}" --bind-to none \
            "$work/ompi_sizes"
        time_sizes "$ranks" "$over" ompi-bound "${mpirun[@]}" \
            --bind-to none bash -c "$share_core" "$work/ompi_sizes"
    fi
}

time_mpich()
{
    local ucx=(env)

    [ "$have_mpich" -eq 1 ] || return 0
    [ "$2" != tcp ] ||
        ucx+=(MPIR_CVAR_NOLOCAL=1 UCX_TLS='self,tcp' UCX_NET_DEVICES=lo)
    [ "$1" -gt "$(nproc)" ] || ucx+=(HYDRA_BINDING=core)
    time_sizes "$1" "$2" mpich "${ucx[@]}" mpirun.mpich -np "$1" \
        "$work/mpich_sizes"
}

time_gloo()
{
    [ "$have_gloo" -eq 1 ] && [ "$2" = tcp ] || return 0
    GLOO_SOCKET_IFNAME=lo time_sizes "$1" "$2" gloo \
        "$build/ballot-run" -n "$1" "$python" "$here/peers/gloo_sizes.py"
}

# time_all RANKS OVER: all that are here, one after the other, and another one
# first in each round, for a job finds a virtual machine's cores as near to each
# other as the jobs before have left them.
time_all()
{
    local libraries=(ballot ompi mpich gloo) turn

    for turn in 0 1 2 3; do
        "time_${libraries[(round - 1 + turn) % 4]}" "$1" "$2"
    done
}

compile_sizes()
{
    local sources=("$here/peers/sizes.c")

    cc -O2 -I "$here/../include" "$here/peers/ballot_sizes.c" "${sources[@]}" \
        -L "$build" -lballot -Wl,-rpath,"$build" -o "$work/ballot_sizes" ||
        refuse "the program for ballot was not built"
    if [ "$have_ompi" -eq 1 ]; then
        mpicc.openmpi -O2 "$here/peers/mpi_sizes.c" "${sources[@]}" \
            -o "$work/ompi_sizes" || have_ompi=0
    fi
    have_mpich=0
    if ! command -v mpicc.mpich > "$work/which" ||
        ! command -v mpirun.mpich > "$work/which"; then
        say "no mpicc.mpich or mpirun.mpich: MPICH is left out (apt-get" \
            "install libmpich-dev mpich)"
    elif mpicc.mpich -O2 "$here/peers/mpi_sizes.c" "${sources[@]}" \
        -o "$work/mpich_sizes"; then
        have_mpich=1
    fi
}

measure_sizes()
{
    local checked=1 # results are compared in the first round
    local round ranks over collective

    compile_sizes
    : > "$work/sizes.tsv"
    for ((round = 1; round <= rounds; round++)); do
        say "round $round of $rounds, collectives"
        for ranks in ${ranks_list//,/ }; do
            for over in ${over_list//,/ }; do
                for collective in ${collectives//,/ }; do
                    time_all "$ranks" "$over"
                done
            done
        done
        checked=0
    done
}
