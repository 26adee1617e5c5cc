/* The fields of mstatus, and which of them sstatus has: for built code and for sys/. */
#pragma once

#include <stdint.h>

#define RV_STATUS_SIE  (UINT64_C(1) << 1)
#define RV_STATUS_MIE  (UINT64_C(1) << 3)
#define RV_STATUS_SPIE (UINT64_C(1) << 5)
#define RV_STATUS_MPIE (UINT64_C(1) << 7)
#define RV_STATUS_SPP  (UINT64_C(1) << 8)
#define RV_STATUS_MPP  (UINT64_C(3) << 11)
#define RV_STATUS_FS   (UINT64_C(3) << 13)
#define RV_STATUS_MPRV (UINT64_C(1) << 17)
#define RV_STATUS_SUM  (UINT64_C(1) << 18)
#define RV_STATUS_MXR  (UINT64_C(1) << 19)
#define RV_STATUS_TVM  (UINT64_C(1) << 20)
#define RV_STATUS_TW   (UINT64_C(1) << 21)
#define RV_STATUS_TSR  (UINT64_C(1) << 22)
#define RV_STATUS_UXL  (UINT64_C(2) << 32) /* 64 bits, and cannot be changed */
#define RV_STATUS_SXL  (UINT64_C(2) << 34)
#define RV_STATUS_SD   (UINT64_C(1) << 63)
enum { RV_STATUS_MPP_SHIFT = 11, RV_STATUS_FS_SHIFT = 13 };

#define RV_STATUS_S_WRITABLE                                                                       \
    (RV_STATUS_SIE | RV_STATUS_SPIE | RV_STATUS_SPP | RV_STATUS_FS | RV_STATUS_SUM | RV_STATUS_MXR)
#define RV_STATUS_S_VISIBLE (RV_STATUS_S_WRITABLE | RV_STATUS_UXL | RV_STATUS_SD)
