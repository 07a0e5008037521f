/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleeping.h - the cases in which a rank sleeps on its descriptor.
 */
#ifndef BALLOT_TESTS_CONTRACT_SLEEPING_H
#define BALLOT_TESTS_CONTRACT_SLEEPING_H

void arm_says_again_while_events_wait(void **state);
void nobody_wakes_an_idle_sleeper(void **state);
void no_wakeup_is_lost_in_a_race(void **state);
void a_put_wakes_a_sleeper_in_each_direction(void **state);
void a_loss_wakes_a_sleeper(void **state);

#endif
