# Comparisons with outside emulators. Included by the Makefile.
DIFF_SEED  = $(or $(SEED),1)
DIFF_COUNT = $(or $(COUNT),20000000)
DIFF_COMMON := $(OUT)/tests/diff/engine.o $(OUT)/tests/lib/rv_random.o $(OUT)/tests/lib/rv_rig.o

## diff         SEED=1 COUNT=20000000: random instructions against Unicorn and qemu-riscv64
.PHONY: diff
diff: $(OUT)/tests/diff/unicorn_diff $(OUT)/tests/diff/qemu_user
	$(OUT)/tests/diff/unicorn_diff --seed $(DIFF_SEED) --count $(DIFF_COUNT)
	$(OUT)/tests/diff/qemu_user --seed $(DIFF_SEED) --count $$(($(DIFF_COUNT) / 20))

$(OUT)/tests/diff/unicorn_diff: $(patsubst %,$(OUT)/tests/%.o,diff/unicorn_diff \
    diff/unicorn_oracle diff/unicorn_known lib/rv_machine lib/rv_random lib/rv_rig) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lunicorn -lm

$(OUT)/tests/diff/qemu_user: $(OUT)/tests/diff/qemu_user.o $(OUT)/tests/diff/qemu_program.o \
    $(DIFF_COMMON) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lm

-include $(wildcard $(OUT)/tests/diff/*.d)
