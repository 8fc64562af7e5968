"""DeepSC in PyTorch with the module names, their order and the constructor of the reference implementation, written from
its description, for tests that hold our logits against PyTorch's. As a program it does the tasks of a JSON list on
standard input, and prints what each gave."""
import json
import math
import struct
import sys

import torch
from torch import nn

PAD = 0


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.dense = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x, memory, hide):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)

        q, k, v = split(self.wq(x)), split(self.wk(memory)), split(self.wv(memory))
        score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + hide.unsqueeze(1) * -1e9
        return self.dense((score.softmax(-1) @ v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, d, dff):
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(d, dff), nn.Linear(dff, d)

    def forward(self, x):
        return self.w_2(self.w_1(x).relu())


class Layer(nn.Module):
    """Post-norm: attention over each of the memories, then the feed-forward block."""

    def __init__(self, d, heads, dff, attentions):
        super().__init__()
        self.attentions = attentions
        for name in attentions:
            self.add_module(name, Attention(d, heads))
        self.ffn = FeedForward(d, dff)
        for i in range(len(attentions) + 1):
            self.add_module(f"layernorm{i + 1}", nn.LayerNorm(d, eps=1e-6))

    def forward(self, x, *views):
        for i, (name, (memory, hide)) in enumerate(zip(self.attentions, views)):
            attended = getattr(self, name)(x, x if memory is None else memory, hide)
            x = getattr(self, f"layernorm{i + 1}")(x + attended)
        return getattr(self, f"layernorm{len(self.attentions) + 1}")(x + self.ffn(x))


class Positions(nn.Module):
    def __init__(self, d, rows):
        super().__init__()
        angles = torch.arange(rows).unsqueeze(1) * torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], -1).flatten(1).unsqueeze(0))

    def forward(self, x):
        return x + self.pe[:, : x.shape[1]]


class Side(nn.Module):
    def __init__(self, kind, layers, words, rows, d, heads, dff, attentions):
        super().__init__()
        self.kind = kind
        self.embedding, self.pos_encoding = nn.Embedding(words, d), Positions(d, rows)
        self.add_module(kind, nn.ModuleList(Layer(d, heads, dff, attentions) for _ in range(layers)))

    def forward(self, ids, *views):
        x = self.pos_encoding(self.embedding(ids) * math.sqrt(self.embedding.embedding_dim))
        for layer in getattr(self, self.kind):
            x = layer(x, *views)
        return x


class ChannelDecoder(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.linear1, self.linear2, self.linear3 = nn.Linear(16, d), nn.Linear(d, 512), nn.Linear(512, d)
        self.layernorm = nn.LayerNorm(d, eps=1e-6)

    def forward(self, y):
        a = self.linear1(y)
        return self.layernorm(a + self.linear3(self.linear2(a.relu()).relu()))


class DeepSC(nn.Module):
    def __init__(self, layers, source, target, source_rows, target_rows, d, heads, dff, dropout):
        super().__init__()
        self.encoder = Side("enc_layers", layers, source, source_rows, d, heads, dff, ["mha"])
        self.channel_encoder = nn.Sequential(nn.Linear(d, 256), nn.ReLU(), nn.Linear(256, 16))
        self.channel_decoder = ChannelDecoder(d)
        self.decoder = Side("dec_layers", layers, target, target_rows, d, heads, dff, ["self_mha", "src_mha"])
        self.dense = nn.Linear(d, target)

    def forward(self, ids):
        """Teacher-forced logits over the ideal channel, power as the reference has it: divided by the rms above 1."""
        given = ids[:, :-1]
        hide = (ids == PAD).float().unsqueeze(1)
        later = torch.ones(given.shape[1], given.shape[1]).triu(1)
        hide_later = torch.maximum((given == PAD).float().unsqueeze(1), later)
        sent = self.channel_encoder(self.encoder(ids, (None, hide)))
        sent = sent / sent.square().mean().sqrt().clamp(min=1)
        memory = self.channel_decoder(sent)
        return self.dense(self.decoder(given, (None, hide_later), (memory, hide)))


def built(sizes):
    words, rows = sizes["words"], sizes["rows"]
    return DeepSC(sizes["layers"], words, words, rows, rows, sizes["d"], sizes["heads"], sizes["dff"], 0.1).eval()


def read_safetensors(path):
    """By the format's own description; what the Python package makes of our files is another test."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    for entry in header.values():
        assert entry["dtype"] == "F32", entry
    return {
        name: torch.frombuffer(data, dtype=torch.float32, offset=at, count=(end - at) // 4).view(entry["shape"])
        for name, entry in header.items()
        for at, end in [entry["data_offsets"]]
    }


def read(path):
    return read_safetensors(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True)


def random_model(sizes, seed):
    """Nothing at zero or one, so that no parameter can be left out or swapped unnoticed; the power is above 1."""
    torch.manual_seed(seed)
    model = built(sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
        model.channel_encoder[2].weight *= 8
    return model


def save(model, path, style):
    state = model.state_dict()
    if style == "wrapped":
        state = {"model_state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}
    torch.save(state, path, _use_new_zipfile_serialization=style != "legacy")


def do(task):
    if "saveAs" in task:
        model = random_model(task["sizes"], task["seed"])
        save(model, task["saveAs"], task["style"])
    else:
        model = built(task["sizes"])
        model.load_state_dict(read(task["model"]), strict=True)
    with torch.no_grad():
        logits = model(torch.tensor(task["ids"]))
    with open(task["out"], "wb") as file:
        file.write(logits.contiguous().numpy().astype("<f4").tobytes())
    return {"shape": list(logits.shape), "largest": logits.abs().max().item()}


if __name__ == "__main__":
    print(json.dumps([do(task) for task in json.load(sys.stdin)]))
