#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# machine.sh - runs a command in a virtual machine that has an RDMA device.
set -euo pipefail

usage="usage: tests/softroce/machine.sh [OPTION...] COMMAND [ARGUMENT...]

Boots Debian's stock kernel under QEMU with this machine's root folder, makes a
soft-RoCE device, runs the command there as root in the same folder, and
returns its status. What it writes is gone afterwards.

  --limit SECONDS  boot and command together (300)
  --share FOLDER   is written for good, and seen by both sides at once
  --wire END:PATH  END is a or b: one end of a wire between two machines;
                   PATH.a and PATH.b become its sockets
  --mtu BYTES      of the interface (4200, which gives RoCE an MTU of 4096)

  BALLOT_SOFTROCE_CACHE  where the kernel is kept (~/.cache/ballot-softroce)
  BALLOT_SOFTROCE_ACCEL  tcg (default), or kvm: used if a guest runs with it

The command sees PATH, HOME, LD_LIBRARY_PATH, *SAN_OPTIONS and BALLOT_*, and
  BALLOT_TEST_RDMA_DEVICE, _NETDEV, _ADDRESS  the device that was made
  BALLOT_TEST_SLOW  by what to multiply a deadline here

Status: the command's, 124 after the limit, 125 if the machine failed."

say()
{
    echo "machine.sh: $*" >&2
}

die()
{
    say "$*"
    exit 125
}

wrong_usage()
{
    say "$1"
    echo "$usage" >&2
    exit 125
}

# need PROGRAM PACKAGE
need()
{
    command -v "$1" > /dev/null ||
        die "there is no $1; as root, run: apt-get install $2"
}

here=$(dirname "$(realpath "$0")")
cache=${BALLOT_SOFTROCE_CACHE:-~/.cache/ballot-softroce}
cache=$(realpath -m "$cache")
PATH=$PATH:/usr/sbin:/sbin # modprobe and depmod are there
limit_s=300
share=
end=
wire=
mtu=4200
while [[ ${1:-} == -* ]]; do
    [ $# -ge 2 ] || [[ $1 == --help ]] || wrong_usage "$1 wants a value"
    case $1 in
    --limit) limit_s=$2 ;;
    --share) share=$(realpath -e "$2") || die "--share $2: no such folder" ;;
    --wire) end=${2%%:*} wire=${2#*:} ;;
    --mtu) mtu=$2 ;;
    --help) echo "$usage"; exit 0 ;;
    *) wrong_usage "unknown option $1" ;;
    esac
    shift 2
