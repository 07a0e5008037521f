# SPDX-License-Identifier: Apache-2.0
# plot_training.gp - draws trainings of 2_sign_sgd beside each other.
#
#   gnuplot -c plot_training.gp OUT.png A.csv [B.csv ...]
#
# Each file is one that --csv wrote; its name is the name of its lines.

if (ARGC < 2) {
    print "usage: gnuplot -c plot_training.gp OUT.png A.csv [B.csv ...]"
    exit status 2
}
array files[ARGC - 1]
do for [i = 1:ARGC - 1] { files[i] = value("ARG".(i + 1)) }
# The part after the last slash, without the suffix.
name(path) = strstrt(path, "/") ? \
    name(path[strstrt(path, "/") + 1:]) : path[:strlen(path) - 4]

set terminal pngcairo size 1200,480 font "sans,11" noenhanced
set output ARG1
set datafile separator ","
set grid linecolor rgb "#d0d0d0"
set border 3
set tics nomirror
set xlabel "step"
set key autotitle columnheader

set multiplot layout 1,2
set title "accuracy on the test images"
set yrange [0:1]
set key center right
plot for [i = 1:|files|] files[i] using 1:3 with linespoints \
    linewidth 2 pointtype 7 pointsize 0.6 title name(files[i])
set title "loss on the training batches"
set autoscale y
set key top right
plot for [i = 1:|files|] files[i] using 1:2 with linespoints \
    linewidth 2 pointtype 7 pointsize 0.6 title name(files[i])
unset multiplot
