"""The network of ocr_reference.py on a GPU as Python users train it, to measure fairlead-bench-gpu against.

usage: gpu_reference.py VARIANT HEIGHT WIDTH BATCH SECONDS eager|compile nchw|channels_last cuda|cpu
Prints one number: images a second of training, under bfloat16 autocast on a GPU. Needs torch with CUDA.
"""
import sys
import time

import torch
import torch.nn.functional as F

from ocr_reference import Net


def main():
    variant, height, width, batch = sys.argv[1], *(int(a) for a in sys.argv[2:5])
    seconds, mode, layout, device = float(sys.argv[5]), *sys.argv[6:9]
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    last = layout == 'channels_last'
    memory = torch.channels_last if last else torch.contiguous_format
    net = Net(variant, height, 6 * 11).to(device).to(memory_format=memory)
    images = torch.randn(batch, 1, height, width, device=device).to(memory_format=memory)
    labels = torch.randint(0, 11, (batch * 6,), device=device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02)
    forward = torch.compile(net) if mode == 'compile' else net

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
            loss = F.cross_entropy(forward(images).view(-1, 11).float(), labels)
        loss.backward()
        optimiser.step()

    def wait():
        if device == 'cuda':
            torch.cuda.synchronize()

    warm = 10 if device == 'cuda' else 1
    for _ in range(warm):
        step()
    wait()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(warm):
            step()
        wait()
        count += warm * batch
    print(count / (time.perf_counter() - start))


if __name__ == '__main__':
    main()
