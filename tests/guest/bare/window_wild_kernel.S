// Wild addresses in S mode, through the window of the upper half: as window_wild, but the half begins in
// the middle of the addresses and ends at 2^64, where they begin anew. All pages there are global.
//
// options: --window always
// status: 0
// prints: 
#define FIRST -(1 << 38)
#define TOP 0
#define OTHER_HALF 0x1000
#define FIRST_ROOT 256
#define MODE MSTATUS_MPP_S
#define ECALL 9
#define G 0x20
#define WHOSE G
#define USERS 0
#define OUTWARD 1
#define EDGE -16
#define PUT_DEVICE put leaf_of_last, 510
#define DEVICE_FROM -8192
#define DEVICE_TURNS 1024
#define BEHIND_INDEX 0
#define BEHIND (FIRST + 0x80400000 - 16)
#include "window_wild.inc"
