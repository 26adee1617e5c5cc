"""Medians, ratios and means of what was measured."""
import math
import statistics

from lib.kernels import GROUPS


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": list(values)}


def ratio(times, over, under):
    """Of each round by itself: what disturbs a round disturbs both."""
    return summary([a / b for a, b in zip(times[over], times[under])])


def geomean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def evaluate(samples, group_of, pairs):
    """samples: {kernel: {side: [seconds]}}; pairs: [(over, under)]. Gives what the JSON holds:
    kernels with times and ratios, and the geomean of each group that has a kernel."""
    kernels = {
        name: {
            "group": group_of[name],
            "times": {side: summary(values) for side, values in times.items()},
            "ratios": {f"{a}/{b}": ratio(times, a, b) for a, b in pairs},
        } for name, times in samples.items()
    }
    means = {}
    for mean, groups in GROUPS.items():
        members = [k for k in kernels.values() if k["group"] in groups]
        if members:
            means[mean] = {pair: geomean([k["ratios"][pair]["median"] for k in members])
                           for pair in members[0]["ratios"]}
    return {"kernels": kernels, "geomeans": means}
