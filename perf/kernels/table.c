/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - the rows for people, and the same separated by tabs.
 */
#include "report.h"

/* From here on, others disturb what is measured. */
#define BUSY_CORES 0.1

size_t bench_report_count(const struct bench_report *report,
                          enum bench_verdict verdict)
{
    size_t count = 0;

    for (size_t i = 0; i < report->rows.count; i++)
        count += report->results[i].verdict == verdict;
    return count;
}

const char *bench_verdict_name(enum bench_verdict verdict)
{
    static const char *const names[] = {
        [BENCH_MET] = "met",         [BENCH_NOT_MET] = "NOT MET",
        [BENCH_RECORDED] = "-",      [BENCH_UNBUILT] = "unbuilt",
        [BENCH_SKIPPED] = "skipped", [BENCH_WRONG] = "WRONG",
    };

    return names[verdict];
}

const char *bench_stretch_name(const struct bench_row *row,
                               const struct bench_result *result)
{
    if (row->stretch <= 0 || !bench_is_measured(result))
        return "";
    return result->ratio >= row->stretch ? "reached" : "not yet";
}

void bench_print_machine(FILE *file, const struct bench_machine *machine,
                         const struct bench_options *options)
{
    fprintf(file,
            "# %s, %d cores, %s, commit %s\n"
            "# caches: L1 %zu KiB, L2 %zu KiB, L3 %zu KiB; huge pages: %s\n"
            "# kernels: %s, limits: %s; median of %d rounds%s\n",
            machine->model, machine->cores, machine->kernel, machine->commit,
            machine->cache_bytes[1] >> 10, machine->cache_bytes[2] >> 10,
            machine->cache_bytes[3] >> 10, machine->huge_pages,
            machine->kernels, machine->limits, options->rounds,
            options->quick ? "; --quick: only to see that it works" : "");
}

void bench_table_head(FILE *file, const struct bench_report *report)
{
    bench_print_machine(file, &report->machine, report->options);
    fprintf(file, "#\n# %-3s  %-18s  %-14s  %-8s  %-15s  %8s  %8s  %-7s  %s\n",
            "id", "case", "work", "kernels", "limit", "required", "measured",
            "verdict", "limit GB/s   GB/s  stretch");
    fflush(file);
}

void bench_table_row(FILE *file, const struct bench_report *report,
                     size_t index)
{
    const struct bench_row *row = &report->rows.rows[index];
    const struct bench_result *result = &report->results[index];
    char what[BENCH_CASE_TEXT];

    bench_row_case(what, row);
    fprintf(file, "  %-3s  %-18s  %-14s  %-8s  %-15s  %8.2f", row->id, what,
            row->work->name,
            result->kernels != NULL ? result->kernels->name : "none",
            row->limits[result->limit]->name, row->least[result->limit]);
    if (bench_is_measured(result))
        fprintf(file, "  %8.3f  %-7s  %10.2f %6.1f", result->ratio,
                bench_verdict_name(result->verdict), result->limit_gbs,
                result->gbs);
    else
        fprintf(file, "  %8s  %-7s  %s", "-",
                bench_verdict_name(result->verdict), result->why);
    if (bench_is_measured(result) && row->stretch > 0)
        fprintf(file, "  %.2f %s", row->stretch,
                bench_stretch_name(row, result));
    if (result->beside > 0)
        fprintf(file, "  %s is %.2f of %s", row->beside.work->name,
                result->beside, row->beside.limit->name);
    if (result->tries > 1)
        fprintf(file, "  best of %d tries", result->tries);
    fputc('\n', file);
    fflush(file);
}

void bench_table_foot(FILE *file, const struct bench_report *report)
{
    fprintf(file,
            "# %zu rows: %zu met, %zu not met, %zu without a requirement, %zu "
            "of a layout that nobody\n# builds, %zu skipped; %.0f %% of the "
            "memory in huge pages\n",
            report->rows.count, bench_report_count(report, BENCH_MET),
            bench_report_count(report, BENCH_NOT_MET),
            bench_report_count(report, BENCH_RECORDED),
            bench_report_count(report, BENCH_UNBUILT),
            bench_report_count(report, BENCH_SKIPPED), report->huge * 100);
    if (report->others_cores >= BUSY_CORES)
        fprintf(file,
                "# THE MACHINE WAS BUSY: other programs used %.2f cores "
                "meanwhile; rows of T1, and\n# all that reads memory, want it "
                "idle\n",
                report->others_cores);
    else if (report->others_cores >= 0)
        fprintf(file, "# other programs used %.2f cores meanwhile\n",
                report->others_cores);
    fflush(file);
}

static void tsv_row(FILE *file, const struct bench_row *row,
                    const struct bench_result *result)
{
    char what[BENCH_CASE_TEXT];

    bench_row_case(what, row);
    fprintf(file, "%s\t%s\t%u\t%s\t%s\t%s\t%s\t%s\t%s\t%g\t%.4f\t%s\t", row->id,
            what, row->what.voters, bench_place_name(row->what.place),
            row->what.kind == BENCH_ROWS ? bench_layout_name(row->what.layout)
                                         : "",
            row->what.kind == BENCH_ROWS ? "signs"
                                         : bench_type_name(row->what.type),
            row->work->name,
            result->kernels != NULL ? result->kernels->name : "none",
            row->limits[result->limit]->name, row->least[result->limit],
            result->ratio, bench_verdict_name(result->verdict));
    fprintf(file, "%g\t%s\t%.3f\t%.3f\t%.4f\t%d\t%s\n", row->stretch,
            bench_stretch_name(row, result), result->limit_gbs, result->gbs,
            result->beside, result->tries, result->why);
}

void bench_tsv(FILE *file, const struct bench_report *report)
{
    bench_print_machine(file, &report->machine, report->options);
    fputs("id\tcase\tvoters\tplace\tlayout\ttype\twork\tkernels\tlimit\t"
          "required\tmeasured\tverdict\tstretch\tstretch_verdict\tlimit_gbs\t"
          "gbs\tbeside\ttries\twhy\n",
          file);
    for (size_t i = 0; i < report->rows.count; i++)
        tsv_row(file, &report->rows.rows[i], &report->results[i]);
    fflush(file);
}
