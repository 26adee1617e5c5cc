# Fuzzing of what comes from outside, tests/fuzz/README.md. Included by the Makefile.
CFLAGS_fuzz := -O1 -g -DDBT_DEBUG -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_NAMES  := $(patsubst tests/fuzz/fuzz_%.c,%,$(shell grep -l '^int LLVMFuzzerTestOneInput' \
                 tests/fuzz/fuzz_*.c))
FUZZ        := $(FUZZ_NAMES:%=$(OUT)/tests/fuzz/fuzz_%)
FUZZ_LIB    := $(OUT)/tests/fuzz/fuzz.o $(OUT)/tests/fuzz/fuzz_plan.o
# In BUILD=fuzz libFuzzer drives a harness, else a main of our own.
FUZZ_MAIN   := $(if $(filter fuzz,$(BUILD)),,$(OUT)/tests/fuzz/fuzz_replay.o)
FUZZ_LINK   := $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer)

## fuzz-input   T=60: loaders, options, IR text, translation and devices under libFuzzer, T seconds in all
.PHONY: fuzz-input fuzz-replay fuzz-programs deps-fuzz
fuzz-input: deps-fuzz
	@$(MAKE) --no-print-directory BUILD=fuzz CC=clang fuzz-programs
	@tests/fuzz/run.sh fuzz out/fuzz $(or $(T),60) $(NAMES)

# The same harnesses without libFuzzer: seeds, kept inputs, and N mutations of them.
fuzz-replay: fuzz-programs
	@tests/fuzz/run.sh replay $(OUT) $(or $(N),5000) $(NAMES)

fuzz-programs: $(FUZZ)

deps-fuzz:
	@scripts/deps.sh build fuzz

$(FUZZ): $(OUT)/tests/fuzz/fuzz_%: $(OUT)/tests/fuzz/fuzz_%.o $(FUZZ_LIB) $(FUZZ_MAIN) $(TESTLIB_OBJ) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) $(FUZZ_LINK) -o $@ $^ $(PKG_LIBS) -lcmocka -lm

# The virtio harness with a main that counts what it does to each device.
VIRTIO_COUNT := $(OUT)/tests/fuzz/virtio_count
$(VIRTIO_COUNT): $(OUT)/tests/fuzz/virtio_count.o $(OUT)/tests/fuzz/fuzz_virtio.o $(FUZZ_LIB) $(TESTLIB_OBJ) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka -lm

-include $(VIRTIO_COUNT:=.d)
-include $(FUZZ:=.d) $(FUZZ_LIB:.o=.d) $(FUZZ_MAIN:.o=.d)

## fuzz-virtio  T=600: the virtio devices and shared folders only
.PHONY: fuzz-virtio
fuzz-virtio:
	@$(MAKE) --no-print-directory fuzz-input T=$(or $(T),600) NAMES="virtio share"

## fuzz-virtio-count  N=10000000: so many register writes, descriptors and rings for each virtio device, under ASan
.PHONY: fuzz-virtio-count
fuzz-virtio-count:
	@$(MAKE) --no-print-directory BUILD=asan virtio-count N=$(or $(N),10000000) SEED=$(or $(SEED),1)

.PHONY: virtio-count
virtio-count: $(VIRTIO_COUNT)
	@mkdir -p out/fuzz
	@ASAN_OPTIONS=$${ASAN_OPTIONS:-handle_segv=1:detect_leaks=1} $(VIRTIO_COUNT) $(or $(N),100000) $(or $(SEED),1) $(NAMES)

## fuzz         T=600: everything that searches, in turn: input, floating point, system programs
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory fuzz-input T=$(or $(T),600)
	@$(MAKE) --no-print-directory fuzz-fp CASES=$$(($(or $(T),600) * 1000000))
	@$(MAKE) --no-print-directory fuzz-system COUNT=$$(($(or $(T),600) * 100))
