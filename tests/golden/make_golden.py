#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden_values.h: what PyTorch computes for the networks, losses and optimizers of
src/nn, to compare with. Debian's python3-torch; in double, from inputs that are exact in
float, so that the values carry no rounding of their own.

usage: /usr/bin/python3 tests/golden/make_golden.py
"""
import contextlib
import os

import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)

INPUTS, WIDTHS, ROWS, STEPS = 9, (32, 16, 8), 32, 10
PLAIN_WIDTHS, NORMAL, ANOMALOUS = (20, 7), 4, 8
ETA, TRIM = 1.5, 0.1
PAPER_RATE, PAPER_DECAY, MILESTONE = 1e-3, 5e-2, 5
LOG_RATE, LOG_DECAY = 3e-3, 1e-1


def exact(tensor):
    """The same tensor, rounded to float."""
    return tensor.float().double()


def emit(name, tensor):
    values = np.asarray(tensor.detach(), dtype=np.float32).ravel()
    texts = [repr(float(v)) if float(v).is_integer() else str(v) for v in values]
    print(f'static const float {name}[{len(texts)}] = {{')
    line = ''
    for text in texts:
        if len(line) + len(text) > 86:
            print('   ' + line)
            line = ''
        line += f' {text}F,'
    print('   ' + line + '};')


def emit_losses(name, losses):
    print(f'static const double {name}[{len(losses)}] = {{'
          + ', '.join(f'{loss:.12g}' for loss in losses) + '};')


def dense(inputs, outputs, bias):
    layer = nn.Linear(inputs, outputs, bias=bias)
    for parameter in layer.parameters():
        parameter.data = exact(parameter.data)
    return layer


def hidden(inputs, outputs, batch_norm, bias):
    layers = [dense(inputs, outputs, bias)]
    if batch_norm:
        layers.append(nn.BatchNorm1d(outputs, eps=1e-4, affine=False))
    return layers + [nn.LeakyReLU(0.01)]


def encoder_layers(widths, batch_norm, bias):
    sizes = (INPUTS,) + widths
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers += hidden(inputs, outputs, batch_norm, bias)
    return layers + [dense(sizes[-2], sizes[-1], bias)]


def autoencoder(widths):
    sizes = widths[::-1]
    layers = encoder_layers(widths, True, False)
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += hidden(inputs, outputs, True, False)
    return nn.Sequential(*layers, dense(sizes[-1], INPUTS, False), nn.Sigmoid())


def flat(network, of):
    """Parameters or gradients as src/nn keeps them: W (inputs, outputs), then b."""
    parts = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            parts.append(of(layer.weight).t().reshape(-1))
            if layer.bias is not None:
                parts.append(of(layer.bias))
    return torch.cat(parts)


def params(network):
    return flat(network, lambda p: p.data)


def grads(network):
    return flat(network, lambda p: p.grad)


def state(network):
    return torch.cat([s for layer in network if isinstance(layer, nn.BatchNorm1d)
                      for s in (layer.running_mean, layer.running_var)])


def distance(phi, center):
    return ((phi - center) ** 2).sum(1)


def paper_loss(phi, center, labels):
    d = distance(phi, center)
    return torch.where(labels == 0, d, ETA * (d + 1e-6) ** labels).mean()


def log_loss(phi, center, labels):
    d = distance(phi, center)
    unlabeled = d[labels == 0]
    kept = unlabeled.sort()[0][:len(unlabeled) - int(TRIM * len(unlabeled))]
    kept = torch.cat([kept, d[labels == 1]])
    return torch.log(1 + kept).mean() + ETA * (1 / (d[labels == -1] + 1e-6)).mean()


def train(network, optimizer, schedule, loss_of, batches):
    losses = []
    network.train()
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_of(network(batch), batch)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def one_pass(prefix, network, loss_of, x):
    """Forward in both modes, loss, gradients; the network stays as it was."""
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    network.zero_grad()
    out = network(x)
    loss = loss_of(out, x)
    loss.backward()
    emit(f'{prefix}_forward_train', out)
    emit_losses(f'{prefix}_loss', [loss.item()])
    emit(f'{prefix}_grads', grads(network))
    network.eval()
    emit(f'{prefix}_forward_eval', network(x))
    network.load_state_dict(before)


def constants():
    print('/* SPDX-License-Identifier: Apache-2.0 */')
    print('/* Written by make_golden.py. */')
    print('/* clang-format off */')
    print('enum {')
    for name, value in (('INPUTS', INPUTS), ('ROWS', ROWS), ('STEPS', STEPS),
                        ('MILESTONE', MILESTONE)):
        print(f'    GOLDEN_{name} = {value},')
    print('};')
    for name, widths in (('golden_widths', WIDTHS), ('golden_plain_widths', PLAIN_WIDTHS)):
        print(f'static const size_t {name}[{len(widths)}] = '
              '{' + ', '.join(map(str, widths)) + '};')
    for name, value in (('ETA', ETA), ('TRIM', TRIM), ('PAPER_RATE', PAPER_RATE),
                        ('PAPER_DECAY', PAPER_DECAY), ('LOG_RATE', LOG_RATE),
                        ('LOG_DECAY', LOG_DECAY)):
        print(f'#define GOLDEN_{name} {value!r}F')


def main():
    constants()
    x = exact(torch.rand(STEPS, ROWS, INPUTS))
    labels = torch.zeros(ROWS)
    labels[-ANOMALOUS - NORMAL:-ANOMALOUS] = 1
    labels[-ANOMALOUS:] = -1
    x[:, labels == -1] = exact(x[:, labels == -1] ** 2 + 0.3)
    emit('golden_x', x)
    print(f'static const signed char golden_labels[{ROWS}] = {{'
          + ', '.join(str(int(v)) for v in labels) + '};')

    net = autoencoder(WIDTHS)
    emit('golden_autoencoder_params', params(net))
    one_pass('golden_autoencoder', net, nn.functional.mse_loss, x[0])
    # A learning rate of the paper would leave ten steps below rounding.
    optimizer = torch.optim.Adam(net.parameters(), lr=PAPER_RATE, weight_decay=PAPER_DECAY)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [MILESTONE])
    losses = train(net, optimizer, schedule, nn.functional.mse_loss, x)
    emit_losses('golden_autoencoder_losses', losses)
    emit('golden_autoencoder_trained', params(net))
    emit('golden_autoencoder_state', state(net))

    net = nn.Sequential(*encoder_layers(WIDTHS, True, False))
    center = exact(torch.rand(WIDTHS[-1]) - 0.5)
    emit('golden_paper_params', params(net))
    emit('golden_paper_center', center)
    loss_of = lambda phi, _: paper_loss(phi, center, labels)
    one_pass('golden_paper', net, loss_of, x[0])
    optimizer = torch.optim.Adam(net.parameters(), lr=PAPER_RATE, weight_decay=PAPER_DECAY)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [MILESTONE])
    emit_losses('golden_paper_losses', train(net, optimizer, schedule, loss_of, x))
    emit('golden_paper_trained', params(net))
    emit('golden_paper_state', state(net))

    net = nn.Sequential(*encoder_layers(PLAIN_WIDTHS, False, True))
    center = exact(torch.rand(PLAIN_WIDTHS[-1]) - 0.5)
    emit('golden_log_params', params(net))
    emit('golden_log_center', center)
    loss_of = lambda phi, _: log_loss(phi, center, labels)
    one_pass('golden_log', net, loss_of, x[0])
    optimizer = torch.optim.AdamW(net.parameters(), lr=LOG_RATE, weight_decay=LOG_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    emit_losses('golden_log_losses', train(net, optimizer, schedule, loss_of, x))
    emit('golden_log_trained', params(net))


if __name__ == '__main__':
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden_values.h')
    with open(path, 'w', encoding='ascii') as header, contextlib.redirect_stdout(header):
        main()
