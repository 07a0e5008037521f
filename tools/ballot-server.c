/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-server.c - counts the votes of jobs whose ranks are elsewhere.
 */
#include "ballot.h"
#include "launch.h"
#include "server_report.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: ballot-server --listen HOST:PORT --ranks N --key FILE [options]\n"
    "Counts the votes of jobs of N ranks, one job after the other. It does "
    "not\n"
    "vote: with a quorum any rank may die or lie, and the others go on.\n"
    "\n"
    "  -l, --listen H:P    where the ranks find it; they get the same in\n"
    "                      BALLOT_SERVERS\n"
    "  -n, --ranks N       ranks of each job, 1 to 1024\n"
    "  -k, --key FILE      the job's key, as BALLOT_KEY_FILE of the ranks\n"
    "  -a, --auth none     everybody who reaches the port may join\n"
    "      --servers LIST  H:P,H:P,... of all servers that share the work, "
    "the\n"
    "                      same as BALLOT_SERVERS of the ranks; all meet at\n"
    "                      the first\n"
    "      --index I       which of the list this is (0)\n"
    "  -o, --once          end after one job\n"
    "  -s, --status S      a line every S seconds; SIGUSR1 asks for one too\n"
    "  -j, --json          lines of JSON\n"
    "      --trust-host    shared memory with processes of this user: faster,\n"
    "                      but they can write into each other's votes\n"
    "  -t, --threads T     that share the counting\n"
    "  -h, --help          print this\n"
    "      --version       print the version\n"
    "\n"
    "What the ranks agree on (chunk, window, quorum, deadlines, ties, "
    "weights,\n"
    "transport) holds here too. SIGTERM and SIGINT end it: ranks of a job get\n"
    "an error that names this server; a second one ends it at once.\n"
    "\n"
    "Exit code: 0 after a signal, or with --once when the job ended well; 1 "
    "for\n"
    "an error; 2 for a wrong command line.\n";

enum { OPTION_VERSION = 256, OPTION_SERVERS, OPTION_INDEX, OPTION_TRUST };
enum { HOST_BYTES = 64, AGAIN_MS = 100 };

struct service {
    struct ballot_server_config config;
    struct server_report report;
    struct ballot_server *server;
    bool once;
    uint32_t status_ms; /* 0: none */
    sigset_t signals;   /* that the watch takes */
    atomic_bool done;   /* the watch may end */
    int signal;         /* that ended us */
};

static int usage_error(const char *what, const char *text, const char *cure)
{
    fprintf(stderr, "ballot-server: %s%s%s; %s\n", what,
            text != NULL ? " " : "", text != NULL ? text : "", cure);
    return LAUNCH_EXIT_USAGE;
}

/* ---- The command line ---- */

static bool parse_number(const char *text, int least, int most,
                         uint32_t *number)
{
    int value;

    if (!launch_count(text, least, most, &value))
        return false;
    *number = (uint32_t)value;
    return true;
}

/* 0; or 1 when the program is to end with *code. */
static int parse_option(struct service *service, int option, int *code)
{
    struct ballot_server_config *config = &service->config;
    bool good = true;

    switch (option) {
    case 'l':
    case OPTION_SERVERS: config->servers_at = optarg; break;
    case 'n':
        good = parse_number(optarg, 1, BALLOT_RANKS_MAX, &config->ranks);
        break;
    case OPTION_INDEX:
        good = parse_number(optarg, 0, BALLOT_SERVERS_MAX - 1, &config->index);
        break;
    case 't': good = parse_number(optarg, 1, 64, &config->threads); break;
    case 'k': config->key_file = optarg; break;
    case 'a':
        good = strcmp(optarg, "none") == 0;
        config->auth = BALLOT_AUTH_NONE;
        break;
    case 's': good = launch_seconds(optarg, &service->status_ms); break;
    case 'o': service->once = true; break;
    case 'j': service->report.json = true; break;
    case OPTION_TRUST: config->trust_host = true; break;
    case 'h':
        fputs(help, stdout);
        *code = 0;
        return 1;
    case OPTION_VERSION:
        printf("ballot-server %d.%d.%d\n", BALLOT_VERSION_MAJOR,
               BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
        *code = 0;
        return 1;
    default:
        *code = usage_error("wrong option", NULL, "see ballot-server --help");
        return 1;
    }
    if (!good)
        *code = usage_error("bad value", optarg, "see ballot-server --help");
    return good ? 0 : 1;
}

/* 0; or 1 when the program is to end with *code. */
static int parse(struct service *service, int count, char **arguments,
                 int *code)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"ranks", required_argument, NULL, 'n'},
        {"key", required_argument, NULL, 'k'},
        {"auth", required_argument, NULL, 'a'},
        {"servers", required_argument, NULL, OPTION_SERVERS},
        {"index", required_argument, NULL, OPTION_INDEX},
        {"once", no_argument, NULL, 'o'},
        {"status", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"trust-host", no_argument, NULL, OPTION_TRUST},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    const char *none = "give one, as in ballot-server --listen host:4000 "
                       "--ranks 4 --key FILE";
    int option;

    while ((option = getopt_long(count, arguments, "l:n:k:a:s:ojt:h", options,
                                 NULL)) != -1)
        if (parse_option(service, option, code) != 0)
            return 1;
    if (optind < count)
        *code = usage_error("not an option:", arguments[optind],
                            "see ballot-server --help");
    else if (service->config.servers_at == NULL &&
             getenv("BALLOT_SERVERS") == NULL)
        *code = usage_error("no address", NULL, none);
    else if (service->config.ranks == 0)
        *code = usage_error("no number of ranks", NULL, none);
    else
        return 0;
    return 1;
}

