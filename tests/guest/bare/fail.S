// The finisher's failure code becomes the exit status.
// status: 3
#include "bare.inc"
    .globl _start
_start:
    exit 3
