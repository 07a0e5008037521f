/* SPDX-License-Identifier: Apache-2.0 */
/* test_field.c - finite fields against the axioms of a field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aspis/field.h"

static bool is_prime(uint32_t n)
{
    for (uint32_t d = 2; d < n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

/* Counts up the powers of every prime. */
static bool is_prime_power(uint32_t n)
{
    for (uint32_t prime = 2; prime <= n; prime++)
        for (uint32_t power = prime; is_prime(prime) && power <= n;
             power *= prime)
            if (power == n)
                return true;
    return false;
}

static void fields_are_of_prime_powers_alone(void **state)
{
    struct field field;

    (void)state;
    for (uint32_t order = 0; order <= FIELD_ORDER_MAX; order++)
        assert_int_equal(field_build(&field, order), is_prime_power(order));
    assert_false(field_build(&field, 257)); /* a prime, but too large */
    assert_false(field_build(&field, UINT32_MAX));
}

/* Every row of both tables is a permutation: there is an inverse. */
static void assert_inverses(const struct field *field)
{
    for (uint32_t a = 0; a < field->order; a++) {
        bool sums[FIELD_ORDER_MAX] = {false};
        bool products[FIELD_ORDER_MAX] = {false};

        for (uint32_t b = 0; b < field->order; b++) {
            const uint32_t sum = field_add(field, a, b);
            const uint32_t product = field_multiply(field, a, b);

            assert_true(sum < field->order && product < field->order);
            assert_false(sums[sum]);
            assert_true(a == 0 ? product == 0 : !products[product]);
            sums[sum] = products[product] = true;
            assert_int_equal(sum, field_add(field, b, a));
            assert_int_equal(product, field_multiply(field, b, a));
        }
        assert_int_equal(field_add(field, a, 0), a);
        assert_int_equal(field_multiply(field, a, 1), a);
    }
}

static void assert_laws(const struct field *f, uint32_t a, uint32_t b,
                        uint32_t c)
{
    assert_int_equal(field_add(f, field_add(f, a, b), c),
                     field_add(f, a, field_add(f, b, c)));
    assert_int_equal(field_multiply(f, field_multiply(f, a, b), c),
                     field_multiply(f, a, field_multiply(f, b, c)));
    assert_int_equal(
        field_multiply(f, a, field_add(f, b, c)),
        field_add(f, field_multiply(f, a, b), field_multiply(f, a, c)));
}

/* All triples of small fields; of large ones every third one or so. */
static void every_field_keeps_the_axioms(void **state)
{
    struct field field;

    (void)state;
    for (uint32_t order = 2; order <= FIELD_ORDER_MAX; order++) {
        const uint32_t step = order / 16 + 1;

        if (!field_build(&field, order))
            continue;
        assert_inverses(&field);
        for (uint32_t a = 0; a < order; a += step)
            for (uint32_t b = 0; b < order; b += step)
                for (uint32_t c = 1; c < order; c += step)
                    assert_laws(&field, a, b, c);
    }
}

static void a_prime_field_counts_modulo_its_prime(void **state)
{
    struct field field;

    (void)state;
    assert_true(field_build(&field, 7));
    for (uint32_t a = 0; a < 7; a++)
        for (uint32_t b = 0; b < 7; b++) {
            assert_int_equal(field_add(&field, a, b), (a + b) % 7);
            assert_int_equal(field_multiply(&field, a, b), a * b % 7);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_of_prime_powers_alone),
        cmocka_unit_test(every_field_keeps_the_axioms),
        cmocka_unit_test(a_prime_field_counts_modulo_its_prime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
