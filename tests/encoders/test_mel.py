"""The audio front ends, against their published definitions worked out the long way."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from encoders import mel
from encoders.features import F32


def noise(samples: int) -> F32:
    return np.random.default_rng(0).uniform(-0.5, 0.5, samples).astype(np.float32)


def long_mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def long_weight(hertz: float, band: int, bands: int, low: float, high: float) -> float:
    """One entry of a mel matrix: triangle ``band`` at ``hertz``."""
    step = (long_mel(high) - long_mel(low)) / (bands + 1)
    left = long_mel(low) + band * step
    place = (long_mel(hertz) - left) / step
    return max(0.0, min(place, 2.0 - place))


def long_spectrum(samples: F32, size: int) -> list[float]:
    """Magnitudes of the discrete Fourier transform, zero-padded to ``size``."""
    time = np.arange(len(samples))
    return [
        abs(complex(np.sum(samples * np.exp(-2j * np.pi * k * time / size))))
        for k in range(size // 2 + 1)
    ]


def slaney_hertz(mel: float) -> float:
    """Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 mels to a factor of 6.4."""
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


@pytest.mark.parametrize(
    ("front_end", "floor"), [(mel.vggish, 0.01), (mel.yamnet, 0.001)], ids=["vggish", "yamnet"]
)
def test_a_patch_is_as_published(front_end: Callable[[F32], F32], floor: float) -> None:
    block = noise(2 * 15600)
    result = front_end(block)
    assert result.shape == (2, 96, 64)
    for patch, frame in ((0, 0), (0, 95), (1, 41)):
        window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
        start = 15600 * patch + 160 * frame
        spectrum = long_spectrum(block[start : start + 400] * np.array(window), 512)
        for band in (0, 17, 63):
            energy = sum(
                magnitude * long_weight(k * 16000 / 512, band, 64, 125.0, 7500.0)
                for k, magnitude in enumerate(spectrum)
            )
            assert result[patch, frame, band] == pytest.approx(math.log(energy + floor), abs=1e-5)


def test_musicnn_is_its_published_definition() -> None:
    block = noise(46800)
    result = mel.musicnn(block)
    assert result.shape == (1, 181, 96)
    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = [slaney_hertz(top * i / 97) for i in range(98)]
    for frame in (0, 180):
        window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 512) for n in range(512)]
        spectrum = long_spectrum(block[256 * frame : 256 * frame + 512] * np.array(window), 512)
        for band in (0, 30, 95):
            left, middle, right = edges[band : band + 3]
            energy = 0.0
            for k, magnitude in enumerate(spectrum):
                hertz = k * 16000 / 512
                slope = min((hertz - left) / (middle - left), (right - hertz) / (right - middle))
                energy += max(0.0, slope) * 2 / (right - left) * magnitude**2
            expected = math.log10(1 + 1e4 * energy)
            assert result[0, frame, band] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0])
def test_a_tone_rings_in_its_own_band(hertz: float) -> None:
    time = np.arange(15600) / 16000
    tone = np.sin(2 * np.pi * hertz * time).astype(np.float32)
    centres = np.linspace(long_mel(125.0), long_mel(7500.0), 66)[1:-1]
    nearest = int(np.abs(centres - long_mel(hertz)).argmin())
    assert abs(int(mel.vggish(tone)[0, 50].argmax()) - nearest) <= 1
