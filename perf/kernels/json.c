/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - the rows with their machine, as JSON.
 */
#include "report.h"

/* Quoted; names of processors and file systems are not ours. */
static void print_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;

        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void print_named(FILE *file, const char *name, const char *text)
{
    fprintf(file, "\"%s\": ", name);
    print_text(file, text);
    fputs(", ", file);
}

static void print_machine(FILE *file, const struct bench_report *report)
{
    const struct bench_machine *machine = &report->machine;

    fputs("{\n  \"machine\": {", file);
    print_named(file, "model", machine->model);
    print_named(file, "kernel", machine->kernel);
    print_named(file, "huge_pages", machine->huge_pages);
    print_named(file, "commit", machine->commit);
    print_named(file, "kernels", machine->kernels);
    print_named(file, "limits", machine->limits);
    fprintf(file,
            "\n    \"cores\": %d, \"l1_bytes\": %zu, \"l2_bytes\": %zu, "
            "\"l3_bytes\": %zu, \"memory_in_huge_pages\": %.3f",
            machine->cores, machine->cache_bytes[1], machine->cache_bytes[2],
            machine->cache_bytes[3], report->huge);
    if (report->others_cores >= 0)
        fprintf(file, ", \"others_cores\": %.3f", report->others_cores);
    fprintf(file, "},\n  \"rounds\": %d, \"quick\": %s,\n  \"rows\": [",
            report->options->rounds, report->options->quick ? "true" : "false");
}

static void print_measured(FILE *file, const struct bench_row *row,
                           const struct bench_result *result)
{
    if (!bench_is_measured(result)) {
        print_named(file, "why", result->why);
        fputs("\"met\": null}", file);
        return;
    }
    fprintf(file, "\"measured\": %.4f, \"met\": %s, ", result->ratio,
            result->verdict == BENCH_MET       ? "true"
            : result->verdict == BENCH_NOT_MET ? "false"
                                               : "null");
    fprintf(file, "\"tries\": %d, ", result->tries);
    if (result->beside > 0)
        fprintf(file, "\"beside\": %.4f, ", result->beside);
    if (row->stretch > 0)
        fprintf(file, "\"stretch\": %g, \"stretch_reached\": %s, ",
                row->stretch, result->ratio >= row->stretch ? "true" : "false");
    fprintf(file, "\"limit_gbs\": %.3f, \"gbs\": %.3f}", result->limit_gbs,
            result->gbs);
}

static void print_row(FILE *file, const struct bench_row *row,
                      const struct bench_result *result)
{
    char what[BENCH_CASE_TEXT];

    bench_row_case(what, row);
    fputs("    {", file);
    print_named(file, "id", row->id);
    print_named(file, "case", what);
    print_named(file, "place", bench_place_name(row->what.place));
    if (row->what.kind == BENCH_ROWS) {
        fprintf(file, "\"voters\": %u, ", row->what.voters);
        print_named(file, "layout", bench_layout_name(row->what.layout));
    } else {
        print_named(file, "type", bench_type_name(row->what.type));
    }
    print_named(file, "work", row->work->name);
    print_named(file, "kernels",
                result->kernels != NULL ? result->kernels->name : "none");
    print_named(file, "limit", row->limits[result->limit]->name);
    fprintf(file, "\"required\": %g,\n     ", row->least[result->limit]);
    print_measured(file, row, result);
}

void bench_json(FILE *file, const struct bench_report *report)
{
    print_machine(file, report);
    for (size_t i = 0; i < report->rows.count; i++) {
        fputs(i > 0 ? ",\n" : "\n", file);
        print_row(file, &report->rows.rows[i], &report->results[i]);
    }
    fputs("\n  ]\n}\n", file);
    fflush(file);
}
