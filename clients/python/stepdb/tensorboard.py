"""A stand-in for torch.utils.tensorboard.SummaryWriter that logs to StepDB.

    from stepdb.tensorboard import SummaryWriter

The project is STEPDB_PROJECT, else "tensorboard"; the run is named after the log directory
(`runs/exp/3` is the run `runs.exp.3`). Scalars and hyperparameters are logged; what else there is
(images, histograms, graphs, ...) is left out, which is said once.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, Mapping, Optional

from ._run import Run, run_id_of_path
from ._writer import say


class SummaryWriter:
    def __init__(self, log_dir: Optional[str] = None, comment: str = "",
                 purge_step: Optional[int] = None, max_queue: int = 10, flush_secs: int = 120,
                 filename_suffix: str = "", *, project: Optional[str] = None,
                 **options: Any) -> None:
        """`max_queue`, `flush_secs` and `filename_suffix` mean nothing here. With `purge_step` the
        run goes on there as its next attempt. `options` are those of `stepdb.Run`."""
        self.log_dir = log_dir or f"runs/{time.strftime('%b%d_%H-%M-%S')}{comment}"
        if purge_step is not None:
            options.setdefault("resume_step", purge_step - 1)
        self.run = Run(project or os.environ.get("STEPDB_PROJECT") or "tensorboard",
                       run_id_of_path(self.log_dir), **options)
        self._steps: Dict[str, int] = {}  # of tags that are logged without
        self._warned: "set[str]" = set()

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Optional[float] = None,
                   walltime: Optional[float] = None, new_style: bool = False,
                   double_precision: bool = False) -> None:
        """Without `global_step` the values of a tag are numbered from 0."""
        if global_step is None:
            global_step = self._steps.get(tag, 0)
            self._steps[tag] = int(global_step) + 1
        self.run.log({tag: scalar_value}, step=global_step, timestamp=walltime)

    def add_scalars(self, main_tag: str, tag_scalar_dict: Mapping[str, Any],
                    global_step: Optional[float] = None,
                    walltime: Optional[float] = None) -> None:
        for tag, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{tag}", value, global_step, walltime)

    def add_hparams(self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any],
                    *_: Any, global_step: Optional[float] = None, **__: Any) -> None:
        self.run.log_configs(hparam_dict)
        self.run.log(dict(metric_dict), step=0 if global_step is None else global_step)

    def flush(self) -> None:
        self.run.flush()

    def close(self) -> None:
        self.run.finish()

    def __enter__(self) -> "SummaryWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("add_"):
            raise AttributeError(f"SummaryWriter has no {name!r}")

        def left_out(*_: Any, **__: Any) -> None:
            if name not in self._warned:
                self._warned.add(name)
                say(f"{name} is left out: StepDB stores numbers")
        return left_out
