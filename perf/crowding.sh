#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# crowding.sh - what more ranks than cores cost: 16 ranks against 4.
#
# Both run one after the other in each round, and the rounds are repeated, so
# that a change of the machine's mood meets both. All work that a rank does for
# itself (reading its gradient, writing its result) is there four times as
# often, so on the same cores a ratio of 4 is to be expected; more, where the
# vectors of 4 ranks fit into the caches and those of 16 do not. What this work
# alone takes, without a vote, is measured in the same runs: the floor.
set -eu

usage()
{
    cat << 'END'
Usage: crowding.sh [--build DIR] [--rounds N] [--transport shm|tcp] [COUNT...]
  --build DIR      where ballot-perf is; default: build/release
  --rounds N       rounds of each count; default: 9
  --transport T    default: ballot's choice
  COUNT            float32 values; default: 1000000 25560000
Prints a TSV line for each count: median times in ms and their ratio, and the
same of the floor.
END
}

refuse()
{
    echo "crowding: $*" >&2
    exit 2
}

build=$(dirname "$(realpath "$0")")/../build/release
rounds=9
options=()
counts=()
while [ $# -gt 0 ]; do
    case $1 in
    --build | --rounds | --transport)
        [ $# -gt 1 ] || refuse "$1 needs a value; see --help"
        case $1 in
        --build) build=$2 ;;
        --rounds) rounds=$2 ;;
        --transport) options+=(--transport "$2") ;;
        esac
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    [1-9]*) counts+=("$1") ;;
    *) refuse "no option $1; see --help" ;;
    esac
    shift
done
[ ${#counts[@]} -gt 0 ] || counts=(1000000 25560000)
[[ $rounds =~ ^[1-9][0-9]*$ ]] || refuse "--rounds $rounds is no number; give 9"
[ -x "$build/ballot-perf" ] ||
    refuse "there is no $build/ballot-perf; build it, or name its --build"

# The two cores that all ranks share, where taskset is there to say so.
cores=()
if [ "$(nproc)" -gt 2 ] && command -v taskset > /dev/null; then
    cores=(taskset -c 0-1)
fi

# measure RANKS COUNT: microseconds of a call, out of place, and of its floor.
measure()
{
    local bytes=$((4 * $2))
    local calls=$((40000000 / $2 + 2))

    "${cores[@]}" "$build/ballot-perf" all_reduce --ranks "$1" --bind none \
        -b "$bytes" -e "$bytes" -n "$calls" -w 1 -c 0 -T 120 --json \
        "${options[@]}" |
        tr ',{' '\n' |
        awk -F': ' '/"floor_us"/ { floor = $2 }
                    /"time"/ && !time { time = $2 }
                    END { print time, floor }'
}

# median FIELD: of the lines that come in.
median()
{
    awk -v field="$1" '{ print $field }' | sort -n |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

commit=$(git -C "$(dirname "$(realpath "$0")")" rev-parse --short HEAD \
    2> /dev/null || echo "no git")
echo "# $(nproc) cores of $(uname -n), commit $commit, $rounds rounds"
printf 'count\tms_4_ranks\tms_16_ranks\tratio\tfloor_4\tfloor_16\tratio\n'
for count in "${counts[@]}"; do
    few=()
    many=()
    for ((i = 0; i < rounds; i++)); do
        few+=("$(measure 4 "$count")")
        many+=("$(measure 16 "$count")")
    done
    printf '%d' "$count"
    for field in 1 2; do
        a=$(printf '%s\n' "${few[@]}" | median "$field")
        b=$(printf '%s\n' "${many[@]}" | median "$field")
        awk -v a="$a" -v b="$b" 'BEGIN {
            printf "\t%.2f\t%.2f\t%.2f", a / 1000, b / 1000, b / a
        }'
    done
    echo
done
