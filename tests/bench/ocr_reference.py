"""The same network in Python, written as timm's nfnet.py has it, to measure fairlead-bench-ocr against.

usage: ocr_reference.py VARIANT HEIGHT WIDTH BATCH THREADS SECONDS train|infer
Prints one number: images a CPU-second. Needs python3-torch.
"""
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SILU_GAMMA = 1.7881293296813965
VARIANTS = {  # Channels, stem, depths, group size, final.
    'full': ((256, 512, 1536, 1536), (16, 32, 64, 128), (1, 2, 6, 3), 64, 2304),
    'half': ((128, 256, 768, 768), (8, 16, 32, 64), (1, 2, 6, 3), 64, 1152),
    'quarter': ((64, 128, 384, 384), (4, 8, 16, 32), (1, 2, 6, 3), 32, 576),
    'eighth': ((64, 128, 256, 256), (4, 8, 16, 32), (1, 1, 2, 1), 16, 384),
}


class ScaledStdConv2d(nn.Conv2d):
    def __init__(self, i, o, k, stride=1, groups=1):
        super().__init__(i, o, k, stride=stride, padding=((stride - 1) + (k - 1)) // 2, groups=groups, bias=True)
        self.gain = nn.Parameter(torch.full((o, 1, 1, 1), 1.0))
        self.scale = SILU_GAMMA * self.weight[0].numel() ** -0.5

    def forward(self, x):
        weight = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None,
                              weight=(self.gain * self.scale).view(-1), training=True, momentum=0.,
                              eps=1e-5).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Eca(nn.Module):
    def __init__(self, channels):
        super().__init__()
        t = int(abs(math.log(channels, 2) + 1) / 2)
        k = max(t if t % 2 else t + 1, 3)
        self.conv = nn.Conv1d(1, 1, k, padding=(k - 1) // 2, bias=False)

    def forward(self, x):
        y = x.mean((2, 3)).view(x.shape[0], 1, -1)
        y = self.conv(y).view(x.shape[0], -1, 1, 1).sigmoid()
        return x * y.expand_as(x)


class Block(nn.Module):
    def __init__(self, i, o, stride, beta, group):
        super().__init__()
        mid, self.beta = o // 4, beta
        groups = max(1, mid // group)
        self.pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        self.down = ScaledStdConv2d(i, o, 1) if i != o or stride > 1 else None
        self.conv1 = ScaledStdConv2d(i, mid, 1)
        self.conv2 = ScaledStdConv2d(mid, mid, 3, stride, groups)
        self.conv2b = ScaledStdConv2d(mid, mid, 3, 1, groups)
        self.conv3 = ScaledStdConv2d(mid, o, 1)
        self.attn = Eca(o)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x):
        out = F.silu(x) * self.beta
        shortcut = x if self.down is None else self.down(self.pool(out))
        out = self.conv2b(self.act(self.conv2(self.act(self.conv1(out)))))
        out = 2.0 * self.attn(self.conv3(self.act(out)))
        out.mul_(0.2)
        return out + shortcut


class Net(nn.Module):
    def __init__(self, variant, height, outputs):
        super().__init__()
        channels, stem, depths, group, final = VARIANTS[variant]
        strides, layers, i = (2, 1, 1, 2), [], 1
        for n, (c, s) in enumerate(zip(stem, strides)):
            layers += [ScaledStdConv2d(i, c, 3, s)] + ([nn.SiLU(inplace=True)] if n < 3 else [])
            i = c
        variance = 1.0
        for stage, (c, depth) in enumerate(zip(channels, depths)):
            for d in range(depth):
                stride = 1 if d or stage == 0 or (stage == 3 and height < 64) else 2
                layers.append(Block(i, c, stride, variance ** -0.5, group))
                variance = (1.0 if d == 0 else variance) + 0.04
                i = c
        self.body = nn.Sequential(*layers, ScaledStdConv2d(i, final, 1), nn.SiLU(inplace=True))
        self.head = nn.Linear(final, outputs)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def main():
    variant, mode = sys.argv[1], sys.argv[7]
    height, width, batch, threads = (int(a) for a in sys.argv[2:6])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    net = Net(variant, height, 6 * 11)
    images = torch.randn(batch, 1, height, width)
    labels = torch.randint(0, 11, (batch * 6,))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02)

    def train():
        optimiser.zero_grad()
        F.cross_entropy(net(images).view(-1, 11), labels).backward()
        optimiser.step()

    def infer():
        with torch.no_grad():
            net(images)

    step = train if mode == 'train' else infer
    if mode == 'infer':
        net.eval()
    step()
    count, start = 0, time.process_time()
    while time.process_time() - start < float(sys.argv[6]):
        step()
        count += batch
    print(count / (time.process_time() - start))


if __name__ == '__main__':
    main()
