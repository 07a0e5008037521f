/* SPDX-License-Identifier: Apache-2.0 */
/* server_report.c - what ballot-server says: lines for people, or of JSON. */
#include "server_report.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Two threads report: from begin() to end() a line, and what it says of the
 * job, is one's alone. */
static pthread_mutex_t line = PTHREAD_MUTEX_INITIALIZER;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What a peer calls its host may hold anything: a terminal gets none of it. */
static void print_plain(const char *text)
{
    for (; *text != '\0'; text++)
        putchar(*text >= 0x20 && *text < 0x7f ? *text : '?');
}

/* Text in quotes, with what JSON wants escaped, and all that is not ASCII. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void begin(const struct server_report *report, const char *event)
{
    pthread_mutex_lock(&line);
    if (report->json)
        printf("{\"event\":\"%s\"", event);
    else
        printf("ballot-server: ");
}

static void end(const struct server_report *report)
{
    puts(report->json ? "}" : "");
    fflush(stdout);
    pthread_mutex_unlock(&line);
}

void report_listening(const struct server_report *report,
                      const struct ballot_server_status *status)
{
    begin(report, "listening");
    if (report->json)
        printf(",\"address\":\"%s\",\"ranks\":%u,\"index\":%u,"
               "\"key\":%s",
               status->address, report->ranks, report->index,
               report->key ? "true" : "false");
    else if (report->index == 0)
        printf("listening at %s for %u ranks, %s", status->address,
               report->ranks,
               report->key ? "who must have the key"
                           : "whoever they are (--auth none)");
    else
        printf("server %u, waiting for %u ranks with the one at %s",
               report->index, report->ranks, status->address);
    end(report);
}

/* "0-2 on alpha, 3 on beta": ranks that follow each other on one host. */
static void print_hosts(uint32_t ranks, const char *hosts, size_t host_bytes)
{
    uint32_t first, last;

    for (first = 0; first < ranks; first = last + 1) {
        const char *host = hosts + first * host_bytes;

        last = first;
        while (last + 1 < ranks &&
               strcmp(host, hosts + (last + 1) * host_bytes) == 0)
            last++;
        printf(first == last ? "%s%u" : "%s%u-%u", first > 0 ? ", " : "", first,
               last);
        printf(" on ");
        print_plain(host);
    }
}

void report_joined(struct server_report *report,
                   const struct ballot_server_status *status, const char *hosts,
                   size_t host_bytes)
{
    begin(report, "joined");
    report->began = now_s();
    if (!report->json) {
        printf("job %llu: all are there: ", (unsigned long long)status->jobs);
        print_hosts(report->ranks, hosts, host_bytes);
    } else {
        printf(",\"job\":%llu,\"hosts\":[", (unsigned long long)status->jobs);
        for (uint32_t r = 0; r < report->ranks; r++) {
            if (r > 0)
                putchar(',');
            print_quoted(hosts + r * host_bytes);
        }
        putchar(']');
    }
    end(report);
}

static void print_status(const struct server_report *report,
                         const struct ballot_server_status *s)
{
    double seconds = s->jobs == 0 ? 0 : now_s() - report->began;

    if (report->json)
        printf(
            ",\"job\":%llu,\"seconds\":%.3f,\"round\":%llu,"
            "\"voters\":%u,\"votes\":%llu,\"late\":%llu,"
            "\"dropped\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,"
            "\"ranks\":%u,\"departed\":%u,\"lost\":%u,"
            "\"strangers\":%llu",
            (unsigned long long)s->jobs, seconds, (unsigned long long)s->round,
            s->voters, (unsigned long long)s->votes_counted,
            (unsigned long long)s->votes_late, (unsigned long long)s->dropped,
            (unsigned long long)s->bytes_in, (unsigned long long)s->bytes_out,
            s->ranks, s->departed, s->lost, (unsigned long long)s->strangers);
    else
        printf("round %llu, %u voters; %llu votes counted, %llu late, %llu "
               "dropped; %.3f MB in, %.3f MB out; ranks: %u there, %u left, %u "
               "lost; %llu strangers; %.1f s",
               (unsigned long long)s->round, s->voters,
               (unsigned long long)s->votes_counted,
               (unsigned long long)s->votes_late,
               (unsigned long long)s->dropped, (double)s->bytes_in / 1e6,
               (double)s->bytes_out / 1e6, s->ranks, s->departed, s->lost,
               (unsigned long long)s->strangers, seconds);
}

void report_status(const struct server_report *report,
                   const struct ballot_server_status *status)
{
    begin(report, status->serving ? "status" : "waiting");
    if (report->json)
        print_status(report, status);
    else if (!status->serving)
        printf("waiting for %u ranks; %llu jobs served; %llu strangers",
               report->ranks, (unsigned long long)status->jobs,
               (unsigned long long)status->strangers);
    else {
        printf("job %llu: ", (unsigned long long)status->jobs);
        print_status(report, status);
    }
    end(report);
}

static void print_error(const struct server_report *report, int error,
                        const char *why)
{
    if (!report->json) {
        printf(": ");
        print_plain(why);
        return;
    }
    printf(",\"error\":%d,\"why\":", error);
    print_quoted(why);
}

void report_not_joined(const struct server_report *report, int error,
                       const char *why)
{
    begin(report, "not_joined");
    if (!report->json)
        printf("no job came together");
    print_error(report, error, why);
    end(report);
}

void report_ended(const struct server_report *report,
                  const struct ballot_server_status *status, int error,
                  const char *why)
{
    begin(report, "ended");
    if (!report->json)
        printf("job %llu: ended: ", (unsigned long long)status->jobs);
    print_status(report, status);
    if (error < 0)
        print_error(report, error, why);
    else if (report->json)
        printf(",\"error\":0");
    end(report);
}

void report_stopped(const struct server_report *report, const char *why)
{
    begin(report, "stopped");
    if (report->json) {
        printf(",\"why\":");
        print_quoted(why);
    } else {
        printf("stopped: %s", why);
    }
    end(report);
}
