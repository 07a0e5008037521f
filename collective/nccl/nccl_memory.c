/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_memory.c - memory that is allocated and registered, and what is none.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nccl_inside.h"

enum { ALIGNMENT = NCCL_WIN_REQUIRED_ALIGNMENT, PROBE_BYTES = 8 };

/*
 * A device's memory has addresses in the process, but no pages that a processor
 * may read. The kernel reads a signal mask before it looks at what is to be
 * done with it: so this changes nothing, and fails with EFAULT where there is
 * nothing to be read. No filter of system calls forbids it.
 */
static bool is_readable(uintptr_t address)
{
    const int saved = errno;
    bool readable;

    address -= address % PROBE_BYTES;
    readable =
        syscall(SYS_rt_sigprocmask, ~0, address, NULL, PROBE_BYTES) == 0 ||
        errno != EFAULT;
    errno = saved;
    return readable;
}

bool nccl_memory_is_host(const void *memory, size_t bytes)
{
    const uintptr_t first = (uintptr_t)memory;

    if (bytes == 0)
        return true;
    return memory != NULL && bytes - 1 <= UINTPTR_MAX - first &&
           is_readable(first) && is_readable(first + bytes - 1);
}

ncclResult_t ncclMemAlloc(void **ptr, size_t size)
{
    if (ptr == NULL)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "ncclMemAlloc: ptr is NULL");
    if (posix_memalign(ptr, ALIGNMENT, size == 0 ? 1 : size) == 0)
        return ncclSuccess;
    *ptr = NULL;
    return nccl_fail(NULL, ncclSystemError,
                     "ncclMemAlloc: there is no memory of %zu bytes", size);
}
NCCL_TWIN(ncclMemAlloc);

ncclResult_t ncclMemFree(void *ptr)
{
    free(ptr);
    return ncclSuccess;
}
NCCL_TWIN(ncclMemFree);

/* ---- Registration ---- */

static struct ncclWindow_vidmem *find_free(struct ncclComm *comm)
{
    for (int i = 0; i < NCCL_WINDOWS_MAX; i++)
        if (comm->windows[i].memory == NULL)
            return &comm->windows[i];
    return NULL;
}

static ncclResult_t enlist(struct ncclComm *comm, const char *call,
                           void *memory, size_t bytes,
                           struct ncclWindow_vidmem **window)
{
    struct ncclWindow_vidmem *entry;
    ncclResult_t result = nccl_enter(comm, call);

    if (result != ncclSuccess)
        return result;
    if (window == NULL || bytes == 0 || !nccl_memory_is_host(memory, bytes))
        return nccl_leave(
            comm, nccl_fail(comm, ncclInvalidArgument,
                            "%s: there is no place for the handle, no byte, or "
                            "%p is no host memory",
                            call, memory));
    pthread_mutex_lock(&comm->lock);
    entry = find_free(comm);
    if (entry != NULL)
        *entry = (struct ncclWindow_vidmem){comm, memory, bytes};
    pthread_mutex_unlock(&comm->lock);
    if (entry == NULL)
        return nccl_leave(comm, nccl_fail(comm, ncclInvalidUsage,
                                          "%s: %d pieces are registered", call,
                                          NCCL_WINDOWS_MAX));
    result = nccl_from(comm, comm->ballot, call,
                       ballot_mem_register(comm->ballot, memory, bytes, true));
    if (result != ncclSuccess)
        entry->memory = NULL;
    else
        *window = entry;
    return nccl_leave(comm, result);
}

static bool is_window(const struct ncclComm *comm,
                      const struct ncclWindow_vidmem *window)
{
    for (int i = 0; i < NCCL_WINDOWS_MAX; i++)
        if (window == &comm->windows[i])
            return window->memory != NULL;
    return false;
}

static ncclResult_t delist(struct ncclComm *comm, const char *call,
                           struct ncclWindow_vidmem *window)
{
    ncclResult_t result = nccl_enter(comm, call);

    if (result != ncclSuccess)
        return result;
    if (!is_window(comm, window))
        return nccl_leave(comm, nccl_fail(comm, ncclInvalidArgument,
                                          "%s: nothing is registered by this "
                                          "handle on this communicator",
                                          call));
    result = nccl_from(comm, comm->ballot, call,
                       ballot_mem_deregister(comm->ballot, window->memory));
    if (result == ncclSuccess)
        window->memory = NULL;
    return nccl_leave(comm, result);
}

ncclResult_t ncclCommRegister(const ncclComm_t comm, void *buff, size_t size,
                              void **handle)
{
    struct ncclWindow_vidmem *window = NULL;
    ncclResult_t result = enlist(comm, "ncclCommRegister", buff, size,
                                 handle != NULL ? &window : NULL);

    if (result == ncclSuccess)
        *handle = window;
    return result;
}
NCCL_TWIN(ncclCommRegister);

ncclResult_t ncclCommDeregister(const ncclComm_t comm, void *handle)
{
    return delist(comm, "ncclCommDeregister", handle);
}
NCCL_TWIN(ncclCommDeregister);

ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *buff, size_t size,
                                    ncclWindow_t *win, int winFlags)
{
    const int known = NCCL_WIN_COLL_SYMMETRIC | NCCL_WIN_STRICT_ORDERING;

    if ((winFlags & ~known) != 0)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "ncclCommWindowRegister: there are no flags 0x%x",
                         (unsigned)winFlags);
    return enlist(comm, "ncclCommWindowRegister", buff, size, win);
}
NCCL_TWIN(ncclCommWindowRegister);

ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t win)
{
    return delist(comm, "ncclCommWindowDeregister", win);
}
NCCL_TWIN(ncclCommWindowDeregister);

ncclResult_t ncclWinGetUserPtr(ncclComm_t comm, ncclWindow_t win,
                               void **outUserPtr)
{
    static const char name[] = "ncclWinGetUserPtr";
    ncclResult_t result = nccl_known(comm, name);

    if (result != ncclSuccess)
        return result;
    if (outUserPtr == NULL || !is_window(comm, win))
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: outUserPtr is NULL, or win is no window of this "
                         "communicator",
                         name);
    *outUserPtr = win->memory;
    return ncclSuccess;
}
NCCL_TWIN(ncclWinGetUserPtr);
