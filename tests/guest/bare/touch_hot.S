// The same of a block that was hot before: it is counted anew.
//
// status: 0
#define BEFORE 50000
#define RUNS 0
#define PAGES 400
#include "touch.inc"
