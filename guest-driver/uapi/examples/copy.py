#!/usr/bin/env python3
# SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT
"""Copies from one buffer to another on the device: open, map, execute, look.

Python has no stores and loads with an order, and may take several accesses for an integer. So it
must not use a mapped ring or a doorbell page. The kernel does that instead: a queue with
QUEUE_KERNEL takes its descriptors from EXECUTE, which returns when they are completed. The call
orders this program's accesses to buffers, before and after it.

Structures and numbers are those of ringbar.h.
"""

import ctypes
import fcntl
import mmap
import os
from ctypes import c_uint16, c_uint32, c_uint64

QUEUE_KERNEL = 1 << 0
RIGHT_READ = 1 << 0
RIGHT_WRITE = 1 << 1
OPCODE_COPY = 1
STATUS_OK = 0


class CreateQueue(ctypes.Structure):
    """struct ringbar_create_queue"""

    _fields_ = [
        ("entries", c_uint32),
        ("queue", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("submission_ring", c_uint64),
        ("completion_ring", c_uint64),
        ("kick", c_uint64),
        ("doorbell", c_uint64),
        ("status", c_uint64),
    ]


class CreateBuffer(ctypes.Structure):
    """struct ringbar_create_buffer"""

    _fields_ = [
        ("size", c_uint64),
        ("offset", c_uint64),
        ("rights", c_uint32),
        ("window", c_uint32),
    ]


class Execute(ctypes.Structure):
    """struct ringbar_execute"""

    _fields_ = [
        ("descriptors", c_uint64),
        ("completions", c_uint64),
        ("queue", c_uint32),
        ("count", c_uint32),
        ("timeout_ms", c_uint32),
        ("began", c_uint32),
    ]


class Descriptor(ctypes.Structure):
    """struct ringbar_descriptor"""

    _fields_ = [
        ("opcode", c_uint16),
        ("flags", c_uint16),
        ("tag", c_uint32),
        ("length", c_uint32),
        ("source_window", c_uint16),
        ("destination_window", c_uint16),
        ("source_offset", c_uint64),
        ("destination_offset", c_uint64),
        ("operand", c_uint64),
        ("reserved", c_uint64 * 3),
    ]


class Completion(ctypes.Structure):
    """struct ringbar_completion"""

    _fields_ = [
        ("tag", c_uint32),
        ("status", c_uint16),
        ("reserved", c_uint16),
        ("result", c_uint64),
    ]


def read_write(number, structure):
    """Returns what the macro _IOWR of <linux/ioctl.h> does, for an ioctl of the driver."""
    return 3 << 30 | ctypes.sizeof(structure) << 16 | 0xBA << 8 | number


CREATE_QUEUE = read_write(1, CreateQueue)
CREATE_BUFFER = read_write(2, CreateBuffer)
EXECUTE = read_write(4, Execute)


def create_buffer(device, size, rights):
    """Makes a buffer. Returns its mapping, and the window by which descriptors name it."""
    made = CreateBuffer(size=size, rights=rights)
    fcntl.ioctl(device, CREATE_BUFFER, made)
    return mmap.mmap(device, made.size, offset=made.offset), made.window


def main():
    text = b"from here to there"
    place = 100
    device = os.open("/dev/ringbar0", os.O_RDWR | os.O_CLOEXEC)
    queue = CreateQueue(entries=16, flags=QUEUE_KERNEL)
    fcntl.ioctl(device, CREATE_QUEUE, queue)
    source, source_window = create_buffer(device, 1000, RIGHT_READ)
    destination, destination_window = create_buffer(device, 1000, RIGHT_WRITE)
    source[: len(text)] = text

    descriptors = (Descriptor * 1)(
        Descriptor(
            opcode=OPCODE_COPY,
            tag=7,
            length=len(text),
            source_window=source_window,
            destination_window=destination_window,
            destination_offset=place,
        )
    )
    completions = (Completion * len(descriptors))()
    execute = Execute(
        descriptors=ctypes.addressof(descriptors),
        completions=ctypes.addressof(completions),
        queue=queue.queue,
        count=len(descriptors),
        timeout_ms=10_000,
    )
    fcntl.ioctl(device, EXECUTE, execute)

    (completion,) = completions
    if (execute.count, completion.tag, completion.status) != (1, 7, STATUS_OK):
        raise SystemExit(f"the copy ended with status {completion.status}, tag {completion.tag}")
    print("copied:", destination[place : place + len(text)].decode())


if __name__ == "__main__":
    main()
