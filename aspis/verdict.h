/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.h - who must be a liar, by what the workers contradict in each other.
 *
 * Three rules. `proof` is the one to rely on; it says only what follows from
 * the disputes and from the promise of at most liars_max liars among all
 * workers, and it is complete: no rule can prove more. `paper` and `paper+` are
 * the printed ones, for reproduction: liars can turn `paper` against honest
 * workers.
 *
 * No input or output, no allocation; of stack 16 KiB, and half a KiB for each
 * liar that the promise allows.
 */
#ifndef BALLOT_ASPIS_VERDICT_H
#define BALLOT_ASPIS_VERDICT_H

#include "workers.h"

enum {
    /* Nodes for one verdict: ten times what the hardest family of 256 workers
     * in test_verdict_hard.c takes. To spend them took 0.7 s (AMD EPYC). */
    VERDICT_NODES = 200000,
};

enum verdict_outcome {
    VERDICT_REACHED,   /* all that the rule can say is said */
    VERDICT_AMBIGUOUS, /* paper: there are several maximum cliques; nobody is
                          judged */
    VERDICT_BROKEN,    /* proof: more than liars_max must have lied; nobody is
                          judged */
    VERDICT_UNDECIDED, /* the nodes ran out: who is judged is judged rightly,
                          but others might be too */
};

/* The two sets are disjoint; all other workers are unproven. */
struct verdict {
    enum verdict_outcome outcome;
    struct worker_set byzantine; /* proven, or accused by a printed rule */
    struct worker_set honest;    /* proven, or trusted by a printed rule */
    uint64_t nodes;              /* of the search, spent */
};

/*
 * `proof`: a worker is proven Byzantine iff it is in every vertex cover of at
 * most liars_max workers of the graph of disputes, and proven honest iff it is
 * in none. Absent workers are judged by what they said before. Where nodes_max
 * did not suffice to find one such cover, nobody is judged.
 */
void verdict_proof(struct verdict *verdict, const struct graph *disputes,
                   uint32_t liars_max, uint64_t nodes_max);

/*
 * `paper`: if the graph of agreement among the workers that are present has
 * exactly one maximum clique, its members are trusted and the others accused.
 *
 * Source: Algorithm 1 of Konstantinidis and Ramamoorthy, "Aspis: A Robust
 * Detection System for Distributed Learning" (IEEE/ACM ToN 2023). It lists all
 * maximum cliques, which liars can make exponentially many; this looks for a
 * second one alone, and gives the same verdict.
 */
void verdict_paper(struct verdict *verdict, const struct graph *disputes,
                   const struct worker_set *present, uint64_t nodes_max);

/* What `paper+` remembers between rounds. Zeroed but for `length`, it stands
 * before the first round of a window. */
struct verdict_window {
    uint32_t length; /* rounds, >= 1; the paper takes 15 */
    uint32_t round;  /* of the window, the next one, < length */
    /* In which round of the window, counted from 1, each was flagged; 0: not
     * flagged. */
    uint32_t flagged[WORKERS_MAX];
};

/* Whether the next round opens a window: its agreement_begin() keeps nothing,
 * those of the other rounds keep the edges. */
bool verdict_window_opens(const struct verdict_window *window);

/*
 * `paper+`, at the end of a round: accused is who disputes with more than
 * liars_max others within the window, and stays so to its end; if they are more
 * than liars_max, the last ones to be flagged, and of one round those with the
 * lowest numbers. Trusted are the others that are present. An honest worker is
 * never accused while the promise holds. Liars that dispute with few are found
 * only if the workers of the tasks are drawn anew in each round.
 *
 * Source: Algorithm 3 of the same paper, Aspis+.
 */
void verdict_degrees(struct verdict *verdict, struct verdict_window *window,
                     const struct graph *disputes,
                     const struct worker_set *present, uint32_t liars_max);

#endif
