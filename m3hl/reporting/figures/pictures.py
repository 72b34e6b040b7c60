"""Grey images as data URIs: what pages and drawings carry instead of files."""

import base64
import io

import numpy as np
from PIL import Image

QUALITY = 75


def grey(image: np.ndarray) -> np.ndarray:
    """Return an image or a stack of them as 8 bit, its 1st to 99th percentile from black to white."""
    low, high = np.percentile(image, (1, 99))
    return (np.clip((image - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)


def png(image: np.ndarray) -> str:
    """Return an 8 bit image (H, W) without loss."""
    return data_uri(Image.fromarray(image), "png", optimize=True)


def jpeg(image: np.ndarray, widest: int) -> str:
    """Return an 8 bit image (H, W) with loss, and at most `widest` pixels along either axis."""
    picture = Image.fromarray(image)
    picture.thumbnail((widest, widest), Image.Resampling.LANCZOS)
    return data_uri(picture, "jpeg", quality=QUALITY, optimize=True)


def data_uri(picture: Image.Image, kind: str, **options: object) -> str:
    """Return a picture as a data URI of type image/`kind`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
