"""The audio front ends, against their published definitions worked out the long way."""

from __future__ import annotations

import math

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


def test_vggish_is_its_published_definition() -> None:
    block = noise(15600)
    result = mel.vggish(block)
    assert result.shape == (96, 64)
    for frame in (0, 41, 95):
        window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
        samples = block[160 * frame : 160 * frame + 400] * np.array(window)
        spectrum = long_spectrum(samples, 512)
        for band in (0, 17, 63):
            energy = sum(
                magnitude * long_weight(k * 16000 / 512, band, 64, 125.0, 7500.0)
                for k, magnitude in enumerate(spectrum)
            )
            assert result[frame, band] == pytest.approx(math.log(energy + 0.01), abs=1e-5)


def test_aisfx_is_its_published_definition() -> None:
    block = noise(103424)
    result = mel.aisfx(block)
    assert result.shape == (100, 96)
    for frame in (0, 99):
        window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 2047) for n in range(2048)]
        samples = block[1024 * frame : 1024 * frame + 2048] * np.array(window)
        spectrum = long_spectrum(samples, 2048)
        for band in (0, 30, 95):
            weights = [long_weight(k * 44100 / 2048, band, 96, 0.0, 22050.0) for k in range(1025)]
            energy = sum(w * m * m for w, m in zip(weights, spectrum, strict=True)) / sum(weights)
            expected = math.log10(1 + 1e4 * energy) / 9.457798957824707
            assert result[frame, band] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0])
def test_a_tone_rings_in_its_own_band(hertz: float) -> None:
    time = np.arange(15600) / 16000
    tone = np.sin(2 * np.pi * hertz * time).astype(np.float32)
    centres = np.linspace(long_mel(125.0), long_mel(7500.0), 66)[1:-1]
    nearest = int(np.abs(centres - long_mel(hertz)).argmin())
    assert abs(int(mel.vggish(tone)[50].argmax()) - nearest) <= 1
