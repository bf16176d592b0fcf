"""A callback for the Trainer of Hugging Face's transformers.

    from stepdb.transformers import StepDBCallback
    trainer = Trainer(..., callbacks=[StepDBCallback("llm")])

Can be imported without transformers. Only the main process logs. What the trainer logs is called
`train/loss`, `eval/loss`, as its other integrations call it; its arguments and the model's
configuration are attributes `config/...`. A training that goes on from a checkpoint is the next
attempt of its run.
"""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ._run import Run, run_id_of_path

try:
    from transformers import TrainerCallback
except ImportError:
    TrainerCallback = object


def _name_of(name: str) -> str:
    for kind in ("eval", "test"):
        if name.startswith(kind + "_"):
            return f"{kind}/{name[len(kind) + 1:]}"
    return f"train/{name}"


def _facts_of(thing: Any) -> Mapping[str, Any]:
    for name in ("to_sanitized_dict", "to_dict"):  # the first leaves out what is secret
        if hasattr(thing, name):
            facts = getattr(thing, name)()
            if isinstance(facts, Mapping):
                return facts
    return {}


class StepDBCallback(TrainerCallback):  # type: ignore[misc]
    """`project`: else STEPDB_PROJECT, else "huggingface". `run_id`: else the trainer's `run_name`,
    else the name of its output directory. `options` are those of `stepdb.Run`."""

    def __init__(self, project: Optional[str] = None, run_id: Optional[str] = None,
                 **options: Any) -> None:
        self._project = project or os.environ.get("STEPDB_PROJECT") or "huggingface"
        self._run_id, self._options = run_id, options
        self.run: Optional[Run] = None

    def _begin(self, args: Any, state: Any, model: Any) -> None:
        if self.run is not None or not state.is_world_process_zero:
            return
        options = dict(self._options)
        if state.global_step > 0:
            options.setdefault("resume_step", state.global_step)
        name = self._run_id or getattr(args, "run_name", None) or getattr(args, "output_dir", None)
        self.run = Run(self._project, run_id_of_path(name) if name else None, **options)
        self.run.log_configs(_facts_of(args))
        model_facts = _facts_of(getattr(model, "config", None))
        if model_facts:
            self.run.log_configs({"model": model_facts})

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None,
                       **_: Any) -> None:
        self._begin(args, state, model)

    def on_log(self, args: Any, state: Any, control: Any, logs: Optional[Mapping[str, Any]] = None,
               model: Any = None, **_: Any) -> None:
        self._begin(args, state, model)  # of an evaluation without a training
        if self.run is not None and logs:
            self.run.log({_name_of(name): value for name, value in logs.items()},
                         step=state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.run is not None:
            self.run.persist()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """An evaluation may follow: the run ends with the process, or by `finish`."""
        if self.run is not None:
            self.run.flush()

    def finish(self) -> None:
        if self.run is not None:
            self.run.finish()
            self.run = None
