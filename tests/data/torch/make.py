"""Makes the PyTorch files of this folder, and what is in them as JSON: python make.py"""

import json
import os

import torch

torch.manual_seed(1)
base = torch.randn(5, 6)
shared = torch.randn(6, 8)
model = {
    "wte.weight": shared,
    "half": torch.randn(4, 5).half(),
    "brain": torch.randn(7).bfloat16(),
    "double": torch.randn(3, dtype=torch.float64),
    "ids": torch.arange(4),
    "mask": torch.tensor([True, False, True]),
    "scalar": torch.tensor(0.75),
    "empty": torch.zeros(0, 4),
    "zeros.a": torch.zeros(9),
    "zeros.b": torch.zeros(9),
    "turned": base.t(),
    "sliced": base[1:4, ::2],
    "lm_head.weight": shared.detach(),
    "flat": shared.view(48),
}
torch.save(model, "model.pt")
torch.save({"w": base}, "old.pt", _use_new_zipfile_serialization=False)

zeros = torch.zeros(9)
torch.save({"a": zeros, "b": zeros.detach(), "c": torch.zeros(9)}, "same.pt")

ids = torch.arange(4)
views = {"a": torch.zeros(100)[:10], "b": torch.zeros(10), "ids.a": ids, "ids.b": ids.detach(), "one": torch.ones(1).expand(3)}
torch.save(views, "views.pt")
torch.save({"w": torch.ones(1).expand(1 << 29)}, "expanded.pt")


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


torch.save({"w": base, "evil": Evil()}, "evil.pt")

folder = "sharded"
os.makedirs(folder, exist_ok=True)
shards = {
    "pytorch_model-00001-of-00002.bin": {"a": base, "tied.a": base.detach(), "b": torch.randn(3, 4)},
    "pytorch_model-00002-of-00002.bin": {"c": torch.randn(20).half(), "ids": torch.arange(3)},
}
for name, shard in shards.items():
    torch.save(shard, os.path.join(folder, name))
names = {name: shard for shard, tensors in shards.items() for name in tensors}
with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w") as file:
    json.dump({"metadata": {"total_size": 300}, "weight_map": names}, file, indent=2)
with open(os.path.join(folder, "config.json"), "w") as file:
    json.dump({"hidden_size": 6}, file)

every = dict(model)
for shard in shards.values():
    every.update({f"sharded/{name}": tensor for name, tensor in shard.items()})
described = {
    name: {"dtype": str(tensor.dtype), "shape": list(tensor.shape), "values": tensor.double().flatten().tolist()}
    for name, tensor in every.items()
}
with open("values.json", "w") as file:
    json.dump(described, file)
