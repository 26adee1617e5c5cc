# dbt: `make run` boots a real guest, `make test` is all that CI runs, `make help` tells the rest.
#
# BUILD=release|debug|asan|tsan|cov chooses how; each has its own folder under out/.

BUILD ?= release
CC    ?= gcc
OUT   := out/$(BUILD)

PKGS  := capstone libffi libzstd zlib
WARN  := -Wall -Wextra -Werror
# -mno-red-zone is not needed: the kernel skips the red zone when it delivers a signal.
CFLAGS_release := -O2 -g
CFLAGS_debug   := -O1 -g -DDBT_DEBUG
CFLAGS_asan    := -O1 -g -DDBT_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all \
                  -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -DDBT_DEBUG -fsanitize=thread
CFLAGS_clang   := -O2 -g
CFLAGS_cov     := -O0 -g --coverage
# Lazy: the packages may be installed by this very make.
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lfdt -lslirp
CFLAGS_ALL = -std=gnu17 $(WARN) $(CFLAGS_$(BUILD)) -I. -MMD -MP -pthread $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(CFLAGS_$(BUILD)) -pthread $(LDFLAGS)

SRC   := $(sort $(shell find dbt frontend backend-x86_64 runtime softmmu devices -name '*.c'))
MAIN  := runtime/cli/main.c
LIB   := $(OUT)/libdbt.a
OBJ   := $(patsubst %.c,$(OUT)/%.o,$(filter-out $(MAIN),$(SRC)))
TESTLIB_OBJ := $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard tests/lib/*.c)))
UNIT  := $(patsubst tests/unit/%.c,$(OUT)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

.DEFAULT_GOAL := all
.SECONDARY:

## all          build ./dbt-run (default)
.PHONY: all
all: deps-build
	@$(MAKE) --no-print-directory dbt-run

.PHONY: deps-build deps-test deps-guest
deps-build:
	@scripts/deps.sh build
deps-test:
	@scripts/deps.sh build guest test
deps-guest:
	@scripts/deps.sh guest

.PHONY: dbt-run
dbt-run: $(OUT)/dbt-run
	@cmp -s $< $@ || { cp -f $< $@.new && mv -f $@.new $@; }

$(OUT)/dbt-run: $(OUT)/runtime/cli/main.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

$(LIB): $(OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) -c -o $@ $<

$(OUT)/tests/unit/%: $(OUT)/tests/unit/%.o $(TESTLIB_OBJ) $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka -lm

## run          boot Debian's riscv64 kernel and busybox to a shell; Ctrl-A x ends it
.PHONY: run
run: all deps-guest
	@scripts/fetch-guest.sh
	./dbt-run -kernel "$$(scripts/fetch-guest.sh --print KERNEL)" \
	    -initrd "$$(scripts/fetch-guest.sh --print INITRD)" -append "console=ttyS0"

## debian-image a disk image with a whole riscv64 Debian, from its packages (about five minutes)
## run-debian   boot that image to a login, root, password dbt; it keeps what is written
.PHONY: debian-image run-debian
debian-image: all
	@scripts/debian-image.sh
run-debian: debian-image
	./dbt-run --net user $(if $(SHARE),--share "$(SHARE)") "$$(scripts/debian-image.sh --print)"

## test         everything that CI runs; ends with "N passed, N failed"
.PHONY: test
test: deps-test
	@tests/run.sh

## test-long    whole boots in check mode, under stress and sanitizers; long random tests
.PHONY: test-long
test-long: deps-test
	@scripts/fetch-guest.sh
	@$(MAKE) --no-print-directory unit
	@tests/run.sh long

## test-debian  of those, the ones with Debian's installer, image and programs
.PHONY: test-debian
test-debian: deps-test
	@tests/run.sh debian

## test-windows the guests of make test under --window off and --window always
## test-window-churn MINUTES=60: C programs are built in a loop in Debian; windows leave nothing behind
.PHONY: test-windows test-window-churn
test-windows: deps-test
	@tests/run.sh windows-long
test-window-churn: deps-test all
	@tests/guest/churn.py --minutes $(or $(MINUTES),60)

## unit         the unit tests only, in this BUILD
.PHONY: unit
unit: $(UNIT)

## clean        remove out/ and dbt-run
.PHONY: clean
clean:
	rm -rf out dbt-run

## help         this list
.PHONY: help
help:
	@sed -n 's/^## /  /p' $(MAKEFILE_LIST)

-include $(patsubst %.o,%.d,$(OBJ) $(TESTLIB_OBJ)) $(OUT)/runtime/cli/main.d $(UNIT:=.d)

-include bench/bench.mk
-include tests/lint/lint.mk
-include tests/diff/diff.mk
-include tests/system/system.mk
-include tests/litmus/litmus.mk
-include tests/fuzz/fuzz.mk
-include tests/mutants/mutants.mk
-include tests/cov/cov.mk
