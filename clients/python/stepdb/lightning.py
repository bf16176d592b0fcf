"""A logger for PyTorch Lightning.

    from stepdb.lightning import StepDBLogger
    trainer = Trainer(logger=StepDBLogger("gpt", "run-17"))

Works with `lightning` and `pytorch_lightning`, 2.0 and later; can be imported without them. Only
the process of rank 0 logs.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from ._run import Run

try:
    from lightning.pytorch.loggers.logger import Logger
    from lightning.pytorch.utilities import rank_zero_only
except ImportError:
    try:
        from pytorch_lightning.loggers.logger import Logger
        from pytorch_lightning.utilities import rank_zero_only
    except ImportError:
        Logger, rank_zero_only = object, None


def _rank() -> int:
    rank = getattr(rank_zero_only, "rank", None)
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if rank is None and os.environ.get(name, "").isdecimal():
            rank = int(os.environ[name])
    return rank or 0


class _Nothing:
    """What stands for the run in processes that do not log."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class StepDBLogger(Logger):  # type: ignore[misc]
    """`options` are those of `stepdb.Run`: `resume_step`, `parent`, `server`, and so on."""

    def __init__(self, project: str, run_id: Optional[str] = None, **options: Any) -> None:
        super().__init__()
        self._project, self._run_id, self._options = project, run_id, options
        self._run: Optional[Run] = None

    @property
    def experiment(self) -> Any:
        """The `stepdb.Run`."""
        if _rank() != 0:
            return _Nothing()
        if self._run is None:
            self._run = Run(self._project, self._run_id, **self._options)
            self._run_id = self._run.run_id
        return self._run

    @property
    def name(self) -> str:
        return self._project

    @property
    def version(self) -> Optional[str]:
        if self._run_id is None and _rank() == 0:
            self.experiment  # which makes one up
        return self._run_id

    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None) -> None:
        self.experiment.log(metrics, step=step)

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        facts: Dict[str, Any] = dict(params if isinstance(params, Mapping) else vars(params or {}))
        self.experiment.log_configs(facts)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self.experiment.persist()

    def finalize(self, status: str) -> None:
        """At the end of each fit, validate or test. Another one goes on with the run."""
        if self._run is not None:
            run, self._run = self._run, None
            self._options = {**self._options, "attempt": run.attempt, "resume_step": None}
            run.finish(failed=status == "failed")
