#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# qmp 1.1.0 (PyPI): `pull_event` and `get_events`, when they are not told to wait, take what the socket
# has for a whole line. A stream may hold the first part of an event at that moment, as no border of
# QEMU's writes is kept. The call ends with a JSON error, the next one with another for the second part,
# and the event is gone. The same event in one piece is returned. Expected: no event yet, and then it.
#
# What it means for a runner: one that polls for DEVICE_DELETED may never see it. Wait with a time.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

python_packages qmp==1.1.0
found=$(
	venv/bin/python - <<'END'
import json
import socket
import threading

from qmp import QEMUMonitorProtocol

GREETING = {"QMP": {"version": {"qemu": {"micro": 3, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}}
EVENT = {
    "timestamp": {"seconds": 1, "microseconds": 2},
    "event": "DEVICE_DELETED",
    "data": {"device": "card0", "path": "/machine/peripheral/card0"},
}


def line(message):
    """Returns a message as QEMU sends it."""
    return json.dumps(message).encode() + b"\r\n"


listener = socket.socket(socket.AF_UNIX)
listener.bind("monitor")
listener.listen()
client = QEMUMonitorProtocol("monitor")
connecting = threading.Thread(target=client.connect)
connecting.start()
qemu, _ = listener.accept()
qemu.sendall(line(GREETING))
qemu.recv(4096)
qemu.sendall(line({"return": {}}))
connecting.join()

event = line(EVENT)
for part in event, event[:60], event[60:], b"":
    qemu.sendall(part)
    try:
        pulled = client.pull_event()
        print(pulled and pulled["event"])
    except ValueError as error:
        print(type(error).__name__)
END
)
seen 'the event in one piece' DEVICE_DELETED "$(sed -n 1p <<<"$found")"
seen 'its first part' JSONDecodeError "$(sed -n 2p <<<"$found")"
seen 'its second part' JSONDecodeError "$(sed -n 3p <<<"$found")"
seen 'after that' None "$(sed -n 4p <<<"$found")"
finish
