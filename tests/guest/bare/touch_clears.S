// What clears pages, of which few are new, goes through the window for ever: its loop's turns count, not its calls.
//
// status: 0
#define BEFORE 0
#define RUNS 20
#define PAGES 100
#define CLEARS
#include "touch.inc"
