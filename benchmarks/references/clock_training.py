"""A plain training loop that ends with the clock, and the command line of the references."""

import argparse
import math
import os
import sys
import time

import torch
from torch.nn.functional import cross_entropy


def train_by_clock(network, x, y, seconds, change, *, rate=3e-3, decay=0.05, batch=64, epochs=math.inf):
    """AdamW with warm-up and cosine by the clock, or by the epochs where these are over first."""
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(torch.initial_seed())
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    began, steps, done = time.perf_counter(), max(1, len(x) // batch), 0
    while (share := max((time.perf_counter() - began) / seconds, done / (epochs * steps))) < 1:
        if done % steps == 0:
            order = torch.randperm(len(x))
        own = order[done % steps :: steps]
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, share / 0.05) * (1 + math.cos(math.pi * share)) / 2
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = cross_entropy(network(change(x[own])), y[own], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
    return network.eval()


def has_bf16():
    """Whether the processor multiplies such numbers by itself."""
    return torch.cpu.get_capabilities().get("avx512_bf16", False)


@torch.no_grad()
def accuracy(network, x, y):
    """The share of examples whose class a network tells."""
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
        found = torch.cat([network(part).argmax(1) for part in x.split(256)])
    return float((found == y).float().mean())


def numbered(names, *labels):
    """Labels as their places among the sorted names."""
    return [torch.tensor([sorted(set(names)).index(label) for label in own]) for own in labels]


def main(read, run, models):
    """Train a model on one path, and test it on another."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--model", choices=[*models], default=next(iter(models)))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(read(options.train), read(options.test), options.seconds, options.seed, options.model)
    print(f"{options.model}: {100 * found:.1f} %")
