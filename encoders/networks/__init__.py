"""The encoders' networks in torch, for export and fine-tuning only; what serves never imports this.

Each is written from its paper, and its parameters carry the names that the published checkpoint
gives them, so that an exported graph can be filled from the checkpoint itself (``checkpoint``).
Pictures come in as the decoder gives them (uint8, channels last); scaling belongs to the network.
"""

from encoders.networks.bert import BertLayers, BertShape, SentenceBert
from encoders.networks.clip import ClipImage, ClipShape, ClipText
from encoders.networks.efficientnet import EfficientNetLite0
from encoders.networks.musicnn import Musicnn
from encoders.networks.vggish import Vggish
from encoders.networks.yamnet import Yamnet

__all__ = [
    "BertLayers",
    "BertShape",
    "ClipImage",
    "ClipShape",
    "ClipText",
    "EfficientNetLite0",
    "Musicnn",
    "SentenceBert",
    "Vggish",
    "Yamnet",
]
