"""The kinds of cells. A new kind is a file here and its registration below; nothing else changes."""

from senas.cells.basic import Basic
from senas.cells.bottleneck import Bottleneck
from senas.cells.cell import Cell
from senas.cells.inception import Inception
from senas.cells.inception_resnet import InceptionReduction, InceptionResNet
from senas.cells.mbconv import MBConv
from senas.cells.plain import PlainConv, Separable
from senas.cells.preactivation import PreActivationBasic, PreActivationBottleneck
from senas.cells.shake_shake import ShakeShake
from senas.cells.shuffle import ShuffleUnit

Cell.register(Basic, Bottleneck)
Cell.register(PreActivationBasic, PreActivationBottleneck, ShakeShake)
Cell.register(PlainConv, Separable, ShuffleUnit, MBConv)
Cell.register(Inception, InceptionResNet, InceptionReduction)
