#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mutants.sh - puts one defect at a time into a copy of the sources of the round,
# of verbs, of redundant rounds or of flows, and sees whether the simulation or
# the unit tests notice.
#
#   mutants.sh [NAME...]     only these; see tests/mutants/
#
# Each tests/mutants/NAME.sed changes one file, which its first line names. A
# mutant that changes nothing, does not compile or survives is a failure.
# shellcheck disable=SC2016,SC2086 # flags and lists are split on purpose
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
jobs=${MUTANTS_JOBS:-2}
seeds=${MUTANTS_SEEDS:-400}
more=4000
limit_s=150
flags="-std=c11 -D_GNU_SOURCE -ffp-contract=off -O1 -g -w -I. -Iinclude
    -fsanitize=undefined -fno-sanitize-recover=all"
mutable="aggregate/caster.c aggregate/tally.c aggregate/decide.c
    collective/serve.c collective/ahead.c collective/majority.c
    collective/packing.c collective/inquest.c"
sources="aggregate/kernels.c aggregate/portable.c aggregate/reduce_portable.c
    aggregate/ties.c
    aggregate/feedback.c collective/evidence.c
    aspis/agreement.c aspis/assignment.c aspis/cover.c aspis/designs.c
    aspis/field.c aspis/resolve.c aspis/verdict.c aspis/verifier.c
    aspis/verifier_chunk.c aspis/verifier_judge.c
    collective/crew.c collective/crew_kernels.c
    transport/memory.c transport/memory_node.c
    transport/sim.c transport/sim_network.c"
redundant="$(cd "$root" && ls aspis/*.c)
    collective/inquest.c collective/evidence.c aggregate/kernels.c
    aggregate/portable.c aggregate/reduce_portable.c aggregate/feedback.c"
flows="$(cd "$root" && ls collective/{flow,plan}*.c | grep -v flows.c)
    aggregate/reduce_portable.c"
export root work cc flags seeds more limit_s

# The kernels of one instruction set are enough; the others stand in as absent.
cat > "$work/absent.c" << 'END'
#include "aggregate/kernels.h"
static bool never(void) { return false; }
const struct kernels kernels_avx512 = {.name = "avx512", .supported = never};
const struct kernels kernels_avx2 = {.name = "avx2", .supported = never};
END

compile()
{
    $cc $flags -c "$1" -o "$2"
}
export -f compile

# Compiles what no mutant changes, once.
base()
{
    mkdir -p "$work/base"
    cp -r "$root"/{aggregate,aspis,collective,transport,include} \
        "$work/base/"
    mkdir -p "$work/base/tests"
    cp -r "$root/tests/sim" "$work/base/tests/"
    cp "$root"/tests/unit/test_{caster,tally,rows}.c "$work/base/tests/"
    mkdir -p "$work/base/tests/unit"
    cp "$root"/tests/unit/verifier_oracle.[ch] "$work/base/tests/unit/"
    cp "$work/absent.c" "$work/base/"
    mkdir -p "$work/verbs" "$work/base/tests/verbs"
    cp "$root"/tests/unit/*{fake,verbs}_*.[ch] "$root/tests/unit/test_verbs.c" \
        "$work/base/tests/verbs/"
    mkdir -p "$work/aspis" "$work/base/tests/aspis"
    cp "$root"/tests/unit/{verifier_*,guarded}.[ch] \
        "$root"/tests/unit/test_verifier{,_rules,_races,_copies}.c \
        "$root"/tests/unit/test_{inquest,evidence}.c "$work/base/tests/aspis/"
    mkdir -p "$work/flow" "$work/base/tests/flow"
    cp "$root"/tests/unit/flow_*.[ch] "$root"/tests/unit/test_flow{,_lies}.c \
        "$work/base/tests/flow/"
    cd "$work/base" || return 1
    for source in $flows tests/flow/*.c; do
        echo "$source" flow
    done > "$work/list"
    for source in $redundant tests/aspis/*.c absent.c; do
        echo "$source" aspis
    done >> "$work/list"
    for source in $sources $mutable tests/sim/*.c tests/test_*.c \
        tests/unit/verifier_oracle.c absent.c; do
        echo "$source" base
    done >> "$work/list"
    for source in transport/*.c tests/verbs/*.c; do
        echo "$source" verbs
    done | grep -v /sim >> "$work/list"
    xargs -P "$jobs" -L 1 bash -c \
        'compile "$0" "$work/$1/$(basename "$0" .c).o"' < "$work/list"
}

# Runs the unit test $1 with the limit: adds to `unit` what it noticed.
try()
{
    local failed

    timeout "$limit_s" "./test_$1" > out 2>&1 && return
    failed=$(sed -n 's/.*FAILED.* \([0-9]*\) test(s).*/\1/p' out)
    unit+="${failed:-crash} in $1 "
}

