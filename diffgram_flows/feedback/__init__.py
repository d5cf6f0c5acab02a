"""Predictions to Diffgram, so that people correct instead of drawing, and what they made of them.

A push happens once for each file and brain version, appends, and never touches a person's work: a file on which
somebody is or was at work is skipped. A newer brain removes the untouched boxes of the older ones, and only those
(:func:`push`). What the server made of it comes later (:func:`follow_pushes`), and what a crash left open is settled by
asking (:func:`reconcile_pushes`). The ledger is the only record of who drew what: exports do not tell.

Two states of a push are at home here: ``released`` (it never arrived, the next push sends it) and ``superseded`` (its
boxes were removed for those of a newer brain).
"""

from diffgram_flows.feedback.acceptance import Acceptance, acceptance
from diffgram_flows.feedback.following import FollowPushesReport, follow_pushes
from diffgram_flows.feedback.pushing import FileToLabel, PushReport, push
from diffgram_flows.feedback.reconciling import ReconcilePushesReport, reconcile_pushes

__all__ = [
    "Acceptance",
    "FileToLabel",
    "FollowPushesReport",
    "PushReport",
    "ReconcilePushesReport",
    "acceptance",
    "follow_pushes",
    "push",
    "reconcile_pushes",
]
