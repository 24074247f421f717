"""Networks as plain data: what an architecture is made of, and the networks of the literature. No torch."""

from typing import TYPE_CHECKING

from senas.lazy import export_lazily

if TYPE_CHECKING:
    from senas.architecture.cells.cell import Cell as Cell
    from senas.architecture.layers.heads import ConvHead as ConvHead
    from senas.architecture.layers.heads import Head as Head
    from senas.architecture.layers.heads import LinearHead as LinearHead
    from senas.architecture.layers.layer import MAX_CHANNELS as MAX_CHANNELS
    from senas.architecture.layers.layout import Branches as Branches
    from senas.architecture.layers.layout import Chain as Chain
    from senas.architecture.layers.layout import Concat as Concat
    from senas.architecture.layers.layout import Operation as Operation
    from senas.architecture.layers.layout import ShakeSum as ShakeSum
    from senas.architecture.layers.layout import Shape as Shape
    from senas.architecture.layers.layout import Sum as Sum
    from senas.architecture.layers.operations import SE as SE
    from senas.architecture.layers.operations import Activation as Activation
    from senas.architecture.layers.operations import BatchNorm as BatchNorm
    from senas.architecture.layers.operations import Conv as Conv
    from senas.architecture.layers.operations import Dropout as Dropout
    from senas.architecture.layers.operations import Flatten as Flatten
    from senas.architecture.layers.operations import GlobalPool as GlobalPool
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
    from senas.architecture.layers.stems import Stem as Stem
    from senas.architecture.limits import NetworkSize as NetworkSize
    from senas.architecture.network import Architecture as Architecture
    from senas.architecture.network import Input as Input
    from senas.architecture.network import Part as Part
    from senas.architecture.references.catalogue import REFERENCES as REFERENCES
    from senas.architecture.references.catalogue import reference as reference
    from senas.architecture.se import Excitation as Excitation
    from senas.architecture.se import Integration as Integration
    from senas.architecture.se import SEConfig as SEConfig
    from senas.architecture.se import Squeeze as Squeeze

export_lazily(globals())
