"""The least time that any static placement could take for a trace, by the simulated driver's cost
model (tests/sim/cuda/cost.c). Knows nothing of the library: reads the trace's text alone.

A placement says for each block where it lies while it lives; what lies in VRAM at a moment must fit
the card. `bound` is proven: it lets a block lie partly in VRAM and partly in host memory, its traffic
spread evenly over its bytes, which no placement by blocks can beat. Which bytes of which intervals of time share a capacity for the most
gain is a linear program whose rows are consecutive ones, and so a flow of least cost: the flow is
the VRAM, from one moment to the next, and each block is a way around the moments of its life.
Steps that repeat are counted once, with N times the gain: as they are all alike, the mean of their
placements is as good as the best of them. `found` is a placement by whole blocks, by gain a byte:
the optimum lies between the two.
"""
import heapq
from dataclasses import dataclass


@dataclass
class Cost:
    """Gigabytes a second, which is bytes a nanosecond; launch in microseconds."""
    vram: float
    pcie: float
    ram: float
    launch: float

    def setting(self):
        return f"vram={self.vram}GB/s,pcie={self.pcie}GB/s,ram={self.ram}GB/s,launch={self.launch}us"


@dataclass
class Block:
    bytes: int
    born: int
    died: int = -1
    in_vram: float = 0.0  # nanoseconds that its traffic takes
    in_host: float = 0.0
    uploaded: bool = False

    def gain(self):
        return (self.in_host - self.in_vram) / self.bytes


def read(text, cost):
    """All blocks, as `born` and `died` count steps, the times of the allocations that a free
    follows, and the nanoseconds of all launches."""
    blocks, live, peaks = [], {}, []
    times, launches, grew, in_loop = 1, 0, False, None
    for at, line in enumerate(text.splitlines()):
        word, *rest = line.split() or "#"
        if word == "repeat":
            times, in_loop = int(rest[0]), set(live)
        elif word == "end":
            assert in_loop == set(live), "a repetition must leave the live blocks as they were"
            times, in_loop = 1, None
        elif word == "alloc":
            live[rest[0]] = Block(int(rest[1]), at)
            grew = True
        elif word == "free":
            assert in_loop is None or rest[0] not in in_loop, "a repetition frees what is not its own"
            if grew:
                peaks.append(at - 1)
                grew = False
            block = live.pop(rest[0])
            block.died = at
            blocks.append(block)
        elif word == "upload":
            block, size = live[rest[0]], int(rest[2])
            block.in_vram += times * size * (1 / cost.pcie + 1 / cost.vram)
            block.in_host += times * size / cost.ram
            block.uploaded = True
        elif word == "set":
            traffic(live[rest[0]], times * live[rest[0]].bytes, cost)
        elif word == "move":
            launches += times
            for operand in rest:
                if operand != "-":
                    name, moved = operand.split(":")
                    traffic(live[name], times * int(moved), cost)
    blocks += live.values()
    end = len(text.splitlines())
    for block in live.values():
        block.died = end
    if grew:
        peaks.append(end - 1)
    return blocks, peaks, launches * cost.launch * 1000


def traffic(block, moved, cost):
    block.in_vram += moved / cost.vram
    block.in_host += moved / cost.pcie


def span(block, peaks):
    """The first peak of a block's life, and the one after the last."""
    low, high = 0, len(peaks)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if peaks[middle] < block.born else (low, middle)
    last = low
    while last < len(peaks) and peaks[last] < block.died:
        last += 1
    return low, last


