/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the one file that maps memory which a peer may write.
 */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Linux 6.3; some systems refuse a memfd that could be executed. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { HUGE_BYTES = 2 << 20 };

size_t memory_round(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

/* Maps, and asks for huge pages where at least one fits; that is a wish, so it
 * does not matter whether the system grants it. */
static int map(void **memory, size_t bytes, int protection, int flags,
               int descriptor)
{
    void *at = mmap(NULL, bytes, protection, flags, descriptor, 0);

    if (at == MAP_FAILED)
        return -errno;
    if (bytes >= HUGE_BYTES)
        (void)madvise(at, bytes, MADV_HUGEPAGE);
    *memory = at;
    return 0;
}

int memory_map(void **memory, size_t bytes)
{
    return map(memory, memory_round(bytes), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int create(void)
{
    unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int descriptor = memfd_create("ballot", flags | MFD_NOEXEC_SEAL);

    if (descriptor < 0 && errno == EINVAL)
        descriptor = memfd_create("ballot", flags);
    return descriptor < 0 ? -errno : descriptor;
}

int memory_share(void **memory, int *descriptor, size_t bytes,
                 enum memory_access peer)
{
    size_t mapped_bytes = memory_round(bytes);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    void *at = NULL;
    int fd = create();
    int rc;

    if (fd < 0)
        return fd;
    rc = ftruncate(fd, (off_t)mapped_bytes) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = map(&at, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    if (rc != 0)
        goto close_descriptor;
    /* This seal spares mappings that exist, so ours can go on writing. */
    if (peer == MEMORY_READ)
        seals |= F_SEAL_FUTURE_WRITE;
    if (fcntl(fd, F_ADD_SEALS, seals) != 0) {
        rc = -errno;
        goto unmap;
    }
    *memory = at;
    *descriptor = fd;
    return 0;
unmap:
    memory_unmap(at, mapped_bytes);
close_descriptor:
    close(fd);
    return rc;
}

/*
 * Whether no one can make a touch of this memory fail. A file that can shrink
 * raises SIGBUS beyond its end; so does one on huge pages when the pool is
 * empty, and a file system of the peer's own may do anything. Only memory files
 * of the kernel's own tmpfs can carry the seal.
 */
static bool cannot_fault(int descriptor, size_t bytes)
{
    struct stat status;
    struct statfs filesystem;
    int seals = fcntl(descriptor, F_GET_SEALS);

    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 &&
           fstatfs(descriptor, &filesystem) == 0 &&
           filesystem.f_type == TMPFS_MAGIC &&
           fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size == (off_t)bytes;
}

int memory_attach(void **memory, int descriptor, size_t bytes,
                  enum memory_access ours)
{
    size_t mapped_bytes = memory_round(bytes);
    int protection = ours == MEMORY_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

    if (!cannot_fault(descriptor, mapped_bytes))
        return -EPROTO;
    return map(memory, mapped_bytes, protection, MAP_SHARED, descriptor);
}

void memory_unmap(void *memory, size_t bytes)
{
    int rc = 0;

    if (memory != NULL)
        rc = munmap(memory, memory_round(bytes));
    assert(rc == 0);
    (void)rc;
}
