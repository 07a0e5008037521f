# SPDX-License-Identifier: Apache-2.0
# votes.sh - a majority of ballot beside float sums of its peers: 25,560,000
# floats on one host, 64 bytes, and 4 hosts. Sourced by compare_peers.sh.
# shellcheck shell=bash disable=SC2154,SC2034 # its variables

count=25560000
if [ "$quick" -eq 1 ]; then
    large_iterations=5 small_iterations=2000 host_iterations=5 gloo_iterations=1
else
    large_iterations=10 small_iterations=20000 host_iterations=20
    gloo_iterations=3
fi
net=ballot-$$ # prefix of the namespaces
hosts=4
results=$work/votes.tsv
: > "$results"

# ---- Programs: each function prints microseconds a call ---------------------

# json_of FIELD < JSON: of the only row.
json_of()
{
    "$python" -c 'import json, sys
row = json.load(sys.stdin)["results"][0]
for key in sys.argv[1].split("."):
    row = row[key]
print(row)' "$1"
}

# note CASE PROGRAM TRANSPORT WIRE_BYTES COMMAND...: one line of the results.
note()
{
    local case=$1 program=$2 transport=$3 wire=$4 us

    shift 4
    if us=$("$@") && [[ $us =~ ^[0-9.]+$ ]]; then
        printf '%s\t%s\t%s\t%s\t%s\n' "$case" "$program" "$transport" "$us" \
            "$wire" >> "$results"
    else
        say "$program over $transport failed in case $case: $*"
        failed=1
    fi
}

# ballot RANKS BYTES ITERATIONS TRANSPORT: leaves its JSON for the floor.
ballot()
{
    "$build/ballot-perf" all_reduce --ranks "$1" -b "$2" -e "$2" -n "$3" -w 2 \
        -c "$check" --transport "$4" --timeout 300 --json \
        > "$work/ballot.json" || return 1
    json_of out_of_place.time < "$work/ballot.json"
}

# ompi RANKS COUNT ITERATIONS TRANSPORT
ompi()
{
    local btl=self,vader

    [ "$4" = tcp ] && btl=self,tcp
    timeout 300 mpirun.openmpi --allow-run-as-root --oversubscribe \
        --bind-to none --mca btl_base_warn_component_unused 0 \
        --mca pml ob1 --mca btl "$btl" -np "$1" \
        "$work/ompi_all_reduce" "$2" "$3" 2
}

# gloo RANKS COUNT ITERATIONS
gloo()
{
    GLOO_SOCKET_IFNAME=lo "$build/ballot-run" -n "$1" --timeout 300 \
        "$python" "$here/peers/gloo_all_reduce.py" "$2" "$3" 2 |
        sed -n 's/^\[0\] //p'
}

# ---- Hosts: namespaces on a switch that is one too --------------------------

make_hosts()
{
    local host

    ip netns add "$net-switch" &&
        ip -n "$net-switch" link add switch type bridge &&
        ip -n "$net-switch" link set switch up || return 1
    for ((host = 0; host < hosts; host++)); do
        ip netns add "$net-$host" &&
            ip -n "$net-$host" link set lo up &&
            ip -n "$net-switch" link add "port$host" type veth \
                peer name eth0 netns "$net-$host" &&
            ip -n "$net-switch" link set "port$host" master switch up &&
            ip -n "$net-$host" address add "10.77.0.$((host + 1))/24" dev eth0 &&
            ip -n "$net-$host" link set eth0 up &&
            slow_down "$net-$host" eth0 &&
            slow_down "$net-switch" "port$host" || return 1
    done
}

# The links end with their namespaces.
remove_hosts()
{
    local host

    for host in switch $(seq 0 $((hosts - 1))); do
        [ -e "/run/netns/$net-$host" ] && ip netns delete "$net-$host"
    done
}

# slow_down NAMESPACE LINK: what leaves it, to 1 Gbit/s.
slow_down()
{
    tc -n "$1" qdisc add dev "$2" root tbf rate 1gbit burst 128kb latency 20ms
}

