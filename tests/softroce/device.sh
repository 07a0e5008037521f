# SPDX-License-Identifier: Apache-2.0
# device.sh - finds an RDMA device, and makes a soft one. Sourced, like
# within.sh, which must come first.
# shellcheck shell=bash

device_has_gid()
{
    grep -qs :ffff: /sys/class/infiniband/rxe0/ports/1/gids/*
}

# device_make NETDEV: rxe0 on an interface that is up and has an address.
device_make()
{
    rdma link add rxe0 type rxe netdev "$1"
    # Until the address is one of the device's GIDs, rdma_cm finds no device.
    if ! within 30 device_has_gid; then
        echo "rxe0 has no GID of an IPv4 address; has $1 one, is it up?" >&2
        return 1
    fi
}

device_remove()
{
    rdma link delete rxe0
}

# The interfaces of a port: of its GIDs (RoCE), or of its device (InfiniBand).
# Rows of the table of GIDs that are empty cannot be read.
device_interfaces()
{
    {
        cat "$1"/gid_attrs/ndevs/* || :
        ls "$1/../../device/net" || :
    } 2> /dev/null | sort -u
}

# Exports BALLOT_TEST_RDMA_DEVICE, _NETDEV and _ADDRESS of the first port that
# is active and can be reached by IPv4, as rdma_cm wants it; 1 if none is.
device_find()
{
    local port netdev address

    for port in /sys/class/infiniband/*/ports/*; do
        grep -qs ACTIVE "$port/state" || continue
        for netdev in $(device_interfaces "$port"); do
            address=$(ip -4 -o address show dev "$netdev" |
                      awk '{ sub("/.*", "", $4); print $4; exit }')
            [ -n "$address" ] || continue
            export BALLOT_TEST_RDMA_NETDEV=$netdev
            export BALLOT_TEST_RDMA_ADDRESS=$address
            netdev=${port%/ports/*}
            export BALLOT_TEST_RDMA_DEVICE=${netdev##*/}
            return 0
        done
    done
    return 1
}