# Links and runs the tests of the folder $1: sets `unit` and `sim` to what they
# noticed, or to nothing.
judge_base()
{
    unit=
    sim=
    cd "$1" || return 1
    for test in caster tally rows; do
        $cc $flags caster.o tally.o decide.o "test_$test.o" -lcmocka \
            -o "test_$test" || return 1
        try "$test"
    done
    rm test_*.o
    $cc $flags -Wl,--wrap=inquest_count ./*.o -lpthread -lnuma -lm \
        -o simulate || return 1
    simulate 1 "$seeds"
    [ $? -ne 124 ] || sim='does not end'
    # The rarest defects are worth a longer look.
    [ -n "$unit$sim" ] || [ "$more" -eq 0 ] || simulate $((seeds + 1)) "$more"
    return 0
}

# The same for verbs, with the device that is in the process.
judge_verbs()
{
    local wraps

    wraps=$(sed -n 's/^WRAP([^,]*, \([a-z_0-9]*\),.*/-Wl,--wrap=\1/p' \
        "$work/base/tests/verbs/fake_wraps.h")
    judge_units "$1" $wraps -libverbs -lrdmacm -lsodium -luring -lnuma \
        -lpthread -lm
}

# For redundant rounds.
judge_aspis()
{
    judge_units "$1" -lm -lpthread
}

# And for flows.
judge_flow()
{
    judge_units "$1" -lm
}

# Each unit test of the folder $1, linked with everything else there and $2...
judge_units()
{
    local object test

    unit=
    sim=
    cd "$1" || return 1
    shift
    mkdir -p tests
    mv test_*.o tests/
    for object in tests/*.o; do
        test=$(basename "$object" .o)
        $cc $flags ./*.o "$object" -lcmocka "$@" -o "$test" || return 1
        try "${test#test_}"
    done
    return 0
}

# Simulates $2 seeds from $1 on in the current folder: sets `sim`.
simulate()
{
    local status

    timeout "$limit_s" ./simulate --first-seed "$1" --seeds "$2" > out 2>&1
    status=$?
    if grep -q 'see it again' out; then
        sim=$(sed -n 's/^seed \([0-9]*\),[^:]*: /\1: /p' out | head -1)
    elif grep -q 'runtime error' out; then
        sim=$(grep -m 1 -o 'runtime error.*' out)
    elif [ "$status" -gt 124 ]; then
        sim=crashes
    fi
    return "$status"
}

# One mutant; prints its line of the table, leaves a file if it survives.
mutate()
{
    local name=$1 dir=$work/$1 file place part=base

    file=$(sed -n '1s/^# //p' "$root/tests/mutants/$name.sed")
    [[ $file != transport/verbs* ]] || part=verbs
    [[ ! $file =~ ^(aspis/|collective/(inquest|evidence)[.]) ]] || part=aspis
    [[ ! $file =~ ^collective/(flow|plan) ]] || part=flow
    # Beside the original, for what it includes.
    place=$work/base/${file%.c}.$name.c
    touch "$work/$name.bad"
    mkdir -p "$dir"
    ln "$work/$part"/*.o "$dir/"
    rm "$dir/$(basename "$file" .c).o"
    sed -f "$root/tests/mutants/$name.sed" "$work/base/$file" > "$place"
    cd "$work/base" || return
    if cmp -s "$file" "$place"; then
        printf '%-28s changes nothing\n' "$name"
    elif ! compile "$place" "$dir/$(basename "$file" .c).o" ||
        ! "judge_$part" "$dir"; then
        printf '%-28s cannot be built\n' "$name"
    elif [ -z "$unit$sim" ]; then
        printf '%-28s SURVIVES\n' "$name"
    else
        printf '%-28s %-22s %.60s\n' "$name" "${unit:--}" "${sim:--}"
        rm "$work/$name.bad"
    fi
    rm -rf "$dir"
}
export -f try judge_base judge_verbs judge_aspis judge_flow judge_units
export -f simulate mutate

base || exit 1
for part in base verbs aspis flow; do
    mkdir -p "$work/none_$part"
    ln "$work/$part"/*.o "$work/none_$part/"
    more=0 "judge_$part" "$work/none_$part" || exit 1
    if [ -n "$unit$sim" ]; then
        echo "mutants.sh: the sources themselves fail: $unit$sim" >&2
        exit 1
    fi
done
names=$*
if [ -z "$names" ]; then
    names=$(cd "$root/tests/mutants" && printf '%s\n' *.sed | sed 's/[.]sed$//')
fi
count=$(echo "$names" | wc -w)
printf '%-28s %-22s %s\n' MUTANT 'UNIT TESTS THAT FAIL' 'SEED: WHAT IT SHOWS'
# The shells' own reports of crashes are not wanted.
echo "$names" | tr ' ' '\n' |
    xargs -P "$jobs" -I{} bash -c 'mutate {}' 2> "$work/shells"
bad=$(find "$work" -maxdepth 1 -name '*.bad' | wc -l)
echo "$count mutants, $((count - bad)) caught, ${SECONDS} s"
[ "$bad" -eq 0 ]
