# Litmus tests, boots and torture for several harts: tests/litmus/README.md. Included by the Makefile.

## test-litmus  ROUNDS=10000000: the memory model, code, page tables and IPIs between 2 and 4 harts, then the planted faults
## test-smp-boots BOOTS=50: so many boots with 1, 2, 4 and 8 harts each, under both firmwares; of one that hangs, where each hart stands
## test-tsan    harts, litmus tests, boots and torture under ThreadSanitizer
## soak         SECONDS=1800: a whole Linux tortured with 2 and 4 harts
.PHONY: test-litmus test-smp-boots test-tsan soak
test-litmus: deps-test dbt-run
	@tests/litmus/model.py
	@tests/litmus/model.py --random 20000 1
	@tests/litmus/run.py --rounds $(or $(ROUNDS),10000000) --seconds 600 --limit 36000
	@tests/litmus/run.py --planted --harts 2 --rounds 50000

test-smp-boots: deps-test dbt-run
	@scripts/fetch-guest.sh
	@tests/guest/smp-boots --times $(or $(BOOTS),50)

test-tsan: deps-test
	@tests/run.sh tsan-long

soak: deps-test dbt-run
	@scripts/fetch-guest.sh
	@tests/guest/torture.py --seconds $(or $(SECONDS),1800)
