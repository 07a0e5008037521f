/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_attack.h - what liars do: to try a job, a rule or an own idea against
 * them before they come.
 *
 * An attack has two halves. A distortion says what a liar puts in place of a
 * gradient or its signs; a cast says who lies in which of the redundant tasks.
 * All of it is a function of its arguments alone, so each liar finds by itself
 * what the others do: no message goes between them. Nothing is allocated.
 *
 * Functions return 0, or what their comment says; -EINVAL for an argument that
 * is out of range, and nothing was written.
 */
#ifndef BALLOT_ATTACK_H
#define BALLOT_ATTACK_H

#include <ballot.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Distortions --------------------------------------------------------- */

enum ballot_attack {
    /* -factor times the truth (100); all signs are inverted. */
    BALLOT_ATTACK_REVERSED,
    /* `factor` everywhere (-100); signs are that of it. */
    BALLOT_ATTACK_CONSTANT,
    /* Noise that hardly differs from normal, times factor (1); random signs. */
    BALLOT_ATTACK_RANDOM,
    /* "A little is enough" (Baruch et al., NeurIPS 2019): the mean of the
     * honest values and factor (1) times their standard deviation. Of signs
     * only the doubtful ones are turned. */
    BALLOT_ATTACK_ALIE,
    /* Inner product manipulation (Xie et al., UAI 2019): -factor (100) times
     * the mean of the honest values. */
    BALLOT_ATTACK_PRODUCT,
    /* Against the majority of the honest signs, factor (1) in size; where they
     * are even, for minus. */
    BALLOT_ATTACK_ANTI,
    /* With the majority of the honest signs, and against it in `share` (0.4)
     * of the coordinates, those where it is smallest. */
    BALLOT_ATTACK_SELECTIVE,
    /* Repeats what the first honest worker said. */
    BALLOT_ATTACK_MIMIC,
    /* Says nothing; ballot_attack_lie() returns 1. */
    BALLOT_ATTACK_SILENT,
    /* Not a number; as a sign that is plus. */
    BALLOT_ATTACK_NAN,
    BALLOT_ATTACKS
};

/* What a liar knows; zeroed, it is what most attacks need. */
struct ballot_attack_scene {
    /* [honest_count] vectors of as many coordinates, of the same type: what
     * honest workers say. ALIE, PRODUCT, ANTI, SELECTIVE and MIMIC need one. */
    const void *const *honest;
    uint32_t honest_count; /* <= BALLOT_RANKS_MAX */
    float factor;          /* 0: the number in brackets above */
    float share;           /* 0: 0.4 */
    /* RANDOM: the same noise from all who give the same four. */
    uint64_t seed;
    uint64_t step;
    uint32_t task;
    uint32_t voice; /* ballot_cast_voice() */
};

/*
 * values[count], the liar's true ones, become the lie. Of BALLOT_FLOAT32 or
 * BALLOT_SIGNS (words of 64 signs, of which those behind the last coordinate
 * become 0). 1: the liar says nothing, and `values` is as before.
 */
BALLOT_API int ballot_attack_lie(enum ballot_attack attack, void *values,
                                 size_t count, enum ballot_type type,
                                 const struct ballot_attack_scene *scene);

/* Leaves of a lie in signs the first `most` coordinates that are not true, and
 * makes the others so. To hide within a tolerance, or just beyond it. */
BALLOT_API void ballot_attack_limit(uint64_t *lie, const uint64_t *truth,
                                    size_t count, uint64_t most);

/* "reversed", ...; NULL from BALLOT_ATTACKS on. */
BALLOT_API const char *ballot_attack_name(enum ballot_attack attack);

/* ---- Casts --------------------------------------------------------------- */

enum { BALLOT_CAST_WORKERS_MAX = 256, BALLOT_CAST_WORDS = 4 };

/*
 * Who lies where. But for the first and PROMISE_BROKEN the liars of a task say
 * the same. The papers are those of Aspis, arXiv:2108.02416 and 2208.08085.
 */
