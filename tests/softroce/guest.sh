# SPDX-License-Identifier: Apache-2.0
# guest.sh - process 1 of the guest in the host's root: makes the RDMA device,
# runs the command, leaves its status, turns the machine off.
#
# Sourced by the file `start` that machine.sh writes, which sets
#   here         the folder of this file
#   modules      where the kernel's modules are
#   netdev, address, mtu  of the interface that carries the device
#   share        a folder that host and guest both write, or nothing
#   directory, environment, command  what to run; the last two are arrays
# shellcheck shell=bash disable=SC2154 # start sets them
set -eE
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Without a status: for machine.sh that is a failure.
trap 'echo "guest.sh: this failed: $BASH_COMMAND" >&2
      exec /bin/busybox poweroff -f' ERR

# What udev and the init of a distribution would have done.
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mkdir -p /lib/modules
ln -sfn "$modules" "/lib/modules/$(uname -r)"
if [ -n "$share" ]; then
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=mmap \
        share "$share"
fi

# shellcheck source=tests/softroce/within.sh
. "$here/within.sh"
# shellcheck source=tests/softroce/device.sh
. "$here/device.sh"
# Two machines on a wire must not look like one.
echo "softroce${address##*.}" > /proc/sys/kernel/hostname
ip link set lo up
ip link set "$netdev" mtu "$mtu"
ip address add "$address/24" dev "$netdev"
ip link set "$netdev" up
device_make "$netdev"
device_find

cd "$directory"
export "${environment[@]}"
trap - ERR
status=0
"${command[@]}" < /dev/null > /run/ballot/output 2>&1 || status=$?
echo "$status" > /run/ballot/status
exec /bin/busybox poweroff -f
