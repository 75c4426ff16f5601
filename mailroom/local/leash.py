"""Runs a server that must not outlive whoever started it.

`python -m mailroom.local.leash COMMAND...` ends COMMAND when its own standard input closes,
which the operating system does even for a parent that was killed with SIGKILL.
"""

import ctypes
import signal
import subprocess
import sys
import threading

STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1  # prctl(2)


def hold(command: list[str]) -> int:
    child = subprocess.Popen(  # noqa: S603  our own command
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_leash,  # noqa: PLW1509  no thread yet
    )
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_leash() -> None:
    """The child gets SIGTERM when the leash itself is killed, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_with_parent(child: "subprocess.Popen[bytes]") -> None:
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))
