#include "dbt/base/serialize.h"

/* A function of its own: it pushes, and a C function may keep data below its stack pointer. */
__asm__(".text\n"
        ".globl host_serialize\n"
        ".type host_serialize, @function\n"
        "host_serialize:\n"
        "    movq %rsp, %rdx\n"
        "    movl %ss, %eax\n"
        "    pushq %rax\n"
        "    pushq %rdx\n"
        "    pushfq\n"
        "    movl %cs, %eax\n"
        "    pushq %rax\n"
        "    leaq 1f(%rip), %rax\n"
        "    pushq %rax\n"
        "    iretq\n"
        "1:  ret\n"
        ".size host_serialize, . - host_serialize\n");
