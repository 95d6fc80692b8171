"""The encoders' networks in torch, for export and fine-tuning only; what serves never imports this.

Each is written from its paper, and its parameters carry the names that the published checkpoint
gives them, so that an exported graph can be filled from the checkpoint itself (``weights``).
Pictures come in as the decoder gives them (uint8, channels last); scaling belongs to the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHUT = -1e4
"""Added to an attention score that must not count; finite, so that it never gives NaN."""


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT (Devlin et al. 2019)."""

    vocabulary: int
    dim: int
    layers: int
    heads: int
    inner: int
    positions: int = 512
    epsilon: float = 1e-12


class BertSelf(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.dim, shape.dim)
        self.key = nn.Linear(shape.dim, shape.dim)
        self.value = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor, shut: Tensor) -> Tensor:
        return attention(self.query(x), self.key(x), self.value(x), self.heads, shut)


class BertDense(nn.Module):
    """A linear layer, the residual and the norm that follow it."""

    def __init__(self, inner: int, dim: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=epsilon)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return cast(Tensor, self.LayerNorm(self.dense(x) + residual))


class BertLayer(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = nn.Module()
        self.attention.add_module("self", BertSelf(shape))
        self.attention.output = BertDense(shape.dim, shape.dim, shape.epsilon)
        self.intermediate = nn.Module()
        self.intermediate.dense = nn.Linear(shape.dim, shape.inner)
        self.output = BertDense(shape.inner, shape.dim, shape.epsilon)

    def forward(self, x: Tensor, shut: Tensor) -> Tensor:
        x = self.attention.output(self.attention.get_submodule("self")(x, shut), x)
        return cast(Tensor, self.output(F.gelu(self.intermediate.dense(x)), x))


class BertLayers(nn.Module):
    """A BERT without its word embedding table; parameters as ``small_bert.initial_layers``.

    ``forward(words [B, L, D], mask [B, L]) -> [B, L, D]``, where ``words`` are rows of the table
    and ``mask`` is 1 (any type) for a token and 0 for padding.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.position_embeddings = nn.Embedding(shape.positions, shape.dim)
        self.embeddings.token_type_embeddings = nn.Embedding(2, shape.dim)
        self.embeddings.LayerNorm = nn.LayerNorm(shape.dim, eps=shape.epsilon)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(BertLayer(shape) for _ in range(shape.layers))

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        x = words + self.embeddings.token_type_embeddings.weight[0]
        x = x + self.embeddings.position_embeddings.weight[: words.shape[1]]
        x = self.embeddings.LayerNorm(x)
        shut = (1 - mask.to(x.dtype))[:, None, None, :] * SHUT
        for layer in cast(nn.ModuleList, self.encoder.layer):
            x = layer(x, shut)
        return x


class SentenceBert(BertLayers):
    """Sentence-BERT (Reimers & Gurevych 2019): the mean of a BERT's last layer, unit length.

    ``forward(ids int64 [B, L], mask int64 [B, L]) -> [B, D]``.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__(shape)
        self.embeddings.word_embeddings = nn.Embedding(shape.vocabulary, shape.dim)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = super().forward(self.embeddings.word_embeddings(ids), mask)
        weight = mask.to(x.dtype)[:, :, None]
        return unit((x * weight).sum(1) / weight.sum(1))


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does: the odd pixel at the lower right."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (3, 2):
            kernel, stride = self.kernel_size[axis - 2], self.stride[axis - 2]
            size = int(x.shape[axis])
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class InvertedBottleneck(nn.Module):
    """EfficientNet's block, without squeeze-and-excitation as in the lite variants."""

    def __init__(self, source: int, target: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = source * expand
        self.skip = stride == 1 and source == target
        if expand != 1:
            self._expand_conv = SameConv(source, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self.expand = expand != 1
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = SameConv(inner, target, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(target, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-lite0 (Tan & Le 2019; the lite variant of 2020), trained on ImageNet.

    ``forward(frames uint8 [N, 224, 224, 3]) -> (features [N, 1280], logits [N, 1000])``.
    """

    STAGES = (  # repeats, kernel, first stride, expansion, channels
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        source = 32
        for repeats, kernel, stride, expand, target in self.STAGES:
            for i in range(repeats):
                self._blocks.append(
                    InvertedBottleneck(source, target, kernel, stride if i == 0 else 1, expand)
                )
                source = target
        self._conv_head = SameConv(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = (frames.permute(0, 3, 1, 2).to(torch.float32) - 127.0) / 128.0
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return x, self._fc(x)


class SoundBlock(nn.Module):
    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(source, target, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(target, target, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(target)
        self.bn2 = nn.BatchNorm2d(target)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class SoundEffects(nn.Module):
    """The nine-layer CNN of aiSFX (Ma et al., ISMIR 2022; net of Kong et al. 2018).

    ``forward(mel [N, 100, 96]) -> [N, 512]``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding_net = nn.Module()
        for i, (source, target) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512)), 1):
            self.embedding_net.add_module(f"conv_block{i}", SoundBlock(source, target))

    def forward(self, mel: Tensor) -> Tensor:
        x = mel[:, None]
        for i in (1, 2, 3):
            x = F.max_pool2d(self.embedding_net.get_submodule(f"conv_block{i}")(x), 2)
        x = self.embedding_net.get_submodule("conv_block4")(x)
        return x.mean(3).amax(2)


class Vggish(nn.Module):
    """VGGish (Hershey et al. 2017): ``forward(log_mel [N, 96, 64]) -> [N, 128]``, not whitened."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        source = 1
        for target in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0):
            if target:
                layers += [nn.Conv2d(source, target, 3, padding=1), nn.ReLU()]
                source = target
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 4 * 6, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 128),
            nn.ReLU(),
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self.features(log_mel[:, None])
        # The weights come from TensorFlow, which flattens channels last.
        return cast(Tensor, self.embeddings(x.permute(0, 2, 3, 1).flatten(1)))


@dataclass(frozen=True, slots=True)
class ClipShape:
    """The sizes of one tower of a CLIP (Radford et al. 2021)."""

    dim: int
    layers: int
    heads: int
    projection: int = 512
    patch: int = 32
    size: int = 224
    vocabulary: int = 49408
    positions: int = 77


class ClipSelf(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.dim, shape.dim)
        self.k_proj = nn.Linear(shape.dim, shape.dim)
        self.v_proj = nn.Linear(shape.dim, shape.dim)
        self.out_proj = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor, shut: Tensor | None) -> Tensor:
        heard = attention(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, shut)
        return cast(Tensor, self.out_proj(heard))


class ClipLayer(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.self_attn = ClipSelf(shape)
        self.layer_norm1 = nn.LayerNorm(shape.dim)
        self.layer_norm2 = nn.LayerNorm(shape.dim)
        self.mlp = nn.Module()
        self.mlp.fc1 = nn.Linear(shape.dim, 4 * shape.dim)
        self.mlp.fc2 = nn.Linear(4 * shape.dim, shape.dim)

    def forward(self, x: Tensor, shut: Tensor | None = None) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), shut)
        y = self.mlp.fc1(self.layer_norm2(x))
        return x + cast(Tensor, self.mlp.fc2(y * torch.sigmoid(1.702 * y)))


class ClipImage(nn.Module):
    """CLIP's image tower: ``forward(frames uint8 [N, 224, 224, 3]) -> [N, projection]``."""

    MEAN: Sequence[float] = (0.48145466, 0.4578275, 0.40821073)
    DEVIATION: Sequence[float] = (0.26862954, 0.26130258, 0.27577711)

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        model = self.vision_model = nn.Module()
        embeddings = model.embeddings = nn.Module()
        embeddings.class_embedding = nn.Parameter(torch.randn(shape.dim))
        embeddings.patch_embedding = nn.Conv2d(
            3, shape.dim, shape.patch, stride=shape.patch, bias=False
        )
        embeddings.position_embedding = nn.Embedding(
            (shape.size // shape.patch) ** 2 + 1, shape.dim
        )
        model.pre_layrnorm = nn.LayerNorm(shape.dim)  # the checkpoint's own spelling
        model.encoder = nn.Module()
        model.encoder.layers = nn.ModuleList(ClipLayer(shape) for _ in range(shape.layers))
        model.post_layernorm = nn.LayerNorm(shape.dim)
        self.visual_projection = nn.Linear(shape.dim, shape.projection, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        model = self.vision_model
        x = frames.to(torch.float32) / 255.0
        x = (x - torch.tensor(self.MEAN)) / torch.tensor(self.DEVIATION)
        x = model.embeddings.patch_embedding(x.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        first = model.embeddings.class_embedding.expand(x.shape[0], 1, -1)
        x = torch.cat([first, x], 1) + model.embeddings.position_embedding.weight
        x = model.pre_layrnorm(x)
        for layer in cast(nn.ModuleList, model.encoder.layers):
            x = layer(x)
        return cast(Tensor, self.visual_projection(model.post_layernorm(x[:, 0])))


class ClipText(nn.Module):
    """CLIP's text tower, unit length: ``forward(ids int64 [B, L], mask int64 [B, L]) -> [B, P]``.

    The text's embedding is read at its end token, the last one that the mask counts.
    """

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        model = self.text_model = nn.Module()
        model.embeddings = nn.Module()
        model.embeddings.token_embedding = nn.Embedding(shape.vocabulary, shape.dim)
        model.embeddings.position_embedding = nn.Embedding(shape.positions, shape.dim)
        model.encoder = nn.Module()
        model.encoder.layers = nn.ModuleList(ClipLayer(shape) for _ in range(shape.layers))
        model.final_layer_norm = nn.LayerNorm(shape.dim)
        self.text_projection = nn.Linear(shape.dim, shape.projection, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        model, length = self.text_model, ids.shape[1]
        x = model.embeddings.token_embedding(ids)
        x = x + model.embeddings.position_embedding.weight[:length]
        place = torch.arange(length)
        # A token hears only those before it, so padding behind the end token changes nothing.
        shut = (place[None, :] > place[:, None]).to(x.dtype) * SHUT
        for layer in cast(nn.ModuleList, model.encoder.layers):
            x = layer(x, shut)
        last = (place[None, :] == mask.sum(1, keepdim=True) - 1).to(x.dtype)
        x = (model.final_layer_norm(x) * last[:, :, None]).sum(1)
        return unit(self.text_projection(x))


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, shut: Tensor | None) -> Tensor:
    """Multi-head attention (Vaswani et al. 2017) over [B, L, D]; ``shut`` joins the scores."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
    if shut is not None:
        scores = scores + shut
    return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)


def unit(x: Tensor) -> Tensor:
    """Rows scaled to length one; a row of zeros stays so."""
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)
