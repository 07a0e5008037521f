#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_training.sh - seven processes train a network and the vote protects it.
#
#   test_training.sh BUILD_DIR
#
# Trains with examples' 2_sign_sgd under ballot-run: without liars, with three
# of seven that reverse their gradients, and the same with a mean in place of
# the vote. Computes the first rounds again with numpy. Exits 77, a skip, when
# all else passes but there is no numpy.
set -u

build=${1:?usage: test_training.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=$root/examples/data/mnist
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
skipped=0

pass() { echo "PASS $*"; }
fail() { echo "FAIL $*"; failed=1; }
skip() { echo "SKIP $*"; skipped=1; }

find_program() {
    find "$build" -type f -name "$1" -perm -u+x | head -n 1
}

# above VALUE BOUND: also false where VALUE is no number.
above() {
    awk -v v="$1" -v b="$2" 'BEGIN { exit !(v ~ /^[0-9.]+$/ && v + 0 >= b) }'
}

below() {
    awk -v v="$1" -v b="$2" 'BEGIN { exit !(v ~ /^[0-9.]+$/ && v + 0 < b) }'
}

# train NAME OPTIONS...: leaves the output in $work/NAME
train() {
    name=$1
    shift
    timeout 100 "$run" -n 7 "$program" --data "$data" "$@" \
        >"$work/$name" 2>"$work/$name.errors"
    status=$?
    if [ $status -ne 0 ]; then
        fail "$name: exit status $status"
        tail -n 5 "$work/$name" "$work/$name.errors"
    fi
}

# value NAME LABEL: the number after LABEL in the output of NAME
value() {
    sed -n "s/.*$2[: ]*\([0-9][0-9.]*\).*/\1/p" "$work/$1" | tail -n 1
}

# The first python that has numpy.
find_python() {
    for python in ${PYTHON:-} python3 /usr/bin/python3; do
        if "$python" -c 'import numpy' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

check_dump() {
    python=$(find_python)
    if [ -z "$python" ]; then
        skip "numpy: no python3 here has it; set PYTHON"
    elif "$python" "$root/tests/numpy/check_training.py" "$work/$1" \
        --ranks 7 --rounds 50 >"$work/numpy" 2>&1; then
        pass "numpy, $1: $(cat "$work/numpy")"
    else
        fail "numpy, $1: $(cat "$work/numpy")"
    fi
    rm -rf "${work:?}/$1"
}

run=$(find_program ballot-run)
program=$(find_program 2_sign_sgd)
if [ -z "$run" ] || [ -z "$program" ]; then
    echo "FAIL $build: has no ballot-run or no 2_sign_sgd; build both first"
    exit 1
fi

train majority --dump "$work/dump"
accuracy=$(value majority "final test accuracy")
if above "$accuracy" 0.93; then
    pass "majority, no liars: accuracy $accuracy"
else
    fail "majority, no liars: accuracy '$accuracy', 0.93 wanted"
fi
ratio=$(value majority "ratio")
if above "$ratio" 28; then
    pass "bytes: fp32 is $ratio times as many"
else
    fail "bytes: fp32 is '$ratio' times as many, 28 wanted"
fi
check_dump dump

train reversed --liars 3 --attack reverse --weight-decay 0.01 \
    --dump "$work/lies"
accuracy=$(value reversed "final test accuracy")
if above "$accuracy" 0.90; then
    pass "majority, 3 of 7 reverse: accuracy $accuracy"
else
    fail "majority, 3 of 7 reverse: accuracy '$accuracy', 0.90 wanted"
fi
check_dump lies

train mean --liars 3 --attack reverse --op mean
accuracy=$(value mean "final test accuracy")
if below "$accuracy" 0.30; then
    pass "mean, 3 of 7 reverse: accuracy $accuracy"
else
    fail "mean, 3 of 7 reverse: accuracy '$accuracy', below 0.30 wanted"
fi

[ $failed -eq 0 ] || exit 1
[ $skipped -eq 0 ] || exit 77
