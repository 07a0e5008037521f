/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memory_node.c - which NUMA node is chosen, that memory is bound to it,
 * and that it works all the same where the system refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <numaif.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport/memory.h"
#include "transport/memory_node.h"

enum { BYTES = 3 * 4096 };

static void add(struct node_set *nodes, unsigned int node)
{
    nodes->words[node / NODE_BITS] |= 1UL << (node % NODE_BITS);
}

static bool has(const struct node_set *nodes, int node)
{
    return (nodes->words[node / NODE_BITS] >> (node % NODE_BITS) & 1) != 0;
}

static void a_thread_prefers_its_own_node_where_there_are_more(void **state)
{
    struct node_set none = {{0}}, one = {{0}}, some = {{0}};

    (void)state;
    add(&one, 1);
    add(&some, 0);
    add(&some, 64);
    add(&some, NODES_MAX - 1);
    assert_int_equal(memory_node_choose(&none, 0), -1);
    assert_int_equal(memory_node_choose(&one, 1), -1);
    assert_int_equal(memory_node_choose(&one, 0), -1);
    assert_int_equal(memory_node_choose(&some, 0), 0);
    assert_int_equal(memory_node_choose(&some, 64), 64);
    assert_int_equal(memory_node_choose(&some, NODES_MAX - 1), NODES_MAX - 1);
    /* A node of processors alone, and what is no node. */
    assert_int_equal(memory_node_choose(&some, 1), -1);
    assert_int_equal(memory_node_choose(&some, NODES_MAX), -1);
    assert_int_equal(memory_node_choose(&some, UINT32_MAX), -1);
}

/* The node that memory prefers; -1: none. */
static int preferred(void *memory)
{
    struct node_set nodes = {{0}};
    int mode, node = 0;

    assert_int_equal(
        get_mempolicy(&mode, nodes.words, NODES_MAX, memory, MPOL_F_ADDR), 0);
    if (mode != MPOL_PREFERRED)
        return -1;
    while (!has(&nodes, node))
        node++;
    return node;
}

static void memory_is_bound_to_a_node_and_to_no_wrong_one(void **state)
{
    struct node_set usable;
    void *memory = NULL, *theirs = NULL;
    int descriptor = -1, node = 0;

    (void)state;
    if (memory_nodes(&usable) < 0)
        skip();
    while (!has(&usable, node))
        node++;
    assert_int_equal(memory_map(&memory, BYTES), 0);
    assert_int_equal(preferred(memory), memory_node_here());
    assert_int_equal(memory_node_bind(memory, BYTES, -1), -EINVAL);
    assert_int_equal(memory_node_bind(memory, BYTES, NODES_MAX), -EINVAL);
    assert_true(memory_node_bind(memory, BYTES, NODES_MAX - 1) < 0);
    assert_int_equal(preferred(memory), memory_node_here());
    assert_int_equal(memory_node_bind(memory, BYTES, node), 0);
    assert_int_equal(preferred(memory), node);
    memory_unmap(memory, BYTES);

    assert_int_equal(memory_share(&memory, &descriptor, BYTES, MEMORY_WRITE),
                     0);
    assert_int_equal(memory_node_bind(memory, BYTES, node), 0);
    assert_int_equal(memory_attach(&theirs, descriptor, BYTES, MEMORY_WRITE),
                     0);
    assert_int_equal(preferred(theirs), node);
    close(descriptor);
    memory_unmap(theirs, BYTES);
    memory_unmap(memory, BYTES);
}

static void facts_agree_with_what_is_done(void **state)
{
    struct memory_facts facts = memory_facts();
    struct node_set usable;
    int nodes = memory_nodes(&usable);

    (void)state;
    assert_int_equal(facts.nodes, nodes < 0 ? 0 : nodes);
    assert_true(facts.nodes != 0 || facts.refused < 0);
    if (facts.nodes == 1)
        assert_int_equal(facts.refused, 0);
    if (facts.nodes <= 1 || facts.refused < 0)
        assert_int_equal(facts.node, -1);
    else
        assert_int_equal(facts.node, memory_node_here());
}

/* As in a container: these two calls fail with `error`. */
static bool refuse(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_get_mempolicy, 0, 1),
        BPF_STMT(BPF_RET | BPF_K,
                 SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {
        .len = sizeof(filter) / sizeof(filter[0]),
        .filter = filter,
    };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a process of its own; 0, or which step failed. */
static int map_refused(int error)
{
    struct memory_facts facts;
    void *memory = NULL, *shared = NULL;
    int descriptor = -1;

    if (!refuse(error))
        return 77;
    if (memory_map(&memory, BYTES) != 0 ||
        memory_share(&shared, &descriptor, BYTES, MEMORY_WRITE) != 0)
        return 1;
    *(char *)memory = *(char *)shared = 1;
    memory_unmap(memory, BYTES);
    memory_unmap(shared, BYTES);
    facts = memory_facts();
    return facts.nodes == 0 && facts.node == -1 && facts.refused < 0 ? 0 : 2;
}

static void a_system_that_refuses_does_no_harm(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        int status;
        pid_t child = fork();

        if (child == 0)
            _exit(map_refused(errors[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_prefers_its_own_node_where_there_are_more),
        cmocka_unit_test(memory_is_bound_to_a_node_and_to_no_wrong_one),
        cmocka_unit_test(facts_agree_with_what_is_done),
        cmocka_unit_test(a_system_that_refuses_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
