#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - builds ballot and runs its tests, on a fresh Debian 12 or any later.
set -euo pipefail
cd "$(dirname "$0")/.."

usage="usage: tests/run.sh [--install-only | --full]

Installs with apt what is missing, then builds and tests in build/:
  release  every test
  asan     unit, fuzz, contract and simulation under ASan and UBSan
  tsan     what has threads under TSan

  --install-only  only install what build and tests need
  --full          without limit of time: also clang 14, its format check, a
                  minute of libFuzzer, the portable kernels alone, 10,000
                  simulation seeds, every attack on redundant rounds, every
                  collective of up to 17 ranks, 10,000 programs of them, a
                  tenth of all flows, mutants"

full=false
install_only=false
for argument in "$@"; do
    case $argument in
    --install-only) install_only=true ;;
    --full) full=true ;;
    --help | -h) echo "$usage"; exit 0 ;;
    *) echo "unknown argument $argument" >&2; echo "$usage" >&2; exit 2 ;;
    esac
done

# shellcheck source=tests/packages.sh
. tests/packages.sh
packages=("${packages_build[@]}" "${packages_test[@]}" "${packages_rdma[@]}"
          "${packages_launchers[@]}" "${packages_plot[@]}"
          "${packages_bench[@]}")
"$full" && packages+=("${packages_full[@]}" "${packages_torch[@]}")
packages_install "${packages[@]}"
"$install_only" && exit 0

jobs=$(nproc)
failed=0
summary=()
build_only=() # what of a preset is built; all, if nothing is said

# build PRESET [CACHE ENTRY...]: ends the run when it fails.
build()
{
    local preset=$1

    shift
    echo "== build $preset"
    cmake --preset "$preset" --log-level=WARNING "$@"
    cmake --build --preset "$preset" -j "$jobs" "${build_only[@]}"
}

# What ctest says at its end; of another program, its last lines.
closing()
{
    if grep -q '% tests passed' "$1"; then
        sed -n '/% tests passed/,$p' "$1"
    else
        tail -n 3 "$1"
    fi
}

# stage NAME COMMAND...: keeps its closing lines; a failure is counted.
stage()
{
    local name=$1
    local begin=$SECONDS
    local log=build/$name.log
    local verdict=passed

    shift
    echo "== $name"
    if ! "$@" 2>&1 | tee "$log"; then
        verdict=FAILED
        failed=$((failed + 1))
    fi
    summary+=("== $name $verdict after $((SECONDS - begin)) s"
              "$(closing "$log")")
}

# test_in NAME PRESET CTEST ARGUMENT...
test_in()
{
    local name=$1
    local preset=$2

    shift 2
    stage "$name" ctest --preset "$preset" -j "$jobs" "$@"
}

build release
# Continuous integration has twenty minutes for all: it leaves out what takes
# minutes in virtual machines, and of what takes long over shm and tcp the
# latter.
few=(-E '^softroce[.]few$')
[ "${CI:-}" = true ] && few=(-E '^softroce[.](machine|pair|aspis|catches)$|^tree[.]check_catches$|^whole[.](life_tcp|servers_tcp|launchers_hosts)$')
test_in release release "${few[@]}"

build_only=(--target checks)
build asan -D BALLOT_SIM_SEEDS=500
build_only=()
test_in asan asan -L '^(unit|fuzz|contract|sim)$'

build tsan
# TSan's shadow memory wants the layout of a process without randomisation.
plain=()
setarch -R true 2> /dev/null && plain=(setarch -R)
# Kernels and verdicts have no threads; training, attacks and sweeps of values
# are only slow there. What tcp does otherwise than shm its own tests try.
stage tsan "${plain[@]}" ctest --preset tsan -j "$jobs" \
    -L '^(unit|contract|whole)$' \
    -E '^unit[.](agreement|assignment.*|attack|cast|compare|dissent|feedback|field|floats|kernels|pack|read_once|reduce|trial|verdict.*|verifier(_rules|_copies)?|vote|vote_sweep)$|^whole[.](.*_tcp$|aspis_(shm|tables)|disagree|doctor|examples|training|values|launchers|life|servers|ballot_run|bench_kernels|choice|compare_peers|perf)'

if "$full"; then
    build clang
    test_in clang clang -LE '^(sim|install|tree|softroce)$'
    stage format find aggregate aspis collective examples include perf \
        tests tools transport '(' -name '*.[ch]' -o -name '*.cc' ')' \
        -exec clang-format-14 --dry-run -Werror {} +
    build fuzz
    stage fuzz build/fuzz/tests/fuzz_kernels -max_total_time=60 \
        -artifact_prefix=build/fuzz/
    BALLOT_KERNELS=portable test_in portable release \
        -L '^(unit|contract|whole)$'
    for transport in shm tcp; do
        stage "collectives_$transport" python3 -B \
            tests/whole/test_collectives.py build/release "$transport" full
        stage "aspis_$transport" python3 -B tests/whole/test_aspis.py \
            build/release "$transport" every
        stage "programs_$transport" python3 -B tests/whole/test_programs.py \
            build/release "$transport" programs=10000 timeout=1000
    done
    stage flows build/release/tests/test_flow_matrix one_of=10
    stage seeds build/release/tests/test_sim --seeds 10000 --rounds 100
    stage mutants bash tests/mutants.sh
fi

echo
printf '%s\n' "${summary[@]}"
echo "== ${SECONDS} s in all"
if [ "$failed" -gt 0 ]; then
    echo "== $failed of the stages failed"
    exit 1
fi
