#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_perf.sh - ballot-perf finds every collective right, in every type, op,
# root and place, finds one that is wrong, writes what programs can read, and
# refuses what it does not know. No speed is looked at.
# Usage: test_perf.sh BUILD_DIR
# shellcheck disable=SC2317 # functions are called by check()

build=$(realpath "${1:?the build folder}")
if [ ! -x "$build/ballot-perf" ]; then
    echo "SKIP: there is no ballot-perf (BALLOT_PERF=OFF)"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/test-perf-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
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
        head -40 out err | sed 's/^/  | /'
        failed=$((failed + 1))
    fi
}

# run CODE COMMAND...: output in out and err; false for another exit code.
run()
{
    local expected=$1
    local code

    shift
    timeout -k 1 60 "$@" > out 2> err
    code=$?
    [ "$code" -eq "$expected" ] && return 0
    echo "  exit code $code, expected $expected: $*"
    return 1
}

# perf ARGUMENTS...
perf()
{
    run 0 "$build/ballot-perf" --timeout 50 --floor 0 "$@"
}

# refused TEXT ARGUMENTS...: code 2, nothing measured, and the text on stderr.
refused()
{
    local text=$1

    shift
    run 2 "$build/ballot-perf" "$@" && grep -qF -- "$text" err &&
        ! grep -q '#wrong' out
}

collectives=(all_reduce reduce broadcast all_gather reduce_scatter all_to_all
             gather scatter sendrecv)

# right ROWS ARGUMENTS...: so many rows, none of them with a wrong value, in
# the columns of nccl-tests.
right()
{
    local rows=$1

    shift
    perf "$@" -n 2 && grep -q '^# Out of bounds values : 0 OK$' out &&
        awk -v rows="$rows" -v measures="$*" '
        /^#/ { next }
        {
            place = measures ~ /sendrecv/ ? "N/A" : "0"
            if (NF != 16 || $9 != "0" || $13 != place || $6 <= 0) {
                print "  wrong row: " $0
                bad = 1
            }
            seen++
        }
        END {
            if (seen != rows)
                print "  " seen " rows, expected " rows
            exit bad || seen != rows
        }' out
}

# all_of COLLECTIVE RANKS: types, ops, roots, with sizes that hold at least a
# word for each rank. How many: 13 types but in reductions, where 12 of 4 kinds
# have sum, avg, prod, min and max, 9 and, or and xor, 4 mulsum, and 5 votes.
all_of()
{
    local cases=13

    case $1 in
    all_reduce) cases=$((12 * 5 + 9 * 3 + 4 + 5)) ;;
    reduce | reduce_scatter) cases=$((12 * 5 + 9 * 3 + 4)) ;;
    esac
    case $1 in
    reduce | broadcast | gather | scatter) cases=$((cases * $2)) ;;
    esac
    right $((2 * cases)) "$1" --ranks "$2" -b 32 -e 5K -f 160 -d all -o all \
        -r all
}

# steps COLLECTIVE: floats in numbers that are no power of two.
steps()
{
    right 4 "$1" --ranks 3 -b 100 -e 4900 -i 1600 -o sum --transport tcp
}

# wrong_at RANK COLLECTIVE: one value of it, in each place that there is.
wrong_at()
{
    local places=2

    [ "$2" = sendrecv ] && places=1
    BALLOT_TEST_BENDS=$1 run 1 "$build/tests/perf_bent" "$2" --timeout 50 \
        --floor 0 --ranks 3 -b 24K -e 24K -n 1 -d int32 -o sum &&
        grep -q "^# Out of bounds values : $places FAILED\$" out
}

unbent()
{
    run 0 "$build/tests/perf_bent" all_reduce --timeout 50 --floor 0 --ranks 2 \
        -b 24K -e 24K -n 1
}

grouped()
{
    right 3 "$1" --ranks 3 -b 96 -e 9600 -f 10 -m 5 -o "$2"
}

