"""The traces of `make bench-placement`: what well-known programs ask of a card.

All are WRITTEN FROM PUBLIC SOURCE, NOT RECORDED: shapes from the models' published configurations,
the order of calls from the programs' source. They hold what placement depends on (which blocks, how
large, for how long, how many bytes of each are read and written how often) and leave out the rest:
arithmetic takes no time, a kernel reads its inputs and writes its output once.

FLUX.1-dev      19 double and 38 single blocks, 24 heads of 128 (its config.json); with Q8_0 a weight
                takes 34 bytes for 32 numbers, with Q4_K 144 for 256, with Q6_K 210 (the GGUF format)
T5-XXL encoder  24 layers, 64 heads of 64, 4096 and 10240 wide, gated (config.json of t5-v1_1-xxl)
SDXL UNet       70 transformer blocks, nearly all 1280 wide, context 2048 (its config.json)
VAE decoder     128 to 512 channels, 128x128 to 1024x1024 (AutoencoderKL's config.json)
Llama 3.1 8B    32 layers, 4096 and 14336 wide, 8 key-value heads of 128, vocabulary 128256

ComfyUI loads a model whole when the card reports room, each tensor on its own and from pageable
memory; ComfyUI-GGUF turns a weight into half precision just before its multiplication and drops it
after it. PyTorch's cudaMallocAsync backend asks for each tensor; its native allocator's rules are in
class Native, with the constants of c10/cuda/CUDACachingAllocator.cpp. Uploads come from mappings of
model files, which are written with all headers and no data but the first word of each tensor.
"""
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "integration"))
from model_files import GGML, gguf_file  # noqa: E402

MIB = 1 << 20
GIB = 1 << 30
HALF = 2  # bytes of a number in half precision


