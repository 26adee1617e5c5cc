// The same with --lrsc=strict.
// options: --lrsc=strict
// status: 0
#include "lrsc.S"