json_agrees()
{
    local name

    for name in "${collectives[@]}"; do
        perf "$name" --ranks 3 -b 12K -e 12K -n 2 -o sum --json \
            -J "$name.json" && cmp -s out "$name.json" || return 1
    done
    python3 - "${collectives[@]}" << 'END'
import json, sys

VECTORS = ("all_reduce", "reduce", "broadcast", "sendrecv")
ROOTED = ("reduce", "broadcast", "gather", "scatter")
for name in sys.argv[1:]:
    with open(name + ".json") as file:
        report = json.load(file)
    assert report["ranks"] == 3 and report["out_of_bounds"]["okay"], name
    [row] = report["results"]
    assert row["size"] == 12288 and row["type"] == "float", row
    assert row["count"] == (3072 if name in VECTORS else 1024), row
    assert row["redop"] == ("sum" if "reduce" in name else "none"), row
    assert row["root"] == (0 if name in ROOTED else -1), row
    assert row["experiment_name"] == name and row["floor_us"] == 0, row
    factor = {"all_reduce": 4 / 3}.get(name, 1 if name in VECTORS else 2 / 3)
    halves = [row["out_of_place"], row["in_place"]]
    if name == "sendrecv":
        assert set(halves.pop().values()) == {None}, row
    for half in halves:
        assert half["nwrong"] == 0 and half["time"] > 0, row
        assert abs(half["bus_bw"] / half["alg_bw"] / factor - 1) < 1e-4, row
        assert abs(half["alg_bw"] * half["time"] / 12.288 - 1) < 1e-3, row
END
}

# With the floor, of which each size is measured once.
with_floor()
{
    run 0 "$build/ballot-perf" gather --timeout 50 --ranks 2 -b 64 -e 64 -n 2 \
        -r all -d all && awk '
        /^#/ { next }
        $14 == "N/A" || $14 <= 0 || $16 <= 0 { print "  " $0; bad = 1 }
        $1 == 64 { floors[$5 " " $14] = 1 }
        END { for (floor in floors) count++; exit bad || count != 2 }' out
}

under_a_launcher()
{
    run 0 "$build/ballot-run" -n 2 --timeout 50 "$build/ballot-perf" \
        all_to_all --floor 0 -n 2 -b 1K -e 1K --transport tcp &&
        [ "$(grep -c 'Out of bounds values : 0 OK' out)" -eq 1 ]
}

plotted()
{
    perf reduce --ranks 2 -b 64 -e 256 -f 2 -n 2 -r all --plot out.png &&
        [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
}

for name in "${collectives[@]}"; do
    for ranks in 1 2 3 4; do
        check "${name}_of_${ranks}_ranks_is_right" all_of "$name" "$ranks"
    done
    check "${name}_over_tcp_is_right" steps "$name"
    # Root alone has the result of a reduce and of a gather.
    case $name in
    reduce | gather) bent=0 ;;
    *) bent=1 ;;
    esac
    check "wrong_${name}_is_found" wrong_at $bent "$name"
done
check seventeen_ranks_are_right right 12 all_reduce --ranks 17 -b 1K -e 1K \
    -o sum -d all
check barrier_has_one_row right 1 barrier --ranks 3
check a_bent_library_may_be_right unbent
for op in majority avg; do
    check "grouped_all_reduce_is_right_$op" grouped all_reduce $op
done
check grouped_sendrecv_is_right grouped sendrecv sum
check json_is_that_of_nccl_tests json_agrees
check floor_is_measured_once with_floor
check it_runs_under_a_launcher under_a_launcher
if command -v gnuplot > which; then
    check plot_is_drawn plotted
else
    check plot_without_gnuplot_is_refused refused "needs gnuplot" reduce \
        --plot out.png
fi

check unknown_collective_is_refused refused "no collective alltoall" alltoall
check unknown_op_is_refused refused "-o sum" all_reduce -o mean
check majority_of_a_reduce_is_refused refused "no such op" reduce -o majority
check bits_of_floats_are_refused refused "no such op" all_reduce -o bxor
check multiples_of_integers_are_refused refused "no such op" all_reduce \
    -o mulsum -d int32
check root_that_is_no_rank_is_refused refused "--root is no rank" gather \
    --ranks 2 -r 2
check word_for_a_root_is_refused refused "or all" gather -r none
check too_many_at_once_are_refused refused "1 to 32" all_reduce -m 33

if [ "$failed" -ne 0 ]; then
    echo "$failed checks failed"
    exit 1
fi
echo "all checks passed"