# on_hosts COMMAND...: as one rank on each host; prints what rank 0 prints.
port=29400
on_hosts()
{
    local host jobs=() code=0

    for ((host = hosts - 1; host >= 0; host--)); do
        ip netns exec "$net-$host" env BALLOT_RANK="$host" \
            BALLOT_RANKS="$hosts" BALLOT_ROOT="10.77.0.1:$port" \
            BALLOT_KEY_FILE="$work/key" BALLOT_TRANSPORT=tcp \
            GLOO_SOCKET_IFNAME=eth0 timeout 300 "$@" \
            > "$work/host.$host" < /dev/null &
        jobs+=($!)
    done
    for host in "${jobs[@]}"; do
        wait "$host" || code=1
    done
    cat "$work/host.0"
    return "$code"
}

ballot_hosts()
{
    on_hosts "$build/ballot-perf" all_reduce -b $((4 * count)) \
        -e $((4 * count)) -n "$host_iterations" -w 2 -c "$check" --json \
        > "$work/hosts.json" || return 1
    json_of out_of_place.time < "$work/hosts.json"
}

gloo_hosts()
{
    on_hosts "$python" "$here/peers/gloo_all_reduce.py" "$count" \
        "$gloo_iterations" 1
}

# ---- Rounds -----------------------------------------------------------------

# look_for_hosts: makes them, and a key for their job.
look_for_hosts()
{
    have_hosts=0
    if [ "$(id -u)" -ne 0 ]; then
        say "not root: the case with 4 hosts is left out (it makes network" \
            "namespaces)"
    elif make_hosts 2> "$work/hosts.log"; then
        have_hosts=1
        (umask 077 && head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' \
            > "$work/key" && echo >> "$work/key")
    else
        say "no network namespaces, the case with 4 hosts is left out:" \
            "$(cat "$work/hosts.log")"
    fi
}

# wire RANKS BYTES: what each rank of a ring or of sharded servers sends.
wire()
{
    echo $((2 * ($1 - 1) * $2 / $1))
}

measure_votes()
{
    local signs_large floats_large check round over

    if [ "$have_ompi" -eq 1 ]; then
        mpicc.openmpi -O2 -o "$work/ompi_all_reduce" \
            "$here/peers/ompi_all_reduce.c" || have_ompi=0
    fi
    look_for_hosts
    signs_large=$(wire 4 $((count / 8)))
    floats_large=$(wire 4 $((4 * count)))
    check=1 # results are compared in the first round
    for ((round = 1; round <= rounds; round++)); do
        say "round $round of $rounds"
        for over in shm tcp; do
            note large "ballot majority" $over "$signs_large" \
                ballot 4 $((4 * count)) "$large_iterations" $over
            note large floor $over 0 json_of floor_us < "$work/ballot.json"
            [ "$have_ompi" -eq 1 ] && note large "Open MPI sum" $over \
                "$floats_large" ompi 4 "$count" "$large_iterations" $over
        done
        [ "$have_gloo" -eq 1 ] && note large "Gloo sum" tcp "$floats_large" \
            gloo 4 "$count" "$large_iterations"
        for over in shm tcp; do
            note small "ballot majority" $over "$(wire 2 2)" \
                ballot 2 64 "$small_iterations" $over
            [ "$have_ompi" -eq 1 ] && note small "Open MPI sum" $over \
                "$(wire 2 64)" ompi 2 16 "$small_iterations" $over
        done
        [ "$have_gloo" -eq 1 ] && note small "Gloo sum" tcp "$(wire 2 64)" \
            gloo 2 16 "$small_iterations"
        if [ "$have_hosts" -eq 1 ]; then
            note hosts "ballot majority" tcp "$signs_large" ballot_hosts
            port=$((port + 1))
            [ "$have_gloo" -eq 1 ] && note hosts "Gloo sum" tcp \
                "$floats_large" gloo_hosts
            port=$((port + 1))
        fi
        check=0
    done
}
