#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_bench_kernels.sh - bench_kernels measures, writes what programs can read
# and refuses what it does not know. No ratio is looked at: this is no place to
# measure.
# Usage: test_bench_kernels.sh BUILD_DIR

bench=$(realpath "${1:?the build folder}")/bench_kernels
if [ ! -x "$bench" ]; then
    echo "SKIP: there is no program $bench; it needs g++ and libbenchmark-dev"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/test-bench-kernels-XXXXXX")
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

# run CODE ARGUMENTS...: output in out and err; false for another exit code.
run()
{
    local expected=$1
    local code

    shift
    timeout -k 1 60 "$bench" "$@" > out 2> err
    code=$?
    [ "$code" -eq "$expected" ] && return 0
    echo "  exit code $code, expected $expected: bench_kernels $*"
    return 1
}

# refused TEXT ARGUMENTS...: code 2, nothing measured, and the text on stderr.
refused()
{
    local text=$1

    shift
    run 2 "$@" && grep -qF -- "$text" err && ! grep -q 'GB/s' out
}

measured()
{
    run 0 --table --quick --rounds 1 --only V1,V7,P1,U1 --tsv rows.tsv
}

# 19 columns; the speeds are not 0, and no row is missing for a wrong result.
sane_rows()
{
    awk -F '\t' '
        /^#/ { next }
        $1 == "id" { if (NF != 19) exit 1; next }
        NF != 19 || $12 == "WRONG" { print "  wrong row: " $0; bad = 1 }
        $12 != "skipped" && !($11 > 0 && $15 > 0 && $16 > 0) {
            print "  no speed: " $0; bad = 1
        }
        { seen[$1]++ }
        END {
            exit bad || !(seen["V1"] > 20 && seen["V7"] && seen["P1"] &&
                          seen["U1"])
        }' rows.tsv
}

table_shows_machine()
{
    grep -q '^# .* cores, Linux ' out && grep -q '^# caches: L1 ' out &&
        grep -q '^# kernels: ' out && grep -q '^# [0-9]* rows: ' out
}

json_of_table()
{
    run 0 --table --quick --rounds 1 --only P2 --json && python3 - out << 'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["quick"] is True and report["rounds"] == 1
assert report["machine"]["cores"] >= 1
assert report["rows"]
for row in report["rows"]:
    assert row["id"] == "P2" and row["required"] > 0, row
    assert row["gbs"] > 0 and row["limit_gbs"] > 0, row
END
}

json_of_google_benchmark()
{
    run 0 '--benchmark_filter=^P1/(pack|rd)/.*/L2/float32$' \
        --benchmark_min_time=0.01 --benchmark_format=json &&
        python3 - out << 'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["context"]["kernels"]
marks = {mark["name"].split("/")[1]: mark for mark in report["benchmarks"]}
assert set(marks) == {"pack", "rd"}, marks
assert all(mark["bytes_per_second"] > 0 for mark in marks.values())
assert marks["pack"]["ratio"] > 0
END
}

# The gate says by its code what the rows say; which is not the test's business.
gate_agrees()
{
    local code=0

    timeout -k 1 60 "$bench" --table --quick --rounds 1 --only P2 --gate \
        > out 2> err || code=$?
    if grep -q 'NOT MET' out; then
        [ "$code" -eq 1 ]
    else
        [ "$code" -eq 0 ]
    fi
}

plotted()
{
    run 0 --table --quick --rounds 1 --only P1 --plot out.png &&
        [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
}

check measures_rows measured
check table_shows_machine table_shows_machine
check rows_are_sane sane_rows
check json_of_table json_of_table
check json_of_google_benchmark json_of_google_benchmark
check gate_agrees gate_agrees
if command -v gnuplot > gnuplot-is; then
    check plot_draws plotted
else
    check plot_without_gnuplot refused 'needs gnuplot' --table --plot out.png
fi
check help_prints run 0 --help
check refuses_option refused 'no option' --bogus
check refuses_option_of_table refused 'no option' --table --bogus
check refuses_argument refused 'no option' --table V1
check refuses_missing_value refused 'lacks its value' --table --only
check refuses_id refused 'no requirement V99' --table --only V1,V99
check refuses_rounds refused '--rounds' --table --rounds 0
check refuses_picture refused 'PNG' --table --plot picture.jpg
check refuses_format refused 'console, json or csv' --benchmark_format=xml
check refuses_empty_filter refused 'selects nothing' --benchmark_filter=none
export BALLOT_KERNELS=none
check refuses_kernels refused 'BALLOT_KERNELS' --table
[ "$failed" -eq 0 ] || echo "$failed failed"
exit $((failed > 0))
