"""Logs how the layers of a PyTorch model are doing: gradients, weights and activations.

    watch = stepdb.torch.watch(model, run)
    for step, batch in enumerate(batches):
        loss = model(batch); loss.backward()
        watch.log(step)                          # before the gradients are cleared
        optimizer.step(); optimizer.zero_grad()

Each module that has parameters of its own logs, under `layers/NAME/`, `grad_norm`, `grad_max` (of
absolute values) and `weight_norm`; each module without modules in it `act_rms`, `act_max` and
`act_zeros`, the share of outputs that are 0. What has a NaN in it is NaN. NAME is as in
`named_modules`, so that `layers/*/grad_norm` in a query is all of them.

Everything is computed where the tensors are and comes from there at once, in `log`: a row waits for
the device once, not once a value.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

try:
    import torch
except ImportError:  # whoever calls `watch` has a model, and so has torch
    torch = None  # type: ignore[assignment]


class _Outputs(NamedTuple):
    """Of one forward pass of a module."""
    values: int
    squares: Any
    largest: Any
    zeros: Any


def _wide_enough(tensor: Any) -> Any:
    """Squares of half precision soon are beyond it."""
    tensor = tensor.detach()
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _norm(tensors: Iterable[Any]) -> Any:
    norm = torch.linalg.vector_norm
    return norm(torch.stack([norm(_wide_enough(tensor)) for tensor in tensors]))


def _largest(tensors: Iterable[Any]) -> Any:
    return torch.stack([_wide_enough(tensor).abs().max() for tensor in tensors]).max()


def _first_tensor(output: Any) -> Any:
    """Of what a module returns: often a tuple, or a mapping."""
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() and output.numel() else None
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        for one in output:
            found = _first_tensor(one)
            if found is not None:
                return found
    return None


class Watch:
    """`run` is a `stepdb.Run`, or whatever has its `log`. Only every `every`th call of `log` logs,
    and only the forward passes before it cost anything. `only`: a regular expression of the names
    of modules. Several passes before one `log`, as when gradients are accumulated, count together;
    passes of a module in evaluation do not count."""

    def __init__(self, model: Any, run: Any, *, every: int = 1, prefix: str = "layers/",
                 only: str = "", gradients: bool = True, weights: bool = True,
                 activations: bool = True) -> None:
        self._run, self._every, self._prefix = run, max(1, every), prefix
        self._gradients, self._weights = gradients, weights
        self._calls = 0
        self._outputs: Dict[str, List[_Outputs]] = {}
        self._parameters: List[Tuple[str, List[Any]]] = []
        self._hooks: List[Any] = []
        for name, module in model.named_modules():
            name = name or type(module).__name__
            if not re.search(only, name):
                continue
            parameters = [one for one in module.parameters(recurse=False) if one.requires_grad]
            if parameters:
                self._parameters.append((name, parameters))
            if activations and not any(True for _ in module.children()):
                self._hooks.append(module.register_forward_hook(self._hook(name)))

    def _hook(self, name: str) -> Any:
        def look(module: Any, _: Any, output: Any) -> None:
            if not module.training or self._calls % self._every:
                return
            tensor = _first_tensor(output)
            if tensor is not None:
                with torch.no_grad():
                    tensor = _wide_enough(tensor)
                    self._outputs.setdefault(name, []).append(_Outputs(
                        tensor.numel(), tensor.square().sum(), tensor.abs().max(),
                        (tensor == 0).sum()))
        return look

    def collect(self) -> Dict[str, Any]:
        """The row as tensors, where they are; for those who log it together with others."""
        row: Dict[str, Any] = {}
        with torch.no_grad():
            for name, parameters in self._parameters:
                gradients = [one.grad for one in parameters if one.grad is not None]
                if self._gradients and gradients:
                    row[f"{self._prefix}{name}/grad_norm"] = _norm(gradients)
                    row[f"{self._prefix}{name}/grad_max"] = _largest(gradients)
                if self._weights:
                    row[f"{self._prefix}{name}/weight_norm"] = _norm(parameters)
            for name, outputs in self._outputs.items():
                count = sum(one.values for one in outputs)
                row[f"{self._prefix}{name}/act_rms"] = \
                    (sum(one.squares for one in outputs) / count).sqrt()
                row[f"{self._prefix}{name}/act_max"] = \
                    torch.stack([one.largest for one in outputs]).max()
                row[f"{self._prefix}{name}/act_zeros"] = sum(one.zeros for one in outputs) / count
        self._outputs.clear()
        return row

    def next_row(self) -> Dict[str, Any]:
        """`collect` if it is this step's turn, else nothing. Counts as a step."""
        is_due = self._calls % self._every == 0
        row = self.collect() if is_due else {}
        self._calls += 1
        return row

    def log(self, step: Optional[float] = None) -> bool:
        """To be called once a step, with the gradients still there. Whether it logged."""
        row = self.next_row()
        if row:
            self._run.log(row, step=step)
        return bool(row)

    def remove(self) -> None:
        """The model is as it was before."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._outputs.clear()


def watch(model: Any, run: Any, **options: Any) -> Watch:
    """Options are those of `Watch`."""
    return Watch(model, run, **options)