done
[ $# -ge 1 ] || wrong_usage "which command?"

netdev=dummy0
address=10.77.0.1
case $end in
'') ;;
a) netdev=eth0 other=b number=1 ;;
b) netdev=eth0 other=a number=2 address=10.77.0.2 ;;
*) wrong_usage "--wire wants a:PATH or b:PATH" ;;
esac
[ ${#wire} -le 100 ] ||
    die "--wire $wire: a socket's path is shorter; TMPDIR=/tmp may help"

need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need modprobe kmod
need rdma iproute2
if ldd "$(command -v busybox)" > /dev/null 2>&1; then
    die "busybox is not static; as root, run: apt-get install busybox-static"
fi

# shellcheck source=tests/softroce/kernel.sh
. "$here/kernel.sh"

vm=
talk=$(mktemp -d "${TMPDIR:-/tmp}/ballot-softroce.XXXXXX")
# Whatever goes wrong here, but for a signal, is the machine's failure.
# shellcheck disable=SC2317 # a trap calls it
leave()
{
    local status=$?

    [ -z "$vm" ] || kill "$vm" 2> /dev/null || :
    rm -rf "$talk"
    [ -z "$end" ] || rm -f "$wire.$end"
    [ -n "$proven" ] || [ "$status" -ge 124 ] || status=125
    exit "$status"
}
proven=
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# passed_on: the caller's variables that the command sees, into environment.
passed_on()
{
    local pair

    environment=(TERM=dumb)
    while IFS= read -r -d '' pair; do
        case $pair in
        PATH=* | HOME=* | LD_LIBRARY_PATH=* | *SAN_OPTIONS=* | BALLOT_*=*)
            environment+=("$pair") ;;
        esac
    done < <(env -0)
}

# write_start COMMAND...: what guest.sh is to do, as bash reads it.
write_start()
{
    # shellcheck disable=SC2034 # declare prints it
    local command=("$@") directory=$PWD modules=$kernel/lib/modules/$version
    local environment

    passed_on
    {
        declare -p here modules netdev address mtu share directory \
            environment command
        echo ". ${here@Q}/guest.sh"
    } > "$talk/start"
}

# export_folder TAG FOLDER [,OPTION]: adds it to qemu's arguments, over 9p.
export_folder()
{
    local folder=${2//,/,,} # as qemu wants commas

    # The root spans file systems, whose inode numbers may be the same.
    arguments+=(-fsdev "local,id=$1,path=$folder,security_model=none,multidevs=remap${3:-}"
                -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# add_wire: an interface whose other side is a socket. Datagrams keep frames
# whole, and the ends may start in any order.
add_wire()
{
    local path=${wire//,/,,}

    rm -f "$wire.$end"
    arguments+=(-device "virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:77:00:0$number"
                -netdev "dgram,id=wire,local.type=unix,local.path=$path.$end,remote.type=unix,remote.path=$path.$other")
}

# boot ACCELERATOR SECONDS: true if the guest left a status.
boot()
{
    # An emulated machine's kernel does not trust the time stamp counter, and
    # what it takes instead costs a device access a reading.
    local time="tsc=reliable clocksource=tsc"
    local arguments=(-accel "$1" -machine pc -cpu max -smp 2 -m 2G -nodefaults
                     -display none -no-reboot -serial "file:$talk/console"
                     -kernel "$kernel/boot/vmlinuz-$version"
                     -initrd "$talk/initramfs"
                     -append "console=ttyS0 panic=-1 loglevel=4 mitigations=off $time")

    export_folder host / ,readonly=on
    export_folder talk "$talk"
    [ -z "$share" ] || export_folder share "$share"
    [ -z "$end" ] || add_wire
    rm -f "$talk/status"
    : > "$talk/output"
    # If we are killed, the machine ends too.
    setpriv --pdeathsig TERM timeout -k 5 "$2" \
        qemu-system-x86_64 "${arguments[@]}" < /dev/null &
    vm=$!
    tail -f -n +1 -s 0.1 --pid "$vm" "$talk/output" &
    qemu_status=0
    wait "$vm" || qemu_status=$?
    vm=
    wait $!
    # QEMU returns 0 after a panic too: this file alone proves that all went
    # its way.
    [ -s "$talk/status" ]
}

kernel_ready
kernel_initramfs "$talk/initramfs"
accelerator=tcg,thread=multi
slow=8
# There are machines on which /dev/kvm opens and a guest then hangs.
if [ "${BALLOT_SOFTROCE_ACCEL:-tcg}" = kvm ]; then
    write_start true
    if [ -w /dev/kvm ] && boot kvm 20; then
        accelerator=kvm
        slow=2
    else
        say "no guest ran with KVM within 20 s; going on without"
    fi
fi

export BALLOT_TEST_SLOW=${BALLOT_TEST_SLOW:-$slow}
write_start "$@"
if boot "$accelerator" "$limit_s"; then
    proven=yes
    exit "$(cat "$talk/status")"
fi
if [ "$qemu_status" -eq 124 ] || [ "$qemu_status" -eq 137 ]; then
    say "stopped after $limit_s s; --limit gives more"
    exit 124
fi
tail -n 40 "$talk/console" >&2 || :
die "the machine ended without a status; its console is above"
