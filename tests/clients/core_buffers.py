"""NVIDIA's cuda-core: devices, streams, events, buffers from the device's memory pool and from pinned
memory, filled and copied in stream order.

Started as: core_buffers.py BLOCKS BYTES"""

import numpy as np
from cuda.core import Device, LegacyPinnedMemoryResource
from transcript import Transcript, arguments

t = Transcript()


def view(buffer):
    """The bytes of a buffer in host memory."""
    return np.from_dlpack(buffer).view(np.uint8)


def overflow(device, stream, blocks, size):
    pinned = LegacyPinnedMemoryResource()
    staging = pinned.allocate(size)
    buffers = [device.allocate(size, stream=stream) for _ in range(blocks)]
    for i, buffer in enumerate(buffers):
        view(staging)[:] = np.random.default_rng(i).integers(0, 256, size, dtype=np.uint8)
        buffer.copy_from(staging, stream=stream)
        stream.sync()
    buffers[0].fill(0x5A, stream=stream)
    buffers[-1].copy_from(buffers[1], stream=stream)
    t.say("accessible", buffers[0].is_device_accessible, buffers[0].is_host_accessible)
    for i, buffer in enumerate(buffers):
        buffer.copy_to(staging, stream=stream)
        stream.sync()
        t.digest(f"block {i}", view(staging))
    for buffer in buffers:
        buffer.close(stream)
    staging.close()


def streams(device, size):
    """Two streams that wait for nothing: what one has freed is not the other's before it is done."""
    pair = device.create_stream(), device.create_stream()
    pinned = [LegacyPinnedMemoryResource().allocate(size) for _ in range(12)]
    for i, target in enumerate(pinned):
        stream = pair[i % 2]
        buffer = device.allocate(size, stream=stream)
        buffer.fill(i, stream=stream)
        target.copy_from(buffer, stream=stream)
        buffer.close(stream)
    events = [stream.record() for stream in pair]
    pair[0].wait(events[1])
    pair[0].sync()
    t.say("events", [event.is_done for event in events])
    for i, target in enumerate(pinned):
        t.say(f"round {i}", bool((view(target) == i).all()))
        target.close()
    for stream in pair:
        stream.close()


def main():
    blocks, size = arguments()
    device = Device(0)
    device.set_current()
    t.say("device", device.name, device.properties.memory_pools_supported)
    stream = device.create_stream()
    overflow(device, stream, blocks, size)
    streams(device, size)
    stream.sync()
    stream.close()
    t.close()


main()
