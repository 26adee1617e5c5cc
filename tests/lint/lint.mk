# make check: format, layers, words, tidy.
FORMAT_FILES = $(shell git ls-files '*.c' '*.h')
TIDY_FILES = $(SRC)

## check        format, include layers, words, clang-tidy
.PHONY: check check-format check-layers check-words check-tidy format
check: check-format check-layers check-words check-tidy

check-format: deps-check
	@clang-format --dry-run -Werror $(FORMAT_FILES)

## format       clang-format the tree
format: deps-check
	@clang-format -i $(FORMAT_FILES)

check-layers:
	@python3 tests/lint/check-layers.py

check-words:
	@tests/lint/check-words.sh

check-tidy: deps-check
	@printf '%s\n' $(TIDY_FILES) | xargs -P 2 -n 8 sh -c \
	    'clang-tidy --quiet "$$@" -- -std=gnu17 -I. 2>/dev/null' tidy

.PHONY: deps-check
deps-check:
	@scripts/deps.sh check
