/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - what the scenarios of the program `worker` share.
 *
 * A worker is one rank, started by the Python scripts beside it as a user's
 * program would be: it links the shared library and sees ballot.h only. What it
 * observes it prints as lines of "word key=value ...".
 */
#ifndef TESTS_WHOLE_WORKER_H
#define TESTS_WHOLE_WORKER_H

#include <ballot.h>

/* "key=value" of the command line, or what else it is. */
uint64_t option(const char *key, uint64_t otherwise);
const char *option_text(const char *key, const char *otherwise);

uint64_t now_ns(void); /* CLOCK_MONOTONIC, as Python's time.monotonic() */
void sleep_ms(uint64_t ms);

/* One line on stdout, at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program with a message if a call failed that had to succeed. */
void need(int rc, const struct ballot_comm *comm, const char *what);
/* Zeroed memory, or the end of the program. */
void *need_memory(size_t bytes);

/* Joins as the environment says; `config` may be NULL. */
struct ballot_comm *join(const struct ballot_config *config);

/* "usage": what this process has taken after so many cycles. */
void say_usage(uint64_t cycle, uint64_t begin);

uint64_t mix(uint64_t x);
/* Goes on from `hash`; begin with 0. */
uint64_t digest(uint64_t hash, const void *bytes, size_t count);

/* ---- Scenarios: 0, or the exit code of a failure ---- */

int stream(void);    /* one kind of call again and again until it fails */
int train(void);     /* votes with a quorum, checked round by round */
int disagree(void);  /* good calls, one that differs, good calls */
int arguments(void); /* what is out of range */
int abort_call(void);
int init_only(void);

int cycles(void);  /* init and finalize, and what they leave behind */
int threads(void); /* the same, with all ranks in one process */
int idle(void);
int async(void);
int requests(void);  /* 16 of them, and the 17th */
int several(void);   /* communicators in several threads */
int by_id(void);     /* a unique id that travels in a file */
int launched(void);  /* by whomever: communicators, one after the other */
int allgather(void); /* threads that gather through memory */
int serve(void);     /* no rank: a server, and what its jobs leave behind */

int part(void);    /* splits and copies, and what they compute */
int side(void);    /* parent and children in several threads at once */
int mistake(void); /* splits that one rank, or all, get wrong */
int cancel(void);  /* abort while one is made */
int remake(void);  /* communicators made of one, and what they leave behind */
int survive(void); /* votes until somebody dies, then goes on without it */
int inherit(void); /* what the new one has of the old one's configuration */

int values(void);  /* every type and option against another computation */
int dissent(void); /* what this rank has counted of it */
int sums(void);
int collectives(void); /* every one, or a sample */
int beside(void);      /* on several communicators at once */
int crowded(void);     /* more requests in a group than there are */
int unsent(void);      /* what nobody sends is received */
int crossed(void);     /* an exchange that one rank leaves out */
int stopped(void);     /* calls after one that has failed, with a quorum */
int programs(void);    /* of calls by a seed, some of them wrong */
int signum(void);
int feedback(void);
int aspis(void);   /* redundant rounds, with liars, and what is reported */
int designs(void); /* what a design refuses */
int truths(void);  /* redundant rounds of which only the truth is known */
int memory(void);  /* and how much memory they take at the server */

#endif
