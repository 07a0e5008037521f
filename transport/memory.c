/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the one file that maps memory which a peer may write.
 */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory_node.h"

/* Linux 6.3; some systems refuse a memfd that could be executed. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
    /* An odd number of lines, so that 64 voters have 64 places; from 9 voters
     * on, rows in L2 are counted 1.4 to 3 times as fast as without (Zen 4). */
    SKEW_BYTES = 5 * 64,
    SKEW_PAGE_BYTES = 4096, /* after which the sets of an L1 repeat */
};

size_t memory_round(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

size_t memory_skew(uint32_t rank)
{
    return (size_t)rank * SKEW_BYTES % SKEW_PAGE_BYTES;
}

/*
 * Free addresses that begin with a huge page, or NULL: mmap() alone promises no
 * more than a small one. They are only proposed and not held, for then a
 * mapping that fails in their place could not be told from one that another
 * thread has made there since. Who loses the race has small pages.
 */
static void *propose(size_t bytes)
{
    size_t probed_bytes = bytes + MEMORY_HUGE_BYTES;
    uint8_t *at = mmap(NULL, probed_bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    munmap(at, probed_bytes);
    return at + -(uintptr_t)at % MEMORY_HUGE_BYTES;
}

/* Maps, and asks for huge pages as far as they are whole; that is a wish, so it
 * does not matter whether the system grants it. */
static int map(void **memory, size_t bytes, int protection, int flags,
               int descriptor)
{
    size_t huge_bytes = bytes / MEMORY_HUGE_BYTES * MEMORY_HUGE_BYTES;
    void *start = huge_bytes > 0 ? propose(bytes) : NULL;
    void *at = mmap(start, bytes, protection, flags, descriptor, 0);

    if (at == MAP_FAILED)
        return -errno;
    if (huge_bytes > 0)
        (void)madvise(at, huge_bytes, MADV_HUGEPAGE);
    *memory = at;
    return 0;
}

/* Whose memory it is, reads it most; so a peer that attaches leaves it there.
 * Memory elsewhere is slower and not wrong. */
static void bind_here(void *memory, size_t bytes)
{
    int node = memory_node_here();

    if (node >= 0)
        (void)memory_node_bind(memory, bytes, node);
}

int memory_map(void **memory, size_t bytes)
{
    size_t mapped_bytes = memory_round(bytes);
    int rc = map(memory, mapped_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1);

    if (rc == 0)
        bind_here(*memory, mapped_bytes);
    return rc;
}

int memory_map_sparse(void **memory, size_t bytes)
{
    size_t mapped_bytes = memory_round(bytes);
    void *at = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return -errno;
    (void)madvise(at, mapped_bytes, MADV_NOHUGEPAGE);
    bind_here(at, mapped_bytes);
    *memory = at;
    return 0;
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
    bind_here(at, mapped_bytes);
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

/* ---- What the system grants ---------------------------------------------- */

bool memory_setting(char word[MEMORY_WORD_BYTES], const char *text)
{
    static const char *const granting[] = {"always", "madvise", "within_size",
                                           "advise", "force"};
    const char *start = strchr(text, '[');
    const char *end = start == NULL ? NULL : strchr(start, ']');

    word[0] = '\0';
    if (end == NULL || end - start > MEMORY_WORD_BYTES)
        return false;
    memcpy(word, start + 1, (size_t)(end - start) - 1);
    word[end - start - 1] = '\0';
    for (size_t i = 0; i < sizeof(granting) / sizeof(granting[0]); i++)
        if (strcmp(word, granting[i]) == 0)
            return true;
    return false;
}

static bool read_setting(char word[MEMORY_WORD_BYTES], const char *path)
{
    char text[128];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;

    if (file >= 0) {
        got = read(file, text, sizeof(text) - 1);
        close(file);
    }
    text[got < 0 ? 0 : got] = '\0';
    return memory_setting(word, text);
}

/* Tries on a page of its own whether memory can be bound. */
static int try_binding(int node)
{
    size_t bytes = memory_round(1);
    void *page;
    int rc = map(&page, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

    if (rc == 0) {
        rc = memory_node_bind(page, bytes, node);
        memory_unmap(page, bytes);
    }
    return rc;
}

struct memory_facts memory_facts(void)
{
    struct memory_facts facts = {.node = -1};
    struct node_set usable;
    int nodes = memory_nodes(&usable);
    int node = memory_node_here();

    facts.private_huge = read_setting(
        facts.private_setting, "/sys/kernel/mm/transparent_hugepage/enabled");
    facts.shared_huge =
        read_setting(facts.shared_setting,
                     "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    if (nodes < 0)
        facts.refused = nodes;
    else
        facts.nodes = nodes;
    if (node >= 0) {
        facts.refused = try_binding(node);
        facts.node = facts.refused == 0 ? node : -1;
    }
    return facts;
}
