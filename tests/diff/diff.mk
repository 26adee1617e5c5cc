# Comparisons with outside emulators. Included by the Makefile.
DIFF_SEED  = $(or $(SEED),1)
DIFF_COUNT = $(or $(COUNT),20000000)
DIFF_LIB   := $(patsubst %,$(OUT)/tests/lib/%.o,rv_machine rv_random rv_random_value rv_rig)

## diff         SEED=1 COUNT=20000000: random instructions against Unicorn and qemu-riscv64
.PHONY: diff
diff: $(OUT)/tests/diff/unicorn_diff $(OUT)/tests/diff/qemu_user
	$(OUT)/tests/diff/unicorn_diff --compressed --seed $(DIFF_SEED)
	$(OUT)/tests/diff/unicorn_diff --seed $(DIFF_SEED) --count $(DIFF_COUNT)
	for stress in regs,seed=$(DIFF_SEED) cache table links irq; do \
	    $(OUT)/tests/diff/unicorn_diff --seed $(DIFF_SEED) --stress $$stress \
	        --count $$(($(DIFF_COUNT) / 10)) || exit 1; \
	done
	$(OUT)/tests/diff/qemu_user --seed $(DIFF_SEED) --count $$(($(DIFF_COUNT) / 10))

## fuzz-fp      SEED=1 CASES=1000000000: F and D against their rules, bit for bit, in each engine
.PHONY: fuzz-fp
fuzz-fp: $(OUT)/tests/diff/fp_diff
	nice $(OUT)/tests/diff/fp_diff --seed $(DIFF_SEED) --count $(or $(CASES),1000000000)

$(OUT)/tests/diff/unicorn_diff: $(patsubst %,$(OUT)/tests/diff/%.o,unicorn_diff unicorn_oracle \
    unicorn_known) $(DIFF_LIB) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lunicorn -lm

$(OUT)/tests/diff/qemu_user: $(OUT)/tests/diff/qemu_user.o $(OUT)/tests/diff/qemu_program.o $(OUT)/tests/lib/elf_write.o \
    $(DIFF_LIB) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lm

$(OUT)/tests/diff/fp_diff: $(patsubst %,$(OUT)/tests/diff/%.o,fp_diff fp_guest fp_ir fp_chain \
    fp_illegal) $(patsubst %,$(OUT)/tests/lib/%.o,fp_rules fp_rules_arith fp_rules_convert \
    fp_operands rv_machine) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

-include $(wildcard $(OUT)/tests/diff/*.d)
