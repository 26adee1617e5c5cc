# Runs in flash memory, in M mode: prints a file of fw_cfg's, read by register and by DMA; writes a
# function into the other bank, calls it, erases it, writes another and calls that. Loads that are
# misaligned, and one that crosses a page. Ends by the finisher.
    .equ UART, 0x10000000
    .equ FW_CFG, 0x10100000
    .equ BANK, 0x22000000
    .equ ORDER, 0x80001000
    .equ BUFFER, 0x80002000
    .globl _start

    # Writes a word; status afterwards must be "ready" alone.
    .macro program offset, value
    li t0, 0x00400040
    sw t0, \offset(s1)
    li t0, \value
    sw t0, \offset(s1)
    call check_status
    .endm

    .macro function letter # addi a0, zero, letter; ret
    program 0, 0x00000513 | \letter << 20
    program 4, 0x00008067
    li t0, 0x00ff00ff
    sw t0, 0(s1)
    fence.i
    li s2, 50
1:  jalr s1
    addi s2, s2, -1
    bnez s2, 1b
    call put
    .endm

_start:
    li s0, FW_CFG
    li s1, BANK
    li s3, UART

    # The first file, through the register.
    li t0, 0x2000
    sh t0, 8(s0)
1:  lbu a0, 0(s0)
    beqz a0, 2f
    call put
    j 1b
2:
    # Its first five bytes, by DMA: select, read; all big-endian.
    li t1, ORDER
    li t0, 0x0a002000
    sw t0, 0(t1)
    li t0, 0x05000000
    sw t0, 4(t1)
    li t0, 0x0020008000000000
    sd t0, 8(t1)
    li t0, 0x0010008000000000
    sd t0, 16(s0)
1:  lw t0, 0(t1)
    bnez t0, 1b
    li s2, BUFFER
    addi s4, s2, 5
1:  lbu a0, 0(s2)
    call put
    addi s2, s2, 1
    bne s2, s4, 1b
    li a0, '\n'
    call put

    call erase
    function 'A'
    call erase
    function 'B'
    li a0, '\n'
    call put

    # Loads from flash as from any memory.
    la t0, words
    ld t1, 3(t0)
    la t2, crossing
    ld t2, -3(t2)
    li t3, 0x0a09080706050403
    bne t1, t3, fail
    li t3, 0x1716151413121110
    bne t2, t3, fail
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
1:  j 1b

erase:
    li t0, 0x00200020
    sw t0, 0(s1)
    li t0, 0x00d000d0
    sw t0, 0(s1)
check_status:
    lw t0, 0(s1)
    li t1, 0x00800080
    bne t0, t1, fail
    li t0, 0x00500050
    sw t0, 0(s1)
    ret

put:
    lbu t0, 5(s3)
    andi t0, t0, 0x20
    beqz t0, put
    sb a0, 0(s3)
    ret

fail:
    li t0, 0x100000
    li t1, 0x13333
    sw t1, 0(t0)
1:  j 1b

    .balign 8
words:
    .byte 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    .balign 4096
    .fill 4093
    .byte 0x10, 0x11, 0x12
crossing:
    .byte 0x13, 0x14, 0x15, 0x16, 0x17
