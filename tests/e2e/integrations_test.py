"""The client's hooks into training libraries, and the example of each, against the real server.

Needs torch. Lightning and transformers are stood in for (standins/README.md) where they are not
installed, which is said.
"""

import os
import subprocess
import sys
import unittest

from support import ROOT, SECONDS_MAX, Case, interpreter_with

CLIENT = os.path.join(ROOT, "clients", "python")
STANDINS = os.path.join(ROOT, "tests", "e2e", "standins")
sys.path.insert(0, CLIENT)
import stepdb  # noqa: E402

TORCH = interpreter_with("torch")
BARE = "import sys; sys.modules.update(dict.fromkeys(('torch', 'numpy', 'lightning', " \
       "'pytorch_lightning', 'transformers')))\n"  # as if none of them were installed


def library(name):
    """Where to find it besides what is installed."""
    if TORCH is not None and interpreter_with("torch", name) == TORCH:
        return []
    print(f"there is no {name}: a stand-in calls the client as it does", file=sys.stderr)
    return [STANDINS]


class Integrations(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def python(self, python, *arguments, path=(), environment=None):
        done = subprocess.run(
            [python, "-B", *arguments], cwd=self.directory, capture_output=True, text=True,
            timeout=SECONDS_MAX, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([CLIENT, *path]),
                 "STEPDB_SPOOL": self.path("spool"), "STEPDB_SERVER": self.server.address,
                 "OMP_NUM_THREADS": "1", **(environment or {})})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def example(self, name, *arguments, python=sys.executable, path=()):
        script = os.path.join(ROOT, "examples", "python", name)
        done = self.python(python, script, *arguments, path=path)
        self.assertEqual(done.stderr, "")

    def ask(self, text):
        with stepdb.connect(self.server.address) as connection:
            return list(connection.query(text))

    def series(self, metric, run, project="examples"):
        return {step: value for _, _, step, value in self.ask(f"{metric} @ {project}/{run}")}

    def state(self, run, project="examples"):
        [(_, state)] = self.ask(f"runs {project}/{run} | show state")
        return state

    def assert_learns(self, losses, count):
        self.assertEqual(len(losses), count)
        self.assertLess(losses[max(losses)], losses[min(losses)] / 2)

    # --- examples ---

    def test_the_script_for_wandb(self):
        self.example("wandb_script.py")
        self.assert_learns(self.series("train/loss", "line-wandb"), 200)
        self.assertEqual(len(self.series("weights.slope", "line-wandb")), 200)
        [(_, lr, slope)] = self.ask("runs examples/line-wandb | show config/lr, summary/slope")
        self.assertEqual((lr, slope > 1), (0.1, True))

    def test_the_script_for_tensorboard(self):
        self.example("tensorboard_script.py")
        self.assert_learns(self.series("train/loss", "runs.line"), 200)
        self.assertEqual(len(self.series("weights/offset", "runs.line")), 200)
        self.assertEqual(self.state("runs.line"), "finished")

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_layers_with_torch(self):
        self.example("torch_layers.py", "--steps", "300", python=TORCH)
        self.example("torch_layers.py", "--steps", "50", "--resume", python=TORCH)
        losses = self.series("train/loss", "spirals")
        self.assertEqual(sorted(losses), list(range(350)))
        self.assertEqual(len(self.series("train/loss", "spirals#0")), 300)
        norms = self.ask("layers/*/grad_norm @ examples/spirals")
        self.assertEqual({metric for _, metric, _, _ in norms},
                         {f"layers/{layer}/grad_norm" for layer in (0, 2, 4)})
        self.assertEqual(len(norms), 3 * 35)
        zeros = self.series("layers/1/act_zeros", "spirals")
        self.assertTrue(all(0.1 < share < 0.9 for share in zeros.values()), zeros)

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_with_lightning(self):
        self.example("lightning_logger.py", python=TORCH, path=library("lightning"))
        self.assert_learns(self.series("train/loss", "line-lightning"), 64)
        self.assertEqual(sorted(self.series("val/loss", "line-lightning")), [15, 31, 47, 63])
        self.assertEqual(self.state("line-lightning"), "finished")
        facts = self.ask("runs examples/line-lightning | show config/lr, config/batch_size")
        self.assertEqual(facts, [("examples/line-lightning", 0.1, 16)])

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_with_transformers(self):
        self.example("transformers_callback.py", python=TORCH, path=library("transformers"))
        self.assert_learns(self.series("train/loss", "line-transformers"), 64)
        self.assertEqual(list(self.series("eval/loss", "line-transformers")), [64])
        self.assertEqual(self.ask("runs examples/line-transformers | "
                                  "show config/learning_rate, config/num_train_epochs"),
                         [("examples/line-transformers", 0.1, 4)])

    # --- what the examples do not show ---

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_the_hook_computes_what_one_would_by_hand(self):
        said = self.python(TORCH, os.path.join(ROOT, "tests", "e2e", "torch_hook_checks.py"))
        self.assertEqual(said.stdout, "all is as by hand\n")

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_lightning_goes_on_after_a_fit_and_logs_from_one_rank(self):
        code = ("import torch, stepdb\n"
                "from lightning.pytorch import Trainer\n"
                "from lightning_logger import Line\n"
                "from stepdb.lightning import StepDBLogger\n"
                "x = torch.rand(32, 1)\n"
                "loader = torch.utils.data.DataLoader(\n"
                "    torch.utils.data.TensorDataset(x, 3 * x - 1), batch_size=16)\n"
                "logger = StepDBLogger('examples', 'twice')\n"
                "trainer = Trainer(logger=logger, max_epochs=1, log_every_n_steps=1)\n"
                "trainer.fit(Line(), loader, loader)\n"
                "trainer.global_step = 100\n"
                "trainer.test(Line(), loader)\n"
                "print(logger.name, logger.version)\n")
        path = [STANDINS, os.path.join(ROOT, "examples", "python")]
        told = self.python(TORCH, "-c", code, path=path, environment={"RANK": "1"})
        self.assertEqual(self.ask("runs examples/*"), [])
        told = self.python(TORCH, "-c", code, path=path)
        self.assertEqual(told.stdout, "examples twice\n")
        self.assertEqual(sorted(self.series("val/loss", "twice")), [1, 100])
        self.assertEqual(self.state("twice"), "finished")

    @unittest.skipIf(TORCH is None, "there is no torch (python3-torch of tools/packages.txt)")
    def test_transformers_resume_as_the_next_attempt(self):
        code = ("import sys, torch\n"
                "from transformers import Trainer, TrainingArguments\n"
                "from transformers_callback import Line\n"
                "from stepdb.transformers import StepDBCallback\n"
                "data = [{'x': x, 'labels': 3 * x - 1} for x in torch.rand(64, 1)]\n"
                "epochs, checkpoint = int(sys.argv[1]), sys.argv[2:] or [None]\n"
                "arguments = TrainingArguments('out/a b', num_train_epochs=epochs,\n"
                "                              logging_steps=1, save_strategy='epoch')\n"
                "Trainer(Line(), arguments, data, data, [StepDBCallback('examples')]).train(\n"
                "    checkpoint[0])\n")
        path = [STANDINS, os.path.join(ROOT, "examples", "python")]
        self.python(TORCH, "-c", code, "2", path=path)
        self.python(TORCH, "-c", code, "3", "out/a b/checkpoint-8", path=path)
        self.assertEqual(sorted(self.series("train/loss", "out.a_b")), list(range(1, 25)))
        self.assertEqual(sorted(self.series("train/loss", "out.a_b#0")),
                         list(range(1, 17)))

    def test_all_can_be_imported_where_nothing_is_installed(self):
        self.python(sys.executable, "-c", BARE +
                    "import stepdb.torch, stepdb.lightning, stepdb.transformers\n"
                    "run = stepdb.lightning.StepDBLogger('examples', 'bare')\n"
                    "run.log_metrics({'loss': 1.5}, step=1)\n"
                    "run.finalize('failed')\n"
                    "stepdb.transformers.StepDBCallback('examples').finish()\n")
        self.assertEqual(self.series("loss", "bare"), {1.0: 1.5})
        self.assertEqual(self.state("bare"), "failed")


if __name__ == "__main__":
    unittest.main()
