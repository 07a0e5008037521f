/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apart.h - puts that come from memory of the caller's, or land there, and what
 * is shared.
 */
#ifndef BALLOT_TESTS_CONTRACT_APART_H
#define BALLOT_TESTS_CONTRACT_APART_H

void what_comes_from_memory_arrives(void **state);
void what_was_put_with_memory_may_change(void **state);
void memory_that_was_let_go_may_vanish(void **state);
void a_put_from_memory_is_checked(void **state);
void what_is_placed_lands_there(void **state);
void a_place_that_was_let_go_stays_as_it_is(void **state);
void what_is_shared_arrives_everywhere(void **state);

#endif
