"""The two towers of CLIP (Radford et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from encoders.networks.attention import SHUT, attention, unit

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class ClipShape:
    """The sizes of one tower."""

    dim: int
    layers: int
    heads: int
    projection: int = 512
    patch: int = 32
    size: int = 224
    vocabulary: int = 49408
    positions: int = 77


class SelfAttention(nn.Module):
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


class Feedforward(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.dim, 4 * shape.dim)
        self.fc2 = nn.Linear(4 * shape.dim, shape.dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc1(x)
        return cast(Tensor, self.fc2(y * torch.sigmoid(1.702 * y)))


class Layer(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.self_attn = SelfAttention(shape)
        self.layer_norm1 = nn.LayerNorm(shape.dim)
        self.layer_norm2 = nn.LayerNorm(shape.dim)
        self.mlp = Feedforward(shape)

    def forward(self, x: Tensor, shut: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), shut)
        return x + cast(Tensor, self.mlp(self.layer_norm2(x)))


class Stack(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, shut: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, shut)
        return x


class ImageEmbeddings(nn.Module):
    """A picture as patches, with a vector of its own before them."""

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        patches = (shape.size // shape.patch) ** 2
        self.class_embedding = nn.Parameter(torch.randn(shape.dim))
        self.patch_embedding = nn.Conv2d(3, shape.dim, shape.patch, shape.patch, bias=False)
        self.position_embedding = nn.Embedding(patches + 1, shape.dim)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.patch_embedding(pictures).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(x.shape[0], 1, -1)
        return torch.cat([first, x], 1) + self.position_embedding.weight


class ImageTower(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.embeddings = ImageEmbeddings(shape)
        self.pre_layrnorm = nn.LayerNorm(shape.dim)  # the checkpoint's own spelling
        self.encoder = Stack(shape)
        self.post_layernorm = nn.LayerNorm(shape.dim)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.encoder(self.pre_layrnorm(self.embeddings(pictures)))
        return cast(Tensor, self.post_layernorm(x[:, 0]))


class ClipImage(nn.Module):
    """``forward(frames uint8 [N, 224, 224, 3]) -> [N, projection]``."""

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.vision_model = ImageTower(shape)
        self.visual_projection = nn.Linear(shape.dim, shape.projection, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.to(torch.float32) / 255.0
        x = (x - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
        return cast(Tensor, self.visual_projection(self.vision_model(x.permute(0, 3, 1, 2))))


class TextEmbeddings(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(shape.vocabulary, shape.dim)
        self.position_embedding = nn.Embedding(shape.positions, shape.dim)

    def forward(self, ids: Tensor) -> Tensor:
        places = self.position_embedding.weight[: ids.shape[1]]
        return cast(Tensor, self.token_embedding(ids)) + places


class TextTower(nn.Module):
    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.embeddings = TextEmbeddings(shape)
        self.encoder = Stack(shape)
        self.final_layer_norm = nn.LayerNorm(shape.dim)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embeddings(ids)
        place = torch.arange(ids.shape[1])
        # A token hears only those before it, so padding behind the last changes nothing.
        shut = (place[None, :] > place[:, None]).to(x.dtype) * SHUT
        return cast(Tensor, self.final_layer_norm(self.encoder(x, shut)))


class ClipText(nn.Module):
    """Unit length: ``forward(ids int64 [B, L], mask int64 [B, L]) -> [B, projection]``.

    A text's embedding is read at its end token, the last one that the mask counts.
    """

    def __init__(self, shape: ClipShape) -> None:
        super().__init__()
        self.text_model = TextTower(shape)
        self.text_projection = nn.Linear(shape.dim, shape.projection, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.text_model(ids)
        place = torch.arange(ids.shape[1])
        last = (place[None, :] == mask.sum(1, keepdim=True) - 1).to(x.dtype)
        return unit(self.text_projection((x * last[:, :, None]).sum(1)))
