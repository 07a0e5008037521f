/* SPDX-License-Identifier: Apache-2.0 */
/*
 * variable.h - environment variables, and what stands in for one that is not
 * set. So a library on top of ballot can configure what has no place in a
 * structure, without writing into the environment of the process.
 */
#ifndef BALLOT_TRANSPORT_VARIABLE_H
#define BALLOT_TRANSPORT_VARIABLE_H

/* What the environment says, "" included; else what stands in; else NULL. The
 * text is the environment's, or stays as long as the process. */
const char *variable(const char *name);

/* From now on `value` stands in, of which a copy is kept; NULL: nothing does.
 * -ENOMEM. May be called by any thread. */
int variable_stand_in(const char *name, const char *value);

#endif
