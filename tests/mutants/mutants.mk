# Included by the Makefile.

## mutants      plant faults one at a time, and see that tests notice each (MUTANTS="--quick --jobs 2")
.PHONY: mutants
mutants: deps-test
	@scripts/fetch-guest.sh
	@tests/mutants/run $(MUTANTS)
