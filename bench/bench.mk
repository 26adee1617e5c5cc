# Measurements: bench/README.md. What they choose comes from the environment: RUNS, KERNELS, DBT.

## bench        CPU time of kernels and of a boot, against native code and QEMU (15 minutes)
.PHONY: bench bench-ablation bench-compare bench-hot bench-net bench-share bench-debian bench-smp
bench: all
	@bench/run.py

## bench-ablation  what each pass and switch is worth: the kernels with one of them off
bench-ablation: all
	@bench/ablation.py

## bench-compare   BASE=COMMIT: that commit's dbt-run and this one, and which kernels differ
bench-compare: all
	@bench/compare.py "$(BASE)"

## bench-hot       KERNEL=NAME: the blocks in which its time goes, guest and host code
bench-hot: all
	@bench/hot.py "$(KERNEL)"

## bench-net       100 MB to and from a guest through libslirp, against QEMU
bench-net: all
	@bench/net.py

## bench-debian    CPU time to the login prompt of Debian's disk image, against QEMU
bench-debian: debian-image
	@scripts/deps.sh bench
	@bench/debian.py

## bench-share     a shared folder of small files and a large one, against QEMU's 9p
bench-share: all
	@bench/share.py

## bench-smp       two harts on two processors against one, eight against two, against QEMU
bench-smp: all
	@bench/smp.py
