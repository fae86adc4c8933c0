"""A finished subverter as one file of safetensors, and back: nothing is trained and nothing is unpickled.

The file holds the networks that the subverter keeps, the key, and every setting that it takes to build them again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from torch import nn

from models.channel import Channel
from models.checkpoints import Saved, load, save, with_prefix
from models.hiding.carriers import Carrier, KeyedCarrier, LearnedCarrier, NoCarrier, SampledCarrier
from models.hiding.codec import Codec
from models.hiding.config import SubversionConfig
from models.hiding.finished import FinishedSubverter, carries_image, learned_bits
from models.hiding.key import Key
from models.hiding.keyed_config import KeyedConfig
from models.hiding.learned import LearnedConfig
from models.hiding.learned.networks import build_pair
from models.hiding.payload import IdentityPayload, ImagePayload, Payload
from models.hiding.sampled import NoiseExtractor, SampledConfig
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator

Network = TypeVar("Network", bound=nn.Module)

WEIGHTS = "weights.safetensors"
"""The file's name in a trial's artifacts."""


def save_subverter(folder: Path, subverter: FinishedSubverter) -> None:
    """Write a subverter to ``folder``, at once or not at all.

    Args:
        folder: A trial's artifacts.
        subverter: What is kept.
    """
    tensors = with_prefix("generator", subverter.generator.state_dict())
    if isinstance(subverter.payload, ImagePayload):
        tensors |= with_prefix("codec", subverter.payload.codec.state_dict())
    if isinstance(subverter.payload, IdentityPayload):
        tensors["prototypes"] = subverter.payload.prototypes
    if isinstance(subverter.carrier, LearnedCarrier):
        tensors |= with_prefix("embedder", subverter.carrier.embedder.state_dict())
    if isinstance(subverter.carrier, LearnedCarrier | SampledCarrier):
        tensors |= with_prefix("extractor", subverter.carrier.extractor.state_dict())
    note = {
        "stage_one": asdict(subverter.ppgan),
        "subversion": asdict(subverter.config),
        "channel": str(subverter.channel),
        "key": subverter.key.secret.hex(),
        "seed": subverter.seed,
        "size": subverter.size,
        "identities": subverter.identities,
        "data": subverter.data,
    }
    save(folder / WEIGHTS, Saved(tensors, note))


def load_subverter(folder: Path, device: str = "cpu") -> FinishedSubverter:
    """Read the subverter of a finished trial.

    Args:
        folder: The trial's artifacts, such as ``studies/mine/artifacts/12``.
        device: Where its networks are to run, "cpu" or "cuda".

    Returns:
        The subverter; it hides and reveals as it did in its trial, bit for bit on the same kind of machine.

    Raises:
        ValueError: If there are no weights, the file is not whole or was written by an earlier version, or its settings
            and tensors do not fit; the message names the file and says what to do.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        removed = any(folder.glob("weights_removed*"))
        reason = "they were removed as the study went (keep.best, keep.gigabytes)" if removed else "none were written"
        raise ValueError(
            f"{path}: there are no weights, {reason}; train the configuration anew (python -m analysis select, "
            "then starting_points=) with keep=null"
        )
    try:
        saved = load(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"{path}: cannot be read, the file is damaged ({error})") from error
    try:
        return _rebuilt(saved, device)
    except KeyError as error:
        raise ValueError(
            f"{path}: lacks {error}; an earlier version wrote it: run its configuration again with this one"
        ) from error
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: settings and tensors do not fit together: {error}") from error


def _rebuilt(saved: Saved, device: str) -> FinishedSubverter:
    note = saved.note
    ppgan, config = PPGANConfig(**note["stage_one"]), _subversion(note["subversion"])
    if problems := ppgan.problems() + config.problems():
        raise ValueError("; ".join(problems))
    channel, key = Channel.parse(note["channel"]), Key(bytes.fromhex(note["key"]))
    size, identities = note["size"], note["identities"]
    generator = _filled(Generator(ppgan, size=size, identities=identities), saved, "generator", device)
    payload = _payload(config, saved, size, device)
    carrier = _carrier(config, saved, payload, generator, channel=channel, key=key, size=size, device=device)
    return FinishedSubverter(
        config=config,
        ppgan=ppgan,
        channel=channel,
        key=key,
        seed=note["seed"],
        data=note["data"],
        size=size,
        identities=identities,
        generator=generator,
        payload=payload,
        carrier=carrier,
    )


def _subversion(fields: Mapping[str, Any]) -> SubversionConfig:
    families = {"keyed": KeyedConfig, "learned": LearnedConfig, "sampled": SampledConfig}
    return SubversionConfig(**{**fields, **{name: kind(**fields[name]) for name, kind in families.items()}})


def _payload(config: SubversionConfig, saved: Saved, size: int, device: str) -> Payload | None:
    if carries_image(config):
        return None
    if config.secret == "identity":
        return IdentityPayload(saved.tensors["prototypes"], config.repetition)
    return ImagePayload(_filled(Codec(config.codec(), size=size), saved, "codec", device))


def _carrier(
    config: SubversionConfig,
    saved: Saved,
    payload: Payload | None,
    generator: Generator,
    *,
    channel: Channel,
    key: Key,
    size: int,
    device: str,
) -> Carrier:
    if config.strength == 0:
        return NoCarrier()
    if config.family == "keyed":
        return KeyedCarrier(key, config.strength, config.keyed)
    if config.family == "sampled":
        sampled = config.sampled
        extractor = NoiseExtractor(latent=generator.latent, size=size, width=sampled.width, hash_bits=sampled.hash_bits)
        _filled(extractor, saved, "extractor", device)
        return SampledCarrier(generator, extractor, key, channel, sampled, generator.identities)
    bits = None if payload is None else learned_bits(config, payload, lossless=channel.lossless)
    embedder, reader = build_pair(
        config.learned.architecture, bits=bits, size=size, width=config.learned.width, strength=config.strength
    )
    _filled(embedder, saved, "embedder", device)
    _filled(reader, saved, "extractor", device)
    return LearnedCarrier(embedder, reader, key, config.learned, channel.lossless)


def _filled(network: Network, saved: Saved, prefix: str, device: str) -> Network:
    """Give a network the tensors named ``prefix.*`` and put it into evaluation mode."""
    network.load_state_dict(saved.part(prefix))
    return network.to(device).eval()
