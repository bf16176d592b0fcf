"""The Python client for those who come from elsewhere, and its pages: their code is run."""

import contextlib
import datetime
import io
import os
import re
import subprocess
import threading
import unittest
from unittest import mock

from python_client import CLIENT, ClientCase
from support import ROOT, SECONDS_MAX

import stepdb
from stepdb import wandb
from stepdb.tensorboard import SummaryWriter


class Moving(ClientCase):
    def test_the_names_of_neptune(self):
        self.start()
        run = self.new_run("base")
        run.log_metrics(data={"loss": 0.5}, step=1, timestamp=datetime.datetime(2026, 1, 2, 3))
        self.assertTrue(run.wait_for_processing())
        run.close()
        run = self.new_run("tip", fork_run_id="base", fork_step=1)
        run.log_metrics(data={"loss": 0.25}, step=2)
        run.close()
        self.assertEqual(self.points("loss", "tip"), [(1.0, 0.5), (2.0, 0.25)])

    def test_tensorboard(self):
        self.start()
        said = io.StringIO()
        with contextlib.redirect_stderr(said), SummaryWriter(
                "runs/exp/3", project="p", server=self.server.address, spool=self.spool) as writer:
            for step in range(100):
                writer.add_scalar("loss", 1 / (step + 1), step)
                writer.add_scalars("acc", {"train": step, "val": -step}, step)
                writer.add_scalar("unnumbered", step)
                writer.add_histogram("weights", [1, 2], step)
            writer.add_hparams({"lr": 0.1}, {"hparam/best": 0.5})
        self.assertEqual(said.getvalue(),
                         "stepdb: add_histogram is left out: StepDB stores numbers\n")
        self.assert_bits(self.points("loss", "runs.exp.3"),
                         [(float(step), 1 / (step + 1)) for step in range(100)])
        self.assertEqual(self.points("acc/val", "runs.exp.3")[-1], (99.0, -99.0))
        self.assertEqual(self.points("unnumbered", "runs.exp.3")[7], (7.0, 7.0))
        self.assertEqual(self.points("hparam/best", "runs.exp.3"), [(0.0, 0.5)])

    def test_wandb(self):
        self.start()
        run = wandb.init("p", id="w", config={"lr": 0.1, "opt": {"name": "adam"}}, tags=["a"],
                         stepdb={"server": self.server.address, "spool": self.spool})
        self.assertEqual((wandb.config.lr, run.config["opt"]["name"]), (0.1, "adam"))
        wandb.config.seed = 7
        wandb.define_metric("val/*", step_metric="epoch")
        wandb.log({"loss": 3.0, "grad": {"norm": 1.5}})        # step 0
        wandb.log({"loss": 2.0}, commit=False)                 # step 1, with what follows
        wandb.log({"acc": 0.5})
        wandb.log({"loss": 1.0}, step=10)
        wandb.log({"acc": 0.75}, step=10)
        wandb.log({"loss": 2.5}, step=5)                       # late: kept
        wandb.log({"loss": 0.5}, step=11)
        run.summary["best"] = 0.5
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            wandb.watch(None)
            run.log({"picture": wandb.Image("x.png"), "loss": 0.25}, step=12)
            wandb.finish()
        self.assertIn("wandb.watch is left out", said.getvalue())
        self.assertIn("wandb.Image is left out", said.getvalue())
        self.assertIsNone(wandb.run)
        self.assertEqual(self.points("loss", "w"), [(0.0, 3.0), (1.0, 2.0), (5.0, 2.5), (10.0, 1.0),
                                                    (11.0, 0.5), (12.0, 0.25)])
        self.assertEqual(self.points("acc", "w"), [(1.0, 0.5), (10.0, 0.75)])
        self.assertEqual(self.points("grad.norm", "w"), [(0.0, 1.5)])
        with stepdb.connect(self.server.address) as connection:
            [row] = connection.query("runs p/w | show config/lr, config/opt/name, config/seed, "
                                     "summary/best, sys/tags").to_dicts()
        self.assertEqual(list(row.values())[1:], [0.1, "adam", 7, 0.5, "a"])

    def test_wandb_disabled_does_nothing(self):
        """No server, no spool, no thread."""
        threads = threading.active_count()
        for how in ({"mode": "disabled"}, {}):
            with mock.patch.dict(os.environ, {"WANDB_MODE": "disabled"} if not how else {}):
                run = wandb.init("p", id="w", config={"lr": 0.1}, tags=["a"], name="n", **how,
                                 stepdb={"server": "127.0.0.1:1", "spool": self.spool})
            wandb.log({"loss": 1.0})
            run.summary["best"] = 1
            self.assertEqual((run.config.lr, run.id, run.step), (0.1, "w", 1))
            wandb.finish()
            self.assertIsNone(wandb.run)
        self.assertEqual(threading.active_count(), threads)
        self.assertFalse(os.path.exists(self.spool))

    def test_the_readme(self):
        self.start()
        with open(os.path.join(CLIENT, "README.md"), encoding="utf-8") as file:
            codes = re.findall(r"(?ms)^```python$(.*?)^```$", file.read())
        told = []
        for code in codes:
            with self.job(code, cwd=self.directory) as job:
                told += job.communicate(timeout=SECONDS_MAX)[0].splitlines()
            self.assertEqual(job.returncode, 0)
        self.assertRegex(told.pop(1), r"^200 \[0\.\d+")
        self.assertEqual(told, ["1,000 of 1,000 rows sent",
                                "['run', 'step', 'train/loss'] ('run-17', 999.0, 0.001)",
                                "True [('gpt/run-17', 'train/loss', 999.0, 0.001)]"])
        self.assertEqual(len(self.points("train/loss", "run-17", "gpt")), 1000)
        with open(self.path("loss.svg"), encoding="utf-8") as file:
            self.assertIn("<polyline", file.read())

    def test_the_readme_of_all(self):
        self.start()
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            [code] = re.findall(r"(?ms)^```python$(.*?)^```$", file.read())
        with self.job(code, cwd=self.directory) as job:
            told, _ = job.communicate(timeout=SECONDS_MAX)
        self.assertEqual(job.returncode, 0)
        self.assertRegex(told, r"^\[899\.(?:0,)? 900\.0?\] \[0\.001[\d.]*,? +0\.001")
        self.assertEqual(len(self.points("train/loss", "run-1", "gpt")), 901)
        self.assertEqual(len(self.points("layers/0/grad_norm", "run-1#0", "gpt")), 1000)

    def test_the_page_for_those_who_come_from_elsewhere(self):
        self.start()
        with open(os.path.join(ROOT, "docs", "moving.md"), encoding="utf-8") as file:
            blocks = re.findall(r"(?ms)^```python$(.*?)^```$", file.read())
        self.assertEqual(len(blocks), 4)
        for code in blocks:
            with self.job(code, cwd=self.directory, stderr=subprocess.PIPE) as job:
                told, said = job.communicate(timeout=SECONDS_MAX)
            self.assertEqual((job.returncode, said), (0, ""))
        self.assertEqual(told, "train/acc 0 100 only in gpt/run-17: step 0\n"
                         "train/loss 100 100 None\n")
        for run in ("run-17", "run-18", "runs.exp.3"):
            self.assertEqual(len(self.points("train/loss", run, "gpt")), 100, run)
        self.assertEqual(len(self.points("train/loss", "run-19", "gpt")), 52)


if __name__ == "__main__":
    unittest.main()
