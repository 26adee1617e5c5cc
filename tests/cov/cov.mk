# Included by the Makefile.

## cov          lines that the tests execute, by folder (tests/cov/report.py --missed names the rest)
.PHONY: cov
cov: deps-test
	@$(MAKE) --no-print-directory BUILD=cov unit out/cov/dbt-run out/cov/tests/diff/unicorn_diff \
	    out/cov/tests/diff/qemu_user
	@tests/cov/run.sh
