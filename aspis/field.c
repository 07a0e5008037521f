/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.c - finite fields of up to 256 elements, for the designs.
 *
 * GF(p^m) is the polynomials over GF(p) modulo one of degree m. One is good for
 * it if the powers of x pass through all p^m - 1 elements but 0, since then
 * each of them has an inverse. There is such a polynomial for every p and m (a
 * primitive one), so that the first one found by trial is taken; the walk
 * through the powers of x is the table of logarithms to multiply by.
 */
#include "field.h"

/* The prime that `order` is a power of; 0 if it is none. */
static uint32_t prime_of(uint32_t order)
{
    uint32_t prime = 2;

    if (order < 2 || order > FIELD_ORDER_MAX)
        return 0;
    while (order % prime != 0)
        prime++;
    while (order % prime == 0)
        order /= prime;
    return order == 1 ? prime : 0;
}

/* a + times * b, digit by digit. */
static uint32_t add_times(const struct field *field, uint32_t a, uint32_t times,
                          uint32_t b)
{
    uint32_t sum = 0;

    for (uint32_t place = 1; place < field->order; place *= field->prime) {
        sum += (a + times * b) % field->prime * place;
        a /= field->prime;
        b /= field->prime;
    }
    return sum;
}

/* Fills the tables where x^m is the element `reduced`; true if x generates. */
static bool walk(struct field *field, uint32_t reduced)
{
    const uint32_t highest = field->order / field->prime;
    uint32_t element = 1;

    for (uint32_t e = 0; e < field->order - 1; e++) {
        if (e > 0 && element == 1)
            return false;
        field->power[e] = (uint8_t)element;
        field->exponent[element] = (uint8_t)e;
        element = add_times(field, element % highest * field->prime,
                            element / highest, reduced);
    }
    return element == 1;
}

bool field_build(struct field *field, uint32_t order)
{
    *field = (struct field){.order = order, .prime = prime_of(order)};
    if (field->prime == 0)
        return false;
    for (uint32_t reduced = 1; reduced < order; reduced++)
        if (walk(field, reduced))
            return true;
    return false;
}

uint32_t field_add(const struct field *field, uint32_t a, uint32_t b)
{
    return add_times(field, a, 1, b);
}

uint32_t field_multiply(const struct field *field, uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return field->power[((uint32_t)field->exponent[a] + field->exponent[b]) %
                        (field->order - 1)];
}
