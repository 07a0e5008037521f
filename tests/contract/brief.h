/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brief.h - messages without a slot, of transports that have them.
 */
#ifndef BALLOT_TESTS_CONTRACT_BRIEF_H
#define BALLOT_TESTS_CONTRACT_BRIEF_H

void brief_messages_arrive_in_order(void **state);
void brief_messages_pass_by_puts(void **state);
void a_brief_message_finds_room_again(void **state);
void a_brief_message_wakes_a_sleeper(void **state);
void who_waits_for_room_is_woken(void **state);

#endif
