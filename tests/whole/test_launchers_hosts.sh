#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_launchers_hosts.sh - launchers that start ranks on two hosts.
#
#   test_launchers_hosts.sh BUILD_DIR
#
# The hosts are network namespaces, of which each has a name of its own.
set -u
# shellcheck source=tests/whole/launchers.bash
. "$(dirname "$0")/launchers.bash"
net=ballot-$$

# Network namespaces without a default route, as on a cluster; each host's own
# name means its loopback there, as Debian has it.
make_hosts() {
    local host

    ip netns add "$net-a" && nets+=("$net-a") &&
        ip netns add "$net-b" && nets+=("$net-b") &&
        ip -n "$net-a" link add "up$$" type veth peer name "up$$" \
            netns "$net-b" || return 1
    ip -n "$net-a" addr add 10.79.0.1/24 dev "up$$"
    ip -n "$net-b" addr add 10.79.0.2/24 dev "up$$"
    for host in a b; do
        ip -n "$net-$host" link set lo up
        ip -n "$net-$host" link set "up$$" up
    done
    printf '%s\n' "127.0.0.1 localhost" "127.0.1.1 host-a" \
        "10.79.0.2 host-b" >"$work/hosts.a"
    printf '%s\n' "127.0.0.1 localhost" "10.79.0.1 host-a" \
        "127.0.1.1 host-b" >"$work/hosts.b"
    cat >"$work/on" <<END
#!/bin/bash
# on host-X COMMAND...
x=\${1#host-}
shift
exec ip netns exec $net-\$x unshare --uts --mount bash -c '
    hostname host-\$0 && mount --bind $work/hosts.\$0 /etc/hosts &&
    exec "\$@"' \$x "\$@"
END
    # As ssh: options, a host, and a line for its shell.
    cat >"$work/ssh" <<END
#!/bin/bash
while [[ \$1 == -* ]]; do shift; done
host=\$1
shift
exec $work/on \$host bash -c "\$*"
END
    chmod +x "$work/on" "$work/ssh"
    "$work/on" host-b getent hosts host-a >/dev/null
}

slurm_on_hosts() {
    local host on=$work/on

    write_slurm_conf host-a 10.79.0.1 "host-a NodeAddr=10.79.0.1" \
        "host-b NodeAddr=10.79.0.2"
    mkdir -p "$work/state" "$work/spool.host-a" "$work/spool.host-b"
    start_munge
    begin slurmctld "$on" host-a slurmctld -D
    for host in host-a host-b; do
        begin slurmd.$host "$on" $host slurmd -D -N $host
    done
    wait_until 20 nodes_idle 2 "$on" host-a
    judge "slurmctld and two slurmd are there" $?
    example "srun" host-b "$on" host-a \
        env BALLOT_KEY_FILE="$work/key" srun -N 2 -n 4
    example "srun --mpi=pmi2" host-b "$on" host-a \
        srun --mpi=pmi2 -N 2 -n 4
    end_daemons
}

torch_on_hosts() {
    local run=(env BALLOT_KEY_FILE="$work/key" "${torchrun[@]}" --nnodes 2
               --nproc_per_node 2 --master_addr host-a --master_port 29500)

    "$work/on" host-b "${run[@]}" --node_rank 1 "$build/5_mpirun" \
        >"$work/other" 2>&1 &
    example "torchrun" host-b "$work/on" host-a \
        "${run[@]}" --node_rank 0
    wait $!
}

on_hosts() {
    local on=$work/on

    here openmpi-bin mpirun orterun && example "mpirun" host-b \
        "$on" host-a mpirun --allow-run-as-root \
        --mca plm_rsh_agent "$work/ssh" -H host-a:2,host-b:2 -n 4
    here mpich mpiexec.hydra && example "hydra" host-b \
        "$on" host-a mpiexec.hydra -launcher ssh -launcher-exec "$work/ssh" \
        -hosts host-a:2,host-b:2 -n 4
    here "slurmctld slurmd slurm-client munge" slurmctld slurmd srun munged &&
        slurm_on_hosts
    here python3-torch torchrun && torch_on_hosts
}

if [ "$(id -u)" -ne 0 ]; then
    echo "SKIP: only root makes network namespaces"
    exit 77
fi
if ! make_hosts 2>"$work/output"; then
    echo "SKIP: no network namespaces: $(tail -n 1 "$work/output")"
    exit 77
fi
on_hosts
if [ $ran -eq 0 ]; then
    echo "SKIP: no launcher is installed"
    exit 77
fi
exit $failed
