#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh - from a fresh Debian 12 to three results: what a majority
# all-reduce costs on this machine, how a liar is caught, and what a majority
# withstands in a training.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -ne 0 ]; then
    echo "usage: examples/quickstart.sh (no arguments)" >&2
    exit 2
fi

# shellcheck source=tests/packages.sh
. tests/packages.sh
packages_install "${packages_build[@]}" "${packages_plot[@]}"

echo "== Building in build/quickstart"
cmake -G Ninja -S . -B build/quickstart --log-level=WARNING \
    -D CMAKE_BUILD_TYPE=Release -D BALLOT_TESTS=OFF
cmake --build build/quickstart
export PATH=$PWD/build/quickstart:$PATH
out=$PWD/build/quickstart/results
mkdir -p "$out"

echo
echo "== A gradient of ResNet-50's size, 25,560,000 float32, by 4 ranks"
ballot-perf all_reduce --ranks 4 -b 102240000 -e 102240000 -o majority

echo
echo "== One of 7 ranks lies, and each task is computed by three of them"
ballot-run -n 7 3_catch_the_liar

# train NAME OPTION...: 7 ranks; the numbers go to NAME.csv.
train()
{
    local name=$1

    shift
    echo
    echo "== Training with 7 ranks: $name"
    ballot-run -n 7 2_sign_sgd --csv "$out/$name.csv" "$@"
}

liars=(--liars 3 --attack reverse)
train majority_nobody_lies --op majority
train majority_3_of_7_lie --op majority "${liars[@]}"
train mean_3_of_7_lie --op mean "${liars[@]}"
gnuplot -c examples/plot_training.gp "$out/training.png" "$out"/m*_lie*.csv

echo
echo "== Test accuracy and bytes that a rank puts in a step"
printf '%-22s %9s %13s %8s\n' training accuracy "bytes a step" "vs fp32"
for name in majority_nobody_lies majority_3_of_7_lie mean_3_of_7_lie; do
    tail -n 1 "$out/$name.csv" | awk -F, -v name="$name" \
        '{ printf "%-22s %9.4f %13.0f %7.1fx\n", name, $3, $4, $5 / $4 }'
done
echo
echo "The curves: $out/training.png"
echo "The numbers: $out/*.csv"
