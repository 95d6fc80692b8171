"""The graphs kept here are what torch exports, and compute what torch computes.

The weights are random where the published ones aren't at hand: a graph holds none anyway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from encoders.checkpoint import Array, read_checkpoint
from encoders.encoder import Encoders
from encoders.features import F32, I64, U8
from encoders.profile import NetworkSpec, Profile, load_profile, read_profile
from encoders.session import Session
from encoders.small_bert import initial_layers
from encoders.weights import default_weights_dir, locate, read_weights

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.train

PACKAGED = read_profile("packaged").networks
PAPER = read_profile("paper").networks


def outputs_of(network: object, inputs: tuple[object, ...]) -> list[F32]:
    with torch.no_grad():
        result = network(*inputs)  # type: ignore[operator]  # torch may be absent, so untyped here
    return [x.numpy() for x in (result if isinstance(result, tuple) else (result,))]


def assert_parity(spec: NetworkSpec, weights: Mapping[str, Array], limit: float) -> None:
    """The kept graph on ONNX Runtime against the torch network, on three inputs."""
    from encoders.export import build, example

    network = build(spec)
    state = {name: torch.from_numpy(np.array(weights[name])) for name in network.state_dict()}
    network.load_state_dict(state)
    session = Session(spec.graph, weights, threads=1)
    inputs = example(spec, batch=3)
    expected = outputs_of(network, inputs)
    got = session.run(*(x.numpy() for x in inputs))
    for one, other in zip(got, expected, strict=True):
        scale = max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=limit)


def random_weights(spec: NetworkSpec) -> dict[str, Array]:
    from encoders.export import build

    torch.manual_seed(0)
    return {name: x.numpy() for name, x in build(spec).state_dict().items()}


@pytest.mark.parametrize("role", PACKAGED)
def test_packaged_graphs_on_their_weights_equal_torch(profile: Profile, role: str) -> None:
    spec = profile.networks[role]
    weights = read_weights(profile, spec.weights, default_weights_dir())
    assert_parity(spec, weights, 1e-5)


@pytest.mark.parametrize("role", PAPER)
def test_paper_graphs_equal_torch(role: str) -> None:
    assert_parity(PAPER[role], random_weights(PAPER[role]), 1e-4)


@pytest.mark.parametrize(
    "role",
    [
        pytest.param("sentence", marks=pytest.mark.slow),
        pytest.param("frame", marks=pytest.mark.slow),
        "audio",
        "music",
    ],
)
def test_a_fresh_export_computes_the_same(profile: Profile, role: str, tmp_path: Path) -> None:
    from encoders.export import example, export

    spec = profile.networks[role]
    fresh = {graph.name: graph for graph in export(_only(profile, role), tmp_path)}
    weights = read_weights(profile, spec.weights, default_weights_dir())
    inputs = [x.numpy() for x in example(spec)]
    kept = Session(spec.graph, weights, threads=1).run(*inputs)
    new = Session(fresh[spec.graph.name], weights, threads=1).run(*inputs)
    for one, other in zip(kept, new, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_graphs_are_small() -> None:
    for spec in (*PACKAGED.values(), *PAPER.values()):
        assert spec.graph.stat().st_size < 100_000


def _only(profile: Profile, role: str) -> Profile:
    return dataclasses.replace(profile, networks={role: profile.networks[role]})


class TestAgainstTransformers:
    """Our networks against another implementation of the same papers, at full size."""

    @pytest.fixture(autouse=True)
    def _quiet(self) -> None:
        pytest.importorskip("transformers", reason="needs the extra train")

    def test_sentence_bert(self) -> None:
        from transformers import BertConfig, BertModel

        spec = PAPER["sentence"]
        theirs = BertModel(
            BertConfig(
                vocab_size=30522,
                hidden_size=384,
                num_hidden_layers=6,
                num_attention_heads=12,
                intermediate_size=1536,
            ),
            add_pooling_layer=False,
        ).eval()
        ids, mask = _texts(30522, 1)
        with torch.no_grad():
            last = theirs(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()
        mean = (last * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        weights = {name: x.numpy() for name, x in theirs.state_dict().items()}
        got = Session(spec.graph, weights, threads=1).run(ids, mask)[0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)

    def test_clip_image_tower(self) -> None:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        theirs = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                patch_size=32,
                projection_dim=512,
            )
        ).eval()
        frames: U8 = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
        mean = np.array([0.48145466, 0.4578275, 0.40821073])
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])
        pixels = ((frames / 255.0 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(pixels.copy())).image_embeds.numpy()
        weights = _named(theirs, "vision_model.")
        got = Session(PAPER["frame"].graph, weights, threads=1).run(frames)[0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)

    def test_clip_text_tower(self) -> None:
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        theirs = CLIPTextModelWithProjection(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=512,
                intermediate_size=2048,
                num_hidden_layers=12,
                num_attention_heads=8,
                projection_dim=512,
                eos_token_id=49407,
            )
        ).eval()
        ids, mask = _texts(49000, 49407)
        with torch.no_grad():
            result = theirs(torch.from_numpy(ids), torch.from_numpy(mask)).text_embeds.numpy()
        expected = result / np.linalg.norm(result, axis=1, keepdims=True)
        weights = _named(theirs, "text_model.")
        got = Session(PAPER["names"].graph, weights, threads=1).run(ids, mask)[0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


def _named(network: object, prefix: str) -> dict[str, Array]:
    """The state dict by the names of the published checkpoint, which has ``prefix`` in any case."""
    state = network.state_dict()  # type: ignore[attr-defined]  # torch may be absent
    return {
        name if name.startswith(prefix) or "projection" in name else prefix + name: x.numpy()
        for name, x in state.items()
    }


def _texts(vocabulary: int, last: int) -> tuple[I64, I64]:
    """Token ids [3, 9] and their mask; every text ends with ``last``."""
    ids = np.random.default_rng(0).integers(2, vocabulary, (3, 9))
    mask = np.ones((3, 9), np.int64)
    for row, length in enumerate((9, 4, 6)):
        ids[row, length - 1] = last
        ids[row, length:] = 0
        mask[row, length:] = 0
    return ids, mask


def test_vggish_flattens_channels_last() -> None:
    """As TensorFlow did when the weights were made: time, then frequency, then channel."""
    from encoders.networks import Vggish

    network = Vggish().eval()
    block = torch.rand(1, 96, 64)
    with torch.no_grad():
        maps = network.features(block[:, None])[0].numpy()
        assert maps.shape == (512, 6, 4)
        flat = [maps[c, t, f] for t in range(6) for f in range(4) for c in range(512)]
        expected = network.embeddings(torch.tensor(flat)[None]).numpy()
        np.testing.assert_allclose(network(block).numpy(), expected, atol=1e-6)


def test_all_layers_of_the_small_bert_are_the_sentence_encoder(
    profile: Profile, encoders: Encoders
) -> None:
    from encoders.networks import BertLayers, BertShape

    small = profile.small_bert
    whole = dataclasses.replace(
        profile, small_bert=dataclasses.replace(small, layers=(0, 1, 2, 3, 4, 5))
    )
    network = BertLayers(BertShape(0, small.dim, 6, small.heads, small.inner)).eval()
    layers = initial_layers(whole)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in layers.items()})
    ids = encoders.tokenize("a dog on the beach")
    words = torch.from_numpy(np.array(encoders.word_embeddings[ids]))[None]
    with torch.no_grad():
        mean = network(words, torch.ones(1, len(ids)))[0].mean(0).numpy()
    expected = encoders.sentences(["a dog on the beach"])[0]
    np.testing.assert_allclose(mean / np.linalg.norm(mean), expected, atol=1e-5)


def test_the_small_bert_starts_from_the_layers_that_the_profile_names(profile: Profile) -> None:
    layers = initial_layers(profile)
    path = locate(profile, profile.small_bert.weights, default_weights_dir())
    tensors = read_checkpoint(path)
    last = profile.small_bert.layers[-1]
    place = len(profile.small_bert.layers) - 1
    name = "attention.self.query.weight"
    np.testing.assert_array_equal(
        layers[f"encoder.layer.{place}.{name}"], tensors[f"encoder.layer.{last}.{name}"]
    )


def test_a_pulled_paper_profile_encodes(tmp_path: Path) -> None:
    """The whole profile at its real sizes, on random weights in the published formats."""
    from encoders.export import build

    torch.manual_seed(0)
    paper = _with_random_weights(tmp_path, {role: build(PAPER[role]) for role in PAPER})
    with Encoders.open(paper, weights_dir=tmp_path) as encoders:
        names = encoders.names(["a dog", "a cat"])
        assert names.shape == (2, 512)
        np.testing.assert_allclose(np.linalg.norm(names, axis=1), 1, atol=1e-5)
        assert encoders.word_embeddings.shape == (30522, 312)
        assert len(initial_layers(paper, weights_dir=tmp_path)) == 4 + 16 * 4


def _with_random_weights(folder: Path, networks: Mapping[str, object]) -> Profile:
    """Write ``paper``'s files as if pulled, and return the profile that pins them."""
    import json

    from safetensors.torch import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    from encoders.networks import BertLayers, BertShape
    from encoders.profile import HERE
    from encoders.weights import pulled_path, sha256_of

    paper = read_profile("paper", weights_dir=folder)
    state = {role: network.state_dict() for role, network in networks.items()}  # type: ignore[attr-defined]  # torch may be absent
    small = BertLayers(BertShape(0, 312, 4, 12, 1200)).state_dict()
    small["embeddings.word_embeddings.weight"] = torch.randn(30522, 312)
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "dog": 2, "cat": 3}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    paths = {role: pulled_path(paper, file, folder) for role, file in paper.files.items()}
    for path in paths.values():
        path.parent.mkdir(parents=True)
    save_file(state["sentence"], paths["sentence"])
    torch.save(state["frame"] | state["names"], paths["clip"])
    torch.save(state["audio"], paths["vggish"], _use_new_zipfile_serialization=False)
    torch.save({f"bert.{name}": x for name, x in small.items()}, paths["small_bert"])
    for role in ("tokenizer", "names_tokenizer"):
        tokenizer.save(str(paths[role]))
    data = json.loads((HERE / "paper.json").read_bytes())
    for role, path in paths.items():
        data["files"][role]["sha256"] = sha256_of(path)
    for spec in data["networks"].values():
        spec["graph"] = str(HERE / spec["graph"])
    (folder / "paper.json").write_text(json.dumps(data))
    return load_profile(folder / "paper.json", weights_dir=folder)
