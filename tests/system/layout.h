/* Where things are in an image of random system programs. For the assembler, too. */
#pragma once

/* Physical memory. The arena is what programs see; all else is the runtime's, behind PMP. */
#define SYS_RAM       0x80000000 /* a jump to the runtime: where QEMU starts */
#define SYS_ARENA     0x80a00000 /* the first page of a 2 MiB page of its own */
#define SYS_RUNTIME   0x80f34000 /* far from what a flipped bit of the arena's addresses makes */
#define SYS_SAVE      0x80f38000 /* registers at a trap to M */
#define SYS_S_HANDLER 0x80f3a000 /* the handler of delegated traps: S mode may execute it */
#define SYS_S_SAVE    0x80f3b000 /* and write here */
#define SYS_S_COPY    0x80f3c000 /* the handler as it was, for each program's beginning */
#define SYS_PROGRAMS                                                                               \
    0x81000000 /* struct sys_header, one after the other; then what they point to */
#define SYS_PROGRAMS_BYTES 0x1000000

/* Offsets of the arena's pages. */
#define SYS_CODE       0x0000 /* two pages, the second at 0x1000 */
#define SYS_CODE_BYTES 0x2000
#define SYS_DATA       0x4000 /* two pages */
#define SYS_DATA_BYTES 0x2000
#define SYS_LEAF_A     0x8000 /* page tables of the address space A: see sys_memory.h */
#define SYS_LEAF_B     0x9000
#define SYS_ROOT_A     0x10000
#define SYS_MIDDLE_A   0x11000
#define SYS_ROOT_B     0x12000
#define SYS_MIDDLE_B   0x13000
#define SYS_MIDDLE_ID  0x14000 /* virtual = physical, S only, in both spaces */
#define SYS_LEAF_ID    0x15000 /* of the arena */
#define SYS_LEAF_RT    0x16000 /* of the runtime's two pages for S */
#define SYS_LEAF_USED  64      /* entries of LEAF_A and LEAF_B, and of LEAF_ID */

/* struct sys_header, in doublewords. */
#define SYS_H_ID       0
#define SYS_H_FLAGS    1
#define SYS_H_CHUNKS   2 /* how many */
#define SYS_H_CODE     3 /* physical address of the code */
#define SYS_H_CODE_LEN 4 /* bytes, a multiple of 8 */
#define SYS_H_POKES    5 /* physical address of (address, value) pairs */
#define SYS_H_N_POKES  6
#define SYS_H_DATA     7 /* physical address of SYS_DATA_BYTES */
#define SYS_H_ALIAS_S  8 /* virtual address of the code under Sv39, for S */
#define SYS_H_ALIAS_U  9 /* and for U */
#define SYS_H_FCSR     10
#define SYS_H_PATIENCE                                                                             \
    11 /* ticks of 100 ns, or 100 instructions: a program that runs for longer hangs */
#define SYS_H_CSR     12 /* SYS_N_CSR values, in the order of sys_csr.h */
#define SYS_N_CSR     18
#define SYS_FIRST_CSR 192 /* what the first is called in a telling */
#define SYS_H_CHUNK   32  /* 16 of offset | mode << 32 */
#define SYS_H_X       48  /* x0 .. x31 */
#define SYS_H_F       80  /* f0 .. f31 */
#define SYS_H_LEN     112

#define SYS_MAX_CHUNKS 16

/* Flags. */
#define SYS_CHAOS     1 /* timer interrupts at random, which leave no trace */
#define SYS_VERBOSE   2 /* print each trap, and the end in full */
#define SYS_LAST      4 /* the last program: power off behind it */
#define SYS_LIKE_QEMU 8 /* causes and addresses as coarse as QEMU 7.2 tells them: README.md */

/* What x29 holds at an ebreak that asks the runtime for something. */
#define SYS_GOTO                                                                                   \
    1 /* x30: offset | mode << 32; x31: what x29 and x30 are to be there, as offsets, each of      \
       * 16 bits, and x31 */
#define SYS_END    2
#define SYS_S_TRAP 3 /* from the handler of delegated traps */
#define SYS_COUNT  4 /* as a trap, and go on: before a jump back, so that all ends */

/* Traps until a program is stopped. */
#define SYS_MAX_TRAPS 64
