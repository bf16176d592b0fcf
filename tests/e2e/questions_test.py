"""What a researcher would ask of the sweep of examples/, and what must come out.

The questions stand in `questions_*.py`, each as one entry: in words, as a query, and as a function that
finds the answer by lists and loops in the raw logs (`sweep_*.py`). Nothing of the engine takes part in that.

Counts, extremes, names, steps, times and values that were logged must be equal; what is calculated is
`near` and must be within a relative 1e-9.
"""

import csv
import io
import unittest

import questions_design
import questions_runs
import questions_layers
import questions_time
import questions_more
from support import Case
from sweep_answers import QUESTIONS
from sweep_logs import SWEEP, Sweep, agrees


class Questions(Case):
    def test_answers_are_those_of_lists_and_loops(self):
        self.start()
        self.stepdb("import", "jsonl", SWEEP, "--project", "sweep")
        sweep = Sweep()
        self.assertEqual(len(sweep.runs()), 11)
        answers = {asked: asked.answer(sweep) for asked in QUESTIONS}
        self.ask_all(answers)
        # Once more of what a server finds in its files when it starts.
        self.server.stop()
        self.start()
        self.ask_all(answers)
        self.server.stop()

    def ask_all(self, answers):
        for asked, answer in answers.items():
            with self.subTest(asked.asked, query=asked.query):
                self.ask(asked, *answer)

    def ask(self, asked, columns, expected):
        parameters = [word for given in asked.parameters for word in ("--param", given)]
        printed = self.stepdb("query", asked.query, "--format", "csv", *parameters)
        found_columns, *found = list(csv.reader(io.StringIO(printed)))
        if asked.rows_of:
            found = [row for row in found if row[0] in asked.rows_of]
        self.assertEqual(found_columns, columns)
        self.assertEqual(len(found), len(expected), f"{found[:5]} but {expected[:5]}")
        for number, (row, should) in enumerate(zip(found, expected)):
            self.assertEqual(len(row), len(should))
            wrong = [column for column, text, value in zip(columns, row, should) if not agrees(value, text)]
            self.assertEqual(wrong, [], f"row {number} is {row}, should be {should}")


if __name__ == "__main__":
    unittest.main()
