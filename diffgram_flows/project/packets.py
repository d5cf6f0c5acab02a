"""Packets in the form of the official SDK: what they say, and what no server ever did with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffgram_flows.diffgram.packet import MediaType
from diffgram_flows.errors import InvalidRequest

_KEYS = {
    "file_id",
    "file_name",
    "frame_packet_map",
    "directory_id",
    "instance_list",
    "job_id",
    "media",
    "mode",
    "name",
    "ordinal",
    "original_filename",
    "parent_file_id",
    "video_split_duration",
}


@dataclass(frozen=True, slots=True)
class ReadPacket:
    """What a packet says."""

    url: str = field(default="", repr=False)
    media_type: MediaType = "image"
    file_name: str | None = None
    instances: Sequence[Mapping[str, Any]] = ()
    frames: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    split_seconds: int | None = None
    directory_id: int | None = None
    job_id: int | None = None
    file_id: int | None = None
    overwrite: bool = False
    parent_id: int | None = None
    ordinal: int | None = None


def read_packet(packet: Mapping[str, Any]) -> ReadPacket:
    """Read a packet.

    Raises:
        InvalidRequest: It has neither a URL nor a file id, or a key that is not known.
    """
    unknown = sorted(set(packet) - _KEYS)
    if unknown:
        raise InvalidRequest(
            f"The packet has the unknown keys {', '.join(map(repr, unknown))}.",
            cure=f"Known: {', '.join(sorted(_KEYS))}.",
        )
    media = packet.get("media") or {}
    if not isinstance(media, Mapping) or not (media.get("url") or packet.get("file_id")):
        raise InvalidRequest(
            "The packet has neither a media.url nor a file_id.",
            cure="Give {'media': {'url': ..., 'type': 'image'}}, or file_id with mode='update'.",
        )
    mode = packet.get("mode")
    if mode not in (None, "update", "update_with_existing") or (mode is None) != (packet.get("file_id") is None):
        raise InvalidRequest(
            f"The packet has the mode {mode!r} and the file_id {packet.get('file_id')!r}.",
            cure="Give file_id and mode='update' to add instances to a file, or neither for a new one.",
        )
    frames = packet.get("frame_packet_map") or {}
    return ReadPacket(
        url=str(media.get("url") or ""),
        media_type=media.get("type") or "image",
        file_name=packet.get("original_filename") or packet.get("file_name") or packet.get("name"),
        instances=packet.get("instance_list") or (),
        frames={int(number): instances for number, instances in frames.items()},
        split_seconds=packet.get("video_split_duration"),
        directory_id=packet.get("directory_id"),
        job_id=packet.get("job_id"),
        file_id=packet.get("file_id"),
        overwrite=mode == "update_with_existing",
        parent_id=packet.get("parent_file_id"),
        ordinal=packet.get("ordinal"),
    )