def up(value, unit):
    return -(-int(value) // unit) * unit


class Trace:
    """The text of a trace. Calls between repeat() and end() leave the live blocks as they were."""

    policy = "comfyui.json"  # the one that is shipped for such programs

    def __init__(self, name, about, allocator="async", card=8 * GIB, held=300 * MIB, ram=24 * GIB):
        self.name, self.about, self.card, self.held, self.ram = name, about, card, held, ram
        self.lines = [f"# {about}", "# written from public source, not recorded", f"allocator {'async' if allocator == 'async' else 'malloc'}"]
        self.blocks = 0
        self.free_numbers = []
        self.files = {}
        self.memory = Async(self) if allocator == "async" else Native(self)

    def alloc(self, size):
        if self.free_numbers:
            block = self.free_numbers.pop()
        else:
            block = self.blocks
            self.blocks += 1
        self.lines.append(f"alloc {block} {size}")
        return block

    def free(self, block):
        self.free_numbers.append(block)
        self.lines.append(f"free {block}")

    def say(self, line):
        self.lines.append(line)

    def tensor(self, size):
        return self.memory.tensor(up(size, 512))

    def load(self, file, name, kind, *shape):
        """A tensor of a model file, onto the card."""
        at, size = file.add(name, kind, shape)
        tensor = self.tensor(size)
        self.lines.append(f"upload {tensor.block} {tensor.offset} {size} {at}")
        return tensor

    def drop(self, *tensors):
        for tensor in tensors:
            self.memory.drop(tensor)

    def move(self, out, *ins):
        """A kernel: writes all of `out` (or None), reads all of `ins` (or so many bytes of each)."""
        pairs = [tensor if isinstance(tensor, tuple) else (tensor, tensor.size) for tensor in ins]
        self.lines.append(" ".join(["move", f"{out.block}:{out.size}" if out else "-"] +
                                   [f"{tensor.block}:{int(size)}" for tensor, size in pairs]))

    def map(self, size, *ins):
        """A kernel with a new output."""
        out = self.tensor(size)
        self.move(out, *ins)
        return out

    def file(self, name, **metadata):
        self.files[name] = ModelFile(name, metadata)
        self.lines.append(f"model {name}")
        return self.files[name]

    def text(self):
        return "\n".join(self.lines) + "\n"

    def write(self, folder):
        """The trace and its model files; returns the trace's path."""
        text = self.text()
        for file in self.files.values():
            path, data = file.write(folder)
            text = text.replace(f"model {file.name}\n", f"model {data} {path}\n")
        path = folder / f"{self.name}.trace"
        path.write_text(text)
        return path


class ModelFile:
    def __init__(self, name, metadata):
        self.name, self.metadata, self.tensors, self.at, self.starts = name, metadata, [], 0, []

    def add(self, name, kind, shape):
        """Returns where it begins in the data, and its bytes."""
        _, elements, size = GGML[kind]
        for n in shape:
            size *= n
        at, size = self.at, size // elements
        self.tensors.append((name, kind, shape))
        self.starts.append(at)
        self.at += up(size, 32)
        return at, size

    def write(self, folder):
        path = gguf_file(folder / self.name, self.tensors, self.metadata)
        data = path.stat().st_size - self.at
        with open(path, "r+b") as file:
            for number, at in enumerate(self.starts, 1):
                os.pwrite(file.fileno(), struct.pack("<Q", number * 0x9E3779B97F4A7C15 & (1 << 64) - 1), data + at)
        return path, data


class Tensor:
    def __init__(self, block, offset, size):
        self.block, self.offset, self.size = block, offset, size
        self.cached = None


class Async:
    """A block of the driver's for each tensor (backend:cudaMallocAsync)."""

    def __init__(self, trace):
        self.trace = trace

    def tensor(self, size):
        return Tensor(self.trace.alloc(size), 0, size)

    def drop(self, tensor):
        self.trace.free(tensor.block)

    def empty_cache(self):
        pass


class Whole:
    """One block that holds all that is asked for (ggml's buffers)."""

    def __init__(self, trace):
        self.trace, self.used, self.line = trace, 0, len(trace.lines)
        self.block = trace.alloc(0)

    def tensor(self, size):
        tensor = Tensor(self.block, self.used, size)
        self.used += size
        self.trace.lines[self.line] = f"alloc {self.block} {self.used}"
        return tensor


class Piece:
    """Of a segment of the native allocator."""

    def __init__(self, segment, offset, size, before, after):
        self.segment, self.offset, self.size, self.before, self.after = segment, offset, size, before, after
        self.is_free = True


class Native:
    """PyTorch's own caching allocator: segments that are cut into pieces and kept."""

    def __init__(self, trace):
        self.trace = trace
        self.pieces = {True: [], False: []}  # small: free pieces

    def tensor(self, size):
        small = size <= MIB
        fits = [piece for piece in self.pieces[small] if piece.size >= size]
        piece = min(fits, key=lambda piece: (piece.size, piece.segment, piece.offset), default=None)
        if piece:
            self.pieces[small].remove(piece)
        else:
            segment = 2 * MIB if small else 20 * MIB if size < 10 * MIB else up(size, 2 * MIB)
            piece = Piece(self.trace.alloc(segment), 0, segment, None, None)
        rest = piece.size - size
        if rest >= 512 if small else rest > MIB:
            after = Piece(piece.segment, piece.offset + size, rest, piece, piece.after)
            if piece.after:
                piece.after.before = after
            piece.after, piece.size = after, size
            self.pieces[small].append(after)
        piece.is_free = False
        tensor = Tensor(piece.segment, piece.offset, size)
        tensor.cached = (piece, small)
        return tensor

    def drop(self, tensor):
        piece, small = tensor.cached
        for other in (piece.before, piece.after):
            if other and other.is_free:
                self.pieces[small].remove(other)
                first, second = (other, piece) if other is piece.before else (piece, other)
                first.size += second.size
                first.after = second.after
                if second.after:
                    second.after.before = first
                piece = first
        piece.is_free = True
        self.pieces[small].append(piece)

    def empty_cache(self):
        for pieces in self.pieces.values():
            for piece in [p for p in pieces if not p.before and not p.after]:
                pieces.remove(piece)
                self.trace.free(piece.segment)


# --- layers --------------------------------------------------------------------------------------


class Linear:
    """A weight matrix; used as it is, or turned into half precision before its multiplication."""

    def __init__(self, trace, file, name, kind, inputs, outputs, is_used_as_is):
        self.trace, self.inputs, self.outputs, self.is_used_as_is = trace, inputs, outputs, is_used_as_is
        self.weight = trace.load(file, name, kind, inputs, outputs)

    def __call__(self, rows, x):
        trace = self.trace
        if self.is_used_as_is:
            return trace.map(rows * self.outputs * HALF, self.weight, x)
        plain = trace.map(self.inputs * self.outputs * HALF, self.weight)
        out = trace.map(rows * self.outputs * HALF, plain, x)
        trace.drop(plain)
        return out


class Model:
    """What can be unloaded again."""
    USES_WEIGHTS_AS_THEY_ARE = True

    def __init__(self, trace, file, kind="F16", **metadata):
        self.trace, self.kind = trace, kind
        self.file = trace.file(file, **metadata)
        self.linears = []
        self.others = []

    def linear(self, name, inputs, outputs):
        linear = Linear(self.trace, self.file, name + ".weight", self.kind, inputs, outputs,
                        self.USES_WEIGHTS_AS_THEY_ARE)
        self.linears.append(linear)
        return linear

    def unload(self):
        self.trace.drop(*(linear.weight for linear in self.linears), *self.others)
        self.trace.memory.empty_cache()

    def chain(self, rows, x, *linears):
        """One after the other; x is kept."""
        y = x
        for linear in linears:
            z = linear(rows, y)
            if y is not x:
                self.trace.drop(y)
            y = z
        return y

    def attention(self, rows, qkv, width):
        out = self.trace.map(rows * width * HALF, qkv)
        self.trace.drop(qkv)
        return out


class Flux(Model):
    USES_WEIGHTS_AS_THEY_ARE = False
    WIDTH, IMAGE, TEXT = 3072, 4096, 512  # 1024 x 1024 pixels

    def __init__(self, trace, kind, double=19, single=38):
        super().__init__(trace, f"flux1-dev-{kind}.gguf", kind, **{"general.architecture": "flux"})
        w, self.double, self.single = self.WIDTH, [], []
        for i in range(double):
            self.double.append([[self.linear(f"double_blocks.{i}.{side}_{name}", inputs, outputs)
                                 for name, inputs, outputs in (
                                     ("mod.lin", w, 6 * w), ("attn.qkv", w, 3 * w), ("attn.proj", w, w),
                                     ("mlp.0", w, 4 * w), ("mlp.2", 4 * w, w))]
                                for side in ("img", "txt")])
        for i in range(single):
            self.single.append([self.linear(f"single_blocks.{i}.{name}", inputs, outputs)
                                for name, inputs, outputs in (("modulation.lin", w, 3 * w), ("linear1", w, 7 * w),
                                                              ("linear2", 5 * w, w))])

    def half_block(self, rows, x, layers):
        modulation, qkv, project, rise, fall = layers
        trace = self.trace
        trace.drop(modulation(1, x))
        attended = self.attention(rows, qkv(rows, x), self.WIDTH)
        y = self.chain(rows, attended, project)
        trace.drop(attended)
        trace.move(x, y)
        trace.drop(y)
        y = self.chain(rows, x, rise, fall)
        trace.move(x, y)
        trace.drop(y)

    def single_block(self, rows, x, layers):
        modulation, rise, fall = layers
        trace = self.trace
        trace.drop(modulation(1, x))
        wide = rise(rows, x)
        joined = trace.map(rows * 5 * self.WIDTH * HALF, wide)
        trace.drop(wide)
        y = fall(rows, joined)
        trace.drop(joined)
        trace.move(x, y)
        trace.drop(y)

    def step(self):
        trace = self.trace
        image, text = (trace.tensor(rows * self.WIDTH * HALF) for rows in (self.IMAGE, self.TEXT))
        for image_half, text_half in self.double:
            self.half_block(self.IMAGE, image, image_half)
            self.half_block(self.TEXT, text, text_half)
        both = trace.map((self.IMAGE + self.TEXT) * self.WIDTH * HALF, image, text)
        trace.drop(image, text)
        for layers in self.single:
            self.single_block(self.IMAGE + self.TEXT, both, layers)
        trace.drop(both)


class T5(Model):
    def __init__(self, trace, layers=24):
        super().__init__(trace, "t5-xxl-f16.gguf", **{"general.architecture": "t5encoder"})
        self.others = [trace.load(self.file, "token_embd.weight", "F16", 4096, 32128)]
        self.layers = [([self.linear(f"enc.blk.{i}.attn_{name}", 4096, 4096) for name in "qkvo"],
                        self.linear(f"enc.blk.{i}.ffn_gate", 4096, 10240),
                        self.linear(f"enc.blk.{i}.ffn_up", 4096, 10240),
                        self.linear(f"enc.blk.{i}.ffn_down", 10240, 4096)) for i in range(layers)]

    def encode(self, rows=512):
        trace = self.trace
        x = trace.map(rows * 4096 * HALF, (self.others[0], rows * 4096 * HALF))
        for (q, k, v, o), gate, rise, fall in self.layers:
            heads = [linear(rows, x) for linear in (q, k, v)]
            attended = trace.map(rows * 4096 * HALF, *heads)
            trace.drop(*heads)
            y = o(rows, attended)
            trace.move(x, y)
            trace.drop(attended, y)
            gated, risen = gate(rows, x), rise(rows, x)
            trace.move(risen, gated)
            y = fall(rows, risen)
            trace.move(x, y)
            trace.drop(gated, risen, y)
        return x


class Sdxl(Model):
    """Without its convolutions: a tenth of the weights."""

    def __init__(self, trace, name, blocks=70):
        super().__init__(trace, f"sdxl-{name}.gguf", **{"general.architecture": "sdxl"})
        w, self.blocks = 1280, []
        for i in range(blocks):
            at = f"transformer_blocks.{i}"
            self.blocks.append(([self.linear(f"{at}.attn1.to_{name}", w, w) for name in "qkvo"],
                                [self.linear(f"{at}.attn2.to_{name}", 2048 if name in "kv" else w, w)
                                 for name in "qkvo"],
                                self.linear(f"{at}.ff.net.0.proj", w, 8 * w),
                                self.linear(f"{at}.ff.net.2", 4 * w, w)))

    def step(self, rows=2 * 1024):
        trace = self.trace
        x = trace.tensor(rows * 1280 * HALF)
        for own, cross, rise, fall in self.blocks:
            for q, k, v, o in (own, cross):
                heads = [linear(rows, x) for linear in (q, k, v)]
                attended = trace.map(rows * 1280 * HALF, *heads)
                trace.drop(*heads)
                y = o(rows, attended)
                trace.move(x, y)
                trace.drop(attended, y)
            wide = rise(rows, x)
            half = trace.map(rows * 4 * 1280 * HALF, wide)
            trace.drop(wide)
            y = fall(rows, half)
            trace.move(x, y)
            trace.drop(half, y)
        trace.drop(x)


class Vae(Model):
    STAGES = ((128, 512), (256, 512), (512, 256), (1024, 128))  # pixels a side, channels

    def __init__(self, trace):
        super().__init__(trace, "vae.gguf")
        self.stages = [(side, channels, [self.linear(f"decoder.up.{side}.{i}.conv", 9 * channels, channels)
                                         for i in range(6)]) for side, channels in self.STAGES]

    def decode(self):
        trace = self.trace
        x = trace.tensor(128 * 128 * 512 * HALF)
        for side, channels, convolutions in self.stages:
            wider = trace.map(side * side * channels * HALF, x)  # enlarged
            trace.drop(x)
            x = wider
            for convolution in convolutions:
                normal = trace.map(x.size, x)
                y = convolution(side * side, normal)
                trace.drop(x, normal)
                x = y
        trace.drop(x)


class Llama(Model):
    KV = 2 * 8 * 128 * HALF  # bytes of one token in one layer

    def __init__(self, trace, kind, layers=32, context=8192, embeds=True):
        super().__init__(trace, f"llama-3.1-8b-{kind}.gguf", kind, **{"general.architecture": "llama"})
        self.context, self.embeds = context, embeds
        if embeds:
            self.others = [trace.load(self.file, "token_embd.weight", "F16", 4096, 128256)]
        else:
            self.file.add("token_embd.weight", kind, (4096, 128256))
        self.layers = [self.layer(f"blk.{i}") for i in range(layers)]
        self.head = self.linear("output", 4096, 128256)

    def layer(self, at):
        linears = (self.linear(f"{at}.attn_qkv", 4096, 6144), self.linear(f"{at}.attn_output", 4096, 4096),
                   self.linear(f"{at}.ffn_up", 4096, 28672), self.linear(f"{at}.ffn_down", 14336, 4096))
        self.others += [self.trace.load(self.file, f"{at}.{name}_norm.weight", "F32", 4096) for name in ("attn", "ffn")]
        return linears

    def start(self):
        self.cache = [self.trace.tensor(self.context * self.KV) for _ in self.layers]
        for block in sorted({cache.block for cache in self.cache}):
            self.trace.say(f"set {block}")
        self.others += self.cache

    def token(self, used):
        trace = self.trace
        x = trace.map(4096 * HALF, *([(self.others[0], 4096 * HALF)] if self.embeds else []))
        for (qkv, o, rise, fall), cache in zip(self.layers, self.cache):
            heads = qkv(1, x)
            attended = trace.map(4096 * HALF, heads, (cache, used * self.KV))
            trace.drop(heads)
            y = self.chain(1, attended, o, rise, fall)
            trace.move(x, y)
            trace.drop(attended, y)
        trace.drop(self.head(1, x), x)


# --- the traces ----------------------------------------------------------------------------------


def repeat(trace, count, body):
    """`count` times; a caching allocator has settled after the first."""
    body()
    trace.say("sync")
    trace.say(f"repeat {count - 1}")
    before = trace.blocks, sorted(trace.free_numbers)
    body()
    trace.say("sync")  # the host looks at what came out, before it goes on
    assert before == (trace.blocks, sorted(trace.free_numbers))
    trace.say("end")


def diffusion(allocator="async", kind="Q8_0", name="diffusion", about="Q8_0, 12.6 GB"):
    trace = Trace(name, f"ComfyUI-GGUF: FLUX.1-dev {about}, 20 steps, allocator {allocator}", allocator)
    trace.say("phase load")
    model = Flux(trace, kind)
    trace.say("phase sample")
    repeat(trace, 20, model.step)
    return trace


def llm():
    """The whole cache is read for each token, however many tokens are in it: PyTorch's static caches
    return it as it is, for shapes that never change (gpt-fast, KVCache.update; torchtune, discussion
    2933)."""
    trace = Trace("llm", "Transformers: Llama 3.1 8B in 8 bits, a static cache for 8192 tokens, 64 decoded, native "
                  "allocator", "native")
    trace.policy = "llama.json"
    trace.say("phase load")
    model = Llama(trace, "I8")
    model.start()
    trace.say("phase decode")
    repeat(trace, 64, lambda: model.token(model.context))
    return trace


def llama_cpp():
    """Its weights are one allocation, and so is the cache, of which it reads what is in use; the
    embeddings stay with the CPU."""
    trace = Trace("llama-cpp", "llama.cpp: Llama 3.1 8B in Q6_K, 8192 tokens of context, 64 decoded; one buffer "
                  "for all weights", "malloc")
    trace.policy = "llama.json"
    trace.say("phase load")
    trace.memory = Whole(trace)
    model = Llama(trace, "Q6_K", embeds=False)
    trace.memory = Whole(trace)
    model.start()
    trace.memory = Native(trace)
    trace.say("phase decode")
    repeat(trace, 64, lambda: model.token(4096))
    return trace


def pipeline():
    trace = Trace("pipeline", "ComfyUI: T5-XXL encodes and is unloaded, FLUX.1-dev Q4_K samples and is unloaded, "
                  "the VAE decodes; twice over")
    for turn in ("1", "2"):
        trace.say(f"phase text-{turn}")
        text = T5(trace)
        context = text.encode()
        text.unload()
        trace.say(f"phase sample-{turn}")
        unet = Flux(trace, "Q4_K")
        repeat(trace, 20, unet.step)
        unet.unload()
        trace.say(f"phase decode-{turn}")
        vae = Vae(trace)
        vae.decode()
        vae.unload()
        trace.drop(context)
    return trace


def models():
    trace = Trace("models", "ComfyUI: three SDXL checkpoints in turn, the one before the last is unloaded, 20 steps "
                  "each")
    loaded = []
    for turn in ("a", "b", "c"):
        trace.say(f"phase load-{turn}")
        if len(loaded) == 2:
            loaded.pop(0).unload()
        loaded.append(Sdxl(trace, turn))
        trace.say(f"phase sample-{turn}")
        repeat(trace, 20, loaded[-1].step)
    return trace


def tiny():
    """For the tests: a model that overflows a small card in a second."""
    trace = Trace("tiny", "FLUX.1-dev Q8_0 cut to two blocks, 3 steps", card=768 * MIB, held=0, ram=2 * GIB)
    trace.say("phase load")
    model = Flux(trace, "Q8_0", double=1, single=1)
    trace.say("phase sample")
    repeat(trace, 3, model.step)
    return trace


TRACES = {
    "diffusion": diffusion,
    "diffusion-native": lambda: diffusion("native", name="diffusion-native"),
    "diffusion-fits": lambda: diffusion("async", "Q4_K", "diffusion-fits", "Q4_K, 6.7 GB"),
    "llm": llm,
    "llama-cpp": llama_cpp,
    "pipeline": pipeline,
    "models": models,
}
