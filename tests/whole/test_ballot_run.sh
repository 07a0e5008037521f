#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test_ballot_run.sh - what ballot-run promises about output, ends and signals.
# Usage: test_ballot_run.sh BALLOT-RUN, or the build folder where it stands.
# shellcheck disable=SC2016 # what ranks expand stands in single quotes

run=${1:?the path of ballot-run or of the build folder}
[ -d "$run" ] && run=$run/ballot-run
if [ ! -x "$run" ]; then
    echo "SKIP: there is no program $run; build it (cmake --build)"
    exit 77
fi
run=$(realpath "$run")
work=$(mktemp -d "${TMPDIR:-/tmp}/test-ballot-run-XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work # key files are made here, so their removal shows
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
        failed=$((failed + 1))
    fi
}

equal()
{
    [ "$1" = "$2" ] && return 0
    printf '  expected: %s\n  got:      %s\n' "$2" "$1"
    return 1
}

contains()
{
    grep -qF -- "$2" "$1" && return 0
    printf '  expected in %s: %s\n' "$(basename "$1")" "$2"
    sed 's/^/  | /' "$1"
    return 1
}

# launch ARGUMENTS...: bounded by 30 s, output in $work/out and $work/err.
launch()
{
    timeout -k 1 30 "$run" "$@" > "$work/out" 2> "$work/err"
    code=$?
}

# start ARGUMENTS...: in the background, with signals as from a terminal.
start()
{
    rm -f "$work"/ready.*
    env --default-signal=INT,HUP,TERM,QUIT timeout --foreground -k 1 30 \
        "$run" "$@" > "$work/out" 2> "$work/err" &
    timer=$!
    # timeout(1) stands between: signals go to its child, the launcher.
    for ((i = 0; i < 100; i++)); do
        launcher=$(cat "/proc/$timer/task/$timer/children" 2> "$work/none")
        launcher=${launcher% }
        [ -n "$launcher" ] && break
        sleep 0.05
    done
}

# wait_files COUNT PATTERN: until so many files are there, at most 10 s.
wait_files()
{
    local files

    for ((i = 0; i < 200; i++)); do
        mapfile -t files < <(compgen -G "$work/$2")
        [ "${#files[@]}" -ge "$1" ] && return 0
        sleep 0.05
    done
    return 1
}

finish()
{
    wait "$timer"
    code=$?
}

gone()
{
    for ((i = 0; i < 100; i++)); do
        kill -0 "$1" 2> "$work/none" || return 0
        # A zombie whose parent does not look has ended all the same.
        [ "$(cut -d' ' -f3 "/proc/$1/stat" 2> "$work/none")" = Z ] && return 0
        sleep 0.05
    done
    return 1
}

faster_than()
{
    [ "$SECONDS" -lt "$1" ] && return 0
    echo "  took $SECONDS s, allowed are $1 s"
    return 1
}

export work

# ---- Output -----------------------------------------------------------------
launch -n 3 sh -c 'echo "out $BALLOT_RANK"; echo "err $BALLOT_RANK" >&2'
check exit_code_0_when_all_return_0 equal "$code" 0
check stdout_has_prefixes equal "$(sort "$work/out")" \
    $'[0] out 0\n[1] out 1\n[2] out 2'
check stderr_has_prefixes_and_stays_stderr equal "$(sort "$work/err")" \
    $'[0] err 0\n[1] err 1\n[2] err 2'

launch -n 2 sh -c 'printf "a\nlast"'
check partial_last_line_is_written equal "$(sort "$work/out")" \
    $'[0] a\n[0] last\n[1] a\n[1] last'

launch -n 4 seq 20000
check no_line_is_lost equal "$(wc -l < "$work/out")" 80000
for rank in 0 1 2 3; do
    check "lines_of_rank_${rank}_are_whole_and_in_order" equal \
        "$(sed -n "s/^\[$rank\] //p" "$work/out" | cksum)" "$(seq 20000 | cksum)"
done

launch -n 1 sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo'
check long_line_loses_nothing equal \
    "$(sed 's/^\[0\] //' "$work/out" | tr -d '\n' | wc -c)" 100000
check long_line_is_broken_at_16_kib equal \
    "$(sed 's/^\[0\] //' "$work/out" | head -1 | tr -d '\n' | wc -c)" 16384

SECONDS=0
timeout -k 1 30 "$run" -n 2 yes 2> "$work/err" | head -1 > "$work/out"
check reader_that_leaves_ends_the_job faster_than 10

# ---- What a rank is given -------------------------------------------------
launch -n 2 sh -c 'echo "$BALLOT_RANK/$BALLOT_RANKS" \
    "$BALLOT_LOCAL_RANK/$BALLOT_LOCAL_RANKS"'
