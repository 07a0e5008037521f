#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_install.sh - what cmake --install leaves serves projects elsewhere, by
# pkg-config and by find_package, shared and static, also after it was moved.
# Usage: test_install.sh BUILD_DIR CC
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: $0 BUILD_DIR CC" >&2
    exit 2
fi
build=$(realpath "$1")
cc=$2
here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail()
{
    echo "FAIL $*"
    exit 1
}

# Into a file: a grep that ends early would make ldd fail in a pipe.
libraries_of()
{
    ldd "$1" > libraries
}

cp -r "$here" "$scratch/consumer"
cd "$scratch"
cmake --install "$build" --prefix "$scratch/first" > install.log
# A moved tree must work: no file may hold the first place.
mv first prefix
prefix=$scratch/prefix
if grep -rlF "$scratch/first" prefix; then
    fail "these files hold the place where they were installed"
fi
libdir=$(dirname "$(find prefix -name libballot.so)")
libdir=$scratch/$libdir

# ---- What is exported: the public API and nothing else --------------------
declared=$(sed -n 's/^BALLOT_API .*\b\(ballot_[a-z_]*\)(.*/\1/p' \
           prefix/include/ballot*.h | sort)
exported=$(nm -D --defined-only "$libdir/libballot.so" |
           awk '{ print $3 }' | sort)
[ -n "$declared" ] || fail "no declaration found in the headers"
diff <(echo "$declared") <(echo "$exported") ||
    fail "the headers (<) and libballot.so (>) differ"
echo "PASS exported_symbols_are_those_of_the_headers"

[ "$(readelf -d "$libdir/libballot.so" | grep -c 'SONAME.*libballot.so.0')" \
  = 1 ] || fail "the soname is not libballot.so.0"
echo "PASS soname"

# ---- pkg-config -----------------------------------------------------------
export PKG_CONFIG_PATH=$libdir/pkgconfig
# shellcheck disable=SC2046 # flags are words
"$cc" -o shared consumer/consumer.c $(pkg-config --cflags --libs ballot) \
    -Wl,-rpath,"$libdir"
./shared > version
libraries_of ./shared
grep -qF "$libdir/libballot.so.0" libraries || fail "another library ran"
echo "PASS pkg_config_shared"

# The linker takes the static library where it meets no shared one before.
mkdir only_static
cp "$libdir/libballot.a" only_static
# shellcheck disable=SC2046
"$cc" -o static consumer/consumer.c -Lonly_static \
    $(pkg-config --static --cflags --libs ballot)
./static | diff version -
libraries_of ./static
grep -q libballot libraries && fail "the static program wants libballot.so"
echo "PASS pkg_config_static"
major=$(($(cat version) / 10000))
minor=$(($(cat version) / 100 % 100))
patch=$(($(cat version) % 100))
[ "$(pkg-config --modversion ballot)" = "$major.$minor.$patch" ] ||
    fail "pkg-config knows another version"
echo "PASS pkg_config_version"

# ---- find_package ---------------------------------------------------------
cmake -G Ninja -S consumer -B built -D CMAKE_C_COMPILER="$cc" \
    -D CMAKE_PREFIX_PATH="$prefix" > configure.log 2>&1 ||
    { cat configure.log; fail "find_package"; }
cmake --build built > build.log || { cat build.log; fail "consumer's build"; }
for kind in shared static; do
    "built/consumer_$kind" | diff version -
    echo "PASS find_package_$kind"
done

# ---- NCCL's names: a program that knows nothing of ballot -----------------
# shellcheck disable=SC2046
"$cc" -std=c11 -D_GNU_SOURCE -o port "$here/../../examples/4_nccl_port.c" \
    $(pkg-config --cflags --libs ballot-nccl) -lm -Wl,-rpath,"$libdir"
timeout 60 ./port 2 > log || fail "the port by ballot-nccl.pc"
# The same by NCCL's own name, from its folder.
# shellcheck disable=SC2046
"$cc" -std=c11 -D_GNU_SOURCE -o port "$here/../../examples/4_nccl_port.c" \
    $(pkg-config --cflags ballot-nccl) -L"$libdir/ballot-nccl" -lnccl -lm
LD_LIBRARY_PATH=$libdir/ballot-nccl timeout 60 ./port 2 | diff log - ||
    fail "the port by libnccl.so.2"
echo "PASS nccl_names"

# ---- Programs -------------------------------------------------------------
# They find the library beside them, without LD_LIBRARY_PATH.
for program in prefix/bin/*; do
    "$program" --help > help 2>&1 || { cat help; fail "$program --help"; }
    libraries_of "$program"
    grep -q 'not found' libraries && fail "$program lacks a library"
    echo "PASS $(basename "$program")_runs"
done

# ---- The example of the README --------------------------------------------
awk '/^```/ { code = $0 == "```c"; next } code' "$here/../../README.md" > vote.c
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Werror -o vote vote.c \
    $(pkg-config --cflags --libs ballot) -Wl,-rpath,"$libdir"
timeout 60 prefix/bin/ballot-run -n 4 ./vote > votes || fail "README's example"
for rank in 0 1 2 3; do
    grep -qxF "[$rank] +1 +1 -1 +1" votes || { cat votes; fail "its result"; }
done
echo "PASS readme_example"
