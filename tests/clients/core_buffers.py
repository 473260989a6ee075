"""NVIDIA's cuda-core: devices, streams, events, buffers from the device's memory pool, from pools of its
own, from virtual and from pinned memory, filled and copied in stream order, and what it says of sharing.

Started as: core_buffers.py BLOCKS BYTES"""

import numpy as np
from cuda.core import (
    Device,
    DeviceMemoryResource,
    DeviceMemoryResourceOptions,
    LegacyPinnedMemoryResource,
    VirtualMemoryResource,
    VirtualMemoryResourceOptions,
)
from transcript import Transcript, arguments

MIB = 1 << 20
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


def refused(what, function):
    """A call that must fail, and the words in which it does."""
    try:
        function()
    except Exception as error:
        t.say(what, type(error).__name__, error)
    else:
        t.say(what, "done")


def content(what, buffer, stream, size=None):
    """The first `size` bytes of a buffer in device memory, or all."""
    staging = LegacyPinnedMemoryResource().allocate(buffer.size)
    buffer.copy_to(staging, stream=stream)
    stream.sync()
    t.digest(what, view(staging)[:size])
    staging.close()


def own_pool(device, stream, blocks, size):
    """A pool of its own that holds more than a small card does, of which nothing is in use at the end."""
    pool = DeviceMemoryResource(device, DeviceMemoryResourceOptions())
    t.say("pool", pool.is_handle_owned, pool.is_ipc_enabled, pool.is_device_accessible)
    buffers = [pool.allocate(size, stream=stream) for _ in range(blocks)]
    for i, buffer in enumerate(buffers):
        buffer.fill(i, stream=stream)
    buffers[0].copy_from(buffers[-1], stream=stream)
    for i, buffer in enumerate(buffers):
        content(f"pool block {i}", buffer, stream)
    stream.sync()
    t.say("pool in use", pool.attributes.used_mem_current)
    for buffer in buffers:
        buffer.close(stream)
    stream.sync()
    t.say("pool in use", pool.attributes.used_mem_current)
    pool.close()


def bounded_pool(device, stream, size):
    """A pool that holds two blocks and not three, however large the card is."""
    pool = DeviceMemoryResource(device, DeviceMemoryResourceOptions(max_size=2 * size))
    t.say("bounded", 2 * size)
    held = [pool.allocate(size, stream=stream) for _ in range(2)]
    for i, buffer in enumerate(held):
        buffer.fill(0xA0 + i, stream=stream)
    refused("third block", lambda: pool.allocate(size, stream=stream))
    for i, buffer in enumerate(held):
        content(f"bounded block {i}", buffer, stream)
    held.pop().close(stream)
    held.append(pool.allocate(size, stream=stream))
    held[1].fill(0xA9, stream=stream)
    content("bounded again", held[1], stream)
    for buffer in held:
        buffer.close(stream)
    stream.sync()
    pool.close()


def virtual(device, stream, kind, **options):
    """Physical memory behind a range of addresses that grows: what it held it holds. cuda-core 1.2
    never releases the first of the two references that it takes to each part, so all of it stays."""
    memory = VirtualMemoryResource(device, VirtualMemoryResourceOptions(**options))
    buffer = memory.allocate(5 * MIB, stream=stream)
    before = buffer.size
    buffer.fill(0x77, stream=stream)
    content("virtual block", buffer, stream)
    buffer = memory.modify_allocation(buffer, 2 * before)
    t.say(kind, buffer.size)
    content("grown", buffer, stream, before)
    buffer.fill(0x78, stream=stream)
    content("filled", buffer, stream)
    buffer.close()


def sharing(device, stream, size):
    """With another process: neither the card's pool nor one of its own, in cuda-core's words."""
    buffer = device.allocate(size, stream=stream)
    refused("descriptor", lambda: buffer.ipc_descriptor)
    buffer.close(stream)
    options = DeviceMemoryResourceOptions(ipc_enabled=True)
    refused("pool to share", lambda: DeviceMemoryResource(device, options))


def main():
    blocks, size = arguments()
    device = Device(0)
    device.set_current()
    t.say("device", device.name, device.properties.memory_pools_supported)
    stream = device.create_stream()
    overflow(device, stream, blocks, size)
    streams(device, size)
    own_pool(device, stream, blocks, size)
    virtual(device, stream, "physical", handle_type=None)
    virtual(device, stream, "exportable")
    bounded_pool(device, stream, size)
    sharing(device, stream, size)
    stream.sync()
    stream.close()
    t.close()


main()
