#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pair.sh - the suite's cases of two machines: boots both, joined by a wire.
# Usage: pair.sh BUILD PATTERN
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: $0 BUILD PATTERN" >&2
    exit 2
fi
here=$(dirname "$(realpath "$0")")
share=$(mktemp -d "${TMPDIR:-/tmp}/ballot-pair.XXXXXX")
declare -A machines=() # the process of each end

# shellcheck disable=SC2317 # a trap calls it
leave()
{
    [ ${#machines[@]} -eq 0 ] || kill "${machines[@]}" 2> /dev/null || :
    wait
    rm -rf "$share"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start()
{
    "$here/machine.sh" --limit 540 --share "$share" --wire "$1:$share/wire" \
        bash "$here/suite.sh" "$build" "$only" "$1" "$share" &
    machines[$1]=$!
}

build=$1
only=$2
start a
start b
worst=0
while [ ${#machines[@]} -gt 0 ]; do
    status=0
    wait -n -p ended "${machines[@]}" || status=$?
    [ "$status" -le "$worst" ] || worst=$status
    for end in "${!machines[@]}"; do
        [ "${machines[$end]}" != "$ended" ] || unset "machines[$end]"
    done
    # Without the one the other would wait in vain.
    if [ "$status" -ge 124 ] && [ ${#machines[@]} -gt 0 ]; then
        kill "${machines[@]}"
    fi
done
exit "$worst"
