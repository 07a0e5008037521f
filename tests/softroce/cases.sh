# SPDX-License-Identifier: Apache-2.0
# cases.sh - runs named cases, each with a time limit, and counts. Sourced by
# suite.sh, which sets
#   only   the pattern of the names that are wanted
#   end    a or b, of two machines that run the same cases; or nothing
#   other  the other of them
#   share  a folder that both of them write
# shellcheck shell=bash disable=SC2154 # suite.sh sets them

slow=${BALLOT_TEST_SLOW:-1}
start_s=$SECONDS
ran=0
names=()
failed=()
outputs=$(mktemp -d)
trap leave EXIT

# Each case leads a process group, which an interrupt does not reach.
# shellcheck disable=SC2317 # a trap calls it
leave()
{
    [ -z "${!:-}" ] || kill -KILL -- "-$!" 2> /dev/null || :
    rm -rf "$outputs"
}

is_wanted()
{
    names+=("$1")
    # shellcheck disable=SC2053 # it is a pattern
    [[ $1 == $only ]]
}

# attempt OUTPUT LIMIT COMMAND...: a program, or a function that is exported.
# The limit is for a machine at full speed.
attempt()
{
    local output=$1
    local limit_s=$(($2 * slow))
    local status=0

    shift 2
    timeout -k 5 "$limit_s" bash -euo pipefail -c '"$@"' case "$@" \
        < /dev/null > "$output" 2>&1 &
    wait $! || status=$?
    # timeout led a group of its own: what the case has left behind.
    kill -KILL -- "-$!" 2> /dev/null || :
    [ "$status" -ne 124 ] || echo "stopped after $limit_s s" >> "$output"
    [ "$status" -ne 127 ] || echo "a program is missing" >> "$output"
    return "$status"
}

# now_us: EPOCHREALTIME has six decimals, after a point or a comma.
now_us()
{
    echo "${EPOCHREALTIME//[.,]/}"
}

# verdict NAME STATUS BEGIN_US OUTPUT...
verdict()
{
    local name=$1 status=$2
    local tenths=$((($(now_us) - $3) / 100000))
    local time_s=$((tenths / 10)).$((tenths % 10))

    shift 3
    ran=$((ran + 1))
    if [ "$status" -eq 0 ]; then
        echo "ok $name $time_s s"
        return
    fi
    failed+=("$name")
    echo "FAILED $name $time_s s, status $status"
    sed 's/^/    /' "$@"
}

# long NAME LIMIT COMMAND...: one that is run only where a pattern asks for it.
long()
{
    if [ "$only" != '*' ]; then
        alone "$@"
    else
        names+=("$1")
    fi
}

# alone NAME LIMIT COMMAND...: a case of one machine.
alone()
{
    local name=$1
    local begin_us status=0

    [ -z "$end" ] && is_wanted "$name" || return 0
    shift
    begin_us=$(now_us)
    attempt "$outputs/$name" "$@" || status=$?
    verdict "$name" "$status" "$begin_us" "$outputs/$name"
}

has_come_or_ended()
{
    [ -e "$at.$1" ] || [ -e "$at.status.$other" ]
}

# meet WORD [SECONDS]: both ends of a case wait for each other.
meet()
{
    : > "$at.$1.$end"
    within "${2:-60}" has_come_or_ended "$1.$other" || :
    [ ! -e "$at.$1.$other" ] || return 0
    echo "end $end: end $other did not come to \"$1\"" >&2
    return 1
}

# both NAME LIMIT COMMAND...: a case of two machines. Each runs the command;
# $end says which it is, $other who is there.
both()
{
    local name=$1 limit_s=$2
    local begin_us status=0 status_b

    [ -n "$end" ] && is_wanted "$name" || return 0
    shift
    export at=$share/$name
    meet begin 200 || exit 1
    begin_us=$(now_us)
    attempt "$at.output.$end" "$@" || status=$?
    # Under its name it is complete.
    echo "$status" > "$at.new.$end"
    mv "$at.new.$end" "$at.status.$end"
    if ! within $((limit_s * slow + 20)) test -e "$at.status.$other"; then
        echo "end $end: end $other did not end $name" >&2
        exit 1
    fi
    if [ "$end" = b ]; then
        ran=$((ran + 1))
        return
    fi
    read -r status_b < "$at.status.b"
    [ "$status" -ne 0 ] || status=$status_b
    verdict "$name" "$status" "$begin_us" "$at.output.a" "$at.output.b"
}

# finish: the summary, and the status of them all. End a speaks for both.
finish()
{
    if [ "$ran" -eq 0 ]; then
        echo "no case is called '$only'; there are: ${names[*]}" >&2
        exit 2
    fi
    [ "$end" != b ] || exit 0
    if [ ${#failed[@]} -gt 0 ]; then
        echo "== ${#failed[@]} of $ran cases failed: ${failed[*]}"
        exit 1
    fi
    echo "== all $ran cases hold, $((SECONDS - start_s)) s"
    exit 0
}
