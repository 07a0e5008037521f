#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# compare_peers.sh - ballot beside Open MPI, MPICH and Gloo: its collectives
# beside theirs, and its vote beside their float sums.
#
# All programs of a case run one after the other in each round, and the rounds
# are repeated, so that a change of the machine's mood meets all of them.
# shellcheck disable=SC2034,SC2317 # the parts in peers/ use and call them
set -u

usage()
{
    cat << 'END'
Usage: compare_peers.sh [--quick] [--json] [--build DIR] [--rounds N]
                        [--only collectives|votes] [--ranks N,...]
                        [--over shm,tcp] [--collectives NAME,...]
                        [--sizes BYTES,...] [--tsv FILE] [--plot FILE.png]
                        [--gate]
  --quick        3 rounds of fewer sizes and calls; default: 9 rounds
  --json         print JSON in place of the tables
  --build DIR    where libballot, ballot-perf and ballot-run are; default:
                 build/release
  --rounds N     so many rounds
  --only WHAT    collectives: all of ballot's on float32, each size beside the
                 best peer; votes: a majority beside sums of floats
Of collectives alone:
  --ranks, --over, --collectives, --sizes
                 leave out the rest; default: 2,4 ranks, 8 B to 256 MiB
  --tsv FILE     write every single time there
  --plot FILE    draw the ratios (needs gnuplot)
  --gate         exit with 1 when a required ratio is not reached
Votes are 25,560,000 floats between 4 processes of this host; 64 bytes between
2; and, for root, 4 hosts at 1 Gbit/s made of network namespaces. Peers that
are not installed are left out with a message on standard error.
END
}

say()
{
    echo "compare_peers: $*" >&2
}

refuse()
{
    say "$*"
    exit 2
}

here=$(dirname "$(realpath "$0")")
build=$here/../build/release
rounds=0 quick=0 only=all
ranks_list=2,4 over_list=shm,tcp sizes='' tsv=''
collectives=all_reduce,broadcast,all_gather,reduce_scatter,all_to_all
collectives=$collectives,reduce,gather,scatter
table_options=() format=()
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --json) format=(--json) ;;
    --gate) table_options+=(--gate) ;;
    -h | --help)
        usage
        exit 0
        ;;
    --build | --rounds | --only | --ranks | --over | --collectives | --sizes | \
        --tsv | --plot)
        [ $# -gt 1 ] || refuse "$1 needs a value; see --help"
        case $1 in
        --build) build=$2 ;;
        --rounds) rounds=$2 ;;
        --only) only=$2 ;;
        --ranks) ranks_list=$2 ;;
        --over) over_list=$2 ;;
        --collectives) collectives=$2 ;;
        --sizes) sizes=$2 ;;
        --tsv) tsv=$2 ;;
        --plot) table_options+=(--plot "$2") ;;
        esac
        shift
        ;;
    *) refuse "no option $1; see --help" ;;
    esac
    shift
done
[ "$rounds" != 0 ] || rounds=$((quick ? 3 : 9))
[[ $rounds =~ ^[1-9][0-9]*$ ]] || refuse "--rounds $rounds is no number; give 9"
[[ $only =~ ^(all|collectives|votes)$ ]] ||
    refuse "--only $only; give collectives or votes"
[[ $ranks_list,$sizes =~ ^[0-9,]+$ ]] ||
    refuse "--ranks and --sizes are numbers with commas between, as in 2,4"
for over in ${over_list//,/ }; do
    [[ $over =~ ^(shm|tcp)$ ]] || refuse "--over $over; give shm, tcp or both"
done
for program in ballot-perf ballot-run libballot.so; do
    [ -e "$build/$program" ] ||
        refuse "no $build/$program; build it, or say where with --build DIR"
done
build=$(realpath "$build")
python=/usr/bin/python3

read -r load _ < /proc/loadavg
if [ "${load%.*}" -ge 1 ]; then
    say "the machine is busy (load $load): the times will be too long"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/compare-peers-XXXXXX")
failed=0
clean_up()
{
    local jobs

    jobs=$(jobs -p)
    # shellcheck disable=SC2086 # one number for each job
    [ -n "$jobs" ] && kill $jobs 2> /dev/null
    wait
    if declare -F remove_hosts > /dev/null; then remove_hosts; fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- Who is here ------------------------------------------------------------

have_ompi=0
if ! command -v mpicc.openmpi > /dev/null ||
    ! command -v mpirun.openmpi > /dev/null; then
    say "no mpicc.openmpi or mpirun.openmpi: Open MPI is left out (apt-get" \
        "install libopenmpi-dev openmpi-bin)"
else
    have_ompi=1
fi
have_gloo=0
if "$python" -c 'import torch.distributed' 2> /dev/null; then
    have_gloo=1
    say "Gloo has no shared memory transport: it runs over loopback tcp"
else
    say "no torch for $python: Gloo is left out (apt-get install python3-torch)"
fi

# ---- What is measured -------------------------------------------------------

if [ "$only" != votes ]; then
    # shellcheck source=peers/sizes.sh
    . "$here/peers/sizes.sh"
    measure_sizes
fi
if [ "$only" != collectives ]; then
    # shellcheck source=peers/votes.sh
    . "$here/peers/votes.sh"
    measure_votes
fi
[ ${#format[@]} -eq 0 ] || echo '{'
if [ "$only" != votes ]; then
    [ ${#format[@]} -eq 0 ] || echo '"collectives":'
    "$python" "$here/peers/sizes_table.py" "$work/sizes.tsv" "${format[@]}" \
        "${table_options[@]}" || failed=1
    [ -z "$tsv" ] || cp "$work/sizes.tsv" "$tsv" || failed=1
    [ ${#format[@]} -eq 0 ] || [ "$only" != all ] || echo ','
fi
if [ "$only" != collectives ]; then
    [ ${#format[@]} -eq 0 ] || echo '"votes":'
    "$python" "$here/peers/table.py" "$work/votes.tsv" "${format[@]}"
fi
[ ${#format[@]} -eq 0 ] || echo '}'
exit "$failed"
