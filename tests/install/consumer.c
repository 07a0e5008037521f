/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consumer.c - somebody else's program: prints the version of the library that
 * it runs with, 1 where that is not the header's.
 */
#include <ballot.h>
#include <stdio.h>

int main(void)
{
    const int expected = 10000 * BALLOT_VERSION_MAJOR +
                         100 * BALLOT_VERSION_MINOR + BALLOT_VERSION_PATCH;
    int version;

    if (ballot_version(&version) != 0 || version != expected)
        return 1;
    printf("%d\n", version);
    return 0;
}
