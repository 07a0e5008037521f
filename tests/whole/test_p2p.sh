#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_p2p.sh - ballot-perf p2p moves bytes unharmed over shm and tcp, writes
# what programs can read, and refuses what it does not know. No speed is looked
# at: this is no place to measure.
# Usage: test_p2p.sh BUILD_DIR
# shellcheck disable=SC2317 # functions are called by check()

build=$(realpath "${1:?the build folder}")
if [ ! -x "$build/ballot-perf" ]; then
    echo "SKIP: there is no ballot-perf (BALLOT_PERF=OFF)"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/test-p2p-XXXXXX")
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
        sed 's/^/  | /' out err
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

p2p()
{
    run 0 "$build/ballot-perf" p2p --timeout 50 "$@"
}

# refused TEXT ARGUMENTS...: code 2, nothing measured, and the text on stderr.
refused()
{
    local text=$1

    shift
    run 2 "$build/ballot-perf" p2p "$@" && grep -qF -- "$text" err &&
        ! grep -q '#bytes' out
}

# rows TRANSPORT: 4 sizes of both tests, all positive, and no byte is wrong.
rows()
{
    p2p --transport "$1" -n 50 -b 64 -e 256K -f 16 && awk -v over="$1" '
        /^# ballot-perf/ { test = $5; tables += $7 == over ","; next }
        /^ #bytes/ { next }
        test == "write_bw" && NF == 6 && $2 == 50 && $3 > 0 && $4 > 0 &&
            $3 >= $4 && $6 == 0 { bandwidths++; next }
        test == "write_lat" && NF == 10 && $2 == 50 && $3 > 0 && $3 <= $5 &&
            $5 <= $8 + $4 && $8 <= $4 && $9 <= $4 && $10 == 0 {
            latencies++; next
        }
        { print "  wrong row: " $0; bad = 1 }
        END { exit bad || tables != 2 || bandwidths != 4 || latencies != 4 }
    ' out
}

json_agrees()
{
    p2p --transport tcp -n 20 -b 64 -e 4K -f 64 --depth 3 --json -J out.json &&
        cmp -s out out.json && python3 - out << 'END'
import json, sys
report = json.load(open(sys.argv[1]))
rows = report["results"]
assert [(r["test"], r["bytes"]) for r in rows] == [
    (t, b) for t in ("write_bw", "write_lat") for b in (64, 4096)], rows
for row in rows:
    assert row["transport"] == "tcp" and row["wrong"] == 0, row
    assert row["depth"] == 3 and row["iterations"] == 20, row
assert all(r["bw_average_mb"] > 0 for r in rows[:2])
assert all(r["t_min_us"] <= r["t_typical_us"] <= r["t_max_us"]
           for r in rows[2:])
END
}

# Whatever works here is measured; shm and tcp work anywhere.
all_transports()
{
    p2p -n 20 -b 64 -e 64 && grep -q 'write_bw over shm' out &&
        grep -q 'write_lat over tcp' out
}

one_slot()
{
    p2p --transport "$1" --depth 1 -n 20 -b 128 -e 128 --test bw -c 0 &&
        grep -q 'N/A$' out && ! grep -q write_lat out
}

under_a_launcher()
{
    run 0 "$build/ballot-run" -n 2 --timeout 50 "$build/ballot-perf" p2p \
        -n 20 -b 64 -e 64 --transport tcp &&
        [ "$(grep -c 'write_bw over tcp' out)" -eq 1 ]
}

three_ranks()
{
    run 1 "$build/ballot-run" -n 3 --grace 1 --timeout 50 \
        "$build/ballot-perf" p2p && grep -q 'it takes 2 ranks' err
}

different_options()
{
    # shellcheck disable=SC2016 # the rank is known inside
    run 1 "$build/ballot-run" -n 2 --grace 1 --timeout 50 sh -c \
        'exec "$0" p2p --transport tcp --depth $((BALLOT_RANK + 1))' \
        "$build/ballot-perf" && grep -q 'their options differ' err
}

plotted()
{
    p2p -n 20 -b 64 -e 256 --plot out.png &&
        [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
}

check shm_moves_bytes rows shm
check tcp_moves_bytes rows tcp
check json_agrees json_agrees
check all_transports all_transports
check one_slot_over_shm one_slot shm
check one_slot_over_tcp one_slot tcp
check under_a_launcher under_a_launcher
check refuses_three_ranks three_ranks
check refuses_different_options different_options
if command -v gnuplot > gnuplot-is; then
    check plot_draws plotted
else
    check plot_without_gnuplot refused 'needs gnuplot' --plot out.png
fi
check help_prints p2p --help
check refuses_option refused 'lists' --bogus
check refuses_operand refused 'options alone' again
check refuses_size refused 'multiple of 64' -b 100
check refuses_large_size refused 'multiple of 64' -e 2M
check refuses_order refused '-b' -b 4K -e 64
check refuses_factor refused '2 to 1024' -f 1
check refuses_depth refused '1 to 1024' --depth 0
check refuses_iterations refused '10000000' -n 0
check refuses_transport refused 'shm, tcp or verbs' --transport sim
check refuses_test refused 'bw or lat' --test both
check refuses_picture refused 'PNG' --plot picture.jpg
[ "$failed" -eq 0 ] || echo "$failed failed"
exit $((failed > 0))
