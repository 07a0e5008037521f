#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# suite.sh - every test that needs an RDMA device, by name. Runs where there is
# one: in the guest of machine.sh, or on the machine itself.
set -euo pipefail

usage="usage: suite.sh BUILD [PATTERN [END SHARE]]

END is a or b: this is one of two machines, both of which see the folder SHARE.
Use run.sh, which finds or makes the device."

if [ $# -ne 1 ] && [ $# -ne 2 ] && [ $# -ne 4 ]; then
    echo "$usage" >&2
    exit 2
fi
set -a # a case runs in a shell of its own, which has all of this
build=$1
only=${2:-*}
end=${3:-}
other=$([ "$end" = a ] && echo b || echo a)
share=${4:-}
here=$(dirname "$(realpath "$0")")
whole=$here/../whole

# shellcheck source=tests/softroce/within.sh
. "$here/within.sh"
# shellcheck source=tests/softroce/device.sh
. "$here/device.sh"
# shellcheck source=tests/softroce/cases.sh
. "$here/cases.sh"
# shellcheck source=tests/softroce/traffic.sh
. "$here/traffic.sh"
# shellcheck source=tests/softroce/votes.sh
. "$here/votes.sh"
set +a

if ! device_find; then
    echo "suite.sh: no RDMA device is active and has an IPv4 address" >&2
    exit 1
fi

# One line a case: its name, its limit in seconds at full speed, its command.

alone device            5 device_is_active
alone rping            10 rping_here
alone write_bw         10 write_bw_here
alone contract_shm     20 "$build/tests/test_contract" shm
alone contract_verbs   20 "$build/tests/test_contract" verbs
alone contract_sealed  20 "$build/tests/test_contract" verbs-sealed
alone contract_stripes 20 env BALLOT_IB_QPS_PER_CONNECTION=3 \
    "$build/tests/test_contract" verbs
alone all_reduce       30 python3 -B "$here/test_all_reduce.py" "$build"
alone collectives      20 python3 -B "$here/test_collectives.py" "$build"
alone direct           10 python3 -B "$whole/test_direct.py" "$build" verbs
alone death            20 python3 -B "$whole/test_death.py" "$build" verbs \
    majority sum
alone quorum           20 python3 -B "$whole/test_quorum.py" "$build" verbs

byzantine=(python3 -B "$here/test_byzantine.py" "$build" verbs)
alone byzantine_writes 60 "${byzantine[@]}" wrong-key out-of-bounds \
    other-opcodes
alone byzantine_frames 40 "${byzantine[@]}" replay zero-length late-data flood
alone byzantine_slots  40 "${byzantine[@]}" after-count sealed never-read
alone byzantine_starts 60 "${byzantine[@]}" false-offer vanish vanish-early \
    huge-offer garbage-offer truncated-offer half-open

aspis=(python3 -B "$whole/test_aspis.py" "$build" verbs)
long aspis_7           90 "${aspis[@]}" seven
long aspis_apart       30 "${aspis[@]}" apart
long aspis_15          90 "${aspis[@]}" fifteen
long aspis_rewrites    30 python3 -B "$whole/test_aspis_races.py" "$build" \
    verbs rewrites

both rping_loss        20 rping_both_ways
both rping_delay       10 rping_is_delayed
both all_reduce_loss   15 votes_lossy
both all_reduce_delay  15 votes_worsened delay 5ms
both vanish            10 votes vanish
both vanish_sum        10 votes vanish_sum
both vanish_quorum     10 votes quorum
both kill              10 votes killed
both link_down         15 rping_ends_when_the_link_goes_down

finish
