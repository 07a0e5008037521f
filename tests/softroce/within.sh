# SPDX-License-Identifier: Apache-2.0
# within.sh - waiting with a deadline. Sourced by the scripts beside it.
# shellcheck shell=bash

# within SECONDS COMMAND...: repeats it until it succeeds; 1 if it never does.
within()
{
    local end=$((SECONDS + $1))

    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
