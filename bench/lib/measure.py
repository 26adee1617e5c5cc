"""Runs kernels on several sides in turn and keeps what each cost."""
import sys

from lib.kernels import die


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def one_kernel(kernel, sides, sums):
    """{side: CPU seconds}; all sides must compute the same."""
    costs = {}
    for side in sides:
        costs[side.name], value = side.run(kernel)
        if sums.setdefault(kernel, value) != value:
            die(f"{kernel} under {side.name} computed {value}, before it was {sums[kernel]}")
    return costs


def rounds(kernels, n_runs, open_sides, after_round=None, n_passes=1):
    """{kernel: {side: [CPU seconds, n_passes a round]}}.

    open_sides(round) gives fresh sides, which run each kernel one directly after the other, so
    that a change of the machine's speed meets all alike; the first to run changes each time. The
    first pass is a program's first run since the boot, whose code is still to be translated.
    """
    samples, sums = {}, {}
    for number in range(n_runs):
        where = f"round {number + 1} of {n_runs}"
        note(f"{where}: boot")
        sides = open_sides(number)
        try:
            for kernel, again in ((k, p) for k in kernels for p in range(n_passes)):
                turn = (number + again) % len(sides)
                costs = one_kernel(kernel, sides[turn:] + sides[:turn], sums)
                note(f"{where}: {kernel:<12}" + "".join(
                    f"{side.name:>12}{costs[side.name]:8.3f}" for side in sides))
                for name, cost in costs.items():
                    samples.setdefault(kernel, {}).setdefault(name, []).append(cost)
        finally:
            for side in sides:
                side.close()
        if after_round:
            after_round(samples)
    return samples
