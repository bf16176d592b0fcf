"""A stand-in for the parts of wandb that log numbers.

    import stepdb.wandb as wandb

`init`, `log` (implicit steps, `commit=False`), `config`, `summary`, `define_metric`, `watch` and
`finish` do what one expects; what else a script calls is left out, which is said once each. With
`init(side_by_side=True)`, or STEPDB_WANDB=both, the real wandb gets all of it too.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Mapping, Optional

from ._run import Run as _StepdbRun
from ._values import flatten
from ._writer import say

_warned: "set[str]" = set()


def _left_out(what: str) -> None:
    if what not in _warned:
        _warned.add(what)
        say(f"wandb.{what} is left out: StepDB stores numbers, and facts about runs")


class _Facts:
    """`config` and `summary`: attributes and items alike, each stored when it is set."""

    def __init__(self, store: Any) -> None:
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "_items", {})

    def update(self, data: Optional[Mapping[str, Any]] = None, allow_val_change: Any = None,
               **more: Any) -> None:
        changes = {**(dict(data) if data else {}), **more}
        self._items.update(changes)
        if changes:
            self._store(changes)

    def setdefaults(self, data: Mapping[str, Any]) -> None:
        self.update({name: value for name, value in data.items() if name not in self._items})

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            raise AttributeError(name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: str, default: Any = None) -> Any:
        return self._items.get(name, default)

    def keys(self) -> Any:
        return self._items.keys()

    def items(self) -> Any:
        return self._items.items()

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._items)


class _NoRun:
    """Instead of a `stepdb.Run` where `mode="disabled"`: takes everything and does nothing."""

    def __init__(self, project: str, run_id: Optional[str]) -> None:
        self.project, self.run_id = project, run_id or "disabled"

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Run:
    def __init__(self, run: Any, other: Any) -> None:
        self._run, self._other = run, other
        self.id, self.name, self.project = run.run_id, run.run_id, run.project
        self.step = 0
        self._row: Dict[str, Any] = {}  # of `step`, not logged yet
        self._watches: List[Any] = []
        self.config = _Facts(self._set_config)
        self.summary = _Facts(self._set_summary)

    def _set_config(self, changes: Mapping[str, Any]) -> None:
        self._run.log_configs(changes)
        if self._other is not None:
            self._other.config.update(dict(changes), allow_val_change=True)

    def _set_summary(self, changes: Mapping[str, Any]) -> None:
        self._run.set_attributes({f"summary/{name}": value
                                  for name, value in flatten(changes).items()})
        if self._other is not None:
            self._other.summary.update(dict(changes))

    def log(self, data: Mapping[str, Any], step: Optional[int] = None,
            commit: Optional[bool] = None, sync: Any = None) -> None:
        """A row of the current step. Without `step` it is done, unless `commit=False`; with `step`
        it is that step's, which is done when a later one comes, unless `commit=True`. Of an earlier
        step, which wandb drops, it is stored."""
        if self._other is not None:
            self._other.log(dict(data), step=step, commit=commit)
        row = flatten(data, between=".")
        if step is not None and step < self.step:
            self._run.log(row, step=step)
            return
        if step is not None and step > self.step:
            self._end_row()
            self.step = step
        self._row.update(row)
        if commit if commit is not None else step is None:
            self._end_row()
            self.step += 1

    def watch(self, models: Any = None, criterion: Any = None, log: Optional[str] = "gradients",
              log_freq: int = 1000, *_: Any, **__: Any) -> None:
        """Numbers of each layer (`stepdb.torch`) with every `log_freq`th row, where wandb has
        histograms."""
        from . import torch as stepdb_torch
        if self._other is not None:
            self._other.watch(models, criterion, log, log_freq, *_, **__)
        for model in models if isinstance(models, (list, tuple)) else [models]:
            if not hasattr(model, "named_modules"):
                _left_out("watch")
            elif not isinstance(self._run, _NoRun):
                self._watches.append(stepdb_torch.watch(
                    model, None, every=log_freq, gradients=log in ("gradients", "all"),
                    weights=log in ("parameters", "all"), activations=False))

    def unwatch(self, *_: Any) -> None:
        self._watches.clear()

    def _end_row(self) -> None:
        if self._row:
            for watch in self._watches:
                self._row.update(watch.next_row())
            self._run.log(self._row, step=self.step)
            self._row = {}

    def define_metric(self, name: str, step_metric: Optional[str] = None, **_: Any) -> None:
        """A chart over another metric is asked for by `x` in a query; nothing has to be said."""
        if self._other is not None:
            self._other.define_metric(name, step_metric=step_metric, **_)

    def finish(self, exit_code: Optional[int] = None, **_: Any) -> None:
        global run
        self._end_row()
        self._run.finish(failed=bool(exit_code))
        if self._other is not None:
            self._other.finish(exit_code=exit_code)
        if run is self:
            run = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.finish(exit_code=0 if kind is None else 1)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def left_out(*arguments: Any, **named: Any) -> Any:
            if self._other is not None:
                return getattr(self._other, name)(*arguments, **named)
            _left_out(name)
            return None
        return left_out


run: Optional[Run] = None


def init(project: Optional[str] = None, *, id: Optional[str] = None, name: Optional[str] = None,
         config: Any = None, tags: Optional[List[str]] = None, notes: Optional[str] = None,
         group: Optional[str] = None, job_type: Optional[str] = None, mode: Optional[str] = None,
         side_by_side: Optional[bool] = None, stepdb: Optional[Dict[str, Any]] = None,
         **others: Any) -> Run:
    """`stepdb`: options of `stepdb.Run`, such as {"resume_step": 4000}. `mode` (else WANDB_MODE):
    "offline" spools, "disabled" does nothing at all."""
    global run
    mode = mode or os.environ.get("WANDB_MODE")
    project = project or os.environ.get("STEPDB_PROJECT") or os.environ.get("WANDB_PROJECT") or \
        "uncategorized"
    if side_by_side is None:
        side_by_side = os.environ.get("STEPDB_WANDB") == "both"
    other = None
    if side_by_side:
        import wandb as real
        other = real.init(project=project, id=id, name=name, config=config, tags=tags, notes=notes,
                          group=group, job_type=job_type, mode=mode, **others)
    options = dict(stepdb or {})
    if mode == "offline":
        options.setdefault("offline", True)
    id = id or os.environ.get("WANDB_RUN_ID") or (other.id if other is not None else None)
    inner: Any = _NoRun(project, id) if mode == "disabled" else _StepdbRun(project, id, **options)
    run = Run(inner, None)
    if config:
        run.config.update(config if isinstance(config, Mapping) else vars(config))
    run._other = other
    facts = {"sys/name": name, "wandb/notes": notes, "wandb/group": group,
             "wandb/job_type": job_type}
    inner.set_attributes({key: value for key, value in facts.items() if value is not None})
    if tags:
        inner.add_tags(tags)
    return run


class _CurrentFacts:
    """`wandb.config` and `wandb.summary`: those of the run that is."""

    def __init__(self, which: str) -> None:
        object.__setattr__(self, "_which", which)

    def _facts(self) -> Any:
        if run is None:
            raise RuntimeError("call wandb.init() first")
        return getattr(run, self._which)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._facts(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._facts(), name, value)

    def __getitem__(self, name: str) -> Any:
        return self._facts()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._facts()[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._facts()


config = _CurrentFacts("config")
summary = _CurrentFacts("summary")


def log(data: Mapping[str, Any], step: Optional[int] = None, commit: Optional[bool] = None,
        sync: Any = None) -> None:
    if run is None:
        raise RuntimeError("call wandb.init() before wandb.log()")
    run.log(data, step, commit)


def define_metric(name: str, step_metric: Optional[str] = None, **options: Any) -> None:
    if run is not None:
        run.define_metric(name, step_metric, **options)


def watch(*arguments: Any, **options: Any) -> None:
    if run is not None:
        run.watch(*arguments, **options)


def finish(exit_code: Optional[int] = None, **options: Any) -> None:
    if run is not None:
        run.finish(exit_code, **options)


def __getattr__(name: str) -> Any:
    """Whatever else wandb has: a function that does nothing, and a class for what it makes."""
    if name.startswith("_"):
        raise AttributeError(name)

    def left_out(*_: Any, **__: Any) -> None:
        _left_out(name)
    return left_out


__all__ = ["Run", "config", "define_metric", "finish", "init", "log", "run", "summary", "watch"]
