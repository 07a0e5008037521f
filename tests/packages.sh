# SPDX-License-Identifier: Apache-2.0
# packages.sh - the Debian packages that we need, installed where missing.
# Sourced by tests/run.sh and examples/quickstart.sh.
# shellcheck shell=bash disable=SC2034 # whoever sources it uses the lists

packages_build=(gcc libc6-dev cmake ninja-build pkg-config liburing-dev
                libsodium-dev libnuma-dev libibverbs-dev librdmacm-dev
                zlib1g-dev)
packages_test=(libcmocka-dev libcliquer-dev python3 python3-numpy iproute2
               procps)
# A virtual machine with an RDMA device, and programs that speak to one.
packages_rdma=(qemu-system-x86 busybox-static cpio kmod iproute2
               ibverbs-providers ibverbs-utils rdmacm-utils perftest)
# Launchers, which whole.launchers starts; torchrun is 143 MB and 170 packages.
packages_launchers=(openmpi-bin libpmix-dev mpich slurmctld slurmd slurm-client
                    munge)
packages_torch=(python3-torch)
packages_plot=(gnuplot-nox)
packages_bench=(g++ libbenchmark-dev)
packages_full=(clang-14 libclang-rt-14-dev clang-format-14)

packages_missing()
{
    local package

    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>&1 |
            grep -qx installed || echo "$package"
    done
}

# packages_install PACKAGE...: asks apt only for what is not there yet.
packages_install()
{
    local missing
    local as_root=()

    if ! command -v dpkg-query > /dev/null; then
        echo "This is not Debian; install what corresponds to: $*" >&2
        return 0
    fi
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "Installing ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo > /dev/null; then
            echo "Not root and no sudo; as root, run: apt-get install" \
                 "${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q < /dev/null &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends \
            "${missing[@]}" < /dev/null
}
