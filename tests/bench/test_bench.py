#!/usr/bin/env python3
"""What bench/ makes of measurements, on small ones whose answers can be seen.

    tests/bench/test_bench.py      the last line is "N passed, N failed"
"""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
from xml.etree import ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "bench"))

import ablation  # noqa: E402
import compare  # noqa: E402
from lib import blocks, guest, kernels, measure, plot, stats, table  # noqa: E402

SAMPLES = {
    "fib": {"native": [1.0, 2.0, 1.0], "dbt": [2.0, 4.0, 3.0], "qemu": [8.0, 16.0, 8.0]},
    "fft": {"native": [1.0, 1.0, 1.0], "dbt": [8.0, 8.0, 8.0], "qemu": [32.0, 32.0, 32.0]},
    "pipes": {"native": [1.0, 1.0, 1.0], "dbt": [0.5, 0.5, 0.5], "qemu": [4.0, 4.0, 4.0]},
}
GROUP_OF = {"fib": "integer", "fft": "float", "pipes": "system"}
PAIRS = [("dbt", "native"), ("qemu", "native"), ("dbt", "qemu")]

DUMP = """\
block 0 at 0000000000010596 (physical 80201596) mode 45
  0000000000010596  0721      c.addi\ta4,8
  0000000000010598  8082      c.ret
-- out_asm, 32 bytes
  0000  cmp dword ptr [rbp + 0x1ac], 0
  ; +0x596
  0007  add r15, 8
  ; +0x598
  000b  jmp 0x90
-- apart, 8 bytes
  8000  mov eax, 0x596
  8005  jmp 0x90
made 80201596 mode 45, 32 bytes at 0x7f0000001000, 8 at 0x7f0000009000
link 80201596 to 80201596
block 1 at 0000000000010700 (physical 80201700) mode 45
  0000000000010700  8082      c.ret
-- out_asm, 16 bytes
  ; +0x700
  0000  jmp 0x80
-- apart, 0 bytes
made 80201700 mode 45, 16 bytes at 0x7f0000002000, 0 at 0x7f0000009008
"""


def evaluated():
    return stats.evaluate(SAMPLES, GROUP_OF, PAIRS)


