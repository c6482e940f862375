"""Parts of a message as users and the chat APIs of providers write them, and as they are stored (contract §4.3).

Knows text, files and images. Must not know models, agents or stores.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Mapping
from typing import Any

from mastra_core.errors import InvalidInputError
from mastra_core.storage.records.kind import Json

PARTS = (
    '{"type": "text", "text": "…"}, {"type": "image_url", "image_url": {"url": "…"}} or '
    '{"type": "file", "data": bytes or URL, "media_type": "image/png"}'
)
_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|file-")
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)[;,]")


def read_part(given: object, *, at: str) -> dict[str, Json]:
    """A part as it is stored, without its time.

    Raises:
        InvalidInputError: it is none of PARTS.
    """
    kind = given.get("type") if isinstance(given, Mapping) else None
    if isinstance(given, str):
        return {"type": "text", "text": given}
    if not isinstance(given, Mapping) or kind not in _READERS:
        found = f"a part of the type {kind!r}" if isinstance(given, Mapping) else type(given).__name__
        msg = f"{at}: a part is {PARTS}; found {found}"
        raise InvalidInputError(msg)
    return _READERS[kind](given, at)


def _read_text(part: Mapping[str, Any], at: str) -> dict[str, Json]:
    text = part.get("text")
    if not isinstance(text, str):
        msg = f"{at}.text: must be a text, found {type(text).__name__}"
        raise InvalidInputError(msg)
    return {"type": "text", "text": text}


def _read_image_url(part: Mapping[str, Any], at: str) -> dict[str, Json]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    return _stored_file(url, media_type=None, name=None, at=f"{at}.image_url", otherwise="image/*")


def _read_image(part: Mapping[str, Any], at: str) -> dict[str, Json]:
    return _stored_file(part.get("image"), media_type=_media_type(part), name=part.get("filename"), at=f"{at}.image", otherwise="image/*")


def _read_audio(part: Mapping[str, Any], at: str) -> dict[str, Json]:
    audio = part.get("input_audio")
    data, form = (audio.get("data"), audio.get("format")) if isinstance(audio, Mapping) else (None, None)
    return _stored_file(data, media_type=f"audio/{form or 'wav'}", name=None, at=f"{at}.input_audio.data")


def _read_file(part: Mapping[str, Any], at: str) -> dict[str, Json]:
    nested = part.get("file")
    if isinstance(nested, Mapping):
        # As OpenAI's chat API writes a file.
        return _stored_file(nested.get("file_data") or nested.get("file_id"), media_type=None, name=nested.get("filename"), at=f"{at}.file")
    data = part.get("data") if part.get("data") is not None else part.get("url")
    return _stored_file(data, media_type=_media_type(part), name=part.get("filename"), at=f"{at}.data")


_READERS = {
    "text": _read_text,
    "input_text": _read_text,
    "image_url": _read_image_url,
    "image": _read_image,
    "input_audio": _read_audio,
    "file": _read_file,
}


def _media_type(part: Mapping[str, Any]) -> str | None:
    return next((part[name] for name in ("media_type", "mediaType", "mimeType", "mime_type") if part.get(name)), None)


def is_reference(data: str) -> bool:
    """Whether *data* says where a file is (a URL, a `data:` URI, a provider's file id), and is not its content in base64."""
    return _REFERENCE.match(data) is not None


def _stored_file(
    data: object, *, media_type: str | None, name: object, at: str, otherwise: str = "application/octet-stream"
) -> dict[str, Json]:
    """A file as it is stored: content as a `data:` URI, whatever it came as."""
    if isinstance(data, bytes | bytearray):
        data = base64.b64encode(data).decode("ascii")
    if not isinstance(data, str) or not data:
        msg = f"{at}: must be bytes, a URL or a data: URI; found {type(data).__name__ if not isinstance(data, str) else 'nothing in it'}"
        raise InvalidInputError(msg)
    told = _DATA_URI.match(data)
    # Of a URL, the end of its path often tells.
    found = media_type or (told[1] if told else mimetypes.guess_type(data)[0] if is_reference(data) else None)
    if not is_reference(data):
        _check_base64(data, at=at)
        if not found:
            msg = f'{at}: bytes need their type beside them: "media_type": "image/png"'
            raise InvalidInputError(msg)
        data = f"data:{found};base64,{data}"
    return {"type": "file", "data": data, "mimeType": found or otherwise} | ({"filename": name} if isinstance(name, str) and name else {})


def _check_base64(data: str, *, at: str) -> None:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        start = data if len(data) <= 60 else f"{data[:59]}…"
        msg = f"{at}: {start!r} is neither a URL, a data: URI nor base64; pass the file's bytes: pathlib.Path(…).read_bytes()"
        raise InvalidInputError(msg) from error
