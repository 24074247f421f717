"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

SpaceArgument = Annotated[str, Argument(metavar="SPACE", help="A shipped space (see: senas spaces) or a TOML file.")]
RunArgument = Annotated[Path, Argument(metavar="RUN", help="The folder of a run.")]
EpochsOption = Annotated[int, Option(help="Passes over the training set.")]
DataOption = Annotated[str, Option(help="digits, cifar10, cifar100, npz:FILE or imagefolder:DIR.")]
DeviceOption = Annotated[str, Option(help="cpu or cuda.")]
ExecutionOption = Annotated[
    str | None, Option(help="How latency is measured: eager or compiled; on CUDA graph or eager.")
]
AddressOption = Annotated[str | None, Option(help="HOST:PORT of a running Ray cluster's head to join, or auto.")]
BaselineOption = Annotated[
    bool, Option("--baseline", help="Then train the plain and the all-SE template, and random search of the same size.")
]
TrialLimitOption = Annotated[str | None, Option(help="A trial that takes longer has failed: 90s, 30m, 2h.")]
JsonOption = Annotated[bool, Option("--json", help="Print JSON for machines.")]

RETRIES_HELP = "More attempts at a trial that raised, ran out of memory or lost its worker."
REPLICATE_HELP = "At last, more trainings where it is least certain what is on the front."
