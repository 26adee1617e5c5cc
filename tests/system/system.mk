# Random system programs, on our engines and on QEMU. Included by the Makefile.
SYSTEM := $(OUT)/tests/system
RISCV_PREFIX ?= riscv64-linux-gnu-

## fuzz-system  SEED=1 COUNT=74000: random system programs (10^8 instructions) under each stress mode, then QEMU
.PHONY: fuzz-system
fuzz-system: deps-test dbt-run $(SYSTEM)/system_diff
	@tests/system/fuzz.sh $(or $(SEED),1) $(or $(COUNT),74000)

$(SYSTEM)/runtime.bin: tests/system/runtime.S tests/system/layout.h tests/system/csr.def
	@mkdir -p $(@D)
	@echo "  AS    $<"
	@$(RISCV_PREFIX)gcc -nostdlib -static -fno-pic -no-pie -march=rv64gc -mabi=lp64d -I. \
	    -mcmodel=medany -Wl,-N,-Ttext=0x80f34000,--build-id=none,--no-warn-rwx-segments \
	    -o $(SYSTEM)/runtime.elf $<
	@$(RISCV_PREFIX)objcopy -O binary $(SYSTEM)/runtime.elf $@

$(SYSTEM)/system_diff: $(patsubst %,$(SYSTEM)/%.o,system_diff options program memory macro image \
    machine report qemu_known) $(OUT)/tests/lib/rv_random.o $(OUT)/tests/lib/rv_random_value.o $(OUT)/tests/lib/rv_rig.o $(OUT)/tests/lib/elf_write.o $(LIB) | $(SYSTEM)/runtime.bin
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lm

-include $(wildcard $(SYSTEM)/*.d)
