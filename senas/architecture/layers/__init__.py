"""Operations and how they are put together: layouts, stems and heads."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.architecture.layers.arithmetic import MAX_ELEMENTS as MAX_ELEMENTS
    from senas.architecture.layers.arithmetic import MAX_WEIGHTS as MAX_WEIGHTS
    from senas.architecture.layers.heads import ConvHead as ConvHead
    from senas.architecture.layers.heads import Head as Head
    from senas.architecture.layers.heads import LinearHead as LinearHead
    from senas.architecture.layers.heads import VGGHead as VGGHead
    from senas.architecture.layers.layer import MAX_CHANNELS as MAX_CHANNELS
    from senas.architecture.layers.layer import Layer as Layer
    from senas.architecture.layers.layout import Branches as Branches
    from senas.architecture.layers.layout import Chain as Chain
    from senas.architecture.layers.layout import Concat as Concat
    from senas.architecture.layers.layout import Operation as Operation
    from senas.architecture.layers.layout import ShakeSum as ShakeSum
    from senas.architecture.layers.layout import Shape as Shape
    from senas.architecture.layers.layout import Sum as Sum
    from senas.architecture.layers.operations import SE as SE
    from senas.architecture.layers.operations import Activation as Activation
    from senas.architecture.layers.operations import ActivationKind as ActivationKind
    from senas.architecture.layers.operations import BatchNorm as BatchNorm
    from senas.architecture.layers.operations import Conv as Conv
    from senas.architecture.layers.operations import Linear as Linear
    from senas.architecture.layers.operations import PadChannels as PadChannels
    from senas.architecture.layers.operations import Pool as Pool
    from senas.architecture.layers.operations import Scale as Scale
    from senas.architecture.layers.operations import Shift as Shift
    from senas.architecture.layers.operations import Shuffle as Shuffle
    from senas.architecture.layers.operations import Subsample as Subsample
    from senas.architecture.layers.operations import conv_norm as conv_norm
    from senas.architecture.layers.operations import norm_conv as norm_conv
    from senas.architecture.layers.stems import ConvStem as ConvStem
    from senas.architecture.layers.stems import InceptionResNetStem as InceptionResNetStem
    from senas.architecture.layers.stems import InceptionStem as InceptionStem
    from senas.architecture.layers.stems import NoStem as NoStem
    from senas.architecture.layers.stems import Stem as Stem

export_lazily(globals())
