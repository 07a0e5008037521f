# SPDX-License-Identifier: Apache-2.0
# plot_accuracies.gp - draws what accuracies.py measured beside what it should.
#
#   gnuplot -c plot_accuracies.gp OUT.png TABLE.tsv
#
# A line for each row: what was expected, as a bar, and a point for each seed.

if (ARGC != 2) {
    print "usage: gnuplot -c plot_accuracies.gp OUT.png TABLE.tsv"
    exit status 2
}
set datafile separator "\t"
stats ARG2 using 1 skip 1 nooutput name "line"

set terminal pngcairo size 900,130 + 22 * line_max font "sans,10" noenhanced
set output ARG1
set title "Test accuracy of 15 ranks, some of which lie; a point for each seed"
set xrange [0:1]
set yrange [line_max + 0.7:0.3]
set xtics 0.1
set grid xtics linecolor rgb "#d0d0d0"
set border 3
set tics nomirror
set key below
set style fill solid noborder
plot ARG2 skip 1 using 4:1:4:5:($1 - 0.3):($1 + 0.3):ytic(2) \
         with boxxyerror linecolor rgb "#a9c4e4" title "expected", \
     ARG2 skip 1 using 6:1 with points pointtype 7 pointsize 0.7 \
         linecolor rgb "#b02020" title "measured"
