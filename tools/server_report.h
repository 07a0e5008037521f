/* SPDX-License-Identifier: Apache-2.0 */
/* server_report.h - what ballot-server says: lines for people, or of JSON. */
#ifndef BALLOT_SERVER_REPORT_H
#define BALLOT_SERVER_REPORT_H

#include <ballot_server.h>
#include <stdbool.h>

struct server_report {
    bool json;
    uint32_t ranks, index;
    bool key;     /* ranks must prove one */
    double began; /* seconds of CLOCK_MONOTONIC: the job under way */
};

/* Each is one line on stdout, at once. */
void report_listening(const struct server_report *report,
                      const struct ballot_server_status *status);
/* hosts[ranks][host_bytes] */
void report_joined(struct server_report *report,
                   const struct ballot_server_status *status, const char *hosts,
                   size_t host_bytes);
void report_status(const struct server_report *report,
                   const struct ballot_server_status *status);
/* A job that did not come together, or how one ended; error 0: well. */
void report_not_joined(const struct server_report *report, int error,
                       const char *why);
void report_ended(const struct server_report *report,
                  const struct ballot_server_status *status, int error,
                  const char *why);
void report_stopped(const struct server_report *report, const char *why);

#endif
