/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.h - finite fields of up to 256 elements, for the designs.
 *
 * An element is a number below the order: the digits of a polynomial over
 * GF(prime) to the base `prime`. 0 and 1 are the field's.
 */
#ifndef BALLOT_ASPIS_FIELD_H
#define BALLOT_ASPIS_FIELD_H

#include <stdbool.h>
#include <stdint.h>

enum { FIELD_ORDER_MAX = 256 };

struct field {
    uint32_t order;
    uint32_t prime;
    uint8_t power[FIELD_ORDER_MAX];    /* of a generator, by exponent */
    uint8_t exponent[FIELD_ORDER_MAX]; /* of each element but 0 */
};

/* False, and *field unspecified, unless the order is a prime power of 2 to
 * FIELD_ORDER_MAX: there is no other finite field. */
bool field_build(struct field *field, uint32_t order);

uint32_t field_add(const struct field *field, uint32_t a, uint32_t b);
uint32_t field_multiply(const struct field *field, uint32_t a, uint32_t b);

#endif