check ranks_are_in_the_environment equal "$(sort "$work/out")" \
    $'[0] 0/2 0/2\n[1] 1/2 1/2'
launch -n 2 sh -c 'echo "$BALLOT_ROOT"'
check root_is_one_local_port equal "$(sed 's/^\[.\] //' "$work/out" | uniq |
    grep -cE '^127\.0\.0\.1:[0-9]+$')" 1

launch -n 1 sh -c 'cat; echo "end of input"'
check standard_input_is_empty equal "$(cat "$work/out")" "[0] end of input"
launch -n 3 ls /proc/self/fd
# shellcheck disable=SC2012,SC2217 # ls shows its own descriptors
check rank_has_no_descriptor_of_the_launcher equal \
    "$(sed 's/^\[.\] //' "$work/out" | sort | uniq -c | tr -s ' ')" \
    "$(ls /proc/self/fd < /dev/null 2> "$work/none" | sed 's/^/ 3 /')"

launch -n 2 sh -c 'stat -c %a "$BALLOT_KEY_FILE"; cat "$BALLOT_KEY_FILE"'
check key_file_is_private equal "$(grep -c '^\[.\] 600$' "$work/out")" 2
check key_is_32_bytes_and_the_same equal "$(sed 's/^\[.\] //' "$work/out" |
    grep -E '^[0-9a-f]{64}$' | sort | uniq -c | awk '{print $1}')" 2
cp "$work/out" "$work/first"
launch -n 2 sh -c 'stat -c %a "$BALLOT_KEY_FILE"; cat "$BALLOT_KEY_FILE"'
check next_job_has_another_key equal \
    "$(grep -cxFf "$work/first" <(grep -E '[0-9a-f]{64}' "$work/out"))" 0
check key_file_is_removed equal "$(compgen -G "$work/ballot-key-*")" ""
echo 00ff > "$work/key"
launch -n 1 --key-file "$work/key" sh -c 'cd /; cat "$BALLOT_KEY_FILE"'
check given_key_file_is_passed equal "$(cat "$work/out")" "[0] 00ff"
check given_key_file_stays test -f "$work/key"
launch -n 1 --key-file "$work/nokey" true
check missing_key_file_is_an_error equal "$code" 1
check missing_key_file_is_named contains "$work/err" "$work/nokey"

# ---- Ends -------------------------------------------------------------------
launch -n 4 sh -c 'test "$BALLOT_RANK" -ne 2 || exit 7'
check exit_code_is_that_of_the_rank equal "$code" 7
check failed_rank_is_named contains "$work/err" "rank 2 exited with code 7"

SECONDS=0
launch -n 4 --grace 1 sh -c 'test "$BALLOT_RANK" -ne 3 || kill -9 $$; sleep 60'
check exit_code_of_a_killed_rank_is_128_and_signal equal "$code" 137
check killed_rank_is_named_with_its_signal contains "$work/err" \
    "rank 3 was killed by signal 9 (Killed)"
check others_are_named_and_ended contains "$work/err" \
    "ending the others: ranks 0, 1, 2"
check death_of_one_rank_ends_the_job faster_than 10

launch -n 2 --grace 5 sh -c 'test "$BALLOT_RANK" -ne 1 || kill -9 $$
    sleep 1; echo "peer 1 is dead"; exit 3'
check others_may_report_in_the_grace contains "$work/out" "[0] peer 1 is dead"
check code_of_the_first_failure_stays equal "$code" 137

SECONDS=0
launch -n 2 --grace 0.5 sh -c 'trap "" TERM
    test "$BALLOT_RANK" -ne 1 || exit 5; while :; do sleep 0.1; done'
check deaf_rank_is_killed_after_the_grace equal "$code" 5
check deaf_rank_is_killed_soon faster_than 10

SECONDS=0
launch -n 3 --timeout 1 sh -c 'test "$BALLOT_RANK" -eq 0 || sleep 60'
check timeout_gives_124 equal "$code" 124
check timeout_names_who_still_ran contains "$work/err" \
    "still running: ranks 1, 2"
check timeout_ends_the_job faster_than 10
check key_file_is_removed_after_timeout equal \
    "$(compgen -G "$work/ballot-key-*")" ""
launch -n 1 --timeout 1 --grace 1 sh -c 'kill -STOP $$'
check stopped_rank_is_ended_too equal "$code" 124

launch -n 2 "$work/no-such-program"
check missing_program_gives_127 equal "$code" 127
check missing_program_is_named contains "$work/err" \
    "no program $work/no-such-program"
launch -n 1 "$work/key"
check program_that_is_not_executable_gives_126 equal "$code" 126

