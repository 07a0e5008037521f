/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.c - starts the ranks of a job on this host and watches over them.
 *
 * One loop sleeps in poll() on everything that can happen: output of the ranks,
 * their end (pidfd), signals to us (signalfd) and two clocks. Ranks that ended
 * stay zombies until the job is over, so that their process group numbers
 * cannot become somebody else's while we may still signal them.
 */
#include "launch.h"

#include "launch_room.h"
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    POLLS_A_RANK = 3, /* its end, stdout, stderr; one more is for signals */
    FILES_A_RANK = 3,
    FILES_OTHER = 32,
    NEVER = -1,
};

/* How hard we try to end the job; each phase has a deadline but the first. */
enum phase {
    PHASE_RUNNING,
    PHASE_GRACE, /* a rank failed; the others report their own error */
    PHASE_TERM,  /* SIGTERM was sent */
    PHASE_KILL,  /* SIGKILL was sent */
    PHASE_STUCK, /* the kernel does not let go of a process: give up */
};

struct child {
    pid_t pid;
    int pidfd; /* -1: it has ended */
    struct lines out;
    struct lines err;
};

struct job {
    const struct launch *launch;
    struct launch_room room;
    struct child *children; /* [launch->ranks], the first `started` are used */
    struct pollfd *polls;   /* [1 + POLLS_A_RANK * launch->ranks] */
    int started;
    int running;
    int signals; /* signalfd */
    int ends;    /* requests to end that came by signal */
    sigset_t mask_before;
    struct rlimit files_before;
    enum phase phase;
    int64_t phase_end_ms;
    int64_t timeout_end_ms;
    int exit_code;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Starting ----------------------------------------------------------- */

/* A signal that our parent ignores (nohup, a shell's background job) stays
 * ignored: signalfd would deliver it all the same. */
static void watch_signals(struct job *job)
{
    static const int passed[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    struct sigaction before;
    sigset_t watched;

    sigemptyset(&watched);
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        if (sigaction(passed[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            sigaddset(&watched, passed[i]);
    sigprocmask(SIG_BLOCK, &watched, &job->mask_before);
    job->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Else a pipe could become 0, 1 or 2 and be taken for what it is not. */
static void fill_standard_files(void)
{
    int file = 0;

    while (file >= 0 && file <= STDERR_FILENO)
        file = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(file);
}

static void raise_file_limit(struct job *job)
{
    rlim_t needed =
        (rlim_t)(FILES_A_RANK * job->launch->ranks) + (rlim_t)FILES_OTHER;
    struct rlimit raised;

    getrlimit(RLIMIT_NOFILE, &job->files_before);
    raised = job->files_before;
    if (raised.rlim_cur < needed) {
        raised.rlim_cur = raised.rlim_max < needed ? raised.rlim_max : needed;
        setrlimit(RLIMIT_NOFILE, &raised);
    }
}

/* What poll() and pipes of the launcher need not be known to a rank. */
static void forget_job(const struct job *job)
{
    for (int rank = 0; rank < job->started; rank++) {
        close(job->children[rank].pidfd);
        close(job->children[rank].out.from);
        close(job->children[rank].err.from);
    }
    close(job->signals);
}

/* Keeps the rank on a core: its own, where each can have one, else one that
 * neighbours share, so that all cores have as many. The scheduler may leave
 * three ranks on one core and one on another for seconds, as all are busy. */
static void bind_rank(int rank, int ranks)
{
    cpu_set_t cores, own;
    int count, place, seen = 0;

    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        return;
    count = CPU_COUNT(&cores);
    place = count < ranks ? (int)((long)rank * count / ranks) : rank;
    CPU_ZERO(&own);
    for (size_t core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &cores) && seen++ == place)
            CPU_SET(core, &own);
    sched_setaffinity(0, sizeof(own), &own);
}

/* Runs in the new process; never returns. */
static void become_rank(struct job *job, int rank, pid_t parent, const int *out,
                        const int *err)
{
    const struct launch *launch = job->launch;
    int null = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    if (null > STDIN_FILENO) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    for (int end = 0; end < 2; end++) {
        close(out[end]);
        close(err[end]);
    }
    forget_job(job);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &job->mask_before, NULL);
    setrlimit(RLIMIT_NOFILE, &job->files_before);
    launch_room_export(&job->room, rank, launch->ranks);
    if (launch->bound)
        bind_rank(rank, launch->ranks);
    exit(launch->body(launch->context));
}

static int start_rank(struct job *job, int rank)
{
    struct child *child = &job->children[rank];
    char prefix[LINES_PREFIX_BYTES_MAX] = "";
    pid_t parent = getpid();
    int out[2], err[2], error;

    if (pipe2(out, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(err, O_CLOEXEC) != 0) {
        error = -errno;
        goto close_out;
    }
    child->pid = fork();
    if (child->pid < 0) {
        error = -errno;
        goto close_err;
    }
    if (child->pid == 0)
        become_rank(job, rank, parent, out, err);
    /* Here and in the child: whoever comes first, the group exists. */
    setpgid(child->pid, child->pid);
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd < 0) {
        error = -errno;
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        goto close_err;
    }
    close(out[1]);
    close(err[1]);
    if (job->launch->prefixed)
        snprintf(prefix, sizeof(prefix), "[%d] ", rank);
    lines_open(&child->out, out[0], STDOUT_FILENO, prefix);
    lines_open(&child->err, err[0], STDERR_FILENO, prefix);
    job->started++;
    job->running++;
    return 0;

close_err:
    close(err[0]);
    close(err[1]);
close_out:
    close(out[0]);
    close(out[1]);
    return error;
}

/* The entries of a rank: its end, stdout, stderr. */
static struct pollfd *polls_of(const struct job *job, int rank)
{
    return &job->polls[1 + POLLS_A_RANK * rank];
}

/* ---- Ending ------------------------------------------------------------- */

/* To the groups of ended ranks too: what they left behind is in there. */
static void signal_all(const struct job *job, int number)
{
    for (int rank = 0; rank < job->started; rank++)
        kill(-job->children[rank].pid, number);
}

static void enter_phase(struct job *job, enum phase phase)
{
    job->phase = phase;
    job->phase_end_ms = now_ms() + job->launch->grace_ms;
    if (phase == PHASE_TERM) {
        signal_all(job, SIGTERM);
        /* A stopped process takes no SIGTERM until it goes on. */
        signal_all(job, SIGCONT);
    } else if (phase == PHASE_KILL) {
        signal_all(job, SIGKILL);
    }
}

static void say_running(const struct job *job, const char *what)
{
    const char *separator = "";

    fprintf(stderr, "%s: %s: rank%s ", job->launch->program, what,
            job->running > 1 ? "s" : "");
    for (int rank = 0; rank < job->started; rank++)
        if (job->children[rank].pidfd >= 0) {
            fprintf(stderr, "%s%d", separator, rank);
            separator = ", ";
        }
    fputc('\n', stderr);
}

static void drain(struct child *child)
{
    while (lines_forward(&child->out) > 0)
        continue;
    while (lines_forward(&child->err) > 0)
        continue;
}

/* A rank has ended: says how, unless we were ending it ourselves. */
static void take_end(struct job *job, int rank, const siginfo_t *end)
{
    struct child *child = &job->children[rank];
    const char *program = job->launch->program;
    int code =
        end->si_code == CLD_EXITED ? end->si_status : 128 + end->si_status;

    drain(child);
    close(child->pidfd);
    child->pidfd = -1;
    job->running--;
    if (code == 0 || job->phase > PHASE_GRACE)
        return;
    if (end->si_code == CLD_EXITED)
        fprintf(stderr, "%s: rank %d exited with code %d\n", program, rank,
                code);
    else
        fprintf(stderr, "%s: rank %d was killed by signal %d (%s)\n", program,
                rank, end->si_status, strsignal(end->si_status));
    if (job->phase == PHASE_RUNNING) {
        job->exit_code = code;
        enter_phase(job, PHASE_GRACE);
    }
}

/*
 * Looks at all ranks whose end was seen by one poll(). Their order is lost, so
 * those that a signal killed come first: the others, as a rule, only noticed.
 */
static void take_ends(struct job *job)
{
    for (int killed = 1; killed >= 0; killed--)
        for (int rank = 0; rank < job->started; rank++) {
            struct child *child = &job->children[rank];
            siginfo_t end = {0};

            if (child->pidfd < 0 || polls_of(job, rank)[0].revents == 0 ||
                waitid(P_PID, (id_t)child->pid, &end,
                       WEXITED | WNOHANG | WNOWAIT) != 0 ||
                end.si_pid == 0)
                continue;
            if (!killed || end.si_code != CLD_EXITED)
                take_end(job, rank, &end);
        }
}

/* ---- The loop ----------------------------------------------------------- */

static void take_signals(struct job *job)
{
    struct signalfd_siginfo got;

    while (read(job->signals, &got, sizeof(got)) == (ssize_t)sizeof(got)) {
        int number = (int)got.ssi_signo;

        signal_all(job, number);
        if (number == SIGUSR1 || number == SIGUSR2)
            continue;
        if (++job->ends == 1)
            continue;
        fprintf(stderr, "%s: second request to end: killing all ranks\n",
                job->launch->program);
        if (job->exit_code == 0)
            job->exit_code = 128 + number;
        enter_phase(job, PHASE_KILL);
    }
}

static void take_clocks(struct job *job)
{
    int64_t now = now_ms();

    if (job->phase == PHASE_RUNNING) {
        if (job->timeout_end_ms == NEVER || now < job->timeout_end_ms)
            return;
        fprintf(stderr, "%s: not finished after %g s\n", job->launch->program,
                job->launch->timeout_ms / 1000.0);
        say_running(job, "still running");
        job->exit_code = LAUNCH_EXIT_TIMEOUT;
        enter_phase(job, PHASE_TERM);
    } else if (now >= job->phase_end_ms) {
        if (job->phase == PHASE_GRACE)
            say_running(job, "ending the others");
        if (job->phase == PHASE_KILL)
            say_running(job, "not ended even by SIGKILL, left behind");
        enter_phase(job, job->phase + 1);
    }
}

static int poll_ms(const struct job *job)
{
    int64_t end =
        job->phase == PHASE_RUNNING ? job->timeout_end_ms : job->phase_end_ms;
    int64_t left;

    if (end == NEVER)
        return -1;
    left = end - now_ms();
    if (left < 0)
        return 0;
    return left > 1000000 ? 1000000 : (int)left;
}

static void fill_polls(struct job *job)
{
    job->polls[0] = (struct pollfd){.fd = job->signals, .events = POLLIN};
    for (int rank = 0; rank < job->started; rank++) {
        const struct child *child = &job->children[rank];
        struct pollfd *polls = polls_of(job, rank);

        polls[0] = (struct pollfd){.fd = child->pidfd, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = child->out.from, .events = POLLIN};
        polls[2] = (struct pollfd){.fd = child->err.from, .events = POLLIN};
    }
}

static void watch(struct job *job)
{
    while (job->running > 0 && job->phase != PHASE_STUCK) {
        nfds_t polls = 1 + POLLS_A_RANK * (nfds_t)job->started;

        fill_polls(job);
        if (poll(job->polls, polls, poll_ms(job)) > 0) {
            for (int rank = 0; rank < job->started; rank++) {
                if (polls_of(job, rank)[1].revents != 0)
                    lines_forward(&job->children[rank].out);
                if (polls_of(job, rank)[2].revents != 0)
                    lines_forward(&job->children[rank].err);
            }
            take_ends(job);
            if (job->polls[0].revents != 0)
                take_signals(job);
        }
        take_clocks(job);
    }
}

/* ---- The whole ---------------------------------------------------------- */

static void end_job(struct job *job)
{
    signal_all(job, SIGKILL);
    for (int rank = 0; rank < job->started; rank++) {
        struct child *child = &job->children[rank];

        drain(child);
        lines_close(&child->out);
        lines_close(&child->err);
        waitpid(child->pid, NULL, child->pidfd < 0 ? 0 : WNOHANG);
        if (child->pidfd >= 0)
            close(child->pidfd);
    }
    if (job->signals >= 0)
        close(job->signals);
    setrlimit(RLIMIT_NOFILE, &job->files_before);
    sigprocmask(SIG_SETMASK, &job->mask_before, NULL);
}

static void start_all(struct job *job)
{
    const struct launch *launch = job->launch;
    int error = 0, rank;

    fflush(NULL);
    for (rank = 0; rank < launch->ranks && error == 0; rank++)
        error = start_rank(job, rank);
    if (error == 0)
        return;
    fprintf(stderr,
            "%s: cannot start rank %d of %d: %s; fewer ranks (-n), or more "
            "processes and files (ulimit -u, ulimit -n) help\n",
            launch->program, rank - 1, launch->ranks, strerror(-error));
    job->exit_code = 1;
    enter_phase(job, PHASE_KILL);
}

int launch_run(const struct launch *launch)
{
    struct job job = {
        .launch = launch,
        .timeout_end_ms =
            launch->timeout_ms > 0 ? now_ms() + launch->timeout_ms : NEVER,
    };
    size_t ranks = (size_t)launch->ranks;
    void (*pipe_before)(int);

    fill_standard_files();
    if (launch_room_open(&job.room, launch->program, launch->key_file) != 0)
        return 1;
    job.children = calloc(ranks, sizeof(*job.children));
    job.polls = calloc(1 + POLLS_A_RANK * ranks, sizeof(*job.polls));
    if (job.children == NULL || job.polls == NULL) {
        fprintf(stderr, "%s: out of memory for %d ranks\n", launch->program,
                launch->ranks);
        job.exit_code = 1;
        goto free_job;
    }
    /* Who reads us may leave: lines_forward() then ends what is written. */
    pipe_before = signal(SIGPIPE, SIG_IGN);
    raise_file_limit(&job);
    watch_signals(&job);
    start_all(&job);
    watch(&job);
    end_job(&job);
    signal(SIGPIPE, pipe_before);

free_job:
    free(job.polls);
    free(job.children);
    launch_room_close(&job.room);
    return job.exit_code;
}
