"""Tables for people."""


def with_spread(s, digits=2):
    """Median (min-max)."""
    return f"{s['median']:8.{digits}f} {'(%.*f-%.*f)' % (digits, s['min'], digits, s['max']):<16}"


def print_boot(boot):
    print("\nBoot to power-off, CPU seconds of the whole process, and its peak memory in MiB:")
    for who, cell in boot.items():
        print(f"  {who:<6}{with_spread(cell['cpu'], 3)} rss {cell['rss']['median']:5.0f}"
              f"   pss {cell['pss']['median']:5.0f}")
    if {"dbt", "qemu"} <= set(boot):
        cpu, pss = (boot["dbt"][key]["median"] / boot["qemu"][key]["median"]
                    for key in ("cpu", "pss"))
        print(f"  dbt takes {cpu:.2f}x QEMU's time, {pss:.2f}x its memory (pss)")


def print_kernels(result, sides, pairs):
    """Times of the sides, then the ratios, median and extremes, then the means."""
    print("\nKernels, CPU seconds, medians; ratios with their extremes over the rounds:")
    print(f"  {'':<12}" + "".join(f"{side:>9}" for side in sides)
          + "".join(f"{pair:>13}{'':<12}" for pair in pairs))
    group = None
    for name, kernel in result["kernels"].items():
        if kernel["group"] != group:
            group = kernel["group"]
            print(f" {group}")
        print(f"  {name:<12}" + "".join(f"{kernel['times'][s]['median']:9.3f}" for s in sides)
              + "".join(with_spread(kernel["ratios"][pair]) for pair in pairs))
    print(" geomean")
    for mean, values in result["geomeans"].items():
        print(f"  {mean:<12}" + f"{'':9}" * len(sides)
              + "".join(f"{values[pair]:8.2f}{'':17}" for pair in pairs))


def print_ratios(result, pairs, headings):
    """Medians of many ratios, a column each."""
    print(f"  {'':<12}" + "".join(f"{heading:>9}" for heading in headings))
    for name, kernel in result["kernels"].items():
        print(f"  {name:<12}" + "".join(f"{kernel['ratios'][pair]['median']:9.2f}"
                                        for pair in pairs))
    print(" geomean")
    for mean, values in result["geomeans"].items():
        print(f"  {mean:<12}" + "".join(f"{values[pair]:9.2f}" for pair in pairs))
