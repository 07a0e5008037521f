#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_compare_peers.sh - the comparison with peers takes the right medians,
# ratios and verdicts from its times, and refuses what it does not know. The
# times are made up: this is no place to measure, and no peer need be here.
# Usage: test_compare_peers.sh BUILD_DIR
# shellcheck disable=SC2317 # functions are called by check()

build=$(realpath "${1:?the build folder}")
perf=$(realpath "$(dirname "$0")/../../perf")
work=$(mktemp -d "${TMPDIR:-/tmp}/test-compare-XXXXXX")
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

# table CODE ARGUMENTS...: of times.tsv; false for another exit code.
table()
{
    local expected=$1

    shift
    python3 -B "$perf/peers/sizes_table.py" times.tsv "$@" > out 2> err
    [ $? -eq "$expected" ]
}

# times COLLECTIVE BYTES BALLOT OMPI MPICH: a line of each, three rounds, of
# which one was disturbed.
times()
{
    local program us round

    for program in ballot:"$3" ompi:"$4" mpich:"$5"; do
        round=0
        for us in "${program#*:}" 90000 "${program#*:}"; do
            printf '%s\t4\tshm\t%s\t%s\t%s\t%s.000\t10\n' $((++round)) \
                "${program%:*}" "$1" "$2" "$us"
        done
    done
}

# From 1 KiB twice and 1.25 times as fast as the best, below as fast as it.
write_fast()
{
    times all_reduce 8 100 100 300
    times all_reduce 512 100 400 100
    times all_reduce 1024 100 200 900
    times all_reduce 65536 100 900 125
}

met()
{
    write_fast > times.tsv
    table 0 --gate &&
        grep -qE 'all_reduce +shm +4 +1\.00 +1\.58 +1\.00 +1\.25  met' out &&
        grep -qE '^ +65536 +100\.00 +900\.00 +125\.00  mpich +1\.25$' out
}

# missed BYTES BALLOT OMPI FIGURE: one more size, and what it spoils.
missed()
{
    { write_fast && times all_reduce "$1" "$2" "$3" 90000; } > times.tsv
    table 1 --gate && grep -q ' missed$' out && table 0 &&
        table 1 --gate --json && python3 - "$4" << 'END'
import json, sys
report = json.loads(open("out").read())
[result] = report["results"]
assert result["missed"] == sys.argv[1].split(","), result["missed"]
END
}

shown_only()
{
    { write_fast && times gather 8 900 100 100; } > times.tsv
    table 0 --gate && grep -qE 'gather .* 0\.11 .*not required$' out
}

# Rounds in which the machine is slow are slow for all: their ratios are as good
# as the others', whatever the medians of the times are. A round that a program
# has not got through is none.
paired()
{
    write_fast > times.tsv
    {
        printf '%s\t4\tshm\tballot\tall_reduce\t4096\t%s\t10\n' \
            1 100 2 300 3 300
        printf '%s\t4\tshm\tompi\tall_reduce\t4096\t%s\t10\n' \
            1 150 2 450 4 10 5 10
    } >> times.tsv
    table 0 --gate &&
        grep -qE '^ +4096 +300\.00 +80\.00 +-  ompi +1\.50$' out
}

# A peer that lacks a collective, and none at all.
alone()
{
    write_fast | grep -v mpi > times.tsv
    table 0 --gate && grep -qE '^ +8 +100\.00  - +-$' out
}

no_times()
{
    : > times.tsv
    table 1 && grep -q 'did every program fail' err
}

# refused TEXT ARGUMENTS...
refused()
{
    local text=$1

    shift
    bash "$perf/compare_peers.sh" --build "$build" "$@" > out 2> err
    [ $? -eq 2 ] && grep -qF -- "$text" err
}

check what_is_reached_is_met met
check small_calls_must_be_as_fast missed 64 100 80 mean_below_1k
check large_calls_must_be_faster missed 2048 100 61 mean_from_1k
check no_size_may_be_far_slower missed 16384 100 59 mean_from_1k,least
check large_sizes_may_be_less_slower missed 131072 100 79 least_from_64k
check others_are_only_shown shown_only
check ratios_are_taken_within_rounds paired
check it_runs_without_peers alone
check no_times_are_an_error no_times
check unknown_option_is_refused refused "no option --fast" --fast
check unknown_part_is_refused refused "collectives or votes" --only sums
check unknown_transport_is_refused refused "shm, tcp or both" --over verbs
check missing_value_is_refused refused "--rounds needs a value" --rounds
check missing_build_is_refused refused "build it" --build "$work"

if [ "$failed" -ne 0 ]; then
    echo "$failed checks failed"
    exit 1
fi
echo "all checks passed"