def printed(function, *arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        function(*arguments)
    return out.getvalue()


class Stats(unittest.TestCase):
    def test_ratios_are_of_each_round(self):
        ratio = evaluated()["kernels"]["fib"]["ratios"]["dbt/native"]
        self.assertEqual((ratio["median"], ratio["min"], ratio["max"]), (2.0, 2.0, 3.0))

    def test_means_are_by_group(self):
        means = evaluated()["geomeans"]
        self.assertAlmostEqual(means["compute"]["dbt/native"], 4.0)
        self.assertAlmostEqual(means["float"]["dbt/native"], 8.0)
        self.assertAlmostEqual(means["system"]["dbt/qemu"], 0.125)

    def test_a_group_without_kernels_has_no_mean(self):
        result = stats.evaluate({"fib": SAMPLES["fib"]}, GROUP_OF, PAIRS)
        self.assertEqual(set(result["geomeans"]), {"compute", "integer"})


class Table(unittest.TestCase):
    def test_kernels(self):
        text = printed(table.print_kernels, evaluated(), ["native", "dbt", "qemu"],
                       ["dbt/native", "dbt/qemu"])
        self.assertRegex(text, r"fib +1\.000 +3\.000 +8\.000 +2\.00 \(2\.00-3\.00\)")
        self.assertRegex(text, r"\n system\n  pipes")

    def test_ratios(self):
        text = printed(table.print_ratios, evaluated(), ["qemu/native"], ["qemu"])
        self.assertRegex(text, r"fft +32\.00\n")

    def test_boot(self):
        cell = {key: stats.summary([2, 4, 3]) for key in ("cpu", "rss", "pss")}
        other = {key: stats.summary([6]) for key in ("cpu", "rss", "pss")}
        text = printed(table.print_boot, {"dbt": cell, "qemu": other})
        self.assertIn("0.50x QEMU's time", text)


class Plot(unittest.TestCase):
    def test_is_well_formed_and_complete(self):
        root = ElementTree.fromstring(plot.draw(evaluated(), ["dbt/native", "qemu/native"], "a<b"))
        words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertLessEqual({"a<b", "fib", "fft", "pipes", "geomean", "32", "0.5"}, set(words))

    def test_nothing_leaves_the_picture(self):
        root = ElementTree.fromstring(plot.draw(evaluated(), ["dbt/native", "qemu/native"], "x"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            end = float(rect.get("x", 0)) + float(rect.get("width"))
            self.assertLessEqual(end, float(root.get("width")))

    def test_a_longer_bar_is_slower(self):
        chart = plot.Chart(1, 100)
        self.assertLess(chart.x(2), chart.x(3))
        self.assertAlmostEqual(chart.x(10) - chart.x(1), chart.x(100) - chart.x(10))


class Compare(unittest.TestCase):
    def verdict(self, base, here):
        times = {"base": stats.summary(base), "here": stats.summary(here)}
        return compare.apart({"times": times})

    def test_verdicts(self):
        self.assertEqual(self.verdict([2.0, 2.1], [1.0, 1.9]), "faster")
        self.assertEqual(self.verdict([2.0, 2.1], [2.2, 3.0]), "slower")
        self.assertEqual(self.verdict([2.0, 2.1], [1.9, 2.05]), "")

    def test_says_which(self):
        samples = {"fib": {"here": [1.0, 1.1], "base": [2.0, 2.2]}}
        result = stats.evaluate(samples, GROUP_OF, [compare.PAIR])
        text = printed(compare.print_result, result, "abc")
        self.assertIn("faster: fib\nslower: none\n", text)


class Ablation(unittest.TestCase):
    def test_every_pass_has_a_switch(self):
        known = ablation.variants("")
        self.assertEqual(known["cse"], "--opt=-cse")
        self.assertGreaterEqual(len(known), 5)
        self.assertEqual(list(ablation.variants("links")), ["links"])

    def test_unknown_switch(self):
        with self.assertRaisesRegex(SystemExit, "no switch 'nosuch'"):
            ablation.variants("nosuch")


class Kernels(unittest.TestCase):
    def test_there_are_enough(self):
        self.assertGreaterEqual(len(kernels.chosen("compute")), 18)
        self.assertGreaterEqual(len(kernels.chosen("system")), 9)
        self.assertEqual(kernels.chosen(""), kernels.everything())

    def test_names_and_groups(self):
        self.assertEqual(kernels.chosen("pipes fib"), {"fib": "integer", "pipes": "system"})
        with self.assertRaisesRegex(SystemExit, "no kernel 'nosuch'"):
            kernels.chosen("nosuch")

    def test_no_name_twice(self):
        files = [file.stem for file in kernels.FOLDER.glob("*/*.c")]
        self.assertEqual(len(files), len(set(files)))

    def test_the_result_is_the_kernels_own(self):
        self.assertEqual(guest.checksum("fib 0123456789abcdef\n", "fib", "x"), "0123456789abcdef")
        for text in ("", "fib 0123\n", "fft 0123456789abcdef\n"):
            with self.assertRaisesRegex(SystemExit, "printed no result"):
                guest.checksum(text, "fib", "x")


class Rounds(unittest.TestCase):
    class Side:
        def __init__(self, name, value, calls):
            self.name, self.value, self.calls = name, value, calls

        def run(self, kernel):
            self.calls.append(f"{self.name} {kernel}")
            return 1.0, self.value

        def close(self):
            self.calls.append(f"close {self.name}")

    def measure(self, values, n_runs, **more):
        calls = []
        with contextlib.redirect_stderr(io.StringIO()):
            samples = measure.rounds(["k"], n_runs, lambda _: [
                self.Side(name, value, calls) for name, value in values.items()], **more)
        return samples, calls

    def test_interleaved_and_turned(self):
        samples, calls = self.measure({"a": "1", "b": "1"}, 2)
        self.assertEqual(samples, {"k": {"a": [1.0, 1.0], "b": [1.0, 1.0]}})
        self.assertEqual(calls, ["a k", "b k", "close a", "close b",
                                 "b k", "a k", "close a", "close b"])

    def test_each_pass_is_turned_and_counts(self):
        samples, calls = self.measure({"a": "1", "b": "1"}, 1, n_passes=2)
        self.assertEqual(samples, {"k": {"a": [1.0, 1.0], "b": [1.0, 1.0]}})
        self.assertEqual(calls, ["a k", "b k", "b k", "a k", "close a", "close b"])

    def test_a_wrong_result_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "k under b computed 2"):
            self.measure({"a": "1", "b": "2"}, 1)


class Blocks(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(text)
            file.flush()
            return list(blocks.read(file.name))

    def test_host_code_stands_by_its_guest_instruction(self):
        first, second = self.read(DUMP)
        self.assertEqual((first.gva, first.start, first.size), (0x10596, 0x7f0000001000, 32))
        self.assertEqual([h[2] for h in first.host],
                         [None, 0x10596, 0x10598, blocks.APART, blocks.APART])
        self.assertEqual(second.guest, [(0x10700, "8082      c.ret")])

    def test_samples_find_their_instruction(self):
        hot, others = blocks.attribute(self.read(DUMP), [
            0x7f0000001009, 0x7f000000100b, 0x7f000000100a, 0x7f0000000fff, 0x7f0000001020,
            0x7f0000009006, 0x7f0000009008])
        self.assertEqual(others, [0x7f0000000fff, 0x7f0000001020, 0x7f0000009008])
        self.assertEqual([(b.gva, b.samples) for b in hot],
                         [(0x10596, {7: 2, 11: 1, 0x8005: 1})])

    def test_code_that_was_overwritten_is_gone(self):
        again = DUMP + DUMP.splitlines(True)[0].replace("10596", "10996").replace("01596", "01996")
        again += "made 80201996 mode 45, 32 bytes at 0x7f0000001000, 0 at 0x7f0000009000\n"
        hot, _ = blocks.attribute(self.read(again), [0x7f0000001000])
        self.assertEqual([b.gva for b in hot], [0x10996])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
