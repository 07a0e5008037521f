#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_machine.sh - whatever goes wrong in the guest is seen outside: a green
# suite means that it ran.
# Usage: test_machine.sh
set -euo pipefail

here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

if ! command -v qemu-system-x86_64 > /dev/null; then
    echo "SKIP: there is no qemu-system-x86_64;" \
         "as root, run: apt-get install qemu-system-x86"
    exit 77
fi

# check NAME CONDITION...: else shows what the last command said.
check()
{
    local name=$1

    shift
    if "$@"; then
        echo "PASS $name"
        return
    fi
    echo "FAIL $name: status $status"
    sed 's/^/    /' "$scratch/output"
    failures=$((failures + 1))
}

observe()
{
    status=0
    "$@" > "$scratch/output" 2>&1 || status=$?
}

says()
{
    grep -qF -- "$1" "$scratch/output"
}

mkdir "$scratch/kept"
# shellcheck disable=SC2016 # the guest expands it
observe "$here/machine.sh" --share "$scratch/kept" sh -c '
    echo "$BALLOT_TEST_RDMA_DEVICE on $(uname -s)"; printf "<%s>" "$2"; touch "$1/kept/file" "$1/file"; exit 7' \
    sh "$scratch" "it's one  word"
check the_status_of_the_command_comes_back test "$status" = 7
check it_had_a_soft_device says "rxe0 on Linux"
check arguments_stay_whole says "<it's one  word>"
check the_share_is_written_for_good test -e "$scratch/kept/file"
check the_rest_is_not test ! -e "$scratch/file"

observe "$here/machine.sh" --limit 3 sleep 1000
check the_limit_ends_the_machine test "$status" = 124

# IPv4 wants at least 68 bytes.
observe "$here/machine.sh" --mtu 1 true
check a_guest_that_fails_is_not_a_command_that_fails test "$status" = 125
check its_console_says_what_failed says "this failed: ip address add"

# A build whose tests fail.
mkdir -p "$scratch/build/tests"
cat > "$scratch/build/tests/test_contract" <<'END'
#!/bin/sh
echo "it is wrong"
exit 3
END
chmod +x "$scratch/build/tests/test_contract"
observe "$here/run.sh" --vm --build "$scratch/build" --only contract_shm
check a_case_that_fails_fails_the_suite test "$status" = 1
check its_status_is_named says "FAILED contract_shm"
check its_output_is_shown says "it is wrong"

# In the guest, run.sh is on a machine that has a device.
observe "$here/machine.sh" "$here/run.sh" --build "$scratch/build" \
    --only nobody
check a_device_that_is_there_is_used says "== on this machine: rxe0"
check a_name_that_no_case_has_is_no_success test "$status" = 2

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed"
    exit 1
fi
echo "all checks hold"
