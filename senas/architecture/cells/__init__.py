"""The kinds of cells. To add a kind, add a file to this folder and register its class below."""

from senas.architecture.cells.basic import Basic
from senas.architecture.cells.bottleneck import Bottleneck
from senas.architecture.cells.cell import Cell
from senas.architecture.cells.inception import Inception
from senas.architecture.cells.inception_resnet import InceptionReduction, InceptionResNet
from senas.architecture.cells.mbconv import MBConv
from senas.architecture.cells.plain import PlainConv, Separable
from senas.architecture.cells.preactivation import PreActivationBasic, PreActivationBottleneck
from senas.architecture.cells.shake_shake import ShakeShake
from senas.architecture.cells.shuffle import ShuffleUnit

Cell.register(Basic, Bottleneck)
Cell.register(PreActivationBasic, PreActivationBottleneck, ShakeShake)
Cell.register(PlainConv, Separable, ShuffleUnit, MBConv)
Cell.register(Inception, InceptionResNet, InceptionReduction)
