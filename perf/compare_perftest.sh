#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# compare_perftest.sh - slots over verbs beside perftest on the same device.
#
# All programs run one after the other in each pair, and the pairs are repeated,
# so that a change of the machine's mood meets all of them.
# shellcheck disable=SC2317 # functions are called by note() and by trap
set -u

usage()
{
    cat << 'END'
Usage: compare_perftest.sh --address IP [--device NAME] [--gid-index N]
                           [--pairs N] [--depth N] [--iters N] [--build DIR]
                           [--only TEXT] [--json]
  --address IP   of the device, over which both processes of perftest meet
  --device NAME  default: rxe0
  --gid-index N  default: 1
  --pairs N      so many runs of each program; default: 9
  --depth N      slots, and ib_write_bw's writes, under way; default: 8
  --iters N      of the bandwidth of 32 KiB; default: 300
  --build DIR    where ballot-perf is; default: build/release
  --only TEXT    the measurements that have it in their name: bw, lat or round
  --json         print JSON in place of the table
Ends with 0 whether or not the required ratios hold; 1 if a program failed.
END
}

say()
{
    echo "compare_perftest: $*" >&2
}

refuse()
{
    say "$*"
    exit 2
}

here=$(dirname "$(realpath "$0")")
build=$here/../build/release
device=rxe0 gid_index=1 pairs=9 depth=8 iters=300 address='' only=''
format=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --json)
        format=(--json)
        shift
        continue
        ;;
    --address | --device | --gid-index | --pairs | --depth | --iters | \
        --build | --only)
        [ $# -gt 1 ] || refuse "$1 needs a value; see --help"
        name=${1#--}
        printf -v "${name/-/_}" %s "$2"
        shift 2
        ;;
    *) refuse "no option $1; see --help" ;;
    esac
done
for number in "$pairs" "$depth" "$iters"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || refuse "$number is no number; give 9"
done
[ "$iters" -ge 20 ] || refuse "--iters $iters is too few; give 20 or more"
[ -n "$address" ] || refuse "give --address, the IP of $device"
[ -x "$build/ballot-perf" ] ||
    refuse "no $build/ballot-perf; build it, or say where with --build DIR"
for program in ib_write_bw ib_write_lat ib_send_lat; do
    command -v "$program" > /dev/null ||
        refuse "no $program (apt-get install perftest)"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/compare-perftest-XXXXXX")
results=$work/results.tsv
: > "$results"
server=

clean_up()
{
    [ -n "$server" ] && kill "$server" 2> /dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export BALLOT_IB_HCA="=$device" BALLOT_IB_GID_INDEX=$gid_index

# ---- Programs: each function prints one number ------------------------------

# perftest COLUMN BYTES PROGRAM ARGUMENTS...
perftest()
{
    local column=$1 bytes=$2 code listening

    shift 2
    port=$((port + 1))
    printf -v listening ':%04X [0-9A-F:]* 0A' "$port"
    set -- "$@" -d "$device" -x "$gid_index" -p "$port" -s "$bytes" -F
    timeout 100 "$@" > "$work/server" 2>&1 &
    server=$!
    # perftest's client does not wait for a server that is not there yet.
    for ((try = 0; try < 100; try++)); do
        grep -q "$listening" /proc/net/tcp /proc/net/tcp6 && break
        sleep 0.1
    done
    timeout 100 "$@" "$address" > "$work/client" 2>&1
    code=$?
    wait "$server"
    server=
    awk -v bytes="$bytes" -v column="$column" \
        '$1 == bytes && NF >= 5 { value = $column } END { print value }' \
        "$work/client"
    return "$code"
}

# p2p TEST KEY BYTES ITERATIONS
p2p()
{
    ballot_perf "$2" p2p --transport verbs --test "$1" \
        -b "$3" -e "$3" -n "$4" -c "$check" --depth "$depth"
}

# round_of SERVERS: microseconds of a vote on 16 floats between 2 ranks.
round_of()
{
    ballot_perf out_of_place.time all_reduce --ranks 2 --transport verbs \
        --servers "$1" -b 64 -e 64 -n "$round_iters" -w 20 -c "$check"
}

# ballot_perf FIELD ARGUMENTS...: of the only row. It is read when the program
# has ended, for a reader that starts meanwhile would take a core.
ballot_perf()
{
    local field=$1

    shift
    timeout 100 "$build/ballot-perf" "$@" --json > "$work/json" &&
        json_of "$field" < "$work/json"
}

# json_of FIELD < JSON
json_of()
{
    python3 -c 'import json, sys
row = json.load(sys.stdin)["results"][0]
for key in sys.argv[1].split("."):
    row = row[key]
print(row)' "$1" 2> "$work/no-json"
}

# note MEASUREMENT PROGRAM COMMAND...: one line of the results.
note()
{
    local measurement=$1 program=$2 value

    [[ $measurement == *"$only"* ]] || return
    shift 2
    if value=$("$@") && [[ $value =~ ^[0-9.]+$ ]]; then
        printf '%s\t%s\t%s\t%s\n' "$measurement" "$program" "$pair" \
            "$value" >> "$results"
    else
        say "$program failed in $measurement: $*"
        sed 's/^/  | /' "$work/client" "$work/server" >&2
        failed=1
    fi
}

# ---- Pairs ------------------------------------------------------------------

lat_iters=500
round_iters=500
large_iters=$((iters / 10 < 10 ? 10 : iters / 10))
port=$((20000 + $$ % 20000))
failed=0
check=1 # bytes and results are compared in the first pair
for ((pair = 1; pair <= pairs; pair++)); do
    say "pair $pair of $pairs"
    for size in 32768 1048576; do
        many=$iters
        [ "$size" -gt 32768 ] && many=$large_iters
        note "bw $size" ib_write_bw \
            perftest 4 "$size" ib_write_bw -t "$depth" -n "$many" -q 1
        note "bw $size" "ballot-perf p2p" p2p bw bw_average_mb "$size" "$many"
    done
    note "lat 64" ib_write_lat perftest 5 64 ib_write_lat -n "$lat_iters"
    note "lat 64" "ballot-perf p2p" p2p lat t_typical_us 64 "$lat_iters"
    # Means: a vote's time is one, over its iterations.
    note "round 64" ib_send_lat perftest 6 64 ib_send_lat -n "$lat_iters"
    note "round 64" "all_reduce root" round_of root
    note "round 64" "all_reduce ranks" round_of ranks
    check=0
done
python3 "$here/peers/perftest_table.py" "$results" "${format[@]}"
exit "$failed"
