#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# init.sh - process 1 of the guest while it has only an initramfs: loads the
# modules, and moves to the host's root with a layer of memory over it.
# shellcheck shell=dash
#
# When a command fails here, process 1 ends, the kernel panics, and QEMU with
# it; machine.sh then shows the console.
set -e

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# crc32_pclmul does not load on every processor; what else is missing shows
# in what fails next.
while read -r module; do
    insmod "/modules/$module" || echo "init.sh: $module is not loaded"
done < /modules/order

mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose \
    host /host
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay \
    -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /top
for folder in proc sys dev; do
    mount --move "/$folder" "/top/$folder"
done
mount -t tmpfs run /top/run
mkdir /top/run/ballot
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none talk /top/run/ballot

# Not chroot: the kernel starts modprobe in the root of process 1.
exec switch_root /top /bin/bash /run/ballot/start
