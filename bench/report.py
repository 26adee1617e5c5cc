#!/usr/bin/env python3
"""Turns the raw data of bench/run.sh into a table for people and JSON for tools.

    bench/report.py FOLDER OUT.json

FOLDER holds raw.txt (ROUND WHO WHAT key=value...) and about.txt (key=value).
"""
import collections
import json
import math
import statistics
import sys


def read_raw(path):
    """{what: {who: {"cpu" | "rss" | "pss": [one value a round]}}}"""
    data = collections.defaultdict(lambda: collections.defaultdict(
        lambda: collections.defaultdict(list)))
    with open(path, encoding="ascii") as lines:
        for line in lines:
            _, who, what, *fields = line.split()
            field = dict(f.split("=", 1) for f in fields)
            if field["status"] != "0":
                sys.exit(f"bench: {what} under {who} ended with status {field['status']}")
            cell = data[what][who]
            cell["cpu"].append(float(field["user"]) + float(field["sys"]))
            cell["rss"].append(int(field["rss"]) / 1024)
            cell["pss"].append(int(field["pss"]) / 1024)
    return data


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def ratio(cell, over, under):
    return cell[over]["cpu"]["median"] / cell[under]["cpu"]["median"]


def geomean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def spread(s):
    extremes = f"({s['min']:.3f}-{s['max']:.3f})"
    return f"{s['median']:8.3f} {extremes:<16}"


def print_boot(boot):
    print("\nBoot to power-off, CPU seconds of the whole process and its peak memory:")
    for who in ("dbt", "qemu"):
        cell = boot[who]
        print(f"  {who:<6}{spread(cell['cpu'])}"
              f"rss {cell['rss']['median']:6.0f} MiB   pss {cell['pss']['median']:6.0f} MiB")
    print(f"  dbt takes {ratio(boot, 'dbt', 'qemu'):.2f}x QEMU's time, "
          f"{boot['dbt']['pss']['median'] / boot['qemu']['pss']['median']:.2f}x its memory (pss)")


def print_kernels(kernels, means):
    print("\nKernels, CPU seconds as the guest's own kernel charged them:")
    print(f"  {'':<12}{'native':>8}{'':18}{'dbt':>7}{'':18}{'qemu':>7}{'':17}"
          f"{'dbt/native':>10}{'qemu/native':>12}{'dbt/qemu':>9}")
    for name, cell in sorted(kernels.items()):
        times = "".join(spread(cell[who]["cpu"]) for who in ("native", "dbt", "qemu"))
        print(f"  {name:<11}" + times + f"{cell['dbt_to_native']:10.2f}{cell['qemu_to_native']:12.2f}"
              + f"{cell['dbt_to_qemu']:9.2f}")
    print(f"  {'geomean':<86}{means['dbt_to_native']:10.2f}{means['qemu_to_native']:12.2f}"
          f"{means['dbt_to_qemu']:9.2f}")


def main(folder, out):
    data = read_raw(f"{folder}/raw.txt")
    whole = {what: {who: {key: summary(values) for key, values in cell.items()}
                    for who, cell in per_who.items()} for what, per_who in data.items()}
    kernels = {what: cell for what, cell in whole.items() if "native" in cell}
    pairs = (("dbt", "native"), ("qemu", "native"), ("dbt", "qemu"))
    for cell in kernels.values():
        cell.update({f"{a}_to_{b}": ratio(cell, a, b) for a, b in pairs})
    means = {f"{a}_to_{b}": geomean([cell[f"{a}_to_{b}"] for cell in kernels.values()])
             for a, b in pairs}
    with open(f"{folder}/about.txt", encoding="utf-8") as lines:
        about = dict(line.rstrip("\n").split("=", 1) for line in lines)

    print_boot(whole["boot"])
    print_kernels(kernels, means)
    boot = dict(whole["boot"], dbt_to_qemu=ratio(whole["boot"], "dbt", "qemu"))
    with open(out, "w", encoding="utf-8") as f:
        json.dump({"about": about, "boot": boot, "kernels_boot": whole["kernels"],
                   "kernels": kernels, "geomean": means}, f, indent=1)
    print(f"\n{out} has all values.")


main(*sys.argv[1:])
