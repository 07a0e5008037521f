# SPDX-License-Identifier: Apache-2.0
# traffic.sh - traffic by the programs of rdma-core and perftest, for the cases
# of suite.sh. The functions run under `set -e`.
# shellcheck shell=bash disable=SC2154 # cases.sh sets $end

is_listening()
{
    rdma resource show cm_id | grep -q "state LISTEN.*:$1 "
}

# listening PORT: neither program says when it listens.
listening()
{
    within 30 is_listening "$1" && return
    echo "nobody listens on port $1 of $BALLOT_TEST_RDMA_ADDRESS" >&2
    return 1
}

device_is_active()
{
    ibv_devinfo -d "$BALLOT_TEST_RDMA_DEVICE" | tee /dev/stderr |
        grep -q PORT_ACTIVE
}

# rping sends, writes and reads; -V compares what came back. Only for `&`:
# the process that is started is rping itself.
rping_serve()
{
    exec rping -s -a "$BALLOT_TEST_RDMA_ADDRESS" -p 7174 -S 61440 -V "$@"
}

# rping_to ADDRESS COUNT
rping_to()
{
    rping -c -a "$1" -p 7174 -S 61440 -V -C "$2"
}

rping_here()
{
    rping_serve -C 20 &
    listening 7174
    rping_to "$BALLOT_TEST_RDMA_ADDRESS" 20
    wait $!
}

# write_bw [ADDRESS]: 400 writes of 64 KiB, connected by rdma_cm.
write_bw()
{
    ib_write_bw -R -F -d "$BALLOT_TEST_RDMA_DEVICE" -p 18515 -s 65536 -n 400 \
        "$@"
}

write_bw_here()
{
    write_bw &
    listening 18515
    write_bw "$BALLOT_TEST_RDMA_ADDRESS"
    wait $!
}

# ---- Between two machines: end a is 10.77.0.1, end b 10.77.0.2 ------------

# worsen NETEM...: for what leaves this end, until the case is over.
worsen()
{
    tc qdisc replace dev "$BALLOT_TEST_RDMA_NETDEV" root netem "$@"
    trap 'tc qdisc delete dev "$BALLOT_TEST_RDMA_NETDEV" root' EXIT
}

# dropped: how many packets netem has dropped at this end.
dropped()
{
    tc -s qdisc show dev "$BALLOT_TEST_RDMA_NETDEV" |
        sed -n 's/.*(dropped \([0-9]*\),.*/\1/p'
}

# rping_from END ADDRESS COUNT: END is the client, and says how it went. The
# server need not hear that it is over: that message may be lost.
rping_from()
{
    if [ "$end" = "$1" ]; then
        meet "$1_is_served"
        rping_to "$2" "$3"
        meet "$1_has_ended"
    else
        rping_serve &
        listening 7174
        meet "$1_is_served"
        meet "$1_has_ended" 600
        kill $! 2> /dev/null || :
        wait $! || :
    fi
}

# Some 3000 packets in all: that none is lost has a chance of 1e-6.
rping_both_ways()
{
    worsen loss 0.5%
    rping_from a 10.77.0.2 40
    rping_from b 10.77.0.1 40
    dropped > "$at.dropped.$end"
    meet counted
    echo "dropped by both ends: $(cat "$at".dropped.*)"
    [ $(($(cat "$at.dropped.a") + $(cat "$at.dropped.b"))) -gt 0 ]
}

# Each ping waits for at least four ways of a message.
rping_is_delayed()
{
    local begin_us=${EPOCHREALTIME//[.,]/}

    worsen delay 50ms
    rping_from a 10.77.0.2 10
    [ $((${EPOCHREALTIME//[.,]/} - begin_us)) -ge 2000000 ]
}

sent_packets()
{
    cat "/sys/class/infiniband/$BALLOT_TEST_RDMA_DEVICE/ports/1/hw_counters/sent_pkts"
}

has_sent()
{
    [ "$(sent_packets)" -ge "$1" ]
}

has_ended()
{
    ! kill -0 "$1" 2> /dev/null
}

# A soft device whose link went down under traffic makes no connection any
# more (kernel 6.1), so it is made anew.
mend_link()
{
    ip link set "$BALLOT_TEST_RDMA_NETDEV" up
    device_remove
    device_make "$BALLOT_TEST_RDMA_NETDEV"
}

# cut_under_way ADDRESS: a client whose link goes down. If it is sending then,
# it fails at once; if it waits for the server, when the device goes.
cut_under_way()
{
    local client

    rping_to "$1" 1000000 &
    client=$!
    within 30 has_sent $(($(sent_packets) + 200))
    ip link set "$BALLOT_TEST_RDMA_NETDEV" down
    within 10 has_ended "$client" || echo "it waits for the server"
    mend_link
    within 30 has_ended "$client"
    if wait "$client"; then
        echo "a million pings went through a link that was down" >&2
        return 1
    fi
}

# The server's side is not told, and goes on waiting.
rping_ends_when_the_link_goes_down()
{
    if [ "$end" = b ]; then
        meet served
        cut_under_way 10.77.0.1
        meet mended
    else
        rping_serve &
        listening 7174
        meet served
        meet mended 120
        kill $! 2> /dev/null || :
        wait $! || :
    fi
    rping_from b 10.77.0.1 3
}
