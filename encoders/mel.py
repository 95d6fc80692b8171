"""Log-mel spectrograms in numpy, as the audio encoders were trained on, of sound at 16 kHz.

``vggish``, ``yamnet``  periodic Hann window of 25 ms, hop 10 ms, FFT of 512; 64 HTK mel bands from
            125 to 7500 Hz of the magnitude spectrum; log(mel + 0.01) for VGGish (Hershey et al.
            2017; AudioSet's published ``mel_features``), 0.001 for YAMNet (Plakal & Ellis 2019);
            patches of 96 frames.
``musicnn`` periodic Hann window of 32 ms, hop 16 ms; 96 Slaney mel bands to 8 kHz of the power
            spectrum, each of unit area; log10(1 + 10⁴·mel) (Pons & Serra 2019; librosa's defaults).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from encoders.features import F32

F64 = npt.NDArray[np.float64]

RATE = 16000
PATCH = 15600


def vggish(block: F32) -> F32:
    """float32 [P, 96, 64] of a block of P times 15,600 samples in [-1, 1]."""
    return _log_mel(block, 0.01)


def yamnet(block: F32) -> F32:
    """As ``vggish``, with YAMNet's floor."""
    return _log_mel(block, 0.001)


def musicnn(block: F32) -> F32:
    """float32 [1, T, 96] of a block of 256 + 256 T samples or up to 255 more."""
    frames = _frames(block, 512, 256) * _hann(512)
    power = np.abs(np.fft.rfft(frames, axis=-1)) ** 2
    return np.log10(1 + 1e4 * (power @ _slaney()))[None].astype(np.float32)


def hertz_to_mel(hertz: F64 | float) -> F64:
    """The HTK mel scale."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))


def triangles(centres: F64, edges: F64) -> F64:
    """float64 [bins, bands]: a triangle over each three of ``edges``, seen at ``centres``."""
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (centres[:, None] - left) / (middle - left)
    falling = (right - centres[:, None]) / (right - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


def _log_mel(block: F32, floor: float) -> F32:
    patches = block.reshape(-1, PATCH)
    frames = _frames(patches, 400, 160) * _hann(400)
    magnitude = np.abs(np.fft.rfft(frames, 512, axis=-1))
    return np.asarray(np.log(magnitude @ _htk() + floor), np.float32)


def _frames(block: F32, window: int, hop: int) -> F32:
    """[..., frames, window] of [..., samples]."""
    frames: F32 = np.lib.stride_tricks.sliding_window_view(block, window, axis=-1)
    return frames[..., ::hop, :]


@cache
def _hann(size: int) -> F64:
    return np.hanning(size + 1)[:-1]


@cache
def _hertz() -> F64:
    """float64 [257]: the bins of a Fourier transform of 512 samples."""
    return np.linspace(0.0, RATE / 2, 257)


@cache
def _htk() -> F64:
    """float64 [257, 64]: triangles whose slopes are straight on the mel scale."""
    edges = np.linspace(hertz_to_mel(125.0), hertz_to_mel(7500.0), 66)
    weights = triangles(hertz_to_mel(_hertz()), edges)
    weights[0] = 0.0  # the constant part is no sound
    return weights


@cache
def _slaney() -> F64:
    """float64 [257, 96]: straight up to 1 kHz, logarithmic above, after Slaney's toolbox (1998)."""
    places = np.arange(98) * _slaney_mel(RATE / 2) / 97
    edges = np.where(places < 15, places * 200 / 3, 1000 * 6.4 ** ((places - 15) / 27))
    return np.asarray(triangles(_hertz(), edges) * 2 / (edges[2:] - edges[:-2]))


def _slaney_mel(hertz: float) -> float:
    """Of a frequency above 1 kHz."""
    return 15 + 27 * math.log(hertz / 1000, 6.4)
