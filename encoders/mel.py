"""Log-mel spectrograms in numpy, as the two audio encoders were trained on.

``aisfx``   44.1 kHz; 2048-sample Hann window, hop 1024; 96 HTK mel bands to 22.05 kHz of the power
            spectrum, each band's weights summing to one; log10(1 + 10⁴·mel) ÷ 9.4578
            (Ma et al., ISMIR 2022; the front end of Essentia's MelBands, 'unit_sum').
``vggish``  16 kHz; periodic Hann window of 25 ms, hop 10 ms, FFT of 512; 64 HTK mel bands from 125
            to 7500 Hz of the magnitude spectrum; log(mel + 0.01); examples of 96 frames
            (Hershey et al. 2017; AudioSet's published ``mel_features``).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from encoders.features import F32

F64 = npt.NDArray[np.float64]

AISFX_RATE = 44100
AISFX_FRAMES = 100
AISFX_BANDS = 96
AISFX_TOP = 9.457798957824707
VGGISH_RATE = 16000
VGGISH_FRAMES = 96
VGGISH_BANDS = 64


def aisfx(block: F32) -> F32:
    """float32 [100, 96] of a block of 103,424 samples in [-1, 1]."""
    frames = _frames(block, AISFX_FRAMES, 2048, 1024) * _hann(2048, periodic=False)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = power @ _aisfx_bands()
    return np.asarray(np.log10(1 + 1e4 * mel) / AISFX_TOP, np.float32)


def vggish(block: F32) -> F32:
    """float32 [96, 64] of a block of 15,600 samples in [-1, 1]: 96 windows, 10 ms apart."""
    frames = _frames(block, VGGISH_FRAMES, 400, 160) * _hann(400, periodic=True)
    magnitude = np.abs(np.fft.rfft(frames, 512, axis=1))
    return np.asarray(np.log(magnitude @ _vggish_bands() + 0.01), np.float32)


def hertz_to_mel(hertz: F64 | float) -> F64:
    """The HTK mel scale."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))


def triangles(bands: int, bins: int, rate: int, low: float, high: float) -> F64:
    """float64 [bins, bands]: HTK triangles whose slopes are straight on the mel scale."""
    centre = hertz_to_mel(np.linspace(0.0, rate / 2, bins))[:, None]
    edges = np.linspace(hertz_to_mel(low), hertz_to_mel(high), bands + 2)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (centre - left) / (middle - left)
    falling = (right - centre) / (right - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0  # the constant part is no sound
    return np.asarray(weights)


def _frames(block: F32, count: int, window: int, hop: int) -> F32:
    frames: F32 = np.lib.stride_tricks.sliding_window_view(block, window)[::hop][:count]
    return frames


@cache
def _hann(size: int, *, periodic: bool) -> F64:
    window: F64 = np.hanning(size + 1)[:-1] if periodic else np.hanning(size)
    return window


@cache
def _aisfx_bands() -> F64:
    weights = triangles(AISFX_BANDS, 1025, AISFX_RATE, 0.0, AISFX_RATE / 2)
    return np.asarray(weights / weights.sum(axis=0))


@cache
def _vggish_bands() -> F64:
    return triangles(VGGISH_BANDS, 257, VGGISH_RATE, 125.0, 7500.0)
