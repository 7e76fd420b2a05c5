"""Models of log-mel spectra: ``python -m references.sound_models TRAIN TEST``, two folders of class folders."""

import math
from pathlib import Path

import numpy as np
import soundfile
import torch
from references.clock_training import accuracy, main, numbered, train_by_clock
from references.image_networks import resnet10
from sklearn.ensemble import ExtraTreesClassifier
from torch import nn

BANDS, LONGEST, STEPS = 64, 5.0, 128


def read(folder):
    """The log-mel spectra of the files of class folders, ``(bands, steps)`` each, and their labels."""
    files = sorted(Path(folder).glob("*/*"))
    return [log_mel(*soundfile.read(file, dtype="float32")) for file in files], [file.parent.name for file in files]


def log_mel(sound, rate):
    """Of at most 5 s; a step is 10 ms, or longer where the sound would have more than ``STEPS``."""
    x = torch.from_numpy(sound.reshape(len(sound), -1).mean(1)[: int(LONGEST * rate)])
    size = 2 ** math.ceil(math.log2(0.025 * rate))
    hop = max(int(0.01 * rate), math.ceil(len(x) / (STEPS - 1)))
    waves = torch.stft(x, size, hop, window=torch.hann_window(size), return_complex=True, pad_mode="constant")
    edges = 700 * (10 ** (torch.linspace(0, 2595 * math.log10(1 + rate / 1400), BANDS + 2) / 2595) - 1)
    place = torch.linspace(0, rate / 2, size // 2 + 1)[:, None]
    rise, fall = (place - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - place) / (edges[2:] - edges[1:-1])
    return (torch.minimum(rise, fall).clamp(min=0).T @ waves.abs() ** 2 + 1e-6).log()


def forest(train, test, seconds, seed):
    """Extra-trees on statistics of each band, and of its changes from step to step."""

    def statistics(x):
        return torch.cat([f(of, 1) for of in (x, x.diff().abs()) for f in (torch.mean, torch.std, torch.amax)]).numpy()

    trees = ExtraTreesClassifier(500, n_jobs=-1, random_state=seed)
    learned, tested = (np.stack([statistics(one) for one in part[0]]) for part in (train, test))
    return trees.fit(learned, train[1]).score(tested, test[1])


def resnet(train, test, seconds, seed):
    """ResNet-10; spectra are moved in time, and a block of bands and of steps is hidden (Park et al. 2019)."""
    torch.manual_seed(seed)
    y, y_test = numbered(train[1], train[1], test[1])
    wide, every = max(one.shape[1] for one in train[0]), torch.cat(train[0], 1)

    def image(spectrum):
        found = torch.full((1, BANDS, wide), float(spectrum.min()))
        found[0, :, : spectrum.shape[1]] = spectrum[:, :wide]
        return (found - every.mean()) / every.std()

    x, x_test = (torch.stack([image(one) for one in part[0]]) for part in (train, test))
    network = nn.Sequential(resnet10(1), nn.LazyLinear(int(y.max()) + 1))
    network(x[:2])
    return accuracy(train_by_clock(network, x, y, seconds, changed, batch=32), x_test, y_test)


def changed(x):
    x = x.roll(int(x.shape[3] * (0.2 * torch.rand(()) - 0.1)), 3)
    for axis in (2, 3):
        begin, width = torch.rand(2, len(x), 1, 1, 1)
        place = torch.arange(x.shape[axis]) / x.shape[axis]
        x = x.masked_fill(((place >= begin) & (place < begin + 0.2 * width)).movedim(3, axis), 0.0)
    return x


MODELS = {"forest on spectra": forest, "ResNet-10 on log-mel": resnet}


def run(train, test, seconds, seed, model="ResNet-10 on log-mel"):
    """The accuracy on ``test``."""
    return MODELS[model](train, test, seconds, seed)


if __name__ == "__main__":
    main(read, run, MODELS)
