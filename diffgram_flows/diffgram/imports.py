"""Imports: packets go in, rows tell what became of them (contract sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from diffgram_flows.diffgram.import_row import ImportRow
from diffgram_flows.diffgram.packet import Packet
from diffgram_flows.diffgram.records import parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part


class ImportCalls(Resource):
    """Calls about imports."""

    def send_packet(self, packet: Packet) -> None:
        """Queue an import. That it is queued is all that is known afterwards: the server tells no id.

        Raises:
            BrokenReply: The dataset, the file or the job of the packet does not exist.
            InvalidRequest: The server refused the packet.
            ServerUnreachable, ServerError: No answer. Where :func:`maybe_delivered` says so, look for the file name in
                :meth:`imports` before sending it again.
            RateLimited, BudgetExhausted: A quota.
        """
        self._change(self._walrus("input/packet"), packet.about, packet.body(), endpoint="input/packet")

    def imports(
        self,
        *,
        limit: int = 1000,
        status: str = "All",
        file_id: int | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> list[ImportRow]:
        """The newest imports, newest first. There is no paging and no filter by name.

        Args:
            limit: At most 1000, which is the server's own limit.
            status: ``All``, ``Success``, ``Failed``, ``Processing`` (everything else), ``Init``, spelled like this.
            file_id: Only the imports of this file.
            first_day: Only imports that began on this day or later, by the server's time. How it reads its filters
                ``date_from`` and ``date_to`` was not recorded.
            last_day: Only imports that began on this day or earlier.
        """
        about = "the list of imports"
        days = {"date_from": first_day, "date_to": last_day}
        filters = {"file_id": file_id, **{name: str(day) for name, day in days.items() if day is not None}}
        given = {name: value for name, value in filters.items() if value is not None}
        body = {"limit": limit, "status_filter": status, **given}
        reply = self._ask(self._walrus("input/view/list"), about, body)
        return parse_all(ImportRow, part(reply, "input_list", about=about), about)

    def import_row(self, input_id: int) -> ImportRow:
        """One import.

        Raises:
            InvalidRequest: There is no such import.
        """
        about = f"the import {input_id}"
        return parse(
            ImportRow, part(self._ask(self._walrus(f"input/view/{input_id}"), about, {}), "input", about=about), about
        )

    def retry_imports(self, ids: Sequence[int]) -> None:
        """Have imports done again, also those that hang. The file of the failed attempt goes, a new one comes.

        The server fetches the URL that it got in the beginning, which may be expired. One call of 300 a day.
        """
        self._update_imports(ids, "RETRY")

    def archive_imports(self, ids: Sequence[int]) -> None:
        """Drop imports and their files from their datasets; the names are free again. One call of 300 a day."""
        self._update_imports(ids, "ARCHIVE")

    def _update_imports(self, ids: Sequence[int], mode: Literal["RETRY", "ARCHIVE"]) -> None:
        if ids:
            about = f"{mode} of {len(ids)} imports, {min(ids)} to {max(ids)}"
            body = {"id_list": list(ids), "mode": mode}
            self._change(self._walrus("input/update"), about, body, endpoint="input/update")