class Flow:
    """Of least cost, by shortest ways one after the other; integer costs."""

    def __init__(self, nodes):
        self.ways = [[] for _ in range(nodes)]  # of arc numbers; arc ^ 1 goes back
        self.to, self.room, self.cost = [], [], []

    def arc(self, a, b, room, cost):
        for start, end, left, price in ((a, b, room, cost), (b, a, 0, -cost)):
            self.ways[start].append(len(self.to))
            self.to.append(end)
            self.room.append(left)
            self.cost.append(price)

    def push(self, amount):
        """From the first node to the last; returns the cost. All arcs lead to higher nodes."""
        nodes, total = len(self.ways), 0
        height = [0] + [1 << 200] * (nodes - 1)  # the shortest distances so far
        for node in range(nodes):
            for arc in self.ways[node]:
                if self.room[arc]:
                    height[self.to[arc]] = min(height[self.to[arc]], height[node] + self.cost[arc])
        while amount:
            distance, arrived = self.shortest(height)
            height = [h + min(d, distance[-1]) for h, d in zip(height, distance)]
            pushed, node = amount, nodes - 1
            while node:
                pushed = min(pushed, self.room[arrived[node]])
                node = self.to[arrived[node] ^ 1]
            node = nodes - 1
            while node:
                self.room[arrived[node]] -= pushed
                self.room[arrived[node] ^ 1] += pushed
                total += pushed * self.cost[arrived[node]]
                node = self.to[arrived[node] ^ 1]
            amount -= pushed
            if height[-1] == height[0]:  # from here on nothing is gained
                break
        return total

    def shortest(self, height):
        nodes = len(self.ways)
        distance, arrived = [1 << 200] * nodes, [None] * nodes
        distance[0], queue = 0, [(0, 0)]
        while queue:
            far, node = heapq.heappop(queue)
            if far > distance[node]:
                continue
            if node == nodes - 1:
                break
            for arc in self.ways[node]:
                if self.room[arc]:
                    there = far + self.cost[arc] + height[node] - height[self.to[arc]]
                    if there < distance[self.to[arc]]:
                        distance[self.to[arc]], arrived[self.to[arc]] = there, arc
                        heapq.heappush(queue, (there, self.to[arc]))
        return distance, arrived


SCALE = 10 ** 6  # costs are integers, of femtoseconds a byte


def bound(blocks, peaks, capacity):
    """Nanoseconds that VRAM can save at the very most over all in host memory."""
    flow = Flow(len(peaks) + 1)
    alike = {}
    for block in blocks:
        key = (*span(block, peaks), -(-round(block.gain() * SCALE)))
        if key[2] > 0:
            alike[key] = alike.get(key, 0) + block.bytes
    for at in range(len(peaks)):
        flow.arc(at, at + 1, capacity, 0)
    for (first, last, gain), size in alike.items():
        flow.arc(first, last, size, -gain)
    return -flow.push(capacity) / SCALE


def found(blocks, peaks, capacity, budget=None):
    """The best of a few orders: the densest first; where many are alike, the largest, the oldest or
    the youngest of them first."""
    return max(fill(sorted(blocks, key=lambda block: (-round(block.gain(), 6), tie(block))), peaks, capacity,
                    budget) for tie in (lambda block: -block.bytes, lambda block: block.born,
                                        lambda block: -block.born))


def fill(order, peaks, capacity, budget):
    """Nanoseconds saved by whole blocks, and the bytes of VRAM that they take at most; with a budget,
    what is uploaded takes no more than that."""
    used, uploaded = [0] * len(peaks), [0] * len(peaks)
    saved = 0.0
    for block in order:
        first, last = span(block, peaks)
        limits = [(used, capacity)] + ([(uploaded, budget)] if budget is not None and block.uploaded else [])
        if block.gain() <= 0 or any(max(levels[first:last], default=0) + block.bytes > limit
                                    for levels, limit in limits):
            continue
        for levels, _ in limits:
            levels[first:last] = [level + block.bytes for level in levels[first:last]]
        saved += block.in_host - block.in_vram
    return saved, max(used, default=0)


@dataclass
class Optimum:
    """Seconds."""
    everything_in_host: float
    everything_in_vram: float
    bound: float   # no placement is faster
    found: float   # a placement by whole blocks takes this
    within: float  # one that keeps what is uploaded within the budget
    found_vram: int


def optimum(text, cost, capacity, budget):
    blocks, peaks, launches = read(text, cost)
    host = launches + sum(block.in_host for block in blocks)
    saved, vram = found(blocks, peaks, capacity)
    return Optimum(host / 1e9, (launches + sum(block.in_vram for block in blocks)) / 1e9,
                   (host - bound(blocks, peaks, capacity)) / 1e9, (host - saved) / 1e9,
                   (host - found(blocks, peaks, capacity, budget)[0]) / 1e9, vram)
