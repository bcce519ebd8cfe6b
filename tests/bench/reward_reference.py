"""The reward transformer in Python, to measure fairlead-bench-reward against.

usage: reward_reference.py BATCHES.json THREADS SECONDS
BATCHES.json: {"vocabulary", "width", "layers", "heads", "positions", "batches"}; a batch is a list of
rows [response_begin, ids], two rows a pair, the better one first.
Prints one number: trained tokens (without padding) a CPU-second. Needs python3-torch.
"""
import json
import os
import sys
import time

# Before torch is loaded: OpenBLAS' other threads would spin and be counted.
os.environ['OPENBLAS_NUM_THREADS'] = sys.argv[2]

import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        rows, places, width = x.shape
        q, k, v = self.mix(self.norm1(x)).view(rows, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * (width // self.heads) ** -0.5, k.transpose(2, 3)) + mask
        gathered = torch.matmul(scores.softmax(3), v).transpose(1, 2).reshape(rows, places, width)
        x = x + self.out(gathered)
        return x + self.down(F.relu(self.up(self.norm2(x))))


class Net(nn.Module):
    def __init__(self, vocabulary, width, layers, heads, positions):
        super().__init__()
        self.pieces, self.places = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, ids, mask, pool):
        x = self.pieces(ids) + self.places.weight[:ids.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        return self.head((self.norm(x) * pool).sum(1))[:, 0]


def padded(rows):
    longest = max(len(ids) for _, ids in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.full((len(rows), 1, 1, longest), float('-inf'))
    pool = torch.zeros(len(rows), longest, 1)
    for i, (begin, row) in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :, :, :len(row)] = 0
        pool[i, begin:len(row)] = 1 / (len(row) - begin)
    return ids, mask, pool, sum(len(row) for _, row in rows)


def main():
    with open(sys.argv[1]) as f:
        spec = json.load(f)
    torch.set_num_threads(int(sys.argv[2]))
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    net = Net(spec['vocabulary'], spec['width'], spec['layers'], spec['heads'], spec['positions'])
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.02)
    batches = [padded(rows) for rows in spec['batches']]

    def step(batch):
        ids, mask, pool, tokens = batch
        optimiser.zero_grad()
        scores = net(ids, mask, pool)
        (-F.logsigmoid(scores[0::2] - scores[1::2])).mean().backward()
        optimiser.step()
        return tokens

    step(batches[0])
    tokens, at, start = 0, 0, time.process_time()
    while time.process_time() - start < float(sys.argv[3]):
        tokens += step(batches[at % len(batches)])
        at += 1
    print(tokens / (time.process_time() - start))


if __name__ == '__main__':
    main()
