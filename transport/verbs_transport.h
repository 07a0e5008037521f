/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_transport.h - what whoever chooses a transport asks of verbs, beside
 * transport.h.
 */
#ifndef BALLOT_TRANSPORT_VERBS_TRANSPORT_H
#define BALLOT_TRANSPORT_VERBS_TRANSPORT_H

#include <stdbool.h>

#include "transport.h"

/* Whether a rank has a device, as its address says; one without has zeros. */
bool verbs_address_is_there(const struct address *address);

/* "rxe0 port 1, GID 1 (10.0.0.1), RoCE v2", for start-up messages. */
void verbs_describe(const struct endpoint *endpoint, char *text, size_t bytes);

#endif
