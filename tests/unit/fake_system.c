/* SPDX-License-Identifier: Apache-2.0 */
/* fake_system.c - calls of the C library that fail, and what sysfs says. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_inside.h"
#include "fake_wraps.h"

bool fake_ipoib_has_v4, fake_ipoib_has_v6;

void *__wrap_malloc(size_t bytes)
{
    return fake_refuse(FAKE_MALLOC) != 0 ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fake_refuse(FAKE_CALLOC) != 0 ? NULL : __real_calloc(count, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags,
                  int descriptor, off_t offset)
{
    if (fake_refuse(FAKE_MMAP) != 0)
        return MAP_FAILED;
    return __real_mmap(at, bytes, protection, flags, descriptor, offset);
}

int __wrap_fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    int argument;

    va_start(arguments, command);
    argument = va_arg(arguments, int);
    va_end(arguments);
    return fake_refuse(FAKE_FCNTL) != 0
               ? -1
               : __real_fcntl(descriptor, command, argument);
}

int __wrap_epoll_create1(int flags)
{
    return fake_refuse(FAKE_EPOLL_CREATE) != 0 ? -1
                                               : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int operation, int descriptor,
                     struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fake_refuse(FAKE_EPOLL_ADD) != 0)
        return -1;
    return __real_epoll_ctl(epoll, operation, descriptor, event);
}

/* ---- The interface over InfiniBand, before those of the machine ---- */

static struct sockaddr_in v4 = {.sin_family = AF_INET};
static struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
static char ib0[] = "ib0";
static struct ifaddrs interfaces[3];
static struct ifaddrs *true_interfaces;

int __wrap_getifaddrs(struct ifaddrs **all)
{
    uint32_t count = 1; /* the first is its link layer */

    if (fake_refuse(FAKE_GETIFADDRS) != 0 ||
        __real_getifaddrs(&true_interfaces) != 0)
        return -1;
    v4.sin_addr.s_addr = htonl(0x0a090001);
    v6.sin6_addr.s6_addr[0] = 0xfd;
    interfaces[0].ifa_addr = NULL;
    if (fake_ipoib_has_v6)
        interfaces[count++].ifa_addr = (struct sockaddr *)&v6;
    if (fake_ipoib_has_v4)
        interfaces[count++].ifa_addr = (struct sockaddr *)&v4;
    for (uint32_t i = 0; i < count; i++) {
        interfaces[i].ifa_name = ib0;
        interfaces[i].ifa_next =
            i + 1 < count ? &interfaces[i + 1] : true_interfaces;
    }
    *all = interfaces;
    return 0;
}

void __wrap_freeifaddrs(struct ifaddrs *all)
{
    if (all != interfaces)
        fake_breach("addresses are freed that were not given");
    __real_freeifaddrs(true_interfaces);
}

/* ---- /sys/class/infiniband/ ---- */

/* The device of a path there, if it ends so. */
static const struct fake_device *device_of(const char *path, const char *end)
{
    static const char folder[] = "/sys/class/infiniband/";
    size_t length = sizeof(folder) - 1;

    if (strncmp(path, folder, length) != 0)
        return NULL;
    for (int i = 0; i < fake_devices_count; i++) {
        const char *name = fake_devices[i].device.name;

        if (strncmp(path + length, name, strlen(name)) == 0 &&
            strcmp(path + length + strlen(name), end) == 0)
            return &fake_devices[i];
    }
    return NULL;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    const struct fake_device *device = device_of(path, "/device/numa_node");

    if (device == NULL)
        return __real_fopen(path, mode);
    return device->node == NULL ? NULL
                                : fmemopen((void *)(uintptr_t)device->node,
                                           strlen(device->node), "r");
}

/* A folder with ".", and the interface if there is one. */
static struct {
    const char *names[2];
    size_t next;
    struct dirent entry;
} folder;

DIR *__wrap_opendir(const char *path)
{
    const struct fake_device *device = device_of(path, "/device/net");

    if (device == NULL)
        return __real_opendir(path);
    if (device->ipoib == NULL)
        return NULL;
    folder.names[0] = ".";
    folder.names[1] = device->ipoib;
    folder.next = 0;
    return (DIR *)&folder;
}

struct dirent *__wrap_readdir(DIR *directory)
{
    if (directory != (DIR *)&folder)
        return __real_readdir(directory);
    if (folder.next == 2)
        return NULL;
    snprintf(folder.entry.d_name, sizeof(folder.entry.d_name), "%s",
             folder.names[folder.next++]);
    return &folder.entry;
}

int __wrap_closedir(DIR *directory)
{
    return directory == (DIR *)&folder ? 0 : __real_closedir(directory);
}
