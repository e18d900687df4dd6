"""Carries the words of penalty's ranks by torch.distributed.

Each rank starts a program that asks for sums and maxima on its standard output; see crates/mpi/examples/pipe.rs.

    cargo build --release -p penalty-mpi --example pipe
    torchrun --nproc-per-node 3 scripts/torch_ranks.py target/release/examples/pipe
"""

import datetime
import subprocess
import sys

import numpy
import torch
import torch.distributed as dist


def sum_u64(words):
    """A wrapped sum of int64 has the bits of the sum of uint64."""
    tensor = torch.from_numpy(words.view(numpy.int64))
    dist.all_reduce(tensor, op=dist.ReduceOp.SUM)


def max_u32(words):
    """A uint32 fits an int64, where its maximum is the same."""
    tensor = torch.from_numpy(words.astype(numpy.int64))
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    words[:] = tensor.numpy()


def main():
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    command = [sys.argv[1], str(dist.get_rank()), str(dist.get_world_size())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            while head := program.stdout.read(5):
                count = int.from_bytes(head[1:], "little")
                dtype, reduce = {b"s": (numpy.uint64, sum_u64), b"m": (numpy.uint32, max_u32)}[head[:1]]
                words = numpy.frombuffer(bytearray(program.stdout.read(count * dtype().itemsize)), dtype)
                reduce(words)
                program.stdin.write(words.tobytes())
                program.stdin.flush()
        finally:
            program.stdin.close()
    if program.returncode:
        sys.exit(program.returncode)
    dist.destroy_process_group()


main()
