// The same on one thread: both harts have one view, and one window.
// options: -smp 2 --hart-threads 1
// status: 0
#include "kernel_moves.S"
