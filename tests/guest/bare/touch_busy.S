// What touches a new page seldom goes through the window for ever.
//
// status: 0
#define BEFORE 0
#define RUNS 3000
#define PAGES 100
#include "touch.inc"
