// The finisher's failure code becomes the exit status.
// status: 3
#include "bare.h"
    .globl _start
_start:
    exit 3