# ---- Signals ----------------------------------------------------------------
for name in HUP INT TERM USR1 USR2; do
    start -n 2 bash -c "trap 'echo got $name; exit 0' $name"'
        touch "$work/ready.$BALLOT_RANK"; while :; do sleep 0.05; done'
    wait_files 2 'ready.*'
    kill -s "$name" "$launcher"
    finish
    check "SIG${name}_reaches_all_ranks" equal "$(sort "$work/out")" \
        "[0] got $name"$'\n'"[1] got $name"
    check "handled_SIG${name}_is_no_failure" equal "$code" 0
done

start -n 2 --grace 1 bash -c 'touch "$work/ready.$BALLOT_RANK"; exec sleep 60'
wait_files 2 'ready.*'
kill -INT "$launcher"
finish
check unhandled_SIGINT_gives_130 equal "$code" 130
check key_file_is_removed_after_SIGINT equal \
    "$(compgen -G "$work/ballot-key-*")" ""

SECONDS=0
start -n 2 bash -c 'trap "" INT TERM; touch "$work/ready.$BALLOT_RANK"
    while :; do sleep 0.05; done'
wait_files 2 'ready.*'
kill -INT "$launcher"
sleep 0.3
kill -INT "$launcher"
finish
check second_SIGINT_kills equal "$code" 130
check second_SIGINT_is_quick faster_than 10

# ---- Nothing is left --------------------------------------------------------
start -n 2 --timeout 20 bash -c 'sleep 300 & echo $! > "$work/pid.$BALLOT_RANK"
    mv "$work/pid.$BALLOT_RANK" "$work/ready.$BALLOT_RANK"; wait'
wait_files 2 'ready.*'
kill -TERM "$launcher"
finish
check grandchildren_die_by_the_signal gone "$(cat "$work/ready.0")"
check grandchildren_of_all_ranks_die gone "$(cat "$work/ready.1")"

rm -f "$work"/ready.*
launch -n 1 bash -c 'sleep 300 & echo $! > "$work/ready.0"'
check rank_may_leave_a_process_behind equal "$code" 0
check what_is_left_behind_dies gone "$(cat "$work/ready.0")"

start -n 2 bash -c 'echo $$ > "$work/pid.$BALLOT_RANK"
    mv "$work/pid.$BALLOT_RANK" "$work/ready.$BALLOT_RANK"
    while :; do sleep 0.05; done'
wait_files 2 'ready.*'
{ # The shell would report the kill.
    kill -KILL "$launcher"
    finish
} 2> "$work/none"
check ranks_die_with_a_killed_launcher gone "$(cat "$work/ready.0")"
check all_ranks_die_with_a_killed_launcher gone "$(cat "$work/ready.1")"
rm -f "$work"/ballot-key-*

# ---- Limits and the command line --------------------------------------------
(
    ulimit -S -n 64
    launch -n 100 sh -c 'ulimit -S -n'
    exit "$code"
)
check hundred_ranks_under_a_small_ulimit equal "$?" 0
check ranks_keep_their_own_ulimit equal \
    "$(sed 's/.*\] //' "$work/out" | sort | uniq -c | tr -s ' ')" " 100 64"

for arguments in "" "-n 4" "-n 0 true" "-n 1025 true" "-n x true" \
    "-n 2 --timeout -1 true" "-n 2 --grace nan true" "--bogus"; do
    # shellcheck disable=SC2086 # split on purpose
    launch $arguments
    check "command_line_refused:$(tr ' ' '_' <<< "${arguments:-nothing}")" \
        equal "$code" 2
done
launch --help
check help_is_printed contains "$work/out" "Usage: ballot-run"
launch -n 1 echo -n 5 --help
check arguments_of_the_program_are_its_own equal "$(cat "$work/out")" \
    "[0] 5 --help"

# ---- Cores ------------------------------------------------------------------
# bound CORES RANKS: the core of each rank, in the order of the ranks.
bound()
{
    taskset -c "$1" "$run" -n "$2" --bind core \
        sh -c 'taskset -c -p $$ | sed "s/.*: //"' 2> "$work/err" |
        sort | sed 's/.*\] //' | tr '\n' ' '
}
mapfile -t cores < <(for core in $(seq 0 1023); do
    taskset -c "$core" true 2> "$work/err" && echo "$core"
    [ "$core" -lt "$(nproc --all)" ] || break
done)
a=${cores[0]} b=${cores[1]:-${cores[0]}}
check ranks_have_cores equal "$(bound "$a,$b" 2)" "$a $b "
check neighbours_share_cores equal "$(bound "$a,$b" 4)" "$a $a $b $b "
check the_first_cores_have_more equal "$(bound "$a,$b" 3)" "$a $a $b "

if [ "$failed" -ne 0 ]; then
    echo "$failed checks failed"
    exit 1
fi
echo "all checks passed"
