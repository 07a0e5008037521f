#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_examples.sh - the examples with redundant tasks find out who lies.
#
#   test_examples.sh BUILD_DIR
set -u

build=${1:?usage: test_examples.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
examples=$here/../../examples
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# has NAME PATTERN COMMAND...: it succeeds and prints PATTERN.
has() {
    name=$1
    pattern=$2
    shift 2
    if timeout 100 "$@" >"$work/output" 2>&1 &&
        grep -q "$pattern" "$work/output"; then
        echo "PASS $name"
    else
        echo "FAIL $name: no '$pattern' in:"
        tail -n 20 "$work/output"
        failed=1
    fi
}

# refuses NAME TEXT COMMAND...: it fails and says TEXT.
refuses() {
    name=$1
    text=$2
    shift 2
    if ! timeout 100 "$@" >"$work/output" 2>&1 &&
        grep -q -e "$text" "$work/output"; then
        echo "PASS $name"
    else
        echo "FAIL $name: succeeds, or does not say '$text':"
        tail -n 20 "$work/output"
        failed=1
    fi
}

run=$build/ballot-run
train() { echo "$run -n 7 $build/2_sign_sgd --steps 3 --batch 8 $*"; }
redundant="--redundancy 3 --design sts --liars 3"

# It compares result and report with what they must be.
has "3_catch_the_liar" "step 1: the result is what the honest computed" \
    "$run" -n 7 "$build/3_catch_the_liar"
refuses "3_catch_the_liar with 9 ranks" "start it with ballot-run -n 7" \
    "$run" -n 9 "$build/3_catch_the_liar"

# A training that was written for NCCL, by the mean and by the vote.
has "4_nccl_port" "step 200, mean squared error 0.0" "$build/4_nccl_port" 3
has "4_nccl_port that votes" "step 200, mean squared error 0.0" \
    env BALLOT_NCCL_MAJORITY=64 "$build/4_nccl_port" 3

has "two rows of the accuracies" "2 of 2 trainings" \
    python3 -B "$examples/accuracies.py" "$build" --quick

# Every attack, and every scheme; no honest rank is taken for a liar.
for attack in flip invert reverse random constant anti selective alie product \
    mimic nan; do
    # shellcheck disable=SC2046
    has "attack $attack" "proven: 3 of 3 liars.* 0 honest" \
        $(train "$redundant" --attack $attack)
done
for scheme in fixed majority take-over scapegoat framing matching \
    silent-group; do
    # shellcheck disable=SC2046
    has "scheme $scheme" "proven: .* and 0 honest" \
        $(train "$redundant" --scheme $scheme)
done
for rule in paper none; do
    # shellcheck disable=SC2046
    has "subsets, rule $rule" "final test accuracy" \
        $(train --redundancy 3 --liars 3 --rule $rule)
done

# shellcheck disable=SC2046
refuses "a rule without tasks" "give --redundancy 3 too" $(train --rule none)
# shellcheck disable=SC2046
refuses "momentum" "leave --op mean, --dump and --momentum" \
    $(train --redundancy 3 --momentum 0.5)
# shellcheck disable=SC2046
refuses "half of the ranks" "must be the minority of 7" \
    $(train --redundancy 3 --liars 4)

exit $failed
