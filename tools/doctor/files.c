/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - short files below a root folder: /sys, /proc, /dev.
 */
#include "files.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 3, 0))) static bool complete(
    char full[PATH_BYTES], const char *root, const char *path,
    va_list arguments)
{
    int used = snprintf(full, PATH_BYTES, "%s", root);
    int more;

    if (used < 0 || used >= PATH_BYTES)
        return false;
    more = vsnprintf(full + used, (size_t)(PATH_BYTES - used), path, arguments);
    return more >= 0 && more < PATH_BYTES - used;
}

static void trim(char *text)
{
    size_t end = strcspn(text, "\n");

    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t'))
        end--;
    text[end] = '\0';
}

static bool first_line(char *text, size_t bytes, const char *full)
{
    FILE *file = fopen(full, "re");
    bool is_read = file != NULL && fgets(text, (int)bytes, file) != NULL;

    if (file != NULL)
        fclose(file);
    if (!is_read)
        text[0] = '\0';
    trim(text);
    return is_read;
}

bool files_line(const char *root, char *text, size_t bytes, const char *path,
                ...)
{
    char full[PATH_BYTES];
    va_list arguments;
    bool fits;

    va_start(arguments, path);
    fits = complete(full, root, path, arguments);
    va_end(arguments);
    text[0] = '\0';
    return fits && first_line(text, bytes, full);
}

long files_number(const char *root, long otherwise, const char *path, ...)
{
    char full[PATH_BYTES], text[32];
    va_list arguments;
    char *end;
    long value;
    bool fits;

    va_start(arguments, path);
    fits = complete(full, root, path, arguments);
    va_end(arguments);
    if (!fits || !first_line(text, sizeof(text), full))
        return otherwise;
    value = strtol(text, &end, 10);
    return end == text || *end != '\0' ? otherwise : value;
}

bool files_exist(const char *root, const char *path, ...)
{
    char full[PATH_BYTES];
    va_list arguments;
    bool fits;

    va_start(arguments, path);
    fits = complete(full, root, path, arguments);
    va_end(arguments);
    return fits && access(full, F_OK) == 0;
}

static FILE *open_at(const char *root, const char *path)
{
    char full[PATH_BYTES];

    if (snprintf(full, sizeof(full), "%s%s", root, path) >= PATH_BYTES)
        return NULL;
    return fopen(full, "re");
}

bool files_field(const char *root, const char *path, const char *name,
                 char *text, size_t bytes)
{
    FILE *file = open_at(root, path);
    size_t name_bytes = strlen(name);
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    text[0] = '\0';
    while (file != NULL && !found && getline(&line, &room, file) >= 0) {
        const char *rest = line + name_bytes;

        if (strncmp(line, name, name_bytes) != 0)
            continue;
        rest += strspn(rest, " \t:");
        snprintf(text, bytes, "%s", rest);
        trim(text);
        found = true;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

bool files_mention(const char *root, const char *path, const char *text)
{
    FILE *file = open_at(root, path);
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    while (file != NULL && !found && getline(&line, &room, file) >= 0)
        found = strstr(line, text) != NULL;
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

static int by_nature(const void *a, const void *b)
{
    return strverscmp(a, b);
}

int files_list(const char *root, char entries[ENTRIES_MAX][ENTRY_BYTES],
               const char *path, ...)
{
    char full[PATH_BYTES];
    va_list arguments;
    struct dirent *entry;
    DIR *folder;
    int count = 0;
    bool fits;

    va_start(arguments, path);
    fits = complete(full, root, path, arguments);
    va_end(arguments);
    folder = fits ? opendir(full) : NULL;
    if (folder == NULL)
        return 0;
    while (count < ENTRIES_MAX && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < ENTRY_BYTES)
            strcpy(entries[count++], entry->d_name);
    closedir(folder);
    qsort(entries, (size_t)count, ENTRY_BYTES, by_nature);
    return count;
}
