"""Encoders of pictures: `conv`, the shallow network of DQN and A3C, and `resnet`, IMPALA's deep residual network.

Pictures stay [N, height, width, channels] uint8 from the environment to here, a quarter of the bytes of float32. What
the convolutions read is a view of them in that order of memory (channels last), which their fast kernels want.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PART = 64
"""Pictures that are encoded at once where there is a choice: more do not stay in a CPU's caches."""

KERNELS = ((8, 4), (4, 2), (3, 1))
"""Size and stride of `conv`'s layers: two are the shallow network of A3C (Mnih et al. 2016) and IMPALA, three that of
DQN (Mnih et al. 2015)."""


class Pixels(nn.Module):
    """What encoders of pictures share: the checks, the scaling to 0..1, the fully connected layer at the end.

    Args:
        name: in `ENCODERS`, for messages.
        obs_shape: (height, width, channels).
        sizes: channels of each layer or section, and last the width of the fully connected layer.
        example: of `sizes`, for messages.

    Raises:
        ValueError: for observations that are no pictures, or for sizes that cannot be.
    """

    def __init__(self, name: str, obs_shape: Sequence[int], sizes: Sequence[int], example: str) -> None:
        super().__init__()
        if len(obs_shape) != 3:
            raise ValueError(
                f"encoder '{name}' reads pictures, observations [height, width, channels]; this task's have shape "
                f"{list(obs_shape)}: choose encoder 'none' or 'mlp'"
            )
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"encoder '{name}' needs model.encoder_sizes with the channels of each part and last the width of the "
                f"fully connected layer, such as {example}; got {list(sizes)}"
            )
        self.output_size = sizes[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """[N, H, W, C], uint8 or a float in 0..1 -> [N, F]."""
        if len(obs) > PART and obs.device.type == "cpu" and not torch.is_grad_enabled():
            return torch.cat([self(part) for part in obs.split(PART)])
        pictures = obs.permute(0, 3, 1, 2)
        if pictures.dtype == torch.uint8:
            # Straight to what autocast computes in: bfloat16 holds each of 0..255 exactly, in half the memory.
            kind = obs.device.type
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.get_default_dtype()
            pictures = pictures.to(dtype).div_(255)  # in place: of large batches this is most of the memory
        features: Tensor = self.dense(self.convolve(pictures).flatten(1))
        return features

    def convolve(self, pictures: Tensor) -> Tensor:
        """[N, C, H, W] in 0..1 -> [N, C', H', W']."""
        raise NotImplementedError

    def _end_with(self, channels: int, height: int, width: int) -> None:
        self.dense = nn.Sequential(nn.Linear(channels * height * width, self.output_size), nn.ReLU())


class Conv(Pixels):
    """`conv`: an 8x8 layer of stride 4, a 4x4 layer of stride 2 (and a 3x3 layer of stride 1), each with ReLU.

    The shallow network of A3C and IMPALA, and of the published agents that play Harlow's task in pixels, is
    `sizes=(16, 32, 256)`; that of DQN is `(32, 64, 64, 512)`. No padding.
    """

    def __init__(self, obs_shape: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__("conv", obs_shape, sizes, "[16,32,256]")
        *channels, _ = sizes
        if len(channels) > len(KERNELS):
            raise ValueError(
                f"encoder 'conv' has at most {len(KERNELS)} layers before the fully connected one, got "
                f"model.encoder_sizes={list(sizes)}; encoder 'resnet' may be deeper"
            )
        height, width, colors = obs_shape
        layers: list[nn.Module] = []
        for (fan_in, fan_out), (kernel, stride) in zip(itertools.pairwise((colors, *channels)), KERNELS, strict=False):
            layers += [nn.Conv2d(fan_in, fan_out, kernel, stride), nn.ReLU()]
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        if min(height, width) < 1:
            # From the last layer back: what each needs of the one before it, to see at least one pixel.
            least = 1
            for kernel, stride in reversed(KERNELS[: len(channels)]):
                least = (least - 1) * stride + kernel
            raise ValueError(
                f"pictures of {obs_shape[0]} x {obs_shape[1]} are too small for encoder 'conv' with {len(channels)} "
                f"layers: both sides must be at least {least} (observations are [height, width, channels])"
            )
        self.layers = nn.Sequential(*layers)
        self._end_with(channels[-1], height, width)

    def convolve(self, pictures: Tensor) -> Tensor:  # noqa: D102  # see Pixels
        features: Tensor = self.layers(pictures)
        return features


class _Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3 each, the same number of channels throughout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        change: Tensor = self.second(torch.relu(self.first(torch.relu(x))))
        return x + change


class ResNet(Pixels):
    """`resnet`: IMPALA's deep network (Espeholt et al. 2018, figure 3), 15 convolutions with `sizes=(16, 32, 32, 256)`.

    Each section is a 3x3 convolution, a 3x3 max-pool of stride 2 and two residual blocks; then ReLU, the fully
    connected layer, ReLU. Padded so that a section halves the picture's sides, rounding up.
    """

    def __init__(self, obs_shape: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__("resnet", obs_shape, sizes, "[16,32,32,256]")
        *channels, _ = sizes
        height, width, colors = obs_shape
        if min(height, width) < 2 ** len(channels):
            raise ValueError(
                f"pictures of {height} x {width} are too small for encoder 'resnet' with {len(channels)} sections, "
                f"each of which halves them: both sides must be at least {2 ** len(channels)} "
                "(observations are [height, width, channels])"
            )
        sections: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise((colors, *channels)):
            pool = nn.MaxPool2d(3, stride=2, padding=1)
            convolution = nn.Conv2d(fan_in, fan_out, 3, padding=1)
            sections += [convolution, pool, _Residual(fan_out), _Residual(fan_out)]
        self.sections = nn.Sequential(*sections)
        halvings = 2 ** len(channels)
        self._end_with(channels[-1], math.ceil(height / halvings), math.ceil(width / halvings))

    def convolve(self, pictures: Tensor) -> Tensor:  # noqa: D102
        return torch.relu(self.sections(pictures))
