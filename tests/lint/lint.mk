# `make check`: what a machine can say about the text. Tables (.def) are laid out by hand.

LINT_TEXT = $(wildcard $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h'))

## check        format, include layers, words, clang-tidy (about two minutes)
.PHONY: check lint check-format check-layers check-words check-tidy format deps-check
check lint: check-format check-layers check-words check-tidy

deps-check:
	@scripts/deps.sh build check

check-format: deps-check
	@clang-format --dry-run -Werror $(LINT_TEXT)

check-layers:
	@python3 tests/lint/check-layers.py

check-words:
	@tests/lint/check-words.sh

# Two files at a time.
check-tidy: deps-check
	@tests/lint/check-tidy.sh $(SRC)

## format       lay the code out as .clang-format says
format: deps-check
	@clang-format -i $(LINT_TEXT)
