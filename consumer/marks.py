"""Marks that outlive the worker: which events were under way when its process ended suddenly.

A file a try under way, in a folder that stays when the process is gone: as many bytes as the tries
that nobody has ended, this one included. So a try that finds n + 1 bytes after adding its own knows
of n sudden ends (a crash in native code, want of memory, a kill) with this event under way. Workers
on one machine share the folder. It needs no sync: it must outlive the process, not the machine.
Marks of events that others finished are removed when their partition is next opened here.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from consumer.work import Partition, Ticket

log = logging.getLogger(__name__)


class Marks:
    """The marks of one group. Thread-safe. Where there is no folder, nothing is marked."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ours: set[Ticket] = set()

    @classmethod
    def of(cls, folder: Path, group: str) -> Marks:
        """Marks below ``folder``; none, and a warning, where that is somebody else's or unusable.

        The folder may lie in one that everybody can write to.
        """
        mine = folder / quote(group, safe="")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.lstat()
            if folder.is_symlink() or status.st_uid != os.getuid():
                raise PermissionError("it is a link or another user's")
            mine.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            log.warning("sudden ends are not counted, as %s can't be used: %s", folder, error)
            return cls(None)
        return cls(mine)

    def begin(self, ticket: Ticket) -> int:
        """Mark a try; the answer is how often the worker ended suddenly during one."""
        if self._folder is None:
            return 0
        with self._lock, suppress(OSError):  # without room for a byte nothing is counted
            file = os.open(
                self._place(self._folder, ticket), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
            )
            try:
                os.write(file, b".")
                self._ours.add(ticket)
                return os.fstat(file).st_size - 1
            finally:
                os.close(file)
        return 0

    def end(self, ticket: Ticket) -> None:
        """The try has ended, well or not, and the worker lives."""
        if self._folder is None:
            return
        with self._lock, suppress(OSError):
            if ticket not in self._ours:
                return
            self._ours.remove(ticket)
            place = self._place(self._folder, ticket)
            left = place.stat().st_size - 1
            if left > 0:
                os.truncate(place, left)
            else:
                place.unlink()

    def end_all(self) -> None:
        """The worker ends, on purpose: what is still under way is no sudden end."""
        for ticket in list(self._ours):
            self.end(ticket)

    def forget(self, partition: Partition, below: int) -> None:
        """Remove the marks of events below an offset: they are finished."""
        if self._folder is None:
            return
        prefix = f"{partition.topic}-{partition.number}-"
        with suppress(OSError):
            for place in self._folder.glob(f"{prefix}*"):
                offset = place.name.removeprefix(prefix)
                if offset.isdecimal() and int(offset) < below:
                    place.unlink(missing_ok=True)

    @staticmethod
    def _place(folder: Path, ticket: Ticket) -> Path:
        partition = ticket.partition
        return folder / f"{partition.topic}-{partition.number}-{ticket.offset}"
