# `make check`: what a machine can say about the text. `make format` mends the first of them.
# Tables (.def) are laid out by hand.

LINT_TEXT = $(shell git ls-files --cached --others --exclude-standard -- '*.c' '*.h')

## check        format, layers, words and clang-tidy (about a minute)
.PHONY: check lint check-format check-layers check-words check-tidy format deps-check
check lint: check-format check-layers check-words check-tidy

deps-check:
	@scripts/deps.sh build check

check-format: deps-check
	@clang-format --dry-run -Werror $(wildcard $(LINT_TEXT))

check-layers:
	@tests/lint/check-layers.sh

check-words:
	@tests/lint/check-words.sh

check-tidy: deps-check
	@tests/lint/check-tidy.sh

## format       lay the code out as .clang-format says
format: deps-check
	@clang-format -i $(wildcard $(LINT_TEXT))