enum ballot_scheme {
    /* Each lies in all its tasks, by itself (ATT-1). */
    BALLOT_SCHEME_INDEPENDENT,
    /* All lie where each honest worker of the task is one of as many victims as
     * there are liars (ATT-2): disputes could be either side's fault. */
    BALLOT_SCHEME_FIXED,
    /* All lie where they are the majority of the task (ATT-3). */
    BALLOT_SCHEME_MAJORITY,
    /* As FIXED with one victim fewer: by the paper's rule the liars are the
     * largest group that agrees, and take over. */
    BALLOT_SCHEME_TAKE_OVER,
    /* All but one lie in all their tasks. That one makes a tie with a single
     * victim, for which the paper's rule counts the votes of all. */
    BALLOT_SCHEME_SCAPEGOAT,
    /* As FIXED with one victim, whom the paper's rule expels. */
    BALLOT_SCHEME_FRAMING,
    /* Each liar disputes with one victim of its own and nobody else: as many
     * ways to be guilty as 2^liars. That takes a tolerance: other liars of the
     * task say half of the lie. */
    BALLOT_SCHEME_MATCHING,
    /* One liar more than was promised, and all lie in all their tasks. */
    BALLOT_SCHEME_PROMISE_BROKEN,
    /* All lie where no honest worker has the task: nobody can see it. */
    BALLOT_SCHEME_SILENT_GROUP,
    BALLOT_SCHEMES
};

/* Bit w mod 64 of word w / 64 is worker w. Every field may be set by hand. */
struct ballot_cast {
    enum ballot_scheme scheme;
    uint32_t workers; /* 1..BALLOT_CAST_WORKERS_MAX */
    uint64_t liars[BALLOT_CAST_WORDS];
    uint64_t loud[BALLOT_CAST_WORDS]; /* liars that lie in all their tasks */
    uint64_t victims[BALLOT_CAST_WORDS];
    float rate;    /* chance that a lie is told where the scheme says so; 1 */
    uint64_t seed; /* of that chance */
};

/*
 * Casts the liars: `liars` of the workers, or one more where the promise is
 * broken. With seed 0 the first ones, and the victims are the first honest
 * ones; any other seed draws both. -EINVAL too if they are not the minority,
 * but where the promise is broken.
 */
BALLOT_API int ballot_cast_draw(struct ballot_cast *cast,
                                enum ballot_scheme scheme, uint32_t workers,
                                uint32_t liars, uint64_t seed);

/* As above for liars that are given, [BALLOT_CAST_WORDS]: just these. */
BALLOT_API int ballot_cast_among(struct ballot_cast *cast,
                                 enum ballot_scheme scheme, uint32_t workers,
                                 const uint64_t *liars, uint64_t seed);

enum ballot_part {
    BALLOT_PART_TRUTH,
    BALLOT_PART_LIE,
    /* What is nearer to truth and lie than these are to each other, as
     * ballot_attack_limit() makes it. */
    BALLOT_PART_HALF,
};

/*
 * What `worker` says for a task that it computes.
 *   members[replicas]   who computes the task, it among them
 */
BALLOT_API enum ballot_part ballot_cast_part(const struct ballot_cast *cast,
                                             int worker, uint64_t step,
                                             uint32_t task, const int *members,
                                             uint32_t replicas);

/* The same for liars that say the same, 0; else one more than the worker. */
BALLOT_API uint32_t ballot_cast_voice(const struct ballot_cast *cast,
                                      int worker);

/* Whether it lies at all. */
BALLOT_API bool ballot_cast_lies(const struct ballot_cast *cast, int worker);

/* "independent", ...; NULL from BALLOT_SCHEMES on. */
BALLOT_API const char *ballot_scheme_name(enum ballot_scheme scheme);

#ifdef __cplusplus
}
#endif

#endif
