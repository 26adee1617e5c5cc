// Wild addresses in user mode, through a window (--window always): each kind of access to each of
// them raises the guest's own page fault, with its address; so do accesses that share a comparison
// with one before, and loops that walk out of the window at either end.
//
// options: --window always
// status: 0
// prints: 
#define FIRST 0
#define TOP (1 << 38)
#define OTHER_HALF -(1 << 38)
#define FIRST_ROOT 0
#define MODE 0
#define ECALL 8
#define WHOSE U
#define USERS U
#define OUTWARD -1
#define EDGE 0
#define PUT_DEVICE put leaf, 1
#define DEVICE_FROM 8192 - 8
#define DEVICE_TURNS 1023
#define BEHIND_INDEX 511
#define BEHIND 0x80600000
#include "window_wild.inc"
