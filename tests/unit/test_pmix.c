/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pmix.c - what is written down of PMIx's interface is what its header
 * says, where that is installed; and no launcher is an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collective/comm.h"
#include "collective/pmix.h"

/* libpmix keeps a string of what it is asked for, before it knows whether there
 * is a launcher. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(
    void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpmix.so";
}

#ifdef PMIX_HEADER
#include <pmix.h>

#define SAME(ours, theirs)      _Static_assert((ours) == (theirs), #theirs)
#define SAME_SIZE(ours, theirs) SAME(sizeof(ours), sizeof(theirs))
#define SAME_PLACE(ours, member, theirs, other)                                \
    SAME(offsetof(ours, member), offsetof(theirs, other))

SAME_SIZE(struct pmix_process, pmix_proc_t);
SAME_PLACE(struct pmix_process, space, pmix_proc_t, nspace);
SAME_PLACE(struct pmix_process, rank, pmix_proc_t, rank);
SAME_SIZE(((struct pmix_process *)NULL)->rank, pmix_rank_t);
/* Theirs begins with a type that has the name of ours. */
SAME(sizeof(struct pmix_text_value), sizeof(pmix_value_t));
SAME_PLACE(struct pmix_text_value, type, pmix_value_t, type);
SAME_PLACE(struct pmix_text_value, data, pmix_value_t, data);
SAME_SIZE(((struct pmix_text_value *)NULL)->type, pmix_data_type_t);
SAME_SIZE(struct pmix_option, pmix_info_t);
SAME_PLACE(struct pmix_option, flags, pmix_info_t, flags);
SAME_PLACE(struct pmix_option, value, pmix_info_t, value);
SAME_SIZE(((struct pmix_option *)NULL)->flags, pmix_info_directives_t);
SAME((int)PMIX_VALUE_FLAG, PMIX_BOOL);
SAME((int)PMIX_VALUE_STRING, PMIX_STRING);
SAME((int)PMIX_VALUE_NUMBER, PMIX_UINT32);
SAME((int)PMIX_SUCCEEDED, PMIX_SUCCESS);
SAME((int)PMIX_DONE_AT_ONCE, PMIX_OPERATION_SUCCEEDED);
SAME((int)PMIX_SCOPE_GLOBAL, PMIX_GLOBAL);
SAME(PMIX_RANK_OF_JOB, PMIX_RANK_WILDCARD);
SAME_SIZE(uint8_t, pmix_scope_t);
SAME_SIZE(int, pmix_status_t);
#endif

static void the_header_agrees(void **state)
{
    (void)state;
#ifdef PMIX_HEADER
    assert_string_equal(PMIX_COLLECT_DATA, "pmix.collect");
    assert_string_equal(PMIX_JOB_SIZE, "pmix.job.size");
#else
    print_message("there is no pmix.h here (apt-get install libpmix-dev)\n");
    skip();
#endif
}

/* No server, or no library. */
static void without_a_launcher_there_is_an_error(void **state)
{
    char why[ERROR_BYTES] = "";
    uint8_t byte = 0;
    int ranks = -7;
    int rc = pmix_size(&ranks, clock_now_ns() + 5 * UINT64_C(1000000000), why);

    (void)state;
    if (rc != -ENOSYS)
        assert_int_equal(rc, -EPROTO);
    assert_int_equal(ranks, -7);
    assert_non_null(strstr(why, "BALLOT_ROOT=host:port"));
    rc = pmix_share(&byte, 1, 0, clock_now_ns(), why);
    assert_true(rc == -ENOSYS || rc == -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_agrees),
        cmocka_unit_test(without_a_launcher_there_is_an_error),
    };

    for (char **e = environ; *e != NULL;) {
        char *equals = strchr(*e, '=');

        if (strncmp(*e, "PMIX_", 5) == 0 && equals != NULL) {
            *equals = '\0';
            unsetenv(*e);
            e = environ;
        } else {
            e++;
        }
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
