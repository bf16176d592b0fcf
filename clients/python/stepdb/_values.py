"""What a training loop logs, as flat rows of Python numbers.

Values are taken at the call, for a tensor may be another a moment later. Those on an accelerator
are gathered there first, so that a row waits for the device once and not once a value.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, Tuple

PLAIN = frozenset((float, int, bool))


def is_plain(values: List[Any]) -> bool:
    return PLAIN.issuperset(map(type, values))


def flatten(data: Mapping[Any, Any], prefix: str = "", between: str = "/") -> Dict[str, Any]:
    """{"a": {"b": 1}} is {"a/b": 1}."""
    flat: Dict[str, Any] = {}
    for name, value in data.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, path + between, between))
        else:
            flat[path] = value
    return flat


def _number(value: Any) -> float:
    """A scalar of any library, or an array or tensor with one element."""
    try:
        return float(value.item())
    except AttributeError:
        if isinstance(value, (str, bytes)):
            raise TypeError("text is no number") from None
        return float(value)


def _gather(tensors: Dict[str, Any], numbers: Dict[str, float]) -> None:
    """Those of each device and type in one transfer; some devices have no float64."""
    torch = sys.modules["torch"]
    kinds: "Dict[Any, List[str]]" = {}
    for name, tensor in tensors.items():
        kinds.setdefault((tensor.device, tensor.dtype), []).append(name)
    for names in kinds.values():
        with torch.no_grad():
            gathered = torch.stack([tensor if tensor.dim() == 0 else tensor.reshape(())
                                    for tensor in (tensors[name] for name in names)])
            numbers.update(zip(names, gathered.cpu().to(torch.float64).tolist()))


def take(data: Mapping[Any, Any]) -> Tuple[Dict[str, float], Dict[str, str]]:
    """The numbers by path in the order of `data`, and why what is none of them is not there."""
    flat = flatten(data)
    numbers: Dict[str, float] = {}
    refused: Dict[str, str] = {}
    tensors: Dict[str, Any] = {}
    torch = sys.modules.get("torch")
    tensor_type: Any = () if torch is None else torch.Tensor
    for name, value in flat.items():
        if type(value) in PLAIN:
            numbers[name] = value
        elif isinstance(value, tensor_type) and not value.is_cpu and value.numel() == 1:
            numbers[name] = 0.0  # its place
            tensors[name] = value
        else:
            try:
                numbers[name] = _number(value)
            except (TypeError, ValueError, RuntimeError) as error:
                refused[name] = f"{type(value).__name__}: {error}"
    if tensors:
        _gather(tensors, numbers)
    return numbers, refused
