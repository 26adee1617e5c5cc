// What touches new pages and runs for nothing else asks the tables soon.
//
// status: 0
#define BEFORE 0
#define RUNS 0
#define PAGES 400
#include "touch.inc"
