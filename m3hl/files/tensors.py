"""Files of tensors and plain values that tell when they are damaged, and never run code."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m3hl.errors import UserError
from m3hl.files.atomic import atomic


def save_tensors(path: Path, value: dict[str, Any]) -> None:
    """Write tensors and plain values, and their digest, atomically; the same values give the same bytes."""
    # Given a path, torch would write the temporary file's name into the file; on a full disk it ends the process.
    content = io.BytesIO()
    torch.save(value | {"sha256": content_digest(value)}, content)
    with atomic(path) as part:
        part.write_bytes(content.getbuffer())


def load_tensors(path: Path, what: str) -> dict[str, Any]:
    """Read tensors and plain values, never code; a missing or damaged file, also by one bit, is a `UserError`."""
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such {what}; train the run first, or check the path")
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(value, dict) or value.pop("sha256", None) != content_digest(value):
            raise ValueError("its content differs from its digest")
    except Exception as error:  # there is no end to the ways in which a damaged file fails
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path}: this {what} is damaged or no {what} ({reason}); make it again") from error
    return value


def content_digest(value: Any) -> str:
    """Return the SHA-256 of nested dictionaries and lists of tensors and plain values."""
    digest = hashlib.sha256()
    for part in parts(value):
        digest.update(part)
    return digest.hexdigest()


def parts(value: Any) -> Iterator[bytes]:
    """Yield the bytes of every tensor and the text of every key and plain value, in order."""
    if isinstance(value, Tensor):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{key!r}:".encode()
            yield from parts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from parts(inner)
    else:
        yield f"{value!r},".encode()
