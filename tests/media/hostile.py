"""Files made to do harm: names of other files, claims, bombs."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.synthetic import clip, still


def playlists(target: str) -> dict[str, bytes]:
    """Every text that FFmpeg would follow to ``target``, by the name of its kind."""
    hls = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
        f"#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n"
    )
    master = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\n{target}\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    sdp = (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    smooth = f'<SmoothStreamingMedia MajorVersion="2"><a Url="{target}"/></SmoothStreamingMedia>'
    return {
        "hls": hls.encode(),
        "hls master": master.encode(),
        "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": dash.encode(),
        "sdp": sdp.encode(),
        "smooth": smooth.encode(),
        "webvtt": b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n",
        "ffmetadata": b";FFMETADATA1\ntitle=x\n",
        "image sequence": b"%03d.png",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>'.encode(),
        "redirector": f"[Reference]\nRef1={target}\n".encode(),
        "quicktime text": f'<?quicktime type="application/x-quicktime-media-link"?>'
        f'<embed src="{target}"/>'.encode(),
    }


def external_reference(path: Path, target: Path) -> Path:
    """A mov without samples of its own, which says that they lie in ``target``.

    Both are the same clip, so that the places of the samples fit. The reference is a QuickTime
    alias record, of which FFmpeg reads the absolute path (tag 2).
    """
    content = clip(clip_like(path, target), tone_hz=None).read_bytes()
    start = content.index(b"mdat") + 4
    (length,) = struct.unpack(">I", content[start - 8 : start - 4])
    content = content[:start] + bytes(length - 8) + content[start + length - 8 :]
    at = content.index(b"dref") - 4
    (size,) = struct.unpack(">I", content[at : at + 4])
    name = str(target).encode()
    alias = bytes(4) + struct.pack(">HH", 0, 2) + bytes(2) + b"\x04disk".ljust(28, b"\0")
    alias += bytes(12) + b"\x04file".ljust(64, b"\0") + bytes(16) + bytes(4) + bytes(16)
    tag = struct.pack(">hH", 2, len(name)) + name + bytes(len(name) % 2)
    body = bytes(4) + alias + tag + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4s", 8 + len(body), b"alis") + body
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    return _replaced(path, content, at, size, box)


def clip_like(path: Path, target: Path) -> Path:
    """``path``, after making ``target`` the very clip that is about to be made there."""
    clip(target, tone_hz=None)
    return path


def _replaced(path: Path, content: bytes, at: int, size: int, box: bytes) -> Path:
    """Put ``box`` for ``size`` bytes at ``at`` and enlarge the boxes around it."""
    grown = len(box) - size
    changed = bytearray(content[:at] + box + content[at + size :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = changed.index(name) - 4
        (old,) = struct.unpack(">I", changed[start : start + 4])
        changed[start : start + 4] = struct.pack(">I", old + grown)
    path.write_bytes(changed)
    return path


def claiming_duration(path: Path, seconds: int) -> Path:
    """An mp4, mov, mkv or webm that claims to last so long."""
    content = bytearray(clip(path).read_bytes())
    if path.suffix in (".mkv", ".webm"):  # element Duration, a float of milliseconds
        at = content.index(b"\x44\x89\x88") + 3
        content[at : at + 8] = struct.pack(">d", seconds * 1000.0)
    else:  # the time from one sample of the picture to the next
        at = content.index(b"mdhd") + 16
        (scale,) = struct.unpack(">I", content[at : at + 4])
        content[at + 4 : at + 8] = struct.pack(">I", seconds * scale)
        at = content.index(b"stts") + 8
        _, frames = struct.unpack(">II", content[at : at + 8])
        content[at + 8 : at + 12] = struct.pack(">I", seconds * scale // frames)
        content = content.replace(b"edts", b"free")  # an edit list would cut it to its true length
    path.write_bytes(content)
    return path


def huge_picture(path: Path, width: int, height: int) -> Path:
    """A gif or avi (motion JPEG) whose picture claims to be so large."""
    if path.suffix == ".gif":
        content = bytearray(clip(path).read_bytes())
        content[6:10] = struct.pack("<HH", width, height)
    else:
        content = bytearray(clip(path, tone_hz=None, video_codec="mjpeg").read_bytes())
        at = content.find(b"\xff\xc0")  # start of frame: length, precision, height, width
        while at >= 0:
            content[at + 5 : at + 9] = struct.pack(">HH", height, width)
            at = content.find(b"\xff\xc0", at + 2)
        at = content.index(b"strf") + 12  # BITMAPINFOHEADER: width, height
        content[at : at + 8] = struct.pack("<ii", width, height)
    path.write_bytes(content)
    return path


def bomb(path: Path, side: int, frames: int) -> Path:
    """A gif whose every frame of some kB unpacks to ``side * side * 4`` bytes."""
    content = still(path, "black", (side, side)).read_bytes()
    first = content.index(b"\x21\xf9\x04")  # graphic control, image, end of file
    path.write_bytes(content[:first] + content[first:-1] * frames + content[-1:])
    return path