/* ---- Signals and status, in a thread of their own ---- */

static void say_status(struct service *service)
{
    struct ballot_server_status status;

    ballot_server_status(service->server, &status);
    report_status(&service->report, &status);
}

static void *watch(void *context)
{
    struct service *service = context;
    const struct timespec period = {
        .tv_sec = service->status_ms / 1000,
        .tv_nsec = (long)(service->status_ms % 1000) * 1000000,
    };

    while (!atomic_load(&service->done)) {
        int signal = service->status_ms > 0
                         ? sigtimedwait(&service->signals, NULL, &period)
                         : sigwaitinfo(&service->signals, NULL);

        if (signal < 0 && errno == EINTR)
            continue;
        if (signal < 0 || signal == SIGUSR1) {
            if (!atomic_load(&service->done))
                say_status(service);
            continue;
        }
        if (service->signal != 0)
            _exit(128 + signal);
        service->signal = signal;
        ballot_server_stop(service->server);
    }
    return NULL;
}

/* ---- Jobs ---- */

static void say_joined(struct service *service)
{
    struct ballot_server_status status;
    char *hosts = calloc(service->config.ranks, HOST_BYTES);

    if (hosts == NULL)
        return;
    for (uint32_t r = 0; r < service->config.ranks; r++)
        ballot_server_host(service->server, r, hosts + (size_t)r * HOST_BYTES,
                           HOST_BYTES);
    ballot_server_status(service->server, &status);
    report_joined(&service->report, &status, hosts, HOST_BYTES);
    free(hosts);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Whether trying again can help; if so, not at once. */
static bool lasts(const struct service *service, int error)
{
    if (error == -ECANCELED)
        return true;
    if (service->config.index > 0 && (error == -EACCES || error == -EEXIST))
        return true;
    sleep_ms(AGAIN_MS);
    return false;
}

/* One job after the other; what the program exits with. */
static int serve_jobs(struct service *service)
{
    struct ballot_server_status status;
    int rc;

    do {
        rc = ballot_server_await(service->server);
        if (rc < 0) {
            if (rc != -ECANCELED)
                report_not_joined(&service->report, rc,
                                  ballot_last_error(NULL));
            if (lasts(service, rc))
                return rc == -ECANCELED ? 0 : 1;
            continue;
        }
        say_joined(service);
        rc = ballot_server_serve(service->server);
        ballot_server_status(service->server, &status);
        report_ended(&service->report, &status, rc, ballot_last_error(NULL));
    } while (!service->once && rc != -ECANCELED);
    return rc < 0 && rc != -ECANCELED ? 1 : 0;
}

static int run(struct service *service)
{
    struct ballot_server_status status;
    pthread_t thread;
    int rc, code;

    sigemptyset(&service->signals);
    sigaddset(&service->signals, SIGTERM);
    sigaddset(&service->signals, SIGINT);
    sigaddset(&service->signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &service->signals, NULL);
    rc = ballot_server_open(&service->server, &service->config);
    if (rc < 0) {
        fprintf(stderr, "ballot-server: %s\n", ballot_last_error(NULL));
        return 1;
    }
    ballot_server_status(service->server, &status);
    report_listening(&service->report, &status);
    rc = pthread_create(&thread, NULL, watch, service);
    if (rc != 0) {
        fprintf(stderr, "ballot-server: no thread for signals: %s\n",
                strerror(rc));
        ballot_server_close(&service->server);
        return 1;
    }
    code = serve_jobs(service);
    atomic_store(&service->done, true);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    if (service->signal != 0)
        report_stopped(&service->report, strsignal(service->signal));
    ballot_server_close(&service->server);
    return code;
}

int main(int count, char **arguments)
{
    struct service service = {0};
    int code;

    /* Processes of the same user could read the key and write the votes. */
    prctl(PR_SET_DUMPABLE, 0);
    if (parse(&service, count, arguments, &code) != 0)
        return code;
    service.report.ranks = service.config.ranks;
    service.report.index = service.config.index;
    service.report.key = service.config.auth != BALLOT_AUTH_NONE;
    return run(&service);
}
