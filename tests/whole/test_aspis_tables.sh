#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_aspis_tables.sh - ballot-aspis plays the papers' tables and gets their
# numbers, simulates jobs, writes what programs can read, and refuses what is
# wrong.
# Usage: test_aspis_tables.sh BUILD_DIR

aspis=$(realpath "${1:?the build folder}")/ballot-aspis
work=$(mktemp -d "${TMPDIR:-/tmp}/test-aspis-XXXXXX")
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
        tail -n 20 out err | sed 's/^/  | /'
        failed=$((failed + 1))
    fi
}

# run CODE ARGUMENTS...: output in out and err; false for another exit code.
run()
{
    local expected=$1
    local code

    shift
    timeout -k 1 300 "$aspis" "$@" > out 2> err
    code=$?
    [ "$code" -eq "$expected" ] && return 0
    echo "  exit code $code, expected $expected: ballot-aspis $*"
    return 1
}

# refused TEXT ARGUMENTS...: code 2, nothing on stdout, the text on stderr.
refused()
{
    local text=$1

    shift
    run 2 "$@" && [ ! -s out ] && grep -qF -- "$text" err
}

# Every number that the papers print is there, and is measured.
all_tables()
{
    run 0 tables && grep -qx '[0-9]* numbers: [0-9]* equal, 0 differ' out &&
        [ "$(grep -c ' equal' out)" -gt 700 ] && grep -q 'K=25 q=9' out &&
        grep -q 'Aspis, each 3 of 24' err
}

# The rows of one table that a reader may look up in the paper.
golden()
{
    run 0 tables --quick --csv --quiet && [ ! -s err ] && python3 - out << 'END'
import csv, sys
rows = {(r["table"], r["what"]): r for r in csv.DictReader(open(sys.argv[1]))}
def measured(what):
    found = [r for (t, w), r in rows.items() if w == what]
    assert len(found) == 1, (what, found)
    return float(found[0]["measured"])
for q, fixed, over in zip(range(2, 8), (2, 10, 28, 60, 110, 182),
                          (1, 10, 34, 80, 155, 266)):
    assert measured(f"q={q} fixed disagreement, paper: corrupted") == fixed
    assert measured(f"q={q} fixed disagreement, proof: corrupted") == fixed
    assert measured(f"K=15 q={q} take-over, paper: corrupted") == over
    assert measured(f"K=15 q={q} framing, paper: honest expelled") == 1
    assert measured(f"K=15 q={q} framing, proof: proven Byzantine") == 0
assert abs(measured("K=15 q=2 mean rounds to flag all") - 3.26) < 0.1
assert all(r["equal"] == "1" for r in rows.values())
END
}

tables_as_json()
{
    run 0 tables --quick --json --quiet && python3 - out << 'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["differing"] == 0 and report["numbers"] == len(report["rows"])
assert all(row["equal"] for row in report["rows"])
END
}

# Six liars over triples: proof has them all after some rounds, and nobody else.
simulated()
{
    run 0 simulate --liars 6 --evidence keep --rounds 12 --csv rounds.csv \
        --json && python3 - out rounds.csv << 'END'
import csv, json, sys
report = json.load(open(sys.argv[1]))
rows = list(csv.DictReader(open(sys.argv[2])))
assert len(report["liars"]) == 6 and report["tasks"] == 35
assert len(rows) == len(report["rounds"]) == 12
assert report["rounds"][-1]["byzantine"] == report["liars"]
assert 1 <= report["all_accused_after"] <= 6
for row, played in zip(rows, report["rounds"]):
    assert set(played["byzantine"]) <= set(report["liars"])
    assert int(row["caught"]) == len(played["byzantine"])
    assert row["wronged"] == "0" and row["verdict"] == "reached"
    assert int(row["corrupted"]) == played["corrupted"]
END
}

same_seed_same_job()
{
    run 0 simulate --attack take-over,random --rule paper --seed 9 || return 1
    mv out first
    run 0 simulate --attack take-over,random --rule paper --seed 9 &&
        cmp -s out first || return 1
    run 0 simulate --attack take-over,random --rule paper --seed 10 &&
        ! cmp -s out first
}

# Any scheme with any distortion, in any design, under any rule.
everything_plays()
{
    local what

    for what in independent fixed majority take-over scapegoat framing matching \
        promise-broken silent-group reversed constant random alie \
        inner-product anti selective mimic silent nan; do
        grep -qw -- "$what" help || return 1
        run 0 simulate --attack "$what" --tolerance 3 --rounds 2 || return 1
    done
    run 0 simulate --design subsets --workers 9 --replicas 5 --liars 4 &&
        run 0 simulate --design plane --workers 13 --replicas 4 --liars 6 &&
        run 0 simulate --design repetition --workers 9 --rule vote &&
        run 0 simulate --design mols --workers 35 --replicas 5 --rule paper &&
        run 0 simulate --workers 255 --liars 9 --rounds 2 --rule paper+
}

help_prints()
{
    run 0 --help && run 0 tables --help && run 0 simulate --help && cp out help
}

plotted()
{
    run 0 simulate --plot "out'1.png" &&
        [ "$(head -c 4 "out'1.png" | tail -c 3)" = PNG ]
}

check help_prints help_prints
check all_tables all_tables
check golden_rows golden
check tables_as_json tables_as_json
check simulated simulated
check same_seed_same_job same_seed_same_job
check everything_plays everything_plays
if command -v gnuplot > gnuplot-is; then
    check plot_draws plotted
fi
check refuses_nothing refused 'Usage'
check refuses_command refused 'no command x' x
check refuses_table_argument refused 'no arguments' tables x
check refuses_table_options refused 'exclude' tables --quick --slow
check refuses_option refused 'bogus' simulate --bogus
check refuses_argument refused 'takes options only' simulate x
check refuses_attack refused 'fixed,alie' simulate --attack fixed,x
check refuses_liars refused 'no minority' simulate --liars 8
check refuses_design refused 'take 13' simulate --workers 14
check refuses_rule refused 'take proof' simulate --rule x
check refuses_rate refused 'above 0' simulate --rate 0
check refuses_number refused 'whole number' simulate --rounds 1x
check fails_to_write run 1 simulate --csv no/such/file
[ "$failed" -eq 0 ] || echo "$failed failed"
exit $((failed > 0))
