# SPDX-License-Identifier: Apache-2.0
# kernel.sh - Debian's stock kernel for the guest: fetched once, kept in a
# cache, and its modules packed into an initramfs. Sourced by machine.sh,
# which has say(), die(), and the folders $cache, $here and $talk.
# shellcheck shell=bash disable=SC2154

# What the guest loads before it has a root, and then its device. rxe asks the
# kernel for "crc32" by name when a device is made, which is in no list of
# dependencies: so it is in this one.
kernel_modules=(virtio_pci 9pnet_virtio 9p overlay crc32_generic crc32_pclmul
                rdma_rxe rdma_ucm dummy virtio_net)

# Of 400 MB of modules a test of RDMA can want these. fs/[nf][es]* is netfs,
# and fscache where a kernel still has both.
kernel_parts=(net crypto lib arch/x86/crypto fs/9p 'fs/[nf][es]*' fs/configfs
              fs/overlayfs drivers/virtio
              drivers/infiniband/core drivers/infiniband/sw
              'drivers/net/dummy.ko*' 'drivers/net/virtio_net.ko*'
              'drivers/net/net_failover.ko*')

# kernel_apt COMMAND...: apt with package lists of its own under $new. The
# system's may be absent or old, and only root may renew them.
kernel_apt()
{
    local tool=$1

    shift
    "$tool" -q -o Dir::State="$new/state" -o Dir::Cache="$new/cache" \
        -o Dir::State::status=/var/lib/dpkg/status \
        -o APT::Sandbox::User=root "$@"
}

# The image that the meta package stands for: neither the cloud's, which has
# no rdma_rxe, nor the real-time one.
kernel_package()
{
    kernel_apt apt-cache depends --important linux-image-amd64 |
        grep -o 'linux-image-[0-9].*-amd64$' | grep -v -e -cloud- -e -rt- |
        sort -V | tail -n 1
}

kernel_download()
{
    local package

    mkdir -p "$new/state/lists/partial" "$new/cache/archives/partial"
    # A source that cannot be reached is no matter if another has the kernel.
    kernel_apt apt-get update || say "not all package lists were read"
    package=$(kernel_package) || return 1
    (cd "$new" && kernel_apt apt-get download "$package")
}

# Only the parts that are wanted, in lib/modules wherever the package has them.
kernel_unpack()
{
    local parts=("${kernel_parts[@]/#/*/kernel/}")

    mkdir -p "$new/tree/usr" "$new/tree/lib"
    ln -s ../lib "$new/tree/usr/lib"
    dpkg-deb --fsys-tarfile "$new"/linux-image-*.deb |
        tar -x -C "$new/tree" --transform 's,^\./usr/lib/,./lib/,' \
            --wildcards --no-anchored './boot/vmlinuz-*' '*/modules.*' \
            "${parts[@]}"
}

# Leaves $cache/VERSION with boot/ and lib/. A folder of that name is complete,
# for it gets the name last.
kernel_fetch()
{
    local version

    say "fetching Debian's kernel into $cache (70 MB, once)"
    rm -rf "$cache"/new.* # of a run that was ended; we hold the lock
    new=$(mktemp -d "$cache/new.XXXXXX")
    kernel_download > "$new/log" 2>&1 || {
        tail -n 20 "$new/log" >&2
        die "apt cannot download linux-image-amd64 (above): this needs Debian" \
            "and its mirror, or a cache from elsewhere in $cache"
    }
    kernel_unpack
    version=$(ls "$new/tree/lib/modules")
    depmod -b "$new/tree" "$version"
    mv "$new/tree" "$cache/$version"
    rm -rf "$new"
}

kernel_newest()
{
    find "$cache" -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort -V |
        tail -n 1
}

# Sets $kernel, a folder, and $version; fetches them if need be. Who comes
# meanwhile waits.
kernel_ready()
{
    mkdir -p "$cache"
    exec 9> "$cache/lock"
    flock -w 600 9 || die "another run has held $cache/lock for 600 s"
    [ -n "$(kernel_newest)" ] || kernel_fetch
    exec 9>&-
    version=$(kernel_newest)
    kernel=$cache/$version
}

# The files of $kernel_modules, each after those that it depends on. What this
# machine says of its own modules (/dev/null instead) does not matter.
kernel_module_files()
{
    local module

    for module in "${kernel_modules[@]}"; do
        modprobe -C /dev/null -d "$kernel" -S "$version" \
            --show-depends "$module" ||
            die "$kernel has no module $module; delete that folder"
    done | sed -n 's/^insmod \(.*[.]ko\([.]xz\)\?\) *$/\1/p' |
        awk '!seen[$0]++'
}

# kernel_initramfs FILE: init.sh, a static busybox and the modules.
kernel_initramfs()
{
    local tree=$talk/initramfs.tree
    local files file name

    files=$(kernel_module_files)
    mkdir -p "$tree"/{bin,modules,proc,sys,dev,host,layer,top}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    install "$here/init.sh" "$tree/init"
    while read -r file; do
        name=$(basename "$file" .xz)
        case $file in
        *.xz) xz -dc "$file" > "$tree/modules/$name" ;;
        *) cp "$file" "$tree/modules/$name" ;;
        esac
        echo "$name" >> "$tree/modules/order"
    done <<< "$files"
    # Not compressed: it is read from memory.
    (cd "$tree" && find . | cpio --quiet -o -H newc) > "$1"
    rm -rf "$tree"
}
