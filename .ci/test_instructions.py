import json
import unittest

from instructions import compare, hot_paths, process, rounded


class AHotPath(unittest.TestCase):
    def compared(self, before: int, after: int) -> tuple[list[str], list[str]]:
        _, faults, notes = compare({"path": before, "other": 50}, {"path": after, "other": 50})
        return faults, notes

    def test_passes_at_9_percent_more(self) -> None:
        self.assertEqual(self.compared(100_000, 109_000), ([], []))

    def test_passes_at_10_percent_more(self) -> None:
        self.assertEqual(self.compared(100_000, 110_000), ([], []))

    def test_fails_at_11_percent_more_and_is_named(self) -> None:
        faults, _ = self.compared(100_000, 111_000)
        self.assertEqual(faults, ["path takes +11.0 % instructions, and 10 % is the most"])

    def test_that_became_11_percent_cheaper_is_told_and_passes(self) -> None:
        faults, notes = self.compared(100_000, 89_000)
        self.assertEqual(faults, [])
        self.assertEqual(len(notes), 1)
        self.assertIn("path takes -11.0 % instructions", notes[0])

    def test_that_became_9_percent_cheaper_is_not_worth_a_word(self) -> None:
        self.assertEqual(self.compared(100_000, 91_000), ([], []))

    def test_that_is_in_the_baseline_alone_fails(self) -> None:
        _, faults, _ = compare({"kept": 1, "gone": 2}, {"kept": 1})
        self.assertEqual(faults, ["gone is in the baseline and was not counted"])

    def test_that_is_not_in_the_baseline_fails(self) -> None:
        _, faults, _ = compare({"kept": 1}, {"kept": 1, "added": 2})
        self.assertEqual(faults, ["added is not in the baseline"])

    def test_is_in_the_table_with_both_counts_and_the_change(self) -> None:
        table, _, _ = compare({"a": 1_000, "gone": 1_000}, {"a": 1_250, "added": 7})
        rows = [row.split() for row in table.splitlines()]
        self.assertEqual(rows[1:], [["a", "1,000", "1,250", "+25.0", "%"], ["gone", "1,000", "-"], ["added", "-", "7"]])


class Counts(unittest.TestCase):
    def test_are_read_from_the_harness_and_from_the_process(self) -> None:
        total = {"metrics": {"Ir": {"values": {"new": 57_719, "old": 60_000}}}}
        summary = {"function_name": "route_event", "id": "bytes_0", "profiles": [{"data": {"total": total}}]}
        self.assertEqual(hot_paths(json.dumps(summary) + "\n"), {"route_event::bytes_0": 57_719})
        self.assertEqual(process("process::warm_call 7\n"), {"process::warm_call": 7})

    def test_are_rounded_to_what_does_not_change_by_itself(self) -> None:
        self.assertEqual([rounded(count) for count in (7, 57_719, 17_376_756)], [7, 57_700, 17_400_000])


if __name__ == "__main__":
    unittest.main()
