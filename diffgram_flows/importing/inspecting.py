"""A look at an image's first bytes before the server is bothered with it."""

from __future__ import annotations

from diffgram_flows.errors import ImageRejected, ObjectNotFound
from diffgram_flows.images import image_size
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.storage import ObjectStore

# Headers are small, but a camera's preview or colour profile may come first, and WebP is only read as a whole.
_LENGTHS = (64 * 2**10, 2**20, 32 * 2**20)


def inspect(store: ObjectStore, row: ObjectRow) -> str:
    """Why an object is not to be imported: corrupt, no image, too many pixels, gone. Empty if it may be.

    Reads 64 kB, and more only where that was not enough to understand the header.

    Raises:
        StorageError: The bucket does not answer or does not let us read.
    """
    reason = ""
    for length in _LENGTHS:
        try:
            head = store.read(row.object, length=length)
            image_size(head, name=row.object.uri)
        except (ImageRejected, ObjectNotFound) as error:
            reason = str(error)
        else:
            return ""
        if length >= row.object.size:
            break
    return reason
