# SPDX-License-Identifier: Apache-2.0
# votes.sh - ballot's own ranks on two machines, for the cases of suite.sh.
# shellcheck shell=bash disable=SC2154 # suite.sh sets $here and $build

# votes SCENARIO: of test_pair.py. It may spoil the wire.
votes()
{
    trap 'tc qdisc delete dev "$BALLOT_TEST_RDMA_NETDEV" root 2> /dev/null ||
          :' EXIT
    python3 -B "$here/test_pair.py" "$build" verbs "$1"
}

# votes_worsened NETEM...
votes_worsened()
{
    worsen "$@"
    python3 -B "$here/test_pair.py" "$build" verbs votes
}

# Each end sends 2900 packets: that none is lost has a chance of 1e-12.
votes_lossy()
{
    votes_worsened loss 1%
    [ "$(dropped)" -gt 0 ]
}
