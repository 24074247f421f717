"""Format `onnx`: a graph that ONNX Runtime and others read.

Its packages are imported by the functions that need them.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from senas.errors import ExportFailedError
from senas.export.torch_format import free_batch_program

INPUT, OUTPUT, BATCH = "images", "logits", "batch"
_MAX_BYTES = 2**31 - 2**20  # of weights; an ONNX file is one protobuf message, which ends at 2 GiB


class OnnxProgram:
    """ONNX graph with the input `images` and the output `logits`, both with a free batch size.

    Args:
        module: Module in evaluation mode.
        images: Images that it takes.

    Raises:
        ExportFailedError: More weights than fit into one file.
    """

    def __init__(self, module: nn.Module, images: Tensor):
        size = sum(tensor.nbytes for tensor in module.state_dict().values())
        if size > _MAX_BYTES:
            raise ExportFailedError(f"format onnx: found {size} bytes of weights, allowed: at most {_MAX_BYTES}")
        with _quiet():
            program = torch.onnx.export(
                free_batch_program(module, images),
                (),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
            )
        assert program is not None
        self._model = program.model_proto
        for part in (self._model.graph, *self._model.graph.node):
            part.ClearField("metadata_props")  # how torch made it, which is as large as a small network
        for value in (*self._model.graph.input, *self._model.graph.output, *self._model.graph.value_info):
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.dim_param:  # the only free one; torch gives it a number
                    dimension.dim_param = BATCH
        self._opset = next(each.version for each in self._model.opset_import if each.domain == "")

    def write(self, file: BinaryIO, metadata: Mapping[str, str]) -> None:
        """Write the graph and its metadata, to which the opset is added."""
        from onnx.helper import set_model_props

        set_model_props(self._model, {**metadata, "opset": str(self._opset)})
        file.write(self._model.SerializeToString())


class OnnxFile:
    """ONNX file in ONNX Runtime, on the CPU, with as many threads as torch has.

    Args:
        path: Path of the file.
        keys: Names of its metadata.
    """

    def __init__(self, path: Path, keys: tuple[str, ...] = ()):
        import onnxruntime

        self.runtime = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = self._session.get_modelmeta().custom_metadata_map
        self.metadata = {key: found[key] for key in keys}

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, C, H, W) to logits (B, classes)."""
        return torch.from_numpy(self._session.run([OUTPUT], {INPUT: images.numpy()})[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporter says of its own code and of packages that it does not find."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
