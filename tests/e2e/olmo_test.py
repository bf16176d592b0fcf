"""A real log of 105 series: what the store says of every series is what `series.csv` beside the logs
says, and every value is the one in the file, also after SIGKILL."""

import csv
import json
import os
import sys
import unittest

from support import Case, bits_of, bits_of_text, shared_data

SOURCE = "olmo_ladder/1B-10xC.csv"
STEP = "throughput/total_tokens"


@unittest.skipUnless(shared_data(), "no ../shared/data beside the checkout and no $STEPDB_DATA")
class OlmoLadder(Case):
    def check_series(self):
        with open(os.path.join(shared_data(), "series.csv"), encoding="utf-8") as file:
            want = {row["series"]: row for row in csv.DictReader(file) if row["source"] == SOURCE}
        buckets = {row["metric"]: row for row in self.query("** @ real/olmo | buckets 1")}
        self.assertEqual(set(buckets), set(want))
        for name, series in want.items():
            got = buckets[name]
            points = sum(int(got[count]) for count in ("count", "nan", "pinf", "ninf"))
            self.assertEqual(points, int(series["points"]) - int(series["repeated_steps"]), name)
            self.assertEqual(got["nan"], series["nan"], name)
            self.assertEqual(float(got["first_x"]), float(series["min_step"]), name)
            self.assertEqual(float(got["last_x"]), float(series["max_step"]), name)
            for ours, theirs in (("min", "min"), ("max", "max"), ("first", "first_value"),
                                 ("last", "last_value")):
                self.assertEqual(bits_of_text(got[ours]), bits_of(float(series[theirs])), name)

    def check_values(self):
        with open(os.path.join(shared_data(), SOURCE), encoding="utf-8") as file:
            want = {(name, float(row[STEP])): bits_of(float(cell))
                    for row in csv.DictReader(file) for name, cell in row.items()
                    if name != STEP and cell}
        got = {(row["metric"], float(row["step"])): bits_of_text(row["value"])
               for row in self.query("** @ real/olmo")}
        self.assertTrue(got == want)

    def test_everything_is_there(self):
        self.start()
        out = self.stepdb("import", "csv", os.path.join(shared_data(), SOURCE), "--project",
                          "real", "--run", "olmo", "--step-column", STEP, "--format", "json")
        self.assertEqual(json.loads(out), {
            "project": "real", "run": "olmo", "series": 105, "read": 85470, "sent": 85470,
            "stored": 85470, "replaced": 0, "skipped": 0, "restarts": 0})
        self.check_series()
        self.check_values()
        self.restart_after_kill()
        self.check_series()
        self.check_values()
        self.server.stop()
        self.start()
        self.check_series()
        self.check_values()


if __name__ == "__main__":
    if not shared_data():
        print("skipped: no ../shared/data beside the checkout and no $STEPDB_DATA")
        sys.exit(77)  # ctest: skipped
    unittest.main()
