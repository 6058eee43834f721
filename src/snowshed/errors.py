"""The error tree: what went wrong in one sentence, and what to do next in another.

Three kinds of error, by whose turn it is to act: the user's (`UserError`), the guest's or the hypervisor's
(`GuestError`), and ours (`Bug`). `cli.main` prints them in one place; the control socket carries them as JSON.

Exit status of the `snowshed` command:

====  =====================================================================
   0  done (also: `stop` of a builder that is not running)
   1  the guest, the hypervisor or a program we called failed
   2  the command line, the configuration or the host needs the user's attention
   3  the builder is not running (`status`, `ssh` and other verbs that need a running one)
  70  a bug in snowshed; `--debug` prints the traceback
 130  interrupted with Ctrl-C
====  =====================================================================

`snowshed ssh` ends with the status of the remote command instead; 255 is OpenSSH's own failure.
"""

from __future__ import annotations


class SnowshedError(Exception):
    """A failure that has a sentence for the user.

    `message` says what happened; `hint` says what to do about it and may be empty; `kind` names the class of the
    error in JSON; `exit_status` is what the command ends with.
    """

    kind = "error"
    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def as_json(self) -> dict[str, str]:
        """The error as the control socket and `--json` carry it."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint}


class UserError(SnowshedError):
    """The command line, the configuration or the host does not allow what was asked."""

    kind = "user"
    exit_status = 2


class NotRunning(UserError):
    """A verb that needs a running builder met one that is not."""

    kind = "not-running"
    exit_status = 3


class GuestError(SnowshedError):
    """The guest, the hypervisor or a program that we called failed."""

    kind = "guest"
    exit_status = 1


class Bug(SnowshedError):
    """Something that cannot happen did: snowshed is wrong, not its user."""

    kind = "bug"
    exit_status = 70


_KINDS: dict[str, type[SnowshedError]] = {cls.kind: cls for cls in (UserError, NotRunning, GuestError, Bug)}


def from_json(data: dict[str, str]) -> SnowshedError:
    """The error that `SnowshedError.as_json` described, as the same class where it is known."""
    cls = _KINDS.get(data.get("kind", ""), GuestError)
    return cls(data.get("message", "unknown error"), data.get("hint", ""))
