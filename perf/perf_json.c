/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_json.c - the measurements with the keys of nccl-tests, and our own.
 */
#include "perf_report.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first `count` bytes of `text`, quoted. */
static void print_text(FILE *file, const char *text, size_t count)
{
    fputc('"', file);
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void print_arguments(FILE *file, char **arguments)
{
    fputs("  \"args\": [", file);
    for (int i = 0; arguments[i] != NULL; i++) {
        fputs(i > 0 ? ", " : "", file);
        print_text(file, arguments[i], strlen(arguments[i]));
    }
    fputs("],\n", file);
}

static void print_environment(FILE *file)
{
    const char *separator = "";

    fputs("  \"env\": {", file);
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');

        if (strncmp(*entry, "BALLOT_", 7) != 0 || equals == NULL)
            continue;
        fputs(separator, file);
        print_text(file, *entry, (size_t)(equals - *entry));
        fputs(": ", file);
        print_text(file, equals + 1, strlen(equals + 1));
        separator = ", ";
    }
    fputs("},\n", file);
}

static void print_half(FILE *file, const char *name,
                       const struct perf_half *half, bool checked)
{
    if (!half->measured) {
        fprintf(file,
                "     \"%s\": {\"time\": null, \"alg_bw\": null, "
                "\"bus_bw\": null, \"nwrong\": null},\n",
                name);
        return;
    }
    fprintf(file,
            "     \"%s\": {\"time\": %.3f, \"alg_bw\": %.6g, "
            "\"bus_bw\": %.6g, \"nwrong\": ",
            name, half->us, half->alg_gbs, half->bus_gbs);
    if (checked)
        fprintf(file, "%llu", (unsigned long long)half->wrong);
    else
        fputs("null", file);
    fprintf(file,
            ",\n      \"time_min\": %.3f, \"time_max\": %.3f, "
            "\"effective_bw\": %.6g},\n",
            half->us_least, half->us_most, half->effective_gbs);
}

static void print_row(FILE *file, const struct perf_row *row,
                      const struct perf_options *options)
{
    const char *collective = perf_collective_name(options->collective);

    fprintf(file,
            "    {\"size\": %zu, \"count\": %zu, \"type\": \"%s\", "
            "\"redop\": \"%s\", \"root\": %d,\n",
            row->bytes, row->count, row->type, row->op, row->root);
    print_half(file, "out_of_place", &row->halves[PERF_OUT_OF_PLACE],
               options->checked);
    print_half(file, "in_place", &row->halves[PERF_IN_PLACE], options->checked);
    fprintf(file,
            "     \"floor_us\": %.3f, \"actual_iterations\": %d, "
            "\"experiment_name\": \"%s\"}",
            row->floor_us, options->iterations, collective);
}

void perf_json_head(FILE *file, char **arguments, time_t started)
{
    char text[64];
    struct tm when;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&started, &when));
    fprintf(
        file, "{\n  \"version\": \"%d.%d.%d\",\n  \"start_time\": \"%s\",\n",
        BALLOT_VERSION_MAJOR, BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH, text);
    print_arguments(file, arguments);
    print_environment(file);
}

void perf_json(FILE *file, const struct perf_report *report)
{
    const struct perf_options *options = report->options;
    uint64_t wrong = perf_report_wrong(report);

    perf_json_head(file, options->arguments, report->started);
    /* The readers of nccl-tests' files look for this key. */
    fprintf(file, "  \"nccl_version\": null,\n  \"ranks\": %d,\n",
            report->ranks);
    fputs("  \"results\": [", file);
    for (size_t i = 0; i < report->count; i++) {
        fputs(i > 0 ? ",\n" : "\n", file);
        print_row(file, &report->rows[i], options);
    }
    /* nccl-tests says okay unless it was given a bandwidth to reach. */
    fprintf(file,
            "\n  ],\n  \"out_of_bounds\": {\"count\": %llu, \"okay\": %s},\n"
            "  \"average_bus_bandwidth\": {\"bandwidth\": %.6g, "
            "\"okay\": true}\n}\n",
            (unsigned long long)wrong, wrong == 0 ? "true" : "false",
            perf_report_bus_gbs(report));
    fflush(file);
}
