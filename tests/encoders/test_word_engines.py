"""The engines behind extra words: what they read on a screen, and what they hear."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from encoders.access import Access
from encoders.features import F32
from encoders.limits import Limits
from encoders.on_screen import ScreenReader, differs, without_border
from encoders.profile import Profile
from encoders.spoken import Listener
from encoders.word_reader import open_reader

installed = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("rapidocr_onnxruntime", "faster_whisper"))),
    reason="the extra `words` is not installed: pip install --no-deps -r requirements/words.txt",
)


# On-screen text


def test_padding_is_cut_off_before_a_frame_is_read() -> None:
    frame = np.zeros((10, 10, 3), np.uint8)
    assert without_border(frame).size == 0
    frame[2:5, 1:9] = 7
    assert without_border(frame).shape == (3, 8, 3)


def test_a_new_line_makes_another_frame_and_noise_does_not() -> None:
    frame = np.full((640, 640, 3), 100, np.uint8)
    noisy, captioned = frame + np.uint8(9), frame.copy()
    captioned[600:620, 100:300] = 255
    assert not differs(frame, noisy)
    assert differs(frame, captioned)


def write_captions(path: Path, *captions: str, size: tuple[int, int] = (640, 360)) -> Path:
    """A clip that shows each caption for a second, white on a grey ramp; sound there is none."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for caption in captions:
            ramp = np.linspace(40, 120, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
            image = Image.fromarray(ramp.astype(np.uint8))
            ImageDraw.Draw(image).text(
                (30, size[1] - 70), caption, font=ImageFont.load_default(28), fill="white"
            )
            for _ in range(10):
                frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@installed
def test_captions_of_a_real_clip_are_read_in_the_order_of_time(
    wordy: Profile, access: Access, tmp_path: Path
) -> None:
    clip = write_captions(tmp_path / "a.mp4", "how to bake", "sourdough bread", "at home")
    with open_reader(wordy, Limits(), 1) as reader:
        media = reader.read(clip.as_uri(), access)
    assert media.shown.lower() == "how to bake sourdough bread at home"
    assert media.complete


@installed
def test_a_frame_full_of_letters_is_bounded() -> None:
    image = Image.new("RGB", (640, 640), "white")
    for row in range(60):
        ImageDraw.Draw(image).text((5, row * 10), "lorem ipsum " * 9, fill="black")
    assert len(ScreenReader.open().lines(np.asarray(image))) <= 16


@installed
def test_a_picture_without_text_shows_none() -> None:
    assert ScreenReader.open().lines(np.full((360, 640, 3), 90, np.uint8)) == []


# Speech


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener.open({"en"}, workers=1)


def speech() -> F32:
    """A sentence of Jane Austen's, read by a volunteer of LibriVox (public domain), at 16 kHz."""
    with av.open(str(Path(__file__).parent / "speech.ogg")) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        parts = [
            part.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts).astype(np.float32)


@installed
def test_a_sentence_is_written_down(listener: Listener) -> None:
    said = listener.hear(speech())
    words = "unless to be rather cold hearted and rather selfish is to be ill disposed"
    assert re.findall("[a-z]+", said.lower()) == words.split()
    assert listener.hear(speech()) == said


@installed
def test_where_nobody_speaks_nothing_is_written_down(listener: Listener) -> None:
    silence = np.zeros(16_000, np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    tone = np.sin(np.arange(5 * 16_000) * 0.17).astype(np.float32)
    assert [listener.hear(sound) for sound in (silence, noise, tone)] == ["", "", ""]


@installed
def test_speech_in_a_language_that_the_profile_lacks_is_left_out() -> None:
    assert Listener.open({"zh"}, workers=1).hear(speech()) == ""


@installed
def test_a_real_file_is_heard_from_end_to_end(
    wordy: Profile, access: Access, tmp_path: Path
) -> None:
    clip = tmp_path / "speech.ogg"
    clip.write_bytes((Path(__file__).parent / "speech.ogg").read_bytes())
    with open_reader(wordy, Limits(), 1) as reader:
        media = reader.read(clip.as_uri(), access)
    assert "rather selfish" in media.spoken
    assert (media.shown, media.complete) == ("", True)
